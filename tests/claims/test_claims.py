"""Gradients derived by hand: what is right is called right, and what is wrong is explained."""

from __future__ import annotations

import pytest
from tests.often import often
from tests.pages import PAGES

import chalkgrad
from chalkgrad.claims.grade import grade
from chalkgrad.claims.ground import Page
from chalkgrad.claims.outcome import Outcome
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from chalkgrad.zoo import page as zoo

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"
CONV = "h[i] = Σ[j] w[j] x[i+j] where x: input"
CONV_FROM_1 = "h[i] = Σ[j=1..k] w[j] x[i+j-1] where x: input"
COLUMNS = (
    "h[t] = τ(a[t])\na[t] = W h[t-1] + U x[t] + b\no[t] = V h[t] + c\np[t] = softmax(o[t])\n"
    "where τ = tanh, U: p×d, W: p×p, V: q×p, b: p, c: q"
)
CROSS_ENTROPY = f"J[t] = -Σ[k] y[t,k] log(p[t,k])\n{COLUMNS}"
SQUARES = f"L = Σ[t,k] (h[t,k] - y[t,k])^2\n{RNN}"
LSTM = zoo("lstm")

RIGHT = {
    # the notes' own statements
    "C9 a": (CONV_FROM_1, "∂L/∂w[i] = Σ[j] δ[j] x[i+j-1]", "with δ = ∂h"),
    "C9 a, page from 0": (CONV, "∂L/∂w[i] = Σ[j] δ[j] x[i+j-1]", "with δ = ∂h, counting from 1"),
    "C9 a behind an activation": (
        "h[i] = σ(Σ[j=1..k] w[j] x[i+j-1]) where x: input, w: parameter",
        "∂L/∂w[i] = Σ[j] δ[j] x[i+j-1]",
        "with δ = ∂a",
    ),
    "C9 b": (CONV, "∂x[n] = Σ[j] δ[n-j] w[j]", "with δ = ∂h"),
    "C9 b, page from 1": (CONV_FROM_1, "∂x[n] = Σ[j] δ[n-j] w[j]", "with δ = ∂h, counting from 0"),
    "C9 b, read the other way": (CONV, "∂x[n] = Σ[i] δ[i] w[n-i]", "with δ = ∂h"),
    "B2": (
        CROSS_ENTROPY,
        "∂J[t]/∂o[t] = p[t] - y[t]",
        "where Σ[k] y[t,k] = 1",
    ),
    "B2 in full": (CROSS_ENTROPY, "∂J[t]/∂o[t,k] = p[t,k] Σ[j] y[t,j] - y[t,k]", ""),
    "an output that is a loss": (
        "e[t] = (y[t] - w x[t])^2 where y[t]: scalar, x[t]: scalar, w: scalar",
        "∂w = Σ[t] 2 (w x[t] - y[t]) x[t]",
        "the loss being the sum of e over all steps",
    ),
    "B3 at the last step": (COLUMNS, "∂J[T]/∂h[T] = Vᵀ ∂J[T]/∂o[T]", ""),
    "B3 before": (COLUMNS, "∂J/∂h[t] = Vᵀ ∂J/∂o[t] + Wᵀ diag(1 - h[t+1]²) ∂J/∂h[t+1]", ""),
    "B3 before, as the note writes it": (COLUMNS, "∂h[t] = Vᵀ ∂o[t] + Wᵀ D(τ'(a[t+1])) ∂h[t+1]", ""),
    # recurrences
    "several lines": (RNN, "∂W_x = Σ[t] x[t]ᵀ ∂a[t]\n∂W_h = Σ[t] h[t-1]ᵀ ∂a[t]\n∂b = Σ[t] ∂a[t]", ""),
    "through time": (RNN, "∂h[t] = ȳ[t] + ∂a[t+1] W_hᵀ", ""),
    "the start": (RNN, "∂h[0] = ∂a[1] W_hᵀ", "counting from 1"),
    "the last step": (RNN, "∂h[T] = ȳ[T]", ""),
    "the last step, counted from 0": (
        "h[t] = tanh(x[t] W + h[t-1] U + b)\ny = h[T] V + c",
        "∂V = h[T-1]ᵀ ∂y",
        "the last step being the one before the length, counting from 0",
    ),
    "a slope by its name": (RNN, "∂a[t] = ∂h[t] ⊙ tanh'(a[t])", ""),
    "column style on a page of rows": (RNN, "∂W_h = Σ[t] h[t-1] ∂a[t]ᵀ", ""),
    "every axis written": (RNN, "∂W_h[j,k] = Σ[t] h[t-1,j] ∂h[t,k] (1 - h[t,k]²)", ""),
    "a recurrence of δ": (RNN, "δ[t] = (ȳ[t] + δ[t+1] W_hᵀ) ⊙ (1 - h[t]²)\n∂b = Σ[t] δ[t]", ""),
    "nothing but a recurrence of δ": (RNN, "δ[t] = (ȳ[t] + δ[t+1] W_hᵀ) ⊙ (1 - h[t]²)", "δ is ∂a"),
    "δ as it is said to be": (RNN, "∂b = Σ[t] δ[t] ⊙ (1 - h[t]²)\nwhere δ = ∂h", "with δ = ∂h"),
    "gradients as in code": (RNN, "dW_h = Σ[t] h[t-1]ᵀ da[t]\nda[t] = dh[t] ⊙ (1 - h[t]²)", ""),
    "δ with a name": (RNN, "δ_a[t] = δ_h[t] ⊙ (1 - h[t]²)", ""),
    # gates
    "an LSTM's gates": (
        LSTM,
        "∂f[t] = ∂c[t] ⊙ c[t-1]\n∂i[t] = ∂c[t] ⊙ g[t]\n∂g[t] = ∂c[t] ⊙ i[t]\n∂o[t] = ∂h[t] ⊙ tanh(c[t])\n"
        "∂c[t] = ∂h[t] ⊙ o[t] ⊙ (1 - tanh(c[t])²) + ∂c[t+1] ⊙ f[t+1]\n"
        "∂W_hf = Σ[t] h[t-1]ᵀ (∂f[t] ⊙ f[t] ⊙ (1 - f[t]))\n∂b_g = Σ[t] ∂g[t] ⊙ (1 - g[t]²)",
        "",
    ),
    "gates without their step": (PAGES["G1"].text, "∂f = ∂c[t] ⊙ c[t-1]\n∂b_i = Σ[t] ∂i ⊙ i ⊙ (1 - i)", ""),
    # losses
    "a loss on the page": (SQUARES, "∂L/∂h[t] = 2(h[t] - y[t]) + ∂L/∂a[t+1] W_hᵀ", ""),
    "a bias by a loss": (SQUARES, "∂L/∂b = Σ[t] ∂L/∂h[t] ⊙ (1 - h[t]²)", ""),
    # Jacobians
    "B4": (PAGES["R5"].text, "∂h[t]/∂h[t-1] = Wᵀ diag(f'(s[t]))", "a row for each element below"),
    "B4 in LaTeX": (
        PAGES["R5"].text,
        r"\frac{\partial h_j}{\partial h_{j-1}} = W^T \cdot diag(f'(s_j))",
        "a row for each element below",
    ),
    "B4 the other way round": (RNN, "∂h[t]/∂h[t-1] = diag(1 - h[t]²) W_hᵀ", "a row for each element above"),
    "in place": (COLUMNS, "∂o[t]/∂h[t] = V", "a row for each element above"),
    "of a number": (PAGES["R6"].text, "∂S[k]/∂S[k-1] = w_rec", ""),
    "the path of a cell": (
        LSTM, "∂c[t]/∂c[t-1] = diag(f[t])", "h held fixed at earlier steps, a row for each element above"
    ),
    "an attention": (
        PAGES["A2"].text,
        "∂V[j,d] = Σ[i] A[i,j] ∂O[i,d]\n∂A[i,j] = Σ[d] ∂O[i,d] V[j,d]",
        "",
    ),
    "a table": (PAGES["X2"].text, "∂U = Σ[i,j] h[i-1,j]ᵀ ∂a[i,j]", ""),
}  # fmt: skip

WRONG = {
    "a step too late": (RNN, "∂W_h = Σ[t] h[t]ᵀ ∂a[t]", "it would be right with h[t-1]"),
    "a step too early": (
        LSTM, "∂c[t] = ∂h[t] ⊙ o[t] ⊙ (1-tanh(c[t])²) + ∂c[t+1] ⊙ f[t]", "right with f[t+1]"
    ),
    "no transposition": (RNN, "∂h[t] = ȳ[t] + ∂a[t+1] W_h", "right with W_hᵀ in place of W_h"),
    "no transposition, and no sense without": (RNN, "∂x[t] = ∂a[t] W_x", "right with W_xᵀ in place of W_x"),
    "a product for an outer product": (RNN, "∂W_h = Σ[t] h[t-1] ∂a[t]", "with h[t-1]ᵀ in place of h[t-1]"),
    "a dot product for ⊙": (
        RNN, "∂a[t] = ∂h[t] (1 - h[t]²)", "right with ∂h[t] ⊙ (1 - h[t]²) in place of ∂h[t] (1 - h[t]²)"
    ),
    "a size in a product": (RNN, "∂h[t] = ȳ[t] + T ∂a[t+1] W_hᵀ", "its term T ∂a[t+1] W_hᵀ gives ∂h["),
    "transposed": (RNN, "∂W_x = Σ[t] ∂a[t]ᵀ x[t]", "it is transposed"),
    "no sum": (RNN, "∂b = ∂a[t]", "the sum over t is missing"),
    "no slope": (RNN, "∂b = Σ[t] ∂h[t]", "the derivative of tanh is missing"),
    "no slope at all": (RNN, "∂a[t] = ∂h[t]", "this is ∂h: the derivative of tanh is missing"),
    "slope too early": (RNN, "∂h[t] = (ȳ[t] + ∂a[t+1] W_hᵀ) ⊙ (1 - h[t]²)", "has no place in ∂h yet"),
    "another slope": (RNN, "∂a[t] = ∂h[t] ⊙ h[t] ⊙ (1 - h[t])", "the derivative of σ, and the page has tanh"),
    "half a slope": (RNN, "∂a[t] = ∂h[t] ⊙ (1 - h[t])", "1 - y² is"),
    "a sign": (RNN, "∂h[t] = ȳ[t] - ∂a[t+1] W_hᵀ", "the sign of ∂a[t+1] W_hᵀ is wrong"),
    "minus": (SQUARES, "∂L/∂y[t] = 2(h[t] - y[t])", "it is minus the right one"),
    "a factor": (SQUARES, "∂L/∂y[t] = y[t] - h[t]", "it is 1/2 times the right one"),
    "a mean": (RNN, "∂b = (Σ[t] ∂a[t]) / T", "(= 1/T) times the right one"),
    "a factor in one term": (SQUARES, "∂h[t] = (h[t] - y[t]) + ∂a[t+1] W_hᵀ", "is half of what it should be"),
    "a missing term": (RNN, "∂h[t] = ȳ[t]", "the term ∂a[t+1] W_hᵀ is missing: it gives ∂h["),
    "a term too many": (RNN, "∂a[t] = ∂h[t] ⊙ (1 - h[t]²) + ∂a[t+1]", "its term ∂a[t+1] is one too many"),
    "a wrong term": (RNN, "∂h[t] = ȳ[t] + ∂h[t+1] W_hᵀ", "its term ∂h[t+1] W_hᵀ gives ∂h["),
    "another matrix": (
        PAGES["G3 before"].text,
        "∂x[t] = W_zᵀ ∂a_r[t] + W_rᵀ ∂a_r[t] + Wᵀ ∂a_h_tilde[t]",
        "right with ∂a_z[t] in place of ∂a_r[t]",
    ),
    "a turned kernel": (CONV, "∂x[n] = Σ[j] δ[n+j] w[j]", "derived: ∂x[n] = Σ[j] ∂h[n-j] w[j]"),
    "two ways of counting": (
        CONV, "∂w[i] = Σ[j] δ[j] x[i+j-1]\n∂x[n] = Σ[j] δ[n-j] w[j]", "right with x[i+j]"
    ),
    "a shifted sum": (RNN, "∂b = Σ[t] ∂a[t+1]", "right with ∂a[t]"),
    "targets the wrong way round": (CROSS_ENTROPY, "∂J[t]/∂o[t] = y[t] - p[t]", "it is minus the right one"),
    "right only where relu is zero": (
        "a[i] = Σ[p] u[p] x[i+p]\ny[i] = relu(a[i]) where x: input",
        "∂u[p] = Σ[i] ∂y[i] x[i+p]",
        "of relu is missing",
    ),
}  # fmt: skip


def graded(text: str, claim: str) -> Outcome:
    return grade(read(text), claim)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_called_right(name: str) -> None:
    text, claim, notes = RIGHT[name]
    outcome = graded(text, claim)
    assert outcome, str(outcome)
    assert ", ".join(outcome.verdicts[0].notes) == notes


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_explained(name: str) -> None:
    text, claim, said = WRONG[name]
    outcome = graded(text, claim)
    assert not outcome
    assert said in str(outcome), str(outcome)
    assert "derived: ∂" in str(outcome)


@pytest.mark.parametrize("claim", ["W", "diag(1 - h[t]²) W", "W diag(1 - h[t]²)"])
def test_a_wrong_jacobian_is_wrong_in_numbers(claim: str) -> None:
    page = "h[t] = tanh(W h[t-1] + U x[t] + b)"
    outcome = graded(page, f"∂h[t]/∂h[t-1] = {claim}\n∂b = Σ[t] ∂a[t]")
    assert [v.right for v in outcome.verdicts] == [True, claim == "diag(1 - h[t]²) W"]
    if claim == "W":
        assert "∂h[0]/∂h[-1], element [0,0], is " in str(outcome)


@pytest.mark.parametrize("seed", range(5))
def test_the_verdict_does_not_depend_on_the_draw(seed: int) -> None:
    claims = "∂W_h = Σ[t] h[t-1]ᵀ ∂a[t]\n∂h[t] = ȳ[t] + ∂a[t+1] W_h"
    outcome = grade(read(RNN), claims, seed=seed)
    assert [v.right for v in outcome.verdicts] == [True, False]


def test_numbers_of_the_first_element_and_of_the_term_that_differ_belong_together() -> None:
    said = str(graded(RNN, "∂h[t] = ȳ[t] + ∂a[t+1] W_h"))
    figures = [
        float(w) for w in said.replace(",", "").split() if w.replace("-", "").replace(".", "").isdigit()
    ]
    claimed, derived, term, right = figures[:4]
    assert claimed - derived == pytest.approx(term - right, abs=1e-5)


def test_every_line_is_graded_by_itself() -> None:
    outcome = graded(RNN, "∂h[t] = ȳ[t]\n∂a[t] = ∂h[t] ⊙ (1 - h[t]²)\n∂W_x = Σ[t] x[t]ᵀ ∂a[t]")
    assert [v.right for v in outcome.verdicts] == [False, True, True]


def test_a_chain_of_equalities_is_graded_side_by_side() -> None:
    outcome = graded(RNN, "∂b = Σ[t] ∂a[t] = Σ[t] ∂h[t]")
    assert [v.right for v in outcome.verdicts] == [True, False]


def test_check_takes_claims_in_python() -> None:
    outcome = chalkgrad.check(RNN, claim=["∂b = Σ[t] ∂a[t]", "∂W_x = Σ[t] x[t]ᵀ ∂a[t]"], x=2, h=6)
    assert outcome
    assert str(outcome).endswith("all 2 claims are right (T=5, |x|=2, |h|=6)")


def lines(text: str, indexed: bool) -> list[str]:
    """The printed derivation of a page, without what only a printed one says: [h>0], |h|, Σ of a vector."""
    derivation = Page(read(text)).derivation
    printed = derivation.index_form() if indexed else str(derivation)
    kept = [x.partition("  #")[0] for x in printed.splitlines() if "  for " not in x]
    return [x for x in kept if not any(mark in x for mark in (" [", "([", "|", "Σ(", ":"))]


QUICK = (
    "C1",
    "C2",
    "C6",
    "C10",
    "R1",
    "R2",
    "R3",
    "R4",
    "R6",
    "A2",
    "X2",
    "X3",
    "last step",
    "outer product",
)


@pytest.mark.parametrize("indexed", [False, True], ids=["matrices", "indices"])
@pytest.mark.parametrize("name", often(PAGES, only=QUICK))
def test_every_printed_derivation_is_a_right_claim(name: str, indexed: bool) -> None:
    text = PAGES[name].text
    resolved = read(text)
    for line in lines(text, indexed):
        if line.partition(" = ")[0].strip() != line.partition(" = ")[2].strip():
            assert grade(resolved, line), line


@pytest.mark.parametrize("claim", ["∂h[t] = ∂h[t]", "∂b = (∂b)"])
def test_a_claim_of_nothing_is_refused(claim: str) -> None:
    with pytest.raises(EquationError, match="both sides are the same"):
        graded(RNN, claim)
