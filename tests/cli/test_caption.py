"""``chalkgrad caption`` as it is typed."""

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image
from tests.interrupting import press_ctrl_c
from tests.tasks.caption.made_pictures import folder
from typer.testing import CliRunner

from chalkgrad.cli import app
from chalkgrad.tasks import caption

SMALL = ["--net", "conv_pool:K=4", "--hidden", "6", "--embedding", "6", "--batch", "8"]


def typed(*words: object) -> Result:
    """Run a command; an error that is no clean exit is a failed test."""
    result = CliRunner().invoke(app, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = folder(tmp_path_factory.mktemp("made") / "photos", 24)
    lines = (path / "captions.tsv").read_text().splitlines()
    lines[20:] = [f"{line}\tnight" for line in lines[20:]]
    (path / "captions.tsv").write_text("\n".join([*lines, "none.png\tnothing"]))
    return path


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("made") / "out"
    return out, typed("caption", "train", "--data", photos, *SMALL, "--epochs", 2, "--out", out)


def test_a_folder_is_learned(trained: tuple[Path, Result]) -> None:
    out, result = trained
    assert result.exit_code == 0, result.stderr
    assert "note: 1 lines and files are left out: there is no file" in result.stderr
    assert "19 pictures to train on, 3×8×8; to test: 5 night" in result.stderr
    assert re.search(r"epoch 2 of 2: [0-9.]+ nats/token, [0-9.]+% of tokens right", result.stderr)
    assert f"chalkgrad caption evaluate {out}" in result.stdout


def test_it_is_tested_and_a_sheet_is_drawn(trained: tuple[Path, Result]) -> None:
    out, _ = trained
    result = typed("caption", "evaluate", out)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^night +5 +\d+\.\d% +100\.0% +[0-9.]+ +[0-9.]+$", result.stdout, re.MULTILINE)
    assert "BLEU|nrefs:1|case:mixed" in result.stdout
    record = json.loads((out / "evaluation.json").read_text())
    assert record["night"]["count"] == 5
    with Image.open(out / "sheet.png") as drawn:
        assert min(drawn.size) > 200


def test_a_picture_is_asked_and_where_it_looked_is_drawn(
    trained: tuple[Path, Result], photos: Path, tmp_path: Path
) -> None:
    out, _ = trained
    large = tmp_path / "large.png"
    with Image.open(photos / "3.png") as file:
        file.resize((20, 16)).save(large)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    words = (large, tmp_path / "bad.png", photos / "1.png", tmp_path / "none.png")
    result = typed("caption", "run", out, *words, "--out", tmp_path / "drawn")
    assert result.exit_code == 2
    assert f"note: {large} is 20×16 and was brought to 8×8" in result.stderr
    assert "bad.png cannot be read as a picture" in result.stderr
    assert f"there is no file {tmp_path / 'none.png'}" in result.stderr
    assert re.search(r"1\.png  .*  \d+\.\d%\n  see .*1\.attention\.png\n", result.stdout)
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["1.attention.png", "large.attention.png"]


def test_a_file_is_no_folder_to_draw_in(trained: tuple[Path, Result], photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    picture = next(photos.glob("*.png"))
    result = typed("caption", "run", trained[0], picture, "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert result.stderr.endswith(f"error: cannot write to {tmp_path / 'file'}: File exists\n")
    assert (tmp_path / "file").read_text() == "mine"


def test_without_attention_nothing_is_drawn(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    typed("caption", "train", "--data", photos, *SMALL, "--decoder", "lstm", "--epochs", 1, "--out", out)
    result = typed("caption", "run", out, photos / "1.png")
    assert result.exit_code == 0, result.stderr
    assert "see" not in result.stdout
    assert not (photos / "1.attention.png").exists()
    assert typed("caption", "evaluate", out).exit_code == 0


def test_ctrl_c_says_how_to_go_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = caption.train

    def interrupted(config, out, **options):
        options["report"] = press_ctrl_c
        return train(config, out, **options)

    monkeypatch.setattr(caption, "train", interrupted)
    out = tmp_path / "out"
    result = typed("caption", "train", "--data", photos, *SMALL, "--epochs", 2, "--out", out)
    assert result.exit_code == 130
    assert f"chalkgrad caption train --resume --out {out}" in result.stdout
    monkeypatch.undo()
    assert typed("caption", "train", "--resume", "--out", out).exit_code == 0
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["epoch"] == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "--data", "emojis"), "no data 'emojis'"),
        (("train", "--data", "emoji-all"), "run `chalkgrad data fetch emoji`"),
        (("train", "--epochs", "0"), "epochs must be at least 1"),
        (("train", "--decoder", "atention_lstm"), "did you mean attention_lstm"),
        (("train", "--resume"), "holds no model"),
        (("run", ".", "a.png"), "holds no model"),
        (("evaluate", "."), "holds no model"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_leaves_nothing(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = typed("caption", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
