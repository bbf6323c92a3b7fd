"""Training, translating, measuring and drawing with tiny models; a cut run comes to the same numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.interrupting import press_ctrl_c
from tests.often import often
from typer.testing import CliRunner, Result

from chalkgrad.cli import app
from chalkgrad.tasks import translate as task
from chalkgrad.tasks.fonts import families
from chalkgrad.tasks.language_model.rescore import read_lists, read_references, rescore
from chalkgrad.tasks.processes import Alone
from chalkgrad.tasks.translate import Config, TaskError
from chalkgrad.tasks.translate.picture import in_terminal, picture
from chalkgrad.tasks.translate.translate import Looks, spans

WORDS = {"red": "빨간", "blue": "파란", "green": "초록", "old": "낡은", "new": "새"}
THINGS = {"house": "집", "boat": "배", "road": "길", "tree": "나무"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small language: two adjectives and a thing, and the same in Korean with a word at its end."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    lines = [
        f"{a} {b} {thing}\t{WORDS[a]} {WORDS[b]} {THINGS[thing]} 입니다"
        for a in WORDS for b in WORDS if a != b for thing in THINGS
    ]  # fmt: skip
    file.write_text("\n".join(lines) + "\nbad line\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def config(pairs: Path) -> Config:
    return Config(
        (str(pairs),), model="attention", width=16, dropout=0.1, tokens="words", vocabulary=80, batch=16,
        steps=12, lr=0.01, evaluate_every=4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def learned(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the small language."""
    out = tmp_path_factory.mktemp("learned") / "out"
    task.train(replace(config, steps=150, evaluate_every=50), out)
    return out


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / "checkpoint.pt", weights_only=True)["model"]


def same(a: Path, b: Path) -> bool:
    return lines(a) == lines(b) and all(torch.equal(v, weights(b)[k]) for k, v in weights(a).items())


def cli(*words: object, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["translate", *map(str, words)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# --- training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["fixed", "attention", "transformer"])
def test_every_model_learns(config: Config, tmp_path: Path, model: str) -> None:
    result = task.train(
        replace(config, model=model, layers=None, steps=40, evaluate_every=20), tmp_path / "out"
    )
    first, last = lines(tmp_path / "out")
    assert last["validation_nats"] < 0.8 * math.log(30)
    assert last["validation_nats"] < first["validation_nats"]
    assert result.metrics is not None
    assert result.metrics.validation == last["validation_nats"]
    assert "1 not two columns" in result.said


@pytest.mark.parametrize("model", often(["fixed", "attention", "transformer"], seldom=["transformer"]))
def test_a_run_that_was_cut_comes_to_the_same_numbers(config: Config, tmp_path: Path, model: str) -> None:
    config = replace(config, model=model, layers=None)
    task.train(config, tmp_path / "whole")
    for step in (3, 6):

        def cut(now: task.Progress, at: int = step) -> None:
            if now.step == at:
                raise KeyboardInterrupt

        out = tmp_path / f"cut{step}"
        with pytest.raises(KeyboardInterrupt):
            task.train(config, out, report=cut)
        task.train(config, out, resume=True)
        assert same(tmp_path / "whole", out)


@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_a_run_of_a_few_steps_is_a_run(config: Config, tmp_path: Path, steps: int) -> None:
    assert task.train(replace(config, steps=steps), tmp_path / "out").step == steps


def test_ctrl_c_saves_after_the_step_it_is_in(config: Config, tmp_path: Path) -> None:
    task.train(config, tmp_path / "whole")
    stopped = task.train(
        config, tmp_path / "cut", report=lambda now: press_ctrl_c() if now.step == 5 else None
    )
    assert stopped.interrupted
    assert stopped.step == 5
    task.train(config, tmp_path / "cut", resume=True)
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_a_run_may_go_on_for_longer(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "out"
    task.train(config, out)
    task.train(replace(config, steps=20), out, report=lambda now: press_ctrl_c() if now.step == 15 else None,
               resume=True)  # fmt: skip
    assert task.saved(out).steps == 20  # so that no --steps is needed to go on from there
    assert task.train(task.saved(out), out, resume=True).step == 20
    assert [line["step"] for line in lines(out)] == [4, 8, 12, 16, 20]
    with pytest.raises(TaskError, match="has come to step 20, and 12 are asked for: give more steps"):
        task.train(config, out, resume=True)
    assert task.saved(out).steps == 20


def test_another_run_is_not_gone_on_with(config: Config, tmp_path: Path, pairs: Path) -> None:
    task.train(replace(config, steps=1), tmp_path / "out")
    with pytest.raises(TaskError, match="width is 8, was 16"):
        task.train(replace(config, steps=1, width=8), tmp_path / "out", resume=True)
    other = tmp_path / "other.tsv"
    other.write_text(pairs.read_text(encoding="utf-8").replace("boat", "ship"), encoding="utf-8")
    with pytest.raises(TaskError, match="the pairs are not the same"):
        task.train(replace(config, steps=1, data=(str(other),)), tmp_path / "out", resume=True)
    with pytest.raises(TaskError, match="is not empty"):
        task.train(config, tmp_path / "out")


def test_a_batch_that_processes_cannot_share_is_named(config: Config, tmp_path: Path) -> None:
    class Three(Alone):
        count = 3

    left = len(task.corpus_of(config).train) % 9
    assert 0 < left < 3
    with pytest.raises(TaskError, match=f"a batch of {left} pairs cannot be shared by 3 processes"):
        task.train(replace(config, batch=9), tmp_path / "out", group=Three())


def test_a_directory_of_another_version_is_refused(config: Config, tmp_path: Path) -> None:
    task.train(replace(config, steps=1), tmp_path / "out")
    card = tmp_path / "out" / "config.json"
    card.write_text(card.read_text(encoding="utf-8").replace('"format": 1', '"format": 9'), encoding="utf-8")
    with pytest.raises(TaskError, match="another version of chalkgrad: its format is 9"):
        task.load(tmp_path / "out")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "magic"}, "model must be one of"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"reverse": True}, "reverse is for the model `fixed`"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"tokens": "letters"}, "tokens must be one of"),
        ({"lr": -1.0}, "lr must be a number above 0"),
    ],
)
def test_settings_that_cannot_be_are_explained(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        Config(**wrong)  # type: ignore[arg-type]


# --- translating ---------------------------------------------------------------------------------------


def test_a_small_language_is_learned(learned: Path, pairs: Path) -> None:
    trained = task.load(learned)
    result = task.evaluate(trained, task.tsv([pairs]).test, beam=3)
    right = sum(p.target == t.text for p, t in zip(result.pairs, result.translations, strict=True))
    assert right >= 0.7 * len(result.pairs) > 0
    assert result.scores.bleu > 60
    assert "tok:13a" in result.scores.signatures[0]
    assert "version:" in result.scores.signatures[1]


def test_sentences_come_back_in_the_order_they_were_given(learned: Path) -> None:
    trained = task.load(learned)
    given = ["old red house", "blue new tree", "green old boat"] * 15
    together = task.translate(trained, given, beam=2)
    alone = [task.translate(trained, [s], beam=2)[0].text for s in given[:3]]
    assert [t.text for t in together] == alone * 15


def test_the_probability_is_that_of_the_words(learned: Path) -> None:
    trained = task.load(learned)
    [found] = task.translate(trained, ["old red house"])
    source, target = trained.card.vocabularies
    read = torch.tensor([[*source.ids("old red house"), source.end]])
    words = torch.tensor([[target.begin, *found.tokens, target.end]])
    with torch.no_grad():
        logs = trained.model(read, torch.tensor([read.shape[1]]), words[:, :-1]).log_softmax(2)
    assert found.finished
    total = logs.gather(2, words[:, 1:, None]).sum().item()
    assert found.log_probability == pytest.approx(total, abs=1e-4)


def test_looks_are_word_by_word(learned: Path) -> None:
    trained = task.load(learned)
    [found] = task.translate(trained, ["old red house"])
    looks = task.looks(trained, "old red house", found)
    assert looks.source == ("old", "red", "house", "⏎")
    assert " ".join(looks.target[:-1]) == found.text
    torch.testing.assert_close(looks.weights.sum(1), torch.ones(len(looks.target)))


def test_pieces_of_bytes_are_put_together_to_words() -> None:
    from chalkgrad.tasks.tokens import BytePairs

    vocabulary = BytePairs.of(["빨간 집"], 300, ("pad", "begin", "end"))
    ids = [*vocabulary.ids("파란 새 집"), vocabulary.end]
    assert [word for word, _, _ in spans(vocabulary, ids)] == ["파란", "새", "집", "⏎"]


@pytest.mark.parametrize("bad", [[""], ["fine", "  "]])
def test_an_empty_sentence_is_named(learned: Path, bad: list[str]) -> None:
    with pytest.raises(TaskError, match=f"sentence {len(bad)} is empty"):
        task.translate(task.load(learned), bad)


def test_what_ranks_translations_is_a_number(learned: Path) -> None:
    with pytest.raises(TaskError, match="normalise must be a number, not nan"):
        task.translate(task.load(learned), ["red house"], normalise=math.nan)


def test_scores_are_sacrebleus() -> None:
    found = task.scores(["the cat sat on the mat", "a dog"], ["the cat sat on a mat", "a dog"])
    assert found.bleu == pytest.approx(55.84, abs=0.01)  # 7/8, 4/6, 2/4, 1/3: as by hand
    japanese = task.scores(["猫が座る"], ["猫が座った"], "ja")
    assert "tok:char" in japanese.signatures[0]
    assert japanese.bleu > task.scores(["猫が座る"], ["猫が座った"], "en").bleu


# --- looking -------------------------------------------------------------------------------------------

LOOKS = Looks(("old", "red", "⏎"), ("낡은", "빨간", "⏎"), torch.eye(3))


def test_a_terminal_shows_korean_in_two_places_a_letter() -> None:
    from wcwidth import wcswidth

    head, *rows = in_terminal(LOOKS).splitlines()
    assert head == "     old red ⏎"
    assert rows[0] == "낡은 ███"
    assert wcswidth(rows[1][: rows[1].index("█")]) == 5 + 4  # under `red`
    assert wcswidth(rows[2][: rows[2].index("█")]) == 5 + 4 + 4


def test_a_picture_is_drawn_and_letters_that_no_font_has_are_said() -> None:
    content, said = picture(LOOKS)
    assert content.startswith(b"\x89PNG")
    assert said == families(("낡은", "빨간"))[1]
    assert "\U0010ffff" in picture(Looks(("\U0010ffff",), ("a",), torch.ones(1, 1)))[1]


# --- as it is typed ------------------------------------------------------------------------------------


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_run_and_evaluate_as_they_are_typed(here: Path, pairs: Path) -> None:
    small = ["--width", "8", "--steps", "4", "--batch", "16", "--tokens", "words", "--vocabulary", "80"]
    result = cli("train", "--data", pairs, *small, "--out", "out")
    assert result.exit_code == 0
    assert "1 left out: 1 not two columns" in result.output
    assert 'chalkgrad translate run out "…"' in result.output
    found = cli("run", "out", "old red house", "--attention", "--picture", "looks.png")
    assert found.exit_code == 0
    assert "log-probability" in found.output
    assert (here / "looks.png").read_bytes().startswith(b"\x89PNG")
    measured = cli("evaluate", "out", "--beam", "2", "--examples", "1")
    assert measured.exit_code == 0
    assert "nrefs:1" in measured.output
    assert {"test.json", "translations.tsv", "attention.png"} <= {f.name for f in (here / "out").iterdir()}
    again = cli("train", "--resume", "--out", "out")
    assert again.exit_code == 0
    longer = cli("train", "--resume", "--out", "out", "--steps", "9")
    assert longer.exit_code == 0
    assert "out: step 9" in longer.output


def test_it_is_measured_as_often_as_is_asked(here: Path, pairs: Path) -> None:
    small = ["--width", "8", "--steps", "4", "--batch", "16", "--tokens", "words", "--vocabulary", "80"]
    assert cli("train", "--data", pairs, *small, "--evaluate-every", "2", "--out", "out").exit_code == 0
    assert [line["step"] for line in lines(Path("out"))] == [2, 4]


def test_lines_of_the_standard_input_are_translated_each(learned: Path) -> None:
    result = cli("run", learned, "--beam", "2", stdin="old red house\n\nblue new tree\n")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 2


def test_a_file_without_a_pair_is_not_measured_on(learned: Path, here: Path) -> None:
    (here / "empty.tsv").write_text("")
    result = cli("evaluate", learned, "--data", here / "empty.tsv")
    assert result.exit_code == 2
    assert "error: there is no pair to measure on" in result.output
    assert not (learned / "test.json").exists()


def test_all_candidates_are_written_as_lm_rescore_reads_them(learned: Path, pairs: Path) -> None:
    result = cli("evaluate", learned, "--beam", "3", "--examples", "0", "--nbest")
    assert result.exit_code == 0
    lists, bad = read_lists(learned / "candidates.tsv")
    references, worse = read_references(learned / "references.tsv")
    assert bad == worse == []
    assert set(lists) == set(references)
    assert all(1 <= len(some) <= 3 for some in lists.values())
    rows = [line.split("\t") for line in (learned / "translations.tsv").read_text().splitlines()]
    best = rescore(lists, references, weight=0.0, metric="bleu")
    assert [c.text for c in best.picks.values()] == [found for _, _, found in rows]
    assert list(references.values()) == [right for _, right, _ in rows]


def test_other_pairs_are_measured_on_request(learned: Path, pairs: Path, here: Path) -> None:
    result = cli("evaluate", learned, "--data", pairs, "--beam", "1", "--examples", "2")
    assert result.exit_code == 0
    assert "80 sentences" in result.output
    assert "1 left out: 1 not two columns" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nowhere", "text"), "holds no model"),
        (("evaluate", "nowhere"), "holds no model"),
        (("train", "--target", "fi", "--out", "x"), "not in 'fi'"),
        (("train", "--data", "none.tsv", "--out", "x"), "cannot read"),
        (("train", "--model", "magic", "--out", "x"), "model must be one of"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(here: Path, words: tuple[str, ...], said: str) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert said in result.output
    assert result.output.count("\n") == 1
