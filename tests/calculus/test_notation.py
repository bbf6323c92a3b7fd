"""One derivation in three notations."""

from __future__ import annotations

import re

import pytest
from tests.calculus.test_explain_truth import EVERY, balanced
from tests.steps.losses import R3

import chalkgrad
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.explain import explain
from chalkgrad.calculus.notation import NOTATIONS
from chalkgrad.language.source import EquationError

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


def test_leibniz_writes_a_fraction_for_each_gradient() -> None:
    assert chalkgrad.derive(RNN).text("leibniz").splitlines() == [
        "∂L/∂a[t] = ∂L/∂h[t] ⊙ (1 - h[t]²)",
        "∂L/∂h[t] = ∂L/∂y[t] + (∂L/∂a[t+1]) W_hᵀ  # back-propagation through time",
        "∂L/∂x[t] = (∂L/∂a[t]) W_xᵀ",
        "∂L/∂W_x  = Σ[t] x[t]ᵀ (∂L/∂a[t])",
        "∂L/∂W_h  = Σ[t] h[t-1]ᵀ (∂L/∂a[t])",
        "∂L/∂b    = Σ[t] ∂L/∂a[t]",
    ]


def test_adjoint_writes_bars_and_delta_for_the_pre_activation() -> None:
    assert chalkgrad.derive(RNN).text("adjoint").splitlines() == [
        "δ[t] = h̄[t] ⊙ (1 - h[t]²)",
        "h̄[t] = ȳ[t] + δ[t+1] W_hᵀ  # back-propagation through time",
        "x̄[t] = δ[t] W_xᵀ",
        "W̄_x  = Σ[t] x[t]ᵀ δ[t]",
        "W̄_h  = Σ[t] h[t-1]ᵀ δ[t]",
        "b̄    = Σ[t] δ[t]",
    ]


def test_latex_has_them_too() -> None:
    d = chalkgrad.derive(RNN)
    fraction = r"\frac{\partial L}{\partial h_{t}} &= \frac{\partial L}{\partial y_{t}} + "
    assert fraction + r"\frac{\partial L}{\partial a_{t+1}}\,W_{h}^{\top}" in d.latex("leibniz")
    assert r"\bar{h}_{t} &= \bar{y}_{t} + \delta_{t+1}\,W_{h}^{\top}" in d.latex("adjoint")


def test_several_pre_activations_have_a_delta_each() -> None:
    page = chalkgrad.derive("lstm").text("adjoint")
    assert "δ_i[t] = ī[t] ⊙ i[t] ⊙ (1 - i[t])" in page
    assert "h̄[t]   = ȳ[t] + δ_i[t+1] W_hiᵀ" in page


def test_a_pre_activation_named_on_the_page_keeps_its_name() -> None:
    page = chalkgrad.derive("z[t] = x[t] W\nv[t] = tanh(z[t])\nu[t] = v[t] V\ny[t] = σ(u[t])").text("adjoint")
    assert "δ_z[t] = v̄[t] ⊙ (1 - v[t]²)" in page
    assert "δ_u[t] = ȳ[t] ⊙ y[t] ⊙ (1 - y[t])" in page


def test_delta_gives_way_where_the_page_has_one() -> None:
    assert "ā[t]" in chalkgrad.derive("h[t] = tanh(x[t] W + δ)").text("adjoint")


def test_what_arrives_directly_is_kept_apart_from_the_whole() -> None:
    d = chalkgrad.derive("y[t] = tanh(x[t] W + y[t-1] U)")
    assert "∂L/∂y[t] = ∂⁺L/∂y[t] + (∂L/∂a[t+1]) Uᵀ" in d.text("leibniz")
    assert "ȳ[t] = ȳ⁺[t] + δ[t+1] Uᵀ" in d.text("adjoint")
    assert r"\frac{\partial^{+} L}{\partial y_{t}}" in d.latex("leibniz")
    assert r"\bar{y}_{t} &= \bar{y}_{t}^{+} +" in d.latex("adjoint")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("y = W x\nJ = Σ[j] (y[j] - d[j])^2 where x: input, d: input", "J"),
        ("h[t] = tanh(x[t] L)", "ℒ"),
        (R3, "L"),
    ],
)
def test_the_loss_is_called_as_on_the_page_or_by_a_letter_that_is_free(text: str, letter: str) -> None:
    assert set(re.findall(r"∂(\w+)/", chalkgrad.derive(text).text("leibniz"))) == {letter}


@pytest.mark.parametrize("name", EVERY)
def test_a_notation_changes_names_and_nothing_else(name: str) -> None:
    program = EVERY[name].program
    d = explain(program, derive(program))
    for notation in NOTATIONS:
        page = d.text(notation)
        assert len(page.splitlines()) == len(str(d).splitlines())
        assert ("∂" in page.replace("∂L/∂", "").replace("∂⁺L/∂", "")) == (notation == "short")
        balanced(d.latex(notation))


def test_a_notation_that_is_none_is_refused() -> None:
    with pytest.raises(EquationError, match="there is no notation `leibnitz`") as caught:
        chalkgrad.derive(RNN).text("leibnitz")
    assert "did you mean leibniz" in str(caught.value)
    with pytest.raises(EquationError, match=r"short .*leibniz .*adjoint"):
        chalkgrad.derive(RNN).latex("newton")
