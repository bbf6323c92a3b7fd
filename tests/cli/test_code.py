"""The command that writes a layer as a script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.test_docs import BLOCK
from typer.testing import CliRunner, Result

from chalkgrad.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "code.md"

WRONG = {
    ("rnnn",): "did you mean rnn",
    ("h[t] = tanh(x[t] W",): "is not closed",
    ("rnn", "--numpy", "--torch"): "a script is in one of them",
    ("rnn", "--size", "D=two"): "whole number",
    ("rnn", "--size", "D=0"): "at least 1",
    ("rnn", "--size", "Q=2"): "no size and no name `Q`",
    ("rnn", "-o", "no/such/folder/rnn.py"): "cannot be written",
    ("rnn", "-o", "."): "is a folder",
    ("y = W x",): "which of these is the input",
    ("rnn", "--function", "tau"): "a name, `=` and a value",
    ("y[i] = x[i] + x[i] = 3 x[i] where x: input",): "the sides of this chain differ",
}


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["code", *args])


def ran(path: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, path], capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_explained_and_ends_with_code_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert WRONG[arguments] in result.stderr
    assert "\nhelp: " in result.stderr


def test_numpy_is_what_is_written_where_nothing_is_said() -> None:
    assert run("rnn").stdout == run("rnn", "--numpy").stdout
    assert "import numpy as np" in run("rnn").stdout
    assert "import torch" in run("rnn", "--torch").stdout


def test_a_file_is_written_and_checks_itself(tmp_path: Path) -> None:
    path = tmp_path / "rnn.py"
    result = run("rnn", "--size", "D=2", "h=3", "T=2", "-o", str(path))
    assert result.exit_code == 0
    assert result.stdout == f"{path}: check it with  python {path}\n"
    assert "B, T, D, H = 2, 2, 2, 3" in path.read_text(encoding="utf-8")
    code, printed = ran(path)
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == ["dx", "dW_x", "dW_h", "db", "dh0"]
    assert all(line.endswith("right") for line in printed.splitlines())


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rnn.py"
    path.write_text("mine", encoding="utf-8")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", refuse)
        result = run("rnn", "-o", str(path))
    assert result.exit_code == 2
    assert "Permission denied" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["rnn.py"]
    assert path.read_text(encoding="utf-8") == "mine"
    assert run("rnn", "-o", str(path)).exit_code == 0
    assert path.read_text(encoding="utf-8") == run("rnn").stdout


def test_what_the_page_does_not_say_is_said_beside_it() -> None:
    text = "s[t] = f(A s[t-1] + x[t])\ny[t] = c s[t]"
    assert "np.tanh(" in run(text, "--function", "f=tanh").stdout
    result = run("y = W x + b", "--inputs", "x")
    assert result.exit_code == 0
    assert "def forward(x, W, b):" in result.stdout


def test_warnings_stand_beside_the_script() -> None:
    result = run("g[t] = tanh(x[t] V)\nh[t] = tanh(x[t] W + h[t-1] U)\nwhere h: output")
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "warning" not in result.stdout


def test_latex_is_taken_too(tmp_path: Path) -> None:
    path = tmp_path / "conv.py"
    page = r"h_{i}=\sigma\left(\sum_{j=1}^{k} V_{j} x_{i+j-1}\right)" "\nwhere V: parameter, x: input"
    assert run(page, "-o", str(path)).exit_code == 0
    assert ran(path)[0] == 0


def test_an_index_of_several_axes_is_told_how_many_it_has(tmp_path: Path) -> None:
    path = tmp_path / "conv.py"
    page = r"[f * g](i)=\sum_{a \in \mathbb{Z}^{d}} f(a) g(i-a)"
    assert run(page, "--inputs", "g", "--size", "d=2", "f=3,2", "-o", str(path)).exit_code == 0
    assert "f: (n_f1, n_f2)" in path.read_text(encoding="utf-8")
    assert ran(path)[0] == 0


def test_the_documentation_shows_the_script_as_it_is(tmp_path: Path) -> None:
    blocks = [m[2] for m in BLOCK.finditer(PAGE.read_text(encoding="utf-8")) if m[1] == "text"]
    shown = run("rnn", "--numpy").stdout
    assert shown in blocks
    assert blocks[-1].rstrip() in run("conv1d").stdout
    path = tmp_path / "rnn.py"
    path.write_text(shown, encoding="utf-8")
    assert [line.split()[::2] for line in ran(path)[1].splitlines()] == [
        line.split()[::2] for line in blocks[blocks.index(shown) + 1].splitlines()
    ]
