"""``chalkgrad derive``: steps, unrolling, notations, and what is said where they do not fit."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from chalkgrad.cli import app

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"

WRONG = {
    (RNN, "--notation", "leibnitz"): "there is no notation `leibnitz`",
    (RNN, "--notation", "newton", "--steps"): "there is no notation `newton`",
    (RNN, "--unroll", "0"): "--unroll 0: there is no step to write out",
    (RNN, "--unroll", "-1"): "--unroll -1: there is no step to write out",
    (RNN, "--unroll", "1000"): "--unroll 1000: no more than 12 steps are written out",
    (RNN, "--unroll", "3", "--by", "Q"): "--by Q: no state depends on a parameter `Q`",
    (RNN, "--by", "W_x"): "--by is the parameter of --unroll",
    (RNN, "--steps", "--unroll", "3"): "--steps and --unroll are two different pages",
    (RNN, "--steps", "--index"): "--index goes with neither --steps nor --unroll",
    ("conv2d", "--unroll", "3"): "there is no recurrence to write out",
    ("h[i,j] = tanh(x[i,j] W + h[i-1,j] U + h[i,j-1] V)", "--unroll", "2"): "runs along i and along j",
    ("h[t] = tahn(x[t] W)", "--steps"): "did you mean tanh",
}


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["derive", *args])


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_what_does_not_fit_is_explained_and_ends_with_code_2(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert WRONG[command] in result.stderr
    assert "\nhelp: " in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("notation", ["short", "leibniz", "adjoint"])
@pytest.mark.parametrize("page", [(), ("--latex",), ("--steps",), ("--steps", "--latex"), ("--unroll", "2")])
def test_every_page_has_every_notation(page: tuple[str, ...], notation: str) -> None:
    result = run(RNN, *page, "--notation", notation)
    assert result.exit_code == 0, result.stderr
    line = {
        "short": r"\partial h_{" if "--latex" in page else "∂h",
        "leibniz": r"\frac{\partial L}{\partial h" if "--latex" in page else "∂L/∂h",
        "adjoint": r"\bar{h}" if "--latex" in page else "h̄",
    }
    assert line[notation] in result.stdout


def test_the_index_form_has_notations_too() -> None:
    assert "∂L/∂b[j]     = Σ[t] ∂L/∂a[t,j]" in run(RNN, "--index", "--notation", "leibniz").stdout


def test_what_is_no_terminal_gets_no_escape_sequences() -> None:
    for page in (("--steps",), ("--unroll", "2")):
        assert "\x1b" not in run(RNN, *page).stdout


def test_a_terminal_sees_results_stand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    page = run(RNN, "--steps").stdout
    assert "\x1b[1m  ∂h[t] = ȳ[t] + ∂a[t+1] W_hᵀ\x1b[0m" in page
    assert "\x1b[2mproduct rule\x1b[0m" in page


def test_a_loss_on_the_page_is_folded_away() -> None:
    page = "o[t] = x[t] V\ny[t] = softmax(o[t])\nJ[t] = -Σ[j] d[t,j] log(y[t,j])"
    assert run(page).stdout.splitlines()[0] == (
        "∂o[t] = Σ(d[t]) y[t] - d[t]  # ∂J[t] = 1; y[t] - d[t] where Σ(d[t]) = 1"
    )
