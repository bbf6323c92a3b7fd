"""``chalkgrad draw``."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chalkgrad.cli import app

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["draw", *args])


WRONG = {
    ("lstn",): "did you mean lstm",
    ("rnn", "--unroll", "0"): "1 to 8 steps",
    ("mlp", "--unroll", "2"): "nothing here moves",
    ("rnn", "-o", "a.pdf"): "written as .svg or .png",
    ("rnn", "-o", "no/such/folder.svg"): "cannot be written",
    (RNN, "--function", "tau"): "a name, `=` and a value",
}


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_wrong_input_is_explained_and_ends_with_code_2(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert WRONG[command] in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_layer_is_drawn_in_both_formats_under_its_name(tmp_path: Path) -> None:
    result = run("rnn")
    assert result.stdout == "rnn.svg\nrnn.png\n"
    assert (tmp_path / "rnn.png").read_bytes().startswith(b"\x89PNG")
    ET.parse(tmp_path / "rnn.svg")


def test_a_file_and_a_page_in_quotes_have_names_too(tmp_path: Path) -> None:
    (tmp_path / "my_cell.chalk").write_text(RNN)
    assert run("my_cell.chalk").stdout == "my_cell.svg\nmy_cell.png\n"
    assert run(RNN, "--unroll", "2").stdout == "picture.svg\npicture.png\n"


def test_one_file_is_written_where_it_is_named() -> None:
    assert run("rnn", "-o", "slide.png").stdout == "slide.png\n"
    assert run("rnn", "-o", "slide").stdout == "slide.svg\nslide.png\n"


def test_without_matplotlib_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("rnn")
    assert result.exit_code == 2
    assert 'help: pip install "chalkgrad[report]"' in result.stderr
