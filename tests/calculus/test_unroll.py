"""A recurrence as equations without one: names, starts, guards decided, sums written out."""

from __future__ import annotations

import pytest
from tests.pages import PAGES

from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.unroll import unrolled
from chalkgrad.equations.ir import Program
from chalkgrad.equations.show import show
from chalkgrad.equations.verify import verify
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError


def written(text: str, steps: int = 2) -> Program:
    return unrolled(normalise(read(text).program), steps).program


def test_each_step_has_names_of_its_own_and_the_first_reads_the_start() -> None:
    p = written("h[t] = tanh(x[t] W + h[t-1] U)")
    assert show(p).splitlines() == [
        "a₁[d] = Σ[j] x₁[j] W[j,d] + Σ[k] h₀[k] U[k,d]",
        "h₁[d] = tanh(a₁[d])",
        "a₂[d] = Σ[j] x₂[j] W[j,d] + Σ[k] h₁[k] U[k,d]",
        "h₂[d] = tanh(a₂[d])",
    ]
    assert p["h₀"].role == "start"
    assert p.outputs == ("h₁", "h₂")


@pytest.mark.parametrize("name", ["R2", "R6", "G1", "G4", "A1", "X3", "two steps back", "last step"])
def test_what_comes_out_is_a_program_like_any_other(name: str) -> None:
    p = written(PAGES[name].text, 3)
    assert verify(p, "resolved") is p
    assert not p.states


def test_a_state_that_looks_ahead_begins_after_the_last_step() -> None:
    p = written("g[t] = tanh(Q x[t] + S g[t+1])")
    assert p["g₃"].role == "start"
    assert p["g₁"].role == "defined"


def test_a_start_on_the_page_is_a_step_before_the_first() -> None:
    assert show(written("h[0] = a\nh[t] = tanh(x[t] W + h[t-1] U)")).splitlines()[0] == "h₀[j] = a[j]"


def test_a_sum_over_the_past_has_the_terms_that_are_there() -> None:
    page = written("c[t] = Σ[s<t] w[t,s] c[s] + x[t] where w: input", 3)
    assert show(page).splitlines() == [
        "c₁[j] = x₁[j]",
        "c₂[j] = w₂₁ c₁[j] + x₂[j]",
        "c₃[j] = w₃₁ c₁[j] + w₃₂ c₂[j] + x₃[j]",
    ]


def test_a_sum_over_all_steps_is_written_out() -> None:
    page = written("S[k] = X[k] a + S[k-1] b\nL = Σ[k] S[k]^2 where X[k]: scalar, S[k]: scalar")
    assert show(page).splitlines()[-1] == "L = S₁² + S₂²"


def test_an_axis_that_is_not_time_stays() -> None:
    page = show(written(PAGES["A1"].text))
    assert "e₁[s] = Σ[d] v[d] m_e₁[s,d]" in page
    assert "c₂[j] = Σ[s] α₂[s] h[s,j]" in page


@pytest.mark.parametrize("name", ["C1", "R1", "A2", "X2"])
def test_without_one_recurrence_there_is_an_error(name: str) -> None:
    with pytest.raises(EquationError):
        written(PAGES[name].text)


def test_a_kernel_over_time_has_its_terms_at_every_step() -> None:
    source = "c[t] = Σ[k<2] w[k] x[t+k]\nh[t] = a c[t] + b h[t-1]\nwhere x[t]: scalar, h[t]: scalar"
    page = show(written(f"{source}, a: scalar, b: scalar"))
    assert "c₁ = w₁ x₁ + w₂ x₂" in page
    assert "c₂ = w₁ x₂ + w₂ x₃" in page


def test_a_kernel_of_any_length_cannot_be_written_out() -> None:
    source = "c[t] = Σ[k] w[k] x[t+k]\nh[t] = a c[t] + b h[t-1]\nwhere x[t]: scalar, h[t]: scalar"
    with pytest.raises(EquationError, match="runs over all steps at once") as caught:
        written(f"{source}, a: scalar, b: scalar")
    assert "Σ[k<3]" in str(caught.value)


def test_two_recurrences_at_once_are_refused_also_where_the_page_sets_their_edges() -> None:
    source = (
        "r[i,j] = d[i,j] - log(exp(-r[i-1,j]) + exp(-r[i,j-1]))\nwhere d: input, r[-1,·] = 0, r[·,-1] = 0"
    )
    with pytest.raises(EquationError, match="runs along i and along j"):
        written(source)
