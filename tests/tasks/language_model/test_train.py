"""Training: cut anywhere, a run comes to the same numbers; and it says what is wrong in a line."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.interrupting import ctrl_c_as_usual, press_ctrl_c

from chalkgrad import files
from chalkgrad.tasks.language_model import Config, Progress, Result, TaskError, saved, train
from chalkgrad.tasks.language_model.data import Streams
from chalkgrad.tasks.language_model.model import net
from chalkgrad.tasks.language_model.train import Run
from chalkgrad.tasks.tokens import Characters

TEXT = "In winter, when the fields are white, I sing this song for your delight.\n" * 12


class Cut(BaseException):
    """Stands for whatever ends a process between two steps."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "song.txt"
    file.write_text(TEXT)
    return Config(text=(str(file),), cell="rnn", hidden=8, batch=4, steps=30, truncate=7, evaluate_every=10)


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / "checkpoint.pt", weights_only=True)["model"]


def same(a: Path, b: Path) -> bool:
    return metrics(a) == metrics(b) and all(torch.equal(v, weights(b)[k]) for k, v in weights(a).items())


def stopped(config: Config, out: Path, at: int) -> Result:
    """A run that Ctrl-C ends after so many steps."""

    def stop(now: Progress) -> None:
        if now.step == at:
            press_ctrl_c()

    return train(config, out, report=stop)


def test_the_loss_goes_down_and_is_written_in_nats_and_bits(config: Config, tmp_path: Path) -> None:
    result = train(replace(config, steps=60, lr=0.02), tmp_path / "out")
    lines = metrics(tmp_path / "out")
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    assert lines[-1]["validation_nats"] < 0.8 * lines[0]["validation_nats"]
    assert lines[-1]["train_bits"] == pytest.approx(lines[-1]["train_nats"] / 0.6931471805599453)
    assert result.metrics is not None
    assert result.metrics.validation == lines[-1]["validation_nats"]
    assert not result.interrupted


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_every_optimiser_learns(config: Config, tmp_path: Path, optimizer: str) -> None:
    result = train(replace(config, optimizer=optimizer, lr=None, steps=60), tmp_path / "out")
    assert result.metrics is not None
    assert result.metrics.validation < 2.9


def test_two_runs_with_one_seed_are_the_same_and_another_seed_differs(config: Config, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(replace(config, seed=seed), tmp_path / name)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


def test_training_leaves_the_callers_random_numbers_alone(config: Config, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(replace(config, steps=1), tmp_path / "out")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("cut_at", [3, 10, 25, 29])
def test_a_run_that_was_cut_comes_to_the_same_numbers(config: Config, tmp_path: Path, cut_at: int) -> None:
    train(config, tmp_path / "whole")

    def cut(now: Progress) -> None:
        if now.step == cut_at:
            raise Cut

    with pytest.raises(Cut):
        train(config, tmp_path / "cut", report=cut)
    train(config, tmp_path / "cut", resume=True)
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_a_killed_process_comes_to_the_same_numbers(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "whole")
    script = (
        "import os, signal, torch\n"
        "from chalkgrad.tasks.language_model import Config, train\n"
        "torch.set_num_threads(1)\n"
        "def kill(now):\n"
        "    if now.step == 17: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"train({config!r}, {str(tmp_path / 'killed')!r}, report=kill)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert [line["step"] for line in metrics(tmp_path / "killed")] == [10]
    train(config, tmp_path / "killed", resume=True)
    assert same(tmp_path / "whole", tmp_path / "killed")


def test_what_was_measured_after_the_last_checkpoint_is_measured_again(
    config: Config, tmp_path: Path
) -> None:
    train(config, tmp_path / "whole")
    out = tmp_path / "cut"
    assert stopped(config, out, 20).step == 20
    with (out / "metrics.jsonl").open("a") as file:  # a line without its checkpoint, and half a line
        file.write('{"step": 30, "train_nats": 9, "validation_nats": 9}\n{"step": 4')
    train(config, out, resume=True)
    assert same(tmp_path / "whole", out)


def test_ctrl_c_saves_the_step_it_came_in(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path / "whole")
    before = signal.getsignal(signal.SIGINT)
    result = stopped(config, tmp_path / "cut", 13)
    assert result.interrupted
    assert result.step == 13
    assert torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"] == 13
    assert signal.getsignal(signal.SIGINT) is before
    train(config, tmp_path / "cut", resume=True)
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_a_second_ctrl_c_does_not_wait(config: Config, tmp_path: Path) -> None:
    def interrupt(now: Progress) -> None:
        press_ctrl_c()
        press_ctrl_c()

    with ctrl_c_as_usual(), pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "out", report=interrupt)


def test_a_resumed_run_may_go_on_for_longer(config: Config, tmp_path: Path) -> None:
    config = replace(config, schedule="constant")
    train(config, tmp_path / "whole")
    train(replace(config, steps=20), tmp_path / "longer")
    train(config, tmp_path / "longer", resume=True)
    assert same(tmp_path / "whole", tmp_path / "longer")
    assert saved(tmp_path / "longer").steps == 30  # so that no --steps is needed to go on from there
    with pytest.raises(TaskError, match="has come to step 30, and 20 are asked for: give more steps"):
        train(replace(config, steps=20), tmp_path / "longer", resume=True)


def test_a_run_that_goes_on_for_longer_goes_on_at_its_place_in_the_longer_cycle(
    config: Config, tmp_path: Path
) -> None:
    def step_size(out: Path) -> float:
        saved = torch.load(out / "checkpoint.pt", weights_only=True)
        return saved["optimizer"]["param_groups"][0]["lr"]

    train(config, tmp_path / "whole")
    train(replace(config, steps=20), tmp_path / "longer")
    assert step_size(tmp_path / "longer") == pytest.approx(
        step_size(tmp_path / "whole"), rel=1
    )  # nearly none
    train(config, tmp_path / "longer", resume=True)
    assert step_size(tmp_path / "longer") == step_size(tmp_path / "whole") < 0.05 * (config.lr or 0.0)


def test_settings_saved_before_there_were_schedules_have_a_constant_step_size(
    config: Config, tmp_path: Path
) -> None:
    train(replace(config, steps=1), tmp_path / "out")
    file = tmp_path / "out" / "config.json"
    card = json.loads(file.read_text())
    assert card["config"].pop("schedule") == "cycle"
    file.write_text(json.dumps(card))
    assert saved(tmp_path / "out").schedule == "constant"


def test_a_run_may_be_given_a_time_instead_of_a_number_of_steps(config: Config, tmp_path: Path) -> None:
    result = train(config, tmp_path / "out", seconds=0)
    assert [line["step"] for line in metrics(tmp_path / "out")] == [result.step] == [1]
    assert not result.interrupted
    train(config, tmp_path / "out", resume=True)
    assert metrics(tmp_path / "out")[-1]["step"] == 30


def test_a_finished_run_resumed_stays_as_it_is(config: Config, tmp_path: Path) -> None:
    first = train(config, tmp_path / "out")
    before = weights(tmp_path / "out")
    assert train(config, tmp_path / "out", resume=True) == first
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path / "out").items())


def test_the_streams_begin_again_when_they_are_read_to_the_end(config: Config) -> None:
    vocabulary = Characters.of(TEXT)
    streams = Streams.of(TEXT[:60], vocabulary, batch=4)
    run = Run(config, net(Config(hidden=8), "rnn", len(vocabulary)), streams, streams)
    assert [run.advance()[1] for _ in range(4)] == [28, 28, 4, 28]
    assert run.position == 7


@pytest.mark.parametrize(("clip", "bounded"), [(0.01, True), (0.0, False)])
def test_the_gradient_is_cut_to_the_norm_that_was_asked(config: Config, clip: float, bounded: bool) -> None:
    vocabulary = Characters.of(TEXT)
    model = net(Config(hidden=8), "rnn", len(vocabulary))
    run = Run(
        replace(config, clip=clip),
        model,
        Streams.of(TEXT, vocabulary, batch=4),
        Streams.of(TEXT, vocabulary, batch=4),
    )
    run.advance()
    norm = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm().item()
    assert (norm <= 0.01 * (1 + 1e-4)) == bounded


def test_a_write_that_is_cut_short_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checkpoint.pt"
    files.write_atomically(file, b"old")

    def cut(_: int) -> None:
        assert (tmp_path / ".checkpoint.pt.new").read_bytes() == b"new"
        raise Cut

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(Cut):
        files.write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_the_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (happened.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (happened.append("rename"), rename(a, b))[1])
    files.write_atomically(tmp_path / "file", b"x")
    assert happened[:2] == ["fsync", "rename"]


def test_korean_is_a_text_like_any_other(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "korean.txt"
    file.write_text("나랏말싸미 듕귁에 달아 문자와로 서르 사맛디 아니할쎄\n" * 12, encoding="utf-8")
    result = train(replace(config, text=(str(file),), steps=80, lr=0.02), tmp_path / "out")
    assert result.metrics is not None
    assert result.metrics.validation < 2.0


def test_a_directory_in_use_is_not_overwritten(config: Config, tmp_path: Path) -> None:
    train(replace(config, steps=1), tmp_path / "out")
    with pytest.raises(TaskError, match=r"is not empty: go on with it \(--resume\) or choose"):
        train(config, tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.doc").touch()
    with pytest.raises(TaskError, match="is not empty: choose another"):
        train(config, other)
    assert os.listdir(other) == ["thesis.doc"]


def test_a_file_where_the_directory_should_be_is_named(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TaskError, match="cannot write to"):
        train(config, tmp_path / "file")


def test_a_disk_that_fills_up_ends_the_run_in_a_line(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(now: Progress) -> None:
        def refuse(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(TaskError, match=r"cannot write to .*: No space left"):
        train(config, tmp_path / "out", report=full)
    monkeypatch.undo()
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["step"] == 0


def test_resuming_with_other_settings_names_them_all(config: Config, tmp_path: Path) -> None:
    train(replace(config, steps=1), tmp_path / "out")
    with pytest.raises(TaskError, match=r"hidden is 9, was 8; lr is 0\.1, was 0\.01") as caught:
        train(replace(config, hidden=9, lr=0.1), tmp_path / "out", resume=True)
    assert "steps" not in str(caught.value)


def test_resuming_on_another_text_is_refused(config: Config, tmp_path: Path) -> None:
    train(replace(config, steps=1), tmp_path / "out")
    Path(config.text[0]).write_text(TEXT.replace("winter", "summer"))
    with pytest.raises(TaskError, match="the text is not the same"):
        train(config, tmp_path / "out", resume=True)


def test_resuming_what_is_not_there_is_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="holds no model"):
        train(config, tmp_path / "nowhere", resume=True)


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", "half"])
def test_a_damaged_checkpoint_is_named(config: Config, tmp_path: Path, damage: bytes | str) -> None:
    train(replace(config, steps=1), tmp_path / "out")
    file = tmp_path / "out" / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:900] if isinstance(damage, str) else damage)
    with pytest.raises(TaskError, match=r"checkpoint\.pt is not this model's checkpoint"):
        train(config, tmp_path / "out", resume=True)


def test_a_checkpoint_that_would_run_code_is_refused(config: Config, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    train(replace(config, steps=1), tmp_path / "out")
    torch.save({"model": Evil()}, tmp_path / "out" / "checkpoint.pt")
    with pytest.raises(TaskError, match="is not this model's checkpoint"):
        train(config, tmp_path / "out", resume=True)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"config": {"text": [], "nonsense": 1}}', '{"config": 3}']
)
def test_a_damaged_description_is_named(config: Config, tmp_path: Path, content: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text(content)
    with pytest.raises(TaskError, match=r"config\.json is not the description of a model"):
        train(config, tmp_path / "out", resume=True)


def test_a_text_too_short_for_the_streams_is_refused_before_anything_is_written(
    config: Config, tmp_path: Path
) -> None:
    with pytest.raises(TaskError, match=r"the text is too short: .* need 2000"):
        train(replace(config, batch=100, truncate=20), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_loss_that_explodes_ends_the_run_and_keeps_the_last_checkpoint(
    config: Config, tmp_path: Path
) -> None:
    train(replace(config, steps=10), tmp_path / "out")
    before = weights(tmp_path / "out")
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in before.values())
    state["model"]["readout.bias"].fill_(float("nan"))
    torch.save(state, tmp_path / "out" / "checkpoint.pt")
    says = (
        r"the loss became nan at step 11 \(training step 11: the gradient of embedding\.weight, .* "
        r"is not finite; it began at t = 6 of h, with what the loss gives to it\): try a smaller lr"
    )
    with pytest.raises(TaskError, match=says):
        train(config, tmp_path / "out", resume=True)


def test_how_much_gradient_goes_through_the_window_is_told_and_looked_at_again(
    config: Config, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    train(config, tmp_path / "out", report=seen.append)
    told = [now.reach for now in seen if now.reach]
    assert len(told) == 30
    assert {back for _, back in told} == {6}
    assert [k for k in range(1, 30) if told[k] != told[k - 1]] == [20]
    assert all(0 < left < 1 for left, _ in told)


def test_one_character_at_a_time_leaves_nothing_to_go_back_through(config: Config, tmp_path: Path) -> None:
    seen: list[Progress] = []
    train(replace(config, truncate=1, steps=2), tmp_path / "out", report=seen.append)
    assert [now.reach for now in seen] == [None, None]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"layers": 0}, "layers must be at least 1"),
        ({"truncate": -3}, "truncate must be at least 1, not -3"),
        ({"lr": 0.0}, "lr must be a number above 0"),
        ({"clip": -1.0}, "clip must be 0"),
        ({"schedule": "linear"}, "schedule must be one of cycle, constant, not 'linear'"),
        ({"optimizer": "lion"}, "optimizer must be one of rmsprop, adam, sgd, not 'lion'"),
        ({"validation": 1.0}, "validation must lie between"),
    ],
)
def test_settings_that_make_no_sense_are_named(setting: dict[str, object], says: str) -> None:
    with pytest.raises(TaskError, match=says):
        Config(**setting)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "settings",
    [
        {"tokens": "bpe", "vocabulary": 280, "dropout": 0.2},
        {"model": "transformer", "heads": 2, "dropout": 0.2, "layers": 2},
        {"model": "mlp", "context": 3},
        {"tied": True, "layers": 2, "dropout": 0.2},
    ],
)
def test_every_model_cut_and_resumed_comes_to_the_same_numbers(
    config: Config, tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = replace(config, **{"lr": None, "context": None, **settings})
    train(config, tmp_path / "whole")
    assert stopped(config, tmp_path / "cut", 13).step == 13
    train(config, tmp_path / "cut", resume=True)
    whole, cut = metrics(tmp_path / "whole")[-1], metrics(tmp_path / "cut")[-1]
    assert whole["validation_nats"] == cut["validation_nats"]
    assert all(torch.equal(v, weights(tmp_path / "cut")[k]) for k, v in weights(tmp_path / "whole").items())


def test_a_directory_of_the_version_before_is_refused_with_a_word(config: Config, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    old = {"config": {"text": [], "cell": "lstm"}, "equations": "", "characters": "abc", "digest": ""}
    (tmp_path / "out" / "config.json").write_text(json.dumps(old))
    with pytest.raises(TaskError, match="its format is 1, and this version reads 2: train the model anew"):
        train(config, tmp_path / "out", resume=True)


def test_a_loss_of_no_number_is_said_of_a_model_without_time_too(config: Config, tmp_path: Path) -> None:
    config = replace(config, model="mlp", context=3, optimizer="sgd", lr=1e38, clip=0.0)
    with pytest.raises(TaskError, match=r"became (nan|inf) at step \d+: try a smaller lr or clip"):
        train(config, tmp_path / "out")
