"""The commands on a page of equations: derive, check, show, zoo."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.often import LARGE, often
from typer.testing import CliRunner, Result

from chalkgrad.cli import app
from chalkgrad.equations import ops
from chalkgrad.equations.ir import Const
from chalkgrad.zoo import names, page

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"

# What goes wrong → what is said of it. None may end in a traceback.
WRONG = {
    ("derive", "lstn"): "did you mean lstm",
    ("derive", ""): "no equation",
    ("derive", "h[t] = tanh(x[t] W"): "is not closed",
    ("derive", "h[t] = tanhh(x[t] W)"): "tanh",
    ("derive", "y = W x"): "which of these is the input",
    ("derive", "missing.chalk"): "no file",
    ("derive", "."): "no standard layer",
    ("derive", RNN, "--inputs", "q"): "not a given name",
    ("derive", RNN, "--function", "tau"): "a name, `=` and a value",
    ("check", "rnn", "--size", "D=0"): "at least 1",
    ("check", "rnn", "--size", "D=two"): "whole number",
    ("check", "rnn", "--size", "Q=2"): "no size and no name `Q`",
    ("check", "rnn", "--size", "D"): "a name, `=` and a value",
    ("show", "h[t] = f(h[t])", "--stage", "resolve"): "needed to compute itself",
    ("zoo", "lstmm"): "did you mean lstm",
}


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_wrong_input_is_explained_and_ends_with_code_2(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert WRONG[command] in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_no_text_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "cell.chalk"
    path.write_bytes(b"h[t] = \xff\xfe")
    result = run("derive", str(path))
    assert result.exit_code == 2
    assert "not UTF-8 text (byte 7)" in result.stderr


def test_derive_prints_the_backward_equations() -> None:
    assert run("derive", "rnn").stdout.splitlines() == [
        "∂a[t] = ∂h[t] ⊙ (1 - h[t]²)",
        "∂h[t] = ȳ[t] + ∂a[t+1] W_hᵀ  # back-propagation through time",
        "∂x[t] = ∂a[t] W_xᵀ",
        "∂W_x  = Σ[t] x[t]ᵀ ∂a[t]",
        "∂W_h  = Σ[t] h[t-1]ᵀ ∂a[t]",
        "∂b    = Σ[t] ∂a[t]",
    ]


def test_derive_takes_equations_a_file_and_a_name(tmp_path: Path) -> None:
    path = tmp_path / "cell.chalk"
    path.write_text(RNN, encoding="utf-8")
    assert run("derive", RNN).stdout == run("derive", str(path)).stdout == run("derive", "rnn").stdout


def test_derive_writes_indices_and_latex() -> None:
    assert "∂W_x[j,k] = Σ[t] x[t,j] ∂a[t,k]" in run("derive", "rnn", "--index").stdout
    assert (
        r"\partial W_{x} &= \sum_{t} x_{t}^{\top}\,\partial a_{t}" in run("derive", "rnn", "--latex").stdout
    )


def test_letters_can_stand_for_functions() -> None:
    text = RNN.replace("tanh", "τ")
    assert run("derive", text, "--function", "τ=tanh").stdout == run("derive", "rnn").stdout


def test_a_definition_that_reaches_no_output_is_warned_of() -> None:
    result = run("derive", RNN + "; g[t] = σ(x[t] V + h[t-1] U)")
    assert result.exit_code == 0
    assert "warning: g never reaches the output h" in result.stderr


@pytest.mark.parametrize("name", often(names(), seldom=LARGE))
def test_every_standard_layer_passes_its_check(name: str) -> None:
    result = run("check", name)
    assert result.exit_code == 0, result.output
    assert "every gradient is right" in result.stdout


def test_check_takes_sizes_by_symbol_and_by_name() -> None:
    result = run("check", "rnn", "--size", "D=2", "h=3", "--size", "T=4")
    assert result.exit_code == 0
    assert "(T=4, D=2, H=3)" in result.stdout


def test_check_finds_a_wrong_slope_and_ends_with_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    right = ops.OPS["tanh"]
    wrong = ops.Op("tanh", (lambda y, _: ops.minus(Const(1), y),), right.torch, right.latex)
    monkeypatch.setitem(ops.OPS, "tanh", wrong)
    result = run("check", "rnn")
    assert result.exit_code == 1
    assert "WRONG" in result.stdout
    assert "wrong: ∂x, ∂W_x, ∂W_h, ∂b" in result.stdout


def test_show_has_every_stage() -> None:
    assert "h[t] = tanh(((x[t] · W_x) + (h[t-1] · W_h)) + b)" in run("show", "rnn", "--stage", "read").stdout
    resolved = run("show", "conv1d", "--stage", "resolve").stdout
    assert "K × (N - P + 1)" in resolved
    assert "∂h[t,d] = ȳ[t,d] + [t≤T-2] Σ[k] ∂a[t+1,k]" in run("show", "rnn", "--stage", "derive").stdout


def test_zoo_lists_and_prints_the_standard_layers() -> None:
    listed = run("zoo").stdout
    assert all(name in listed for name in names())
    assert run("zoo", "gru").stdout == page("gru")
