"""``chalkgrad sequence`` as its user sees it."""

import csv
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from chalkgrad.cli import app
from chalkgrad.tasks import sequence as sq
from chalkgrad.tasks.sequence.config import BY_TASK
from interrupting import ctrl_c_as_usual, press_ctrl_c

SMALL = ("--hidden", "6", "--steps", "3", "--horizon", "2")


def run(*words: object):
    return CliRunner().invoke(app, ["sequence", *map(str, words)])


@pytest.fixture
def hops(tmp_path: Path) -> Path:
    file = tmp_path / "hops.csv"
    rows = [f"{name},{t},{(t % 4) * scale}" for name, scale in (("a", 1), ("b", 2)) for t in range(80)]
    file.write_text("id,time,x\n" + "\n".join(rows) + "\na,80,high\n")
    return file


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    file = tmp_path / "steps.csv"
    rows = [f"{k},{t},{t * (k % 2)},{k % 2}" for k in range(12) for t in range(2 + k % 3)]
    file.write_text("id,time,x,label\n" + "\n".join(rows) + "\n")
    return file


def test_a_forecast_is_measured_beside_the_seasonal_naive_one_and_goes_on(hops: Path, tmp_path: Path) -> None:
    result = run("train", "--data", hops, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "hops.csv: 1 line was skipped (line 162: x is 'high', no number)" in result.stderr
    assert re.search(r"steps ahead +net +seasonal naive +last value\n +1 +[\d.]+ +0 ", result.stdout)
    assert (tmp_path / "out" / "forecast.png").exists()
    said = run("run", tmp_path / "out", hops)
    rows = list(csv.reader(said.stdout.splitlines()))
    assert rows[0] == ["id", "time", "x"]
    assert [row[:2] for row in rows[1:]] == [["a", "80"], ["a", "81"], ["b", "80"], ["b", "81"]]


def test_a_series_that_is_too_short_is_complained_of_and_the_others_foretold(
    hops: Path, tmp_path: Path
) -> None:
    run("train", "--data", hops, *SMALL, "--out", tmp_path / "out")
    (tmp_path / "few.csv").write_text("id,time,x\nshort,1,1\n" + "".join(f"long,{t},1\n" for t in range(30)))
    said = run("run", tmp_path / "out", tmp_path / "few.csv")
    assert said.exit_code == 2
    assert "error: short has 1 steps, and the net looks back 8" in said.stderr
    assert said.stdout.count("long,") == 2


def test_a_classifier_says_what_it_recognised(steps: Path, tmp_path: Path) -> None:
    result = run("train", "--task", "classify", "--data", steps, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"% of the test sequences recognised \(\d of 2\)", result.stdout)
    assert (tmp_path / "out" / "confusion.png").exists()
    said = run("run", tmp_path / "out", steps)
    assert said.stdout.startswith("id,label,probability\n0,")
    assert len(said.stdout.splitlines()) == 13
    assert re.search(r"\d+ of 12 labels as given", said.stderr)


def test_ctrl_c_says_how_to_go_on(hops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = sq.train
    monkeypatch.setattr(sq, "train", lambda *a, **k: train(*a, **{**k, "report": press_ctrl_c}))
    with ctrl_c_as_usual():
        result = run("train", "--data", hops, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "Stopped at step 1; everything is saved." in result.stdout
    monkeypatch.undo()
    result = run("train", "--resume", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "--data", "{missing}", "--out", "{new}"], "error: cannot read"),
        (["train", "--task", "guess", "--out", "{new}"], "error: task must be one of"),
        (["train", "--resume", "--out", "{new}"], "error: .*new holds no model"),
        (["run", "{new}", "{hops}"], "error: .*new holds no model"),
    ],
)
def test_a_mistake_is_one_line_and_code_two(words: list[str], says: str, hops: Path, tmp_path: Path) -> None:
    places = {"missing": tmp_path / "missing.csv", "new": tmp_path / "new", "hops": hops}
    result = run(*(word.format(**places) for word in words))
    assert result.exit_code == 2
    assert re.match(says, result.stderr)
    assert result.stderr.count("\n") == 1


def test_another_files_channels_are_refused(hops: Path, tmp_path: Path) -> None:
    run("train", "--data", hops, *SMALL, "--out", tmp_path / "out")
    result = run("run", tmp_path / "out", "sunspots")
    assert result.exit_code == 2
    assert "the net was trained on the channels x, and this file has sunspots" in result.stderr


def test_data_that_were_not_fetched_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = run("train", "--task", "classify", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "chalkgrad data fetch japanese-vowels" in result.stderr


def test_the_defaults_that_help_shows_are_those_that_hold() -> None:
    shown = {
        parameter.name: parameter.show_default
        for parameter in typer.main.get_command(app).commands["sequence"].commands["train"].params
        if isinstance(parameter.show_default, str)
    }
    config = sq.Config("forecast")
    for name in (
        "cell",
        "layers",
        "hidden",
        "horizon",
        "held",
        "batch",
        "lr",
        "dropout",
        "noise",
        "seed",
        "task",
    ):
        assert shown[name] == str(getattr(config, name)), name
    assert shown["steps"] == "{forecast}, or {classify} to classify".format(**BY_TASK["steps"])
    assert shown["data"] == "{forecast}, or {classify}".format(**BY_TASK["data"])
