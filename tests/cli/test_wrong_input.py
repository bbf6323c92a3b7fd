"""What cannot be, as it is typed: said in a word, with code 2, before anything is made."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from chalkgrad.cli import app

FAR = 99999999999999999999999
"""No whole number of 64 bits."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that each command could work on."""
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 60)
    (tmp_path / "series.csv").write_text("id,time,x\n" + "".join(f"a,{t},{t % 4}\n" for t in range(80)))
    rows = "".join(f"s{k},{t},{t * (k % 2)},{'ab'[k % 2]}\n" for k in range(20) for t in range(6))
    (tmp_path / "labelled.csv").write_text("id,time,x,label\n" + rows)
    (tmp_path / "tagged.tsv").write_text("the cat sat\tD N V\na dog ran on\tD N V P\n" * 8)
    for name in ("a", "b"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for k in range(4):
            Image.new("L", (8, 8), 20 * k).save(tmp_path / "classes" / name / f"{k}.png")
    (tmp_path / "pictures").mkdir()
    for k in range(20):
        Image.new("RGB", (16, 16), (k * 10, 0, 9)).save(tmp_path / "pictures" / f"{k}.png")
    lines = "".join(f"{k}.png\ta {'cat' if k % 2 else 'dog'}\n" for k in range(20))
    (tmp_path / "pictures" / "captions.tsv").write_text(lines)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"lm train --text text.txt --seed {FAR}", f"seed must be a whole number of 64 bits, not {FAR}"),
        (f"classify train --data classes --seed {FAR}", "seed must be a whole number of 64 bits"),
        (f"caption train --data pictures --seed {FAR}", "seed must be a whole number of 64 bits"),
        (f"sequence train --data series.csv --seed {FAR}", "seed must be a whole number of 64 bits"),
        (f"translate train --seed {FAR}", "seed must be a whole number of 64 bits"),
        (f"tag train --data tagged.tsv --seed {FAR}", "seed must be a whole number of 64 bits"),
        (f"translate check --seed {FAR}", "Invalid value for '--seed'"),
        (f"lm generate nowhere --seed {FAR}", "Invalid value for '--seed'"),
        (f"flow compare --seed {FAR}", "Invalid value for '--seed'"),
        (f"trace rnn --random --seed {FAR}", "Invalid value for '--seed'"),
        (f"check rnn --seed {FAR}", "Invalid value for '--seed'"),
        ("embed train --text text.txt --least 1 --seed -1", "seed must be at least 0 and below 2^32, not -1"),
        ("caption train --data pictures --clip nan", "clip must be 0 (no limit) or a number above it"),
        ("caption train --data pictures --clip inf", "clip must be 0 (no limit) or a number above it"),
        ("caption train --data pictures --pixels 2", "leaves nothing of a picture of 3×2×2"),
        ("classify train --data classes --net conv_pool:K=-1 scores", "sizes are whole numbers by name"),
        ("classify train --data classes --net conv_pool:K=x scores", "as in conv_pool:K=32"),
        ("sequence train --task classify --data labelled.csv --held 0.99", "none is left to train on"),
        ("sequence train --task classify --data labelled.csv --test series.csv", "csv has no column label"),
        ("sequence train --data series.csv --held 0.01", "fewer than the 5 steps that are to be foretold"),
        ("tag train --data tagged.tsv --held 0.999", "has no labels to train on"),
        ("translate run nowhere text --beam 0", "Invalid value for '--beam'"),
        ("translate evaluate nowhere --examples -1", "Invalid value for '--examples'"),
        ("translate train --vocabulary 0", "vocabulary must be at least 1, not 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_made(here: Path, words: str, said: str) -> None:
    before = sorted(here.rglob("*"))
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2, (result.output, result.exception)
    assert said in result.stderr
    assert result.stdout == ""
    assert sorted(here.rglob("*")) == before


def test_a_step_that_no_number_can_hold_ends_the_run_in_a_line(here: Path) -> None:
    words = "sequence train --data series.csv --steps 4 --hidden 4 --lr 1e38 --out out"
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2, (result.output, result.exception)
    assert "the change of the weights is too large a number at step 1: try a smaller lr" in result.stderr


def test_a_folder_of_models_names_them(here: Path) -> None:
    small = "tag train --data tagged.tsv --hidden 4 --steps 1 --out out"
    assert CliRunner().invoke(app, small.split()).exit_code == 0
    result = CliRunner().invoke(app, ["tag", "run", "out", "text.txt"])
    assert result.exit_code == 2
    assert (
        "out holds no model (config.json is missing), but there is one in out/both-sides and in"
        in result.stderr
    )
