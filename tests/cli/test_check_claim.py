"""``chalkgrad check WHAT --claim`` and ``--python``: what is printed, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.claims.test_backward_function import EXERCISE, R6
from typer.testing import CliRunner, Result

from chalkgrad.cli import app


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["check", *args])


def test_a_right_claim_ends_with_code_0() -> None:
    result = run("rnn", "--claim", "∂W_h = Σ[t] h[t-1]ᵀ ∂a[t]", "--size", "D=2")
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        ["∂W_h = Σ[t] h[t-1]ᵀ ∂a[t]", "  right", "the claim is right (T=5, D=2, H=3)"],
    )


def test_a_wrong_claim_ends_with_code_1_and_says_what_is_right() -> None:
    result = run("rnn", "--claim", "∂W_h = Σ[t] h[t]ᵀ ∂a[t]")
    assert result.exit_code == 1
    assert "h[t] is one step too late: it would be right with h[t-1]" in result.stdout
    assert "derived: ∂W_h = Σ[t] h[t-1]ᵀ ∂a[t]" in result.stdout
    assert result.stdout.endswith("wrong: ∂W_h (T=5, D=3, H=4)\n")


def test_claims_come_several_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("∂b = Σ[t] ∂a[t]\n∂x[t] = ∂a[t] W_xᵀ\n", encoding="utf-8")
    result = run("rnn", "--claim", str(path), "--claim", "∂a[t] = ∂h[t] ⊙ tanh'(a[t])")
    assert result.exit_code == 0
    assert "all 3 claims are right" in result.stdout


def test_latex_is_a_claim_too() -> None:
    page = "h[i] = Σ[j=1..k] w[j] x[i+j-1] where x: input"
    claim = r"\frac{\partial L}{\partial w_i}=\sum_j \delta_j x_{i+j-1}"
    result = run(page, "--claim", claim)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        r"\frac{\partial L}{\partial w_i} = \sum_j \delta_j x_{i+j-1}" + "\n  right"
    )


def test_a_function_is_graded(tmp_path: Path) -> None:
    path = tmp_path / "backward.py"
    path.write_text(EXERCISE, encoding="utf-8")
    assert run(R6, "--python", f"{path}:backward_gradient").exit_code == 0
    path.write_text(EXERCISE.replace("S[:, k-1]", "S[:, k]"), encoding="utf-8")
    result = run(R6, "--python", f"{path}:backward_gradient", "--at", "last")
    assert result.exit_code == 1
    assert "wrong: ∂w_rec" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--claim", "missing.txt"], "there is no file missing.txt"),
        (["--claim", ""], "there is no equation in this text"),
        (["--claim", "∂W_x"], "this line is not an equation"),
        (["--python", "missing.py:f"], "there is no file missing.py"),
        (["--python", "missing.py"], "a file, `:` and the name of a function are needed"),
        (["--python", ".:f"], "is a folder"),
        (["--claim", "∂b = Σ[t] ∂a[t]", "--python", "a.py:f"], "one of the two"),
        (["--claim", "∂b = Σ[t] ∂a[t]", "--size", "Q=3"], "no size and no name `Q`"),
    ],
)
def test_wrong_input_is_explained_and_ends_with_code_2(options: list[str], said: str) -> None:
    result = run("rnn", *options)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_no_line_of_a_report_is_wider_than_a_terminal() -> None:
    result = run("lstm", "--claim", "∂f[t] = ∂c[t] ⊙ c[t]\n∂o[t] = ∂h[t] ⊙ c[t]\n∂b_f = Σ[t] ∂f[t]")
    assert result.exit_code == 1
    assert max(map(len, result.stdout.splitlines())) <= 90
