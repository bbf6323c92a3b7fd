"""``chalkgrad lm`` as it is typed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from tests.interrupting import press_ctrl_c
from typer.testing import CliRunner, Result

from chalkgrad.cli import app
from chalkgrad.tasks import language_model
from chalkgrad.tasks.language_model.config import MODELS, OPTIMIZERS, Config
from chalkgrad.tasks.tokens import SIZES

SONG = "In winter, when the fields are white, I sing this song for your delight.\n" * 20
SMALL = ["--cell", "rnn", "--hidden", "8", "--batch", "4", "--steps", "5", "--truncate", "7"]


def lm(*words: object) -> Result:
    """Run a command; an error that is no clean exit is a failed test."""
    result = CliRunner().invoke(app, ["lm", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def song(tmp_path: Path) -> Path:
    file = tmp_path / "song.txt"
    file.write_text(SONG)
    return file


@pytest.fixture
def out(tmp_path: Path, song: Path) -> Path:
    path = tmp_path / "out"
    assert lm("train", "--text", song, *SMALL, "--out", path).exit_code == 0
    return path


def test_training_says_what_it_reached_and_what_to_do_next(out: Path, song: Path, tmp_path: Path) -> None:
    result = lm("train", "--text", song, *SMALL, "--out", tmp_path / "again")
    assert re.search(r"step 5, \d\.\d\d\d bits per character", result.stdout)
    assert "lm generate" in result.stdout
    assert re.search(r"step +5: [0-9.]+ bits/character, [0-9.]+ on unseen text", result.stderr)


def test_several_files_may_follow_one_option(song: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Ω" * 2000)
    assert lm("train", "--text", song, other, *SMALL, "--out", tmp_path / "both").exit_code == 0
    assert "Ω" in language_model.load(tmp_path / "both").vocabulary.tokens


def test_resuming_keeps_the_settings_that_are_not_given(out: Path) -> None:
    result = lm("train", "--resume", "--out", out, "--steps", "8")
    assert result.exit_code == 0
    assert "step 8" in result.stdout
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 8


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--tokens", "bpe", "--vocabulary", "300"),
            r"bits/token, [0-9.]+ on unseen text \([0-9.]+/character\)",
        ),
        (("--tokens", "words", "--model", "mlp", "--context", "3", "--dropout", "0.1"), "bits/token"),
        (("--model", "transformer", "--heads", "2", "--layers", "2", "--tied"), "bits/character"),
    ],
)
def test_models_and_tokens_of_every_kind_are_trained_scored_and_write(
    words: tuple[str, ...], says: str, song: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    trained = lm("train", "--text", song, *SMALL, *words, "--out", out)
    assert trained.exit_code == 0
    assert re.search(says, trained.stderr)
    assert re.search(r"step 5, \d+\.\d\d\d bits per character", trained.stdout)
    assert lm("generate", out, "--prompt", "In w", "--length", "9").stdout.startswith("In w")
    scored = lm("score", out, "--text", song).stdout
    assert f"characters        {len(SONG)}\n" in scored
    assert ("per token" in scored) == ("tokens" in scored) == ("--tokens" in words)


def test_ngrams_are_counted_and_that_is_all(song: Path, tmp_path: Path) -> None:
    counted = lm("train", "--text", song, "--model", "ngram", "--context", "3", "--out", tmp_path / "out")
    assert counted.exit_code == 0
    assert "order 4, " in counted.stdout
    assert "--resume" not in counted.stdout


def test_ctrl_c_says_how_to_go_on(song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = language_model.train

    def interrupted(config, out, *, resume, report, group, vectors):
        return train(config, out, resume=resume, report=press_ctrl_c, group=group, vectors=vectors)

    monkeypatch.setattr(language_model, "train", interrupted)
    result = lm("train", "--text", song, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "Stopped at step 1; everything is saved." in result.stdout
    assert f"chalkgrad lm train --resume --out {tmp_path / 'out'}" in result.stdout


def test_generating_writes_the_prompt_and_as_much_as_was_asked(out: Path) -> None:
    first = lm("generate", out, "--prompt", "In w", "--length", "30", "--seed", "3")
    assert first.stdout.startswith("In w")
    assert len(first.stdout) == 4 + 30 + 1
    assert lm("generate", out, "--prompt", "In w", "--length", "30", "--seed", "3").stdout == first.stdout


def test_unknown_characters_of_a_prompt_are_named(out: Path) -> None:
    result = lm("generate", out, "--prompt", "Zürich ü", "--length", "5")
    assert result.exit_code == 0
    assert "the model does not know 'ü' (2 times), 'Z'" in result.stderr
    assert result.stdout.startswith("Zürich ü")


def test_a_score_shows_every_measure_of_the_same_number(out: Path, song: Path) -> None:
    shown = lm("score", out, "--text", song).stdout
    measured = language_model.score(language_model.load(out), SONG)
    assert f"characters        {len(SONG)}\n" in shown
    assert f"log-probability   {-measured.nats:.3f} nats" in shown
    assert f"{measured.nats_per_character:.4f} nats, {measured.bits_per_character:.4f} bits" in shown
    assert f"perplexity        {measured.perplexity:.4f}" in shown
    assert "unknown" not in shown


def test_a_score_says_how_many_characters_were_unknown(out: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("I sing ☃☃")
    shown = lm("score", out, "--text", file).stdout
    assert "unknown           2, scored as one unknown character: '☃' (2 times)" in shown


def test_the_tokens_of_a_score_are_a_line_each_and_sum_to_the_total(out: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("I sing\nof")
    lines = lm("score", out, "--text", file, "--tokens", "--shuffle").stdout.splitlines()
    rows = [line.split(maxsplit=3) for line in lines[1:10]]
    assert "".join(eval(row[3]) for row in rows) == "I sing\nof"
    total = re.search(r"log-probability +(-[0-9.]+) nats", "\n".join(lines))
    assert total
    assert sum(float(row[1]) for row in rows) == pytest.approx(float(total[1]), abs=2e-3)
    assert float(rows[-1][2]) == pytest.approx(float(total[1]), abs=1e-3)
    assert re.match(
        r"words shuffled +-[0-9.]+ nats, perplexity [0-9.]+: [0-9.]+ nats (lost|gained)", lines[-1]
    )


def test_rescoring_prefers_what_was_sung(out: Path, tmp_path: Path) -> None:
    nbest, said, picked = (tmp_path / name for name in ("nbest.tsv", "said.tsv", "picked.tsv"))
    lines = [f"{k}\t-1.0\tzzqxvvjk zzqxvvjk zzqxvvjk\n{k}\t-1.5\tI sing of\n" for k in range(4)]
    nbest.write_text("".join(lines) + "no tabs here\n")
    said.write_text("".join(f"{k}\tI sing of\n" for k in range(4)))
    result = lm("rescore", out, "--nbest", nbest, "--reference", said, "--out", picked)
    assert result.exit_code == 0, result.stderr
    assert "nbest.tsv: 1 line was skipped (line 9: " in result.stderr
    assert re.search(
        r"WER +on 2 other lists\n +before +100.00%\n +after +0.00%\n +best there +0.00%", result.stdout
    )
    assert [line.split("\t")[2] for line in picked.read_text().splitlines()] == ["I sing of"] * 4
    alone = lm("rescore", out, "--nbest", nbest, "--weight", "0")
    assert alone.stdout == "".join(f"{k}\t-1.0000\tzzqxvvjk zzqxvvjk zzqxvvjk\n" for k in range(4))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "--text", "{missing}", "--out", "{new}"], "error: cannot read .*missing"),
        (["train", "--text", "{binary}", "--out", "{new}"], "error: .*binary is not UTF-8 text"),
        (["train", "--text", "{empty}", "--out", "{new}"], "error: .*empty is empty"),
        (["train", "--text", "{song}", "--batch", "999", "--out", "{new}"], "error: the text is too short"),
        (
            ["train", "--text", "{song}", *SMALL, "--out", "{out}"],
            r"error: .* is not empty: .*--resume.*--out",
        ),
        (
            ["train", "--resume", "--hidden", "9", "--out", "{out}"],
            "error: cannot resume.*hidden is 9, was 8",
        ),
        (["train", "--resume", "--out", "{new}"], "error: .*new holds no model"),
        (["train", "--optimizer", "lion", "--out", "{new}"], "error: optimizer must be one of"),
        (["generate", "{new}"], "error: .*new holds no model"),
        (
            ["train", "--tokens", "letters", "--out", "{new}"],
            "error: tokens must be one of characters, words",
        ),
        (["train", "--model", "oracle", "--out", "{new}"], "error: model must be one of ngram, mlp"),
        (["train", "--context", "3", "--out", "{new}"], "error: a recurrent model has no context"),
        (
            ["train", "--vocabulary", "9", "--text", "{song}", "--out", "{new}"],
            "error: characters are as many",
        ),
        (["generate", "{out}", "--temperature", "-1"], "error: temperature must be"),
        (["generate", "{out}", "--top-k", "0"], "error: top-k must be"),
        (["generate", "{out}", "--top-p", "2"], "error: top-p must be"),
        (["rescore", "{out}", "--nbest", "{song}", "--weight", "1"], "error: .* has no line of id"),
        (["rescore", "{out}", "--nbest", "{missing}", "--weight", "1"], "error: cannot read"),
        (["score", "{out}", "--text", "{missing}"], "error: cannot read"),
        (["score", "{out}", "--text", "{empty}"], "error: .*empty is empty"),
    ],
)
def test_a_mistake_is_one_line_and_code_two(
    out: Path, song: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "empty").touch()
    places = {name: tmp_path / name for name in ("missing", "binary", "empty", "new")}
    result = lm(*(word.format(song=song, out=out, **places) for word in words))
    assert result.exit_code == 2
    assert re.match(says, result.stderr)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("h[t] = tanh(x[t] W + h[t-1] U", r"error: .*\n +line 1 \| h\[t\] = .*\n +\| .*\^"),
        ("lsmt", r"error: `lsmt` is no standard layer.*\nhelp: did you mean lstm\?"),
        ("mlp", "error: this cell is no recurrence"),
    ],
)
def test_a_cell_that_cannot_be_used_is_shown_with_the_place(
    song: Path, tmp_path: Path, cell: str, says: str
) -> None:
    result = lm("train", "--text", song, *SMALL, "--cell", cell, "--out", tmp_path / "new")
    assert result.exit_code == 2
    assert re.match(says, result.stderr)
    assert not (tmp_path / "new").exists()


def test_the_defaults_that_help_shows_are_those_that_hold() -> None:
    shown = {
        parameter.name: parameter.show_default
        for parameter in typer.main.get_command(app).commands["lm"].commands["train"].params
        if isinstance(parameter.show_default, str)
    }
    held = {name: str(getattr(Config(), name)) for name in shown if name not in ("text", "lr")}
    held["lr"] = ", ".join(f"{name} {lr}" for name, lr in OPTIMIZERS.items()) + "; half for a transformer"
    held["vocabulary"] = ", ".join(f"{name} {size}" for name, size in SIZES.items())
    held["context"] = ", ".join(f"{name} {n}" for name, n in MODELS.items() if n)
    held["embedding"] = "as many as hidden"
    assert {name: value for name, value in shown.items() if name != "text"} == held


def test_help_does_not_wait_for_torch() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from chalkgrad.cli import app\n"
        "result = CliRunner().invoke(app, ['lm', 'train', '--help'])\n"
        "assert result.exit_code == 0\n"
        "assert 'h[t] = tanh(x[t] W' in result.output, result.output\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
