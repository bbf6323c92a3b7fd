"""``chalkgrad classify`` as it is typed."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from tests.interrupting import press_ctrl_c
from tests.tasks.classify.made_clothes import picture
from typer.testing import CliRunner, Result

from chalkgrad.cli import app
from chalkgrad.cli import classify as classify_command
from chalkgrad.tasks import classify
from chalkgrad.tasks.metrics import Epoch

NET = ["--net", "conv_pool:K=2", "scores"]


def typed(*words: object) -> Result:
    """Run a command; an error that is no clean exit is a failed test."""
    result = CliRunner().invoke(app, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        for k in range(6):
            picture(tmp_path / "photos" / name / f"{k}.png", seed=k + 10 * (name == "dog"))
    return tmp_path / "photos"


def test_a_folder_is_learned_and_asked(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "notes.txt").write_text("no picture")
    out = tmp_path / "out"
    result = typed("classify", "train", "--data", photos, *NET, "--epochs", 2, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "1 of 13 files are left out" in result.stderr
    assert "10 pictures to train on, 2 to test, 2 classes, 1×8×8" in result.stderr
    assert re.search(r"epoch +2 of 2: loss [0-9.]+, [0-9.]+% right", result.stderr)
    assert re.search(r"of the test pictures recognised \(\d of 2\)", result.stdout)
    assert re.search(r"^0 cat +\S+ +\S+ +\d", result.stdout, re.MULTILINE)
    large = picture(tmp_path / "large.png", (20, 16), "RGB")
    asked = typed("classify", "run", out, photos / "cat" / "0.png", large, "--top", "1")
    assert asked.exit_code == 0
    assert re.search(r"0\.png +(cat|dog) \d+\.\d%\n", asked.stdout)
    assert f"note: {large} is 20×16 and was brought to 8×8" in asked.stderr


def test_a_bad_picture_is_complained_of_and_the_others_are_read(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    typed("classify", "train", "--data", photos, *NET, "--epochs", 1, "--out", out)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    good = photos / "dog" / "1.png"
    result = typed("classify", "run", out, tmp_path / "bad.png", good, tmp_path / "none.png", photos)
    assert result.exit_code == 2
    assert "bad.png cannot be read as a picture" in result.stderr
    assert f"there is no file {tmp_path / 'none.png'}" in result.stderr
    assert f"{photos} is a folder" in result.stderr
    assert str(good) in result.stdout


def test_ctrl_c_says_how_to_go_on_and_resuming_keeps_the_settings(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = classify.train

    def interrupted(config, out, **options):
        options["report"] = press_ctrl_c
        return train(config, out, **options)

    monkeypatch.setattr(classify, "train", interrupted)
    out = tmp_path / "out"
    result = typed("classify", "train", "--data", photos, *NET, "--epochs", 3, "--batch", 4, "--out", out)
    assert result.exit_code == 130
    assert f"chalkgrad classify train --resume --out {out}" in result.stdout
    monkeypatch.undo()
    assert typed("classify", "train", "--resume", "--out", out).exit_code == 0
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["epoch"] == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("classify", "train", "--data", "nmist"), "no data 'nmist'"),
        (("classify", "train", "--epochs", "0"), "epochs must be at least 1"),
        (("classify", "train", "--net", "conv_pol"), "did you mean conv_pool"),
        (("classify", "train", "--net", "conv_pool", "scores"), "leaves the size K open"),
        (("classify", "train", "--resume"), "holds no model"),
        (("classify", "run", ".", "a.png"), "holds no model"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_leaves_nothing(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = typed(*words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_bar_fits_the_terminal_and_keeps_what_matters(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None, highlight=False)
    epoch = Epoch(10000, 9, 0.987654, 0.876543)
    with classify_command.bar(classify.Config(epochs=10), 2000 * 128, console) as report:
        for step in (9999, 10000):
            report(classify.Progress(step, 20000, 128, 0.9, 112, epoch if step == 10000 else None))
    lines = re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in screen.getvalue()
    shown = [line for line in lines if "━" in line]
    assert shown
    assert all("loss 0.900, 87.5% right" in line and re.search(r"[-\d]:[-\d]{2}:", line) for line in shown)
    assert ("/20000" in shown[-1]) == (width >= 60)
    assert ("pictures/s" in shown[-1]) == (width >= 80)
    assert [line for line in lines if line.startswith("epoch  9 of 10: loss 0.988, 87.7% right")]


def test_without_a_terminal_an_epoch_is_said_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with classify_command.bar(classify.Config(epochs=10), 256) as report:
        for step in (1, 2):
            epoch = Epoch(2, 1, 0.5, 0.5) if step == 2 else None
            report(classify.Progress(step, 20, 128, 0.9, 112, epoch))
    assert re.fullmatch(
        r"epoch  1 of 10: loss 0.500, 50.0% right, [\d,]+ pictures/s\n", capsys.readouterr().err
    )
