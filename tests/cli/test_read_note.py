"""``chalkgrad read``, and a note's layer wherever a command takes WHAT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import chalkgrad
from chalkgrad.cli import app

NOTES = Path(__file__).parents[1] / "notes"
ONE = "# 순환 신경망\n\n은닉 상태는 다음과 같다.\n\n$$h_t = \\tanh(x_t W + h_{t-1} U + b)$$\n"


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def written(folder: Path, text: str) -> str:
    path = folder / "note.md"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_screen_says_what_every_equation_is() -> None:
    result = run("read", str(NOTES / "lecture.md"))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    counts = "lecture.md: 30 equations, 11 layers, 6 claims, 2 that are no layer"
    assert counts in " ".join(result.stdout.split())
    listed = [" ".join(line.split()) for line in lines]
    assert "17 layer 1 h[i] = σ(Σ[j=1..k] V[j] x[i+j-1])" in listed
    assert "22 numbers O_H = H - K_H + 1" in listed
    assert "28 a claim ∂L/∂w[i] = Σ[j] δ[j] x[i+j-1]" in listed
    assert "parameters W: p×p, U: p×d, b: p, V: q×p, c: q" in listed
    assert "sizes to choose: d, p, q; from what comes in: T" in listed
    assert max(map(len, lines)) <= 80


def test_a_layer_alone_is_a_page_of_its_own(tmp_path: Path) -> None:
    result = run("read", str(NOTES / "lecture.md"), "--layer", "8")
    assert result.exit_code == 0
    assert result.stdout == (
        "h[t] = τ(a[t])\na[t] = W h[t-1] + U x[t] + b\no[t] = V h[t] + c\ny'[t] = softmax(o[t])\n"
        "where τ = tanh, U: p×d, W: p×p, V: q×p, b: p, c: q\n"
    )
    page = tmp_path / "rnn.chalk"
    page.write_text(result.stdout, encoding="utf-8")
    assert run("derive", str(page)).stdout == run("derive", f"{NOTES / 'lecture.md'}#8").stdout


def test_a_layer_that_is_not_complete_is_printed_with_a_warning(tmp_path: Path) -> None:
    result = run("read", written(tmp_path, "$$y = W x$$"), "--layer", "1")
    assert (result.exit_code, result.stdout) == (0, "y = W x\n")
    assert result.stderr.startswith("warning: layer 1 is not complete: which of these is the input?")
    assert run("read", written(tmp_path, "$$y = W x$$"), "--layer", "1", "--inputs", "x").stdout == (
        "y = W x\nwhere x: input\n"
    )


def test_what_a_layer_needs_stands_on_the_screen(tmp_path: Path) -> None:
    shown = " ".join(run("read", written(tmp_path, "$$y = W x$$")).stdout.split())
    assert "1 equation, 1 layer (1 incomplete)" in shown
    assert "which of these is the input?" in shown


def test_a_note_with_one_layer_is_a_page_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, ONE)
    assert "back-propagation through time" in run("derive", path).stdout
    assert run("derive", path).stdout == run("derive", path + "#1").stdout
    y, _ = chalkgrad.layer(path, x=3, h=4)(torch.zeros(2, 5, 3))
    assert y.shape == (2, 5, 4)


WRONG = {
    ("read", "missing.md"): "there is no file missing.md",
    ("read", str(NOTES)): "is a folder",
    ("read", str(NOTES / "lecture.md"), "--layer", "12"): "has no layer 12: it has 11",
    ("read", str(NOTES / "lecture.md"), "--layer", "0"): "has no layer 0",
    ("read", str(NOTES / "lecture.md"), "--inputs", "q"): "no layer of this note reads `q`",
    ("read", str(NOTES / "lecture.md"), "--function", "tau"): "a name, `=` and a value",
    ("derive", str(NOTES / "lecture.md")): "holds 11 layers",
    ("derive", str(NOTES / "lecture.md") + "#99"): "has no layer 99",
    ("derive", "missing.md#1"): "there is no file missing.md",
}


@pytest.mark.parametrize("command", WRONG, ids=lambda c: " ".join(Path(w).name for w in c))
def test_wrong_input_is_explained_and_ends_with_code_2(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert WRONG[command] in result.stderr
    assert "help: " in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is no equation in"),
        ("한글만 있는 노트".encode(), "there is no equation in"),
        ("한글".encode("cp949"), "is not UTF-8 text (byte 0)"),
        (b"a" * 2_000_001, "at most 2,000,000 are read"),
    ],
    ids=["empty", "prose", "cp949", "long"],
)
def test_a_file_without_equations_is_explained(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "note.md"
    path.write_bytes(content)
    result = run("read", str(path))
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_note_whose_equations_are_no_layer_is_no_page(tmp_path: Path) -> None:
    result = run("derive", written(tmp_path, "$$a = \\int x \\, dx$$"))
    assert result.exit_code == 2
    assert "no equation of" in result.stderr
