"""What is said of a claim that cannot be graded: every text is pinned in tests/golden/claims."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chalkgrad.claims.grade import grade
from chalkgrad.cli import app
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError

GOLDEN = Path(__file__).parents[1] / "golden" / "claims"
RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"
CONV = "h[i] = Σ[j=1..k] w[j] x[i+j-1] where x: input"

CASES: dict[str, tuple[str, str]] = {
    "no equation": (RNN, "Σ[t] x[t]ᵀ ∂a[t]"),
    "nothing claimed": (RNN, "q = W_x"),
    "a gradient almost as in code": (RNN, "dW = Σ[t] x[t]ᵀ da[t]"),
    "no derivative": (RNN, "W_x = Σ[t] x[t]ᵀ ∂a[t]"),
    "unknown gradient": (RNN, "∂W_xh = Σ[t] x[t]ᵀ ∂a[t]"),
    "unknown name": (RNN, "∂W_x = Σ[t] z[t]ᵀ ∂a[t]"),
    "unknown gradient on the right": (RNN, "∂W_x = Σ[t] x[t]ᵀ ∂z[t]"),
    "what arrives": (CONV, "∂h[i] = w[1] x[i]"),
    "the loss itself": (RNN, "∂L = Σ[t] ∂h[t]"),
    "both sides the same": (RNN, "∂W_x = ∂W_x"),
    "a vector for a matrix": (RNN, "∂W_x = Σ[t] ∂a[t]"),
    "a scalar for a vector": (RNN, "∂b = Σ[t] ∂a[t] ∂a[t]ᵀ"),
    "sizes that do not go together": (RNN, "∂x[t] = x[t] W_h ∂a[t]"),
    "a quotient of different ranks": (RNN, "∂b = Σ[t] ∂a[t] / W_h"),
    "no step": (RNN, "∂h = ȳ[T]"),
    "a name without its step": (RNN, "∂b = Σ[t] ∂a"),
    "too many indices": (RNN, "∂b[j,k] = Σ[t] ∂a[t,j] h[t,k]"),
    "an index from nowhere": (RNN, "∂W_x[j,k] = Σ[t] x[t,j] ∂a[t,m]"),
    "an end that is no size": (CONV, "∂w[i] = Σ[j=1..m] δ[j] x[i+j-1]"),
    "a Jacobian by a matrix": (RNN, "∂h[t]/∂W_x = x[t]ᵀ"),
    "a Jacobian in a product": (RNN, "∂x[t] = ∂h[t] ∂h[t]/∂x[t]"),
    "a Jacobian of another shape": (RNN, "∂h[t]/∂x[t] = h[t]"),
    "two steps in a quotient": (RNN, "∂J[T]/∂h[t] = ȳ[t]"),
    "a shape in a claim": (RNN, "∂b = Σ[t] ∂a[t] where x[t]: 3"),
    "a slope without a name": (RNN, "∂b = Σ[t] softmax'(∂a[t])"),
    "a step from nowhere": (RNN, "∂b[-j] = Σ[t] ∂a[t,j]"),
    "outside of all steps": (RNN, "∂h[T+1] = ȳ[T]"),
}


def said(name: str) -> str:
    text, claim = CASES[name]
    with pytest.raises(EquationError) as caught:
        grade(read(text), claim)
    return f"{caught.value}\n"


def golden(name: str) -> str:
    return f"{name.replace(' ', '_')}.txt"


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_is_pinned(name: str, pinned: Callable[[str, str], None]) -> None:
    text, claim = CASES[name]
    pinned(f"claims/{golden(name)}", f"{text}\n--- claim\n{claim}\n---\n{said(name)}")


@pytest.mark.parametrize("name", CASES)
def test_every_error_points_into_the_claim_and_proposes_something(name: str) -> None:
    assert "\n  line 1 | " in said(name)
    assert "\nhelp: " in said(name)


@pytest.mark.parametrize("name", ["unknown gradient", "a vector for a matrix"])
def test_the_command_line_says_the_same_and_ends_with_code_2(name: str) -> None:
    text, claim = CASES[name]
    result = CliRunner().invoke(app, ["check", text, "--claim", claim])
    assert (result.exit_code, result.stderr) == (2, said(name))


def test_every_pinned_text_has_its_case() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {golden(n) for n in CASES}
