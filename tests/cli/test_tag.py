"""``chalkgrad tag`` and ``chalkgrad lm finetune`` as their user sees them."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chalkgrad.cli import app
from chalkgrad.tasks import labels
from interrupting import ctrl_c_as_usual, press_ctrl_c

SMALL = ("--steps", "4", "--batch", "4")


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    file = tmp_path / "tagged.tsv"
    file.write_text("the cat sat\tD N V\na dog\tD N\n" * 6 + "odd\tN N\n")
    return file


def test_two_taggers_are_compared_and_the_better_one_tags(tagged: Path, tmp_path: Path) -> None:
    result = run("tag", "train", "--data", tagged, *SMALL, "--hidden", "4", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "tagged.tsv: 1 line was skipped (line 13: 1 words and 2 tags)" in result.stderr
    assert re.search(
        r"of 5 words tagged that were not trained on\n  commonest label    100.00% right\n"
        r"  one side +[\d.]+% right\n  both sides +[\d.]+% right\n",
        result.stdout,
    )
    (tmp_path / "lines.txt").write_text("the dog sat\n\na cat\n")
    said = run("tag", "run", tmp_path / "out" / "both-sides", tmp_path / "lines.txt")
    assert re.fullmatch(r"the dog sat\t[DNV] [DNV] [DNV]\na cat\t[DNV] [DNV]\n", said.stdout)
    again = run(
        "tag", "train", "--data", tagged, *SMALL, "--hidden", "4", "--out", tmp_path / "out", "--resume"
    )
    assert again.stdout == result.stdout


def test_a_pretrained_net_is_compared_with_the_same_net_from_scratch(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 60)
    small = ("--hidden", "6", "--batch", "4", "--steps", "4", "--truncate", "6")
    words = (
        "--text",
        tmp_path / "text.txt",
        "--tokens",
        "words",
        "--vocabulary",
        "40",
        "--objective",
        "masked",
    )
    result = run("lm", "train", *words, *small, "--out", tmp_path / "lm")
    assert result.exit_code == 0, result.stderr
    assert "bits per token asked for" in result.stdout
    (tmp_path / "data.tsv").write_text("cat\tthe cat sat\nmat\ton the mat\n" * 5)
    result = run(
        "lm", "finetune", tmp_path / "lm", "--data", tmp_path / "data.tsv", *SMALL, "--out", tmp_path / "o"
    )
    assert result.exit_code == 0, result.stderr
    assert re.search(
        r"of 2 texts .*\n  commonest label +50.00% right\n  from scratch .*\n  pretrained ", result.stdout
    )
    (tmp_path / "lines.txt").write_text("the cat\n")
    said = run("tag", "run", tmp_path / "o" / "pretrained", tmp_path / "lines.txt")
    assert said.stdout in ("cat\tthe cat\n", "mat\tthe cat\n")
    refused = run("lm", "generate", tmp_path / "lm")
    assert refused.exit_code == 2
    assert "does not predict from the left" in refused.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tag", "train", "--data", "{missing}", "--out", "{new}"], "error: cannot read"),
        (["tag", "train", "--out", "{new}"], "error: .*chalkgrad data fetch brown"),
        (["tag", "run", "{new}", "{tagged}"], "error: .*new holds no model"),
        (["lm", "finetune", "{new}", "--data", "{tagged}"], "error: .*new holds no model"),
    ],
)
def test_a_mistake_is_one_line_and_code_two(
    words: list[str], says: str, tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    places = {"missing": tmp_path / "missing.tsv", "new": tmp_path / "new", "tagged": tagged}
    result = run(*(word.format(**places) for word in words))
    assert result.exit_code == 2
    assert re.match(says, result.stderr)
    assert result.stderr.count("\n") == 1


def test_a_run_that_is_gone_on_with_keeps_its_settings(
    tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--data", tagged, *SMALL, "--hidden", "4", "--cell", "gru", "--most", "8", "--lr", "0.01")
    whole = run("tag", "train", *settings, "--out", tmp_path / "whole")
    train = labels.train
    monkeypatch.setattr(labels, "train", lambda *a, **k: train(*a, **{**k, "report": press_ctrl_c}))
    with ctrl_c_as_usual():
        cut = run("tag", "train", *settings, "--out", tmp_path / "out")
    monkeypatch.undo()
    assert cut.exit_code == 130
    assert cut.stdout.endswith(f"chalkgrad tag train --resume --out {tmp_path / 'out'}\n")
    again = run("tag", "train", "--resume", "--out", tmp_path / "out")
    assert again.exit_code == 0, again.stderr
    assert again.stdout == whole.stdout.replace(str(tmp_path / "whole"), str(tmp_path / "out"))
    other = run("tag", "train", "--resume", "--hidden", "5", "--out", tmp_path / "out")
    assert other.exit_code == 2
    assert "hidden is 5, was 4" in other.stderr


def test_finetuning_goes_on_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 60)
    small = ("--hidden", "4", "--batch", "4", "--steps", "1", "--truncate", "6")
    run("lm", "train", "--text", tmp_path / "text.txt", *small, "--out", tmp_path / "lm")
    (tmp_path / "data.tsv").write_text("the cat sat\tD N V\non a mat\tP D N\n" * 5)
    settings = (tmp_path / "lm", "--task", "tag", "--data", tmp_path / "data.tsv", *SMALL)
    whole = run("lm", "finetune", *settings, "--out", tmp_path / "whole")
    assert whole.exit_code == 0, whole.stderr
    train = labels.train
    monkeypatch.setattr(labels, "train", lambda *a, **k: train(*a, **{**k, "report": press_ctrl_c}))
    with ctrl_c_as_usual():
        cut = run("lm", "finetune", *settings, "--out", tmp_path / "out")
    monkeypatch.undo()
    assert cut.stdout.endswith(f"chalkgrad lm finetune {tmp_path / 'lm'} --resume --out {tmp_path / 'out'}\n")
    again = run("lm", "finetune", tmp_path / "lm", "--resume", "--out", tmp_path / "out")
    assert again.stdout == whole.stdout.replace(str(tmp_path / "whole"), str(tmp_path / "out"))
