"""Index form: as few brackets as keep the meaning, signs and quotients where a person puts them."""

import pytest
from tests.programs import CASES, conv1d, rnn
from tests.shorthand import eq, index, r, ranges, total, when

from chalkgrad.calculus.derive import derive
from chalkgrad.equations.ir import Apply, ArgMax, At, Const, Expr, Index, Read, Reduce, Size
from chalkgrad.equations.ops import add, divide, minus, mul, negative, power
from chalkgrad.equations.show import show

A, B, C = r("a[t]"), r("b[t]"), r("c[t]")


@pytest.mark.parametrize(
    ("e", "expected"),
    [
        (minus(A, B), "a[t] - b[t]"),
        (minus(A, add(B, C)), "a[t] - (b[t] + c[t])"),
        (negative(mul(A, B)), "-a[t] b[t]"),
        (mul(A, add(B, C)), "a[t] (b[t] + c[t])"),
        (mul(Const(-2), A), "-2 a[t]"),
        (mul(A, negative(B)), "-a[t] b[t]"),
        (minus(Const(1), power(A, 2)), "1 - a[t]²"),
        (power(add(A, B), 3), "(a[t] + b[t])³"),
        (power(Apply("tanh", (A,)), 2), "tanh(a[t])²"),
        (divide(A, B), "a[t] / b[t]"),
        (divide(mul(A, B), mul(C, C)), "a[t] b[t] / (c[t] c[t])"),
        (power(A, -1), "1 / a[t]"),
        (power(A, -2), "1 / a[t]²"),
        (mul(Const(-1), A, power(B, -2)), "-a[t] / b[t]²"),
        (power(A, 0.5), "sqrt(a[t])"),
        (power(A, 1.5), "a[t]^1.5"),
        (Apply("pow", (A, add(B, C))), "a[t]^(b[t] + c[t])"),
        (mul(divide(A, B), total("j<K", r("d[j]"))), "(a[t] Σ[j] d[j]) / b[t]"),
        (add(total("j<K", r("d[j]")), A), "Σ[j] d[j] + a[t]"),
        (mul(total("j<K", r("d[j]")), A), "(Σ[j] d[j]) a[t]"),
        (total("j<K", add(r("d[j]"), A)), "Σ[j] (d[j] + a[t])"),
        (negative(total("j<K", r("d[j]"), A)), "-Σ[j] d[j] a[t]"),
        (total("j<K", total("i<N", r("d[j,i]"))), "Σ[j,i] d[j,i]"),
        (Apply("sigmoid", (A,)), "σ(a[t])"),
        (Apply("maximum", (A, B)), "max(a[t], b[t])"),
        (Apply("step", (A,)), "[a[t]>0]"),
        (Apply("step", (minus(A, B),)), "[a[t] - b[t] > 0]"),
        (Apply("equal", (r("p[i]"), At(index("q")))), "[p[i]=q]"),
        (divide(A, At(Index((), Size.symbol("N")))), "a[t] / N"),
        (divide(A, At(index("N-1"))), "a[t] / (N-1)"),
        (At(index("3")), "3"),
        (when("i-1≥0", A), "[i≥1] a[t]"),
        (when("N-1-i≥0", A), "[i<N] a[t]"),
        (when("N-2-i≥0", A), "[i≤N-2] a[t]"),
        (when("n-j≥0, 2|n-j", add(A, B)), "[n-j≥0, 2|n-j] (a[t] + b[t])"),
        (when("t-T+1=0", A), "[t=T-1] a[t]"),
        (Reduce("max", ranges("p<2"), r("x[2i+p]")), "max[p<2] x[2i+p]"),
        (Reduce("max", ranges("j<N"), r("x[j]")), "max[j] x[j]"),
        (Reduce("logsumexp", ranges("j<N"), r("e[j]")), "logsumexp[j](e[j])"),
        (ArgMax(ranges("p<2, q<3"), "q", r("x[p,q]")), "argmax.q[p,q] x[p,q]"),
        (Read("x", (Index.of({"n": 1, "p": -1}, 0, 2),)), "x[(n-p)/2]"),
    ],
)
def test_an_expression_reads_as_a_person_writes_it(e: Expr, expected: str) -> None:
    assert show(e) == expected


def test_bounds_are_written_where_asked() -> None:
    assert show(total("j<3", r("V[j]")), bounds=True) == "Σ[j<3] V[j]"
    assert show(total("1≤j≤K", r("V[j]")), bounds=True) == "Σ[1≤j≤K] V[j]"


def test_an_equation_shows_every_axis() -> None:
    assert show(eq("h", "t<T, k<H", r("x[t,k]"))) == "h[t,k] = x[t,k]"
    assert show(eq("s", "", total("t<T", r("x[t]")))) == "s = Σ[t] x[t]"


def test_a_program_says_on_which_box_each_of_several_equations_holds() -> None:
    assert show(rnn()) == (
        "h[t,k] = h₀[t,k]  for t=-1, k<H\n"
        "h[t,k] = tanh(Σ[d] x[t,d] W_x[d,k] + Σ[j] h[t-1,j] W_h[j,k] + b[k])  for t<T, k<H"
    )


def test_guards_that_keep_an_adjoint_in_its_range_are_shown_to_developers_only() -> None:
    d = derive(conv1d())
    assert "∂x[n] = Σ[j] ∂y[n-j] V[j]" in show(d)
    assert "∂x[n] = Σ[j] [n-j≥0, j-n+N-K≥0] ∂y[n-j] V[j]" in show(d, guards=True)


def test_guards_of_a_forward_equation_are_always_shown() -> None:
    assert "[i≥1] Σ[l] h[i-1,j,l] U[l,k]" in show(CASES["recurrence_2d"].program)
