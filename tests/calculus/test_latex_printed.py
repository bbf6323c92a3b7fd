"""Names and formulas in LaTeX."""

import pytest

from chalkgrad.calculus.latex import latex, symbol
from chalkgrad.equations.formula import (
    Big,
    Call,
    Facts,
    Formula,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Relation,
    Slice,
    Sum,
    Symbol,
    Transposed,
)
from chalkgrad.equations.ir import Condition, Index, Range, Size

T, K = Index.axis("t"), Index.axis("k")
H = Size.symbol("H")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("W_x", "W_{x}"),
        ("W_X_1", "W_{X}^{(1)}"),
        ("∂(f∗g)", r"\partial (f * g)"),
        ("h_tilde", r"\tilde{h}"),
        ("a_h_tilde", r"a_{\tilde{h}}"),
        ("α", r"\alpha"),
        ("λ", r"\lambda"),
        ("Γ_α", r"\Gamma_{\alpha}"),
        ("y'", "y'"),
        ("ȳ", r"\bar{y}"),
        ("h₀", "h_{0}"),
        ("mask", r"\mathrm{mask}"),
        ("∂W_x", r"\partial W_{x}"),
        ("∂₂∂a", r"\partial_{2} \partial a"),
    ],
)
def test_a_name_is_written_as_papers_do(name: str, expected: str) -> None:
    assert symbol(name) == expected


def test_an_index_takes_the_subscript_and_the_label_goes_up() -> None:
    assert symbol("a_i", (T - 1,)) == "a_{t-1}^{(i)}"
    assert symbol("W_x", (T, K)) == "W_{t,k}^{(x)}"


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (Transposed(Symbol("W_X_1")), r"W_{X}^{(1)\top}"),
        (Transposed(Symbol("y'", (T,))), r"y_{t}^{\prime\top}"),
        (Power(Symbol("a_i", (T,)), Number(2)), r"\left(a_{t}^{(i)}\right)^{2}"),
        (Power(Symbol("y'"), Number(2)), r"\left(y'\right)^{2}"),
        (Quotient(Number(1), Sum((Symbol("a"), Symbol("b")))), r"\frac{1}{a + b}"),
        (Product((Quotient(Symbol("a"), Symbol("b")), Symbol("c"))), r"\frac{a}{b}\,c"),
        (Negative(Sum((Symbol("a"), Negative(Symbol("b"))))), r"-\left(a - b\right)"),
        (Call("sigmoid", (Symbol("a"),)), r"\sigma\left(a\right)"),
        (Call("sqrt", (Symbol("a"),)), r"\sqrt{a}"),
        (Big("sum", (Range("t", H),), Symbol("a", (T,)), True), r"\sum_{t< H} a_{t}"),
        (Facts((Condition(T - K), Condition(T * -1 + (H - 1)))), r"\left[t-k\ge 0, t< H\right]"),
        (Relation(Symbol("a"), ">", Number(0)), r"\left[a > 0\right]"),
        (Symbol("W_f", (Slice(), Slice(H, None))), r"W_{f}\left[:,H:\right]"),
        (Number(1e-5), r"1 \cdot 10^{-5}"),
    ],
)
def test_a_formula_is_written_as_papers_do(f: Formula, expected: str) -> None:
    assert latex(f) == expected
