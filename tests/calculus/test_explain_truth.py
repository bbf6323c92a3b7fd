"""What is printed is true: every line, read back as text and computed with NumPy, gives the derived value."""

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.calculus.page_reader import Reader
from tests.naive import evaluate, shape
from tests.programs import CASES, Case

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.explain import Derivation, explain
from chalkgrad.equations.ir import Program
from chalkgrad.language.resolve import read

COLUMNS = {
    "rnn_columns": "h[t] = tanh(W h[t-1] + U x[t] + b)\nwhere x[t]: D, h[t]: H",
    "softmax_columns": (
        "h[t] = tanh(W h[t-1] + U x[t] + b)\ny[t] = softmax(V h[t] + c)\nwhere x[t]: D, h[t]: H, y[t]: M"
    ),
    "lstm_columns": """
        i[t] = σ(W_i x[t] + U_i h[t-1] + b_i)
        f[t] = σ(W_f x[t] + U_f h[t-1] + b_f)
        g[t] = tanh(W_g x[t] + U_g h[t-1] + b_g)
        o[t] = σ(W_o x[t] + U_o h[t-1] + b_o)
        c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]
        h[t] = o[t] ⊙ tanh(c[t])
        where x[t]: D, h[t]: H""",
    "gru_columns": """
        z[t] = σ(W_z x[t] + U_z h[t-1] + b_z)
        r[t] = σ(W_r x[t] + U_r h[t-1] + b_r)
        n[t] = tanh(W x[t] + U (r[t] ⊙ h[t-1]) + b)
        h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ n[t]
        where x[t]: D, h[t]: H""",
    "concatenation": (
        "f[t] = σ(W_f [h[t-1]; x[t]] + b_f)\nh[t] = f[t] ⊙ tanh(V [h[t-1]; x[t]])\nwhere x[t]: D, h[t]: H"
    ),
}
CORNERS = {
    "products": "y[t] = (x[t] A) ⊙ (x[t] B) + x[t] A C\nwhere x[t]: D, A: D×H",
    "bilinear": "q[t] = x[t] A x[t]ᵀ\nwhere x[t]: D",
    "bilinear_columns": "q[t] = x[t]ᵀ A B y[t]\nwhere x[t]: D, y[t]: M",
    "matrices": "Y = tanh(X A B) ⊙ sqrt(X C X + 9)\nwhere X: input N×N, A: N×H, B: H×N",
    "scaled": "y[t] = α x[t] A / (1 + β²) + α\nwhere x[t]: D, A: D×H, α: scalar, β: scalar",
    "quotients": "y[t] = (x[t] A) / (1 + exp(x[t] B)) - x[t] C / 2\nwhere x[t]: D, A: D×H",
    "fast_weights": (
        "M[t] = M[t-1] ⊙ λ + k[t]ᵀ v[t]\ny[t] = q[t] M[t]\nwhere M[t]: D×H, k[t]: D, v[t]: H, q[t]: D, λ: D×H"
    ),
    "reductions": ("y[t] = x[t] - mean(x[t]) + max(x[t] A) + logsumexp(x[t])\nwhere x[t]: D, A: D×H"),
}


def sized(text: str) -> Case:
    """Every size another number, so that a matrix the wrong way round does not fit."""
    program = read(text).program
    return Case(program, {symbol: 2 + i for i, symbol in enumerate(program.symbols)})


def second(name: str, wrt: list[str]) -> tuple[Program, Program]:
    """A gradient and its own gradient."""
    first = derive(CASES[name].program, wrt)
    return first, derive(first, wrt)


EVERY = {**CASES, **{name: sized(text) for name, text in {**COLUMNS, **CORNERS}.items()}}


def whole(d: Derivation) -> Program:
    """Forward and backward equations in one program, the forward ones that no gradient needs among them."""
    more = tuple(e for e in d.derived.equations if e not in d.forward.equations)
    names = {**d.forward.table, **d.derived.table}
    return replace(d.forward, equations=(*d.forward.equations, *more), names=tuple(names.values()))


def reader(d: Derivation, numbers: dict[str, int]) -> Reader:
    """The reader with a value of everything, at random inputs."""
    program = whole(d)
    draw = np.random.default_rng(0)
    given = {n.name: draw.normal(size=shape(program, n.name, numbers)) for n in program.given()}
    defined = sorted({e.target for e in program.equations})
    return Reader(
        program.table, {**given, **evaluate(program, given, numbers, defined)}, numbers, program.columns
    )


def agree(page: str, r: Reader) -> int:
    """How many values agree; fails at the first that does not."""
    count = 0
    for line in page.splitlines():
        left, right = re.sub(r"^(where| {5}) ", "", line).split("  #")[0].split("  for ")[0].split(" = ", 1)
        right = right.strip()
        for where in r.points(left.strip()):
            expected, found = r.value(left.strip(), where), r.value(right, where)
            assert found.shape in ((), expected.shape), line
            np.testing.assert_allclose(
                np.broadcast_to(found, expected.shape), expected, atol=1e-12, err_msg=line
            )
            count += expected.size
    return count


@pytest.mark.parametrize("name", EVERY)
def test_every_printed_line_is_true(name: str) -> None:
    case = EVERY[name]
    d = explain(case.program, derive(case.program))
    r = reader(d, case.numbers)
    assert agree(d.with_definitions(), r) >= sum(r.arrays[e.target].size for e in d.equations[:-3])
    assert agree(d.index_form(starts=True), r) == sum(r.arrays[e.target].size for e in d.equations)


@pytest.mark.parametrize(
    ("name", "wrt"), [("rnn", ["x", "W_h"]), ("conv1d_from_one", ["V", "x"]), ("softmax", ["W"])]
)
def test_every_line_of_a_second_derivative_is_true(name: str, wrt: list[str]) -> None:
    d = explain(*second(name, wrt))
    assert agree(d.with_definitions(), reader(d, CASES[name].numbers)) > 0
    balanced(d.latex())


@pytest.mark.parametrize("name", EVERY)
def test_every_line_of_latex_is_well_formed(name: str) -> None:
    program = EVERY[name].program
    d = explain(program, derive(program))
    balanced(d.latex())
    assert d.latex().count(r" \\" + "\n") == len(str(d).splitlines()) - 1


def balanced(page: str) -> None:
    """Brackets close, no letter has two scripts of one kind, and nothing is left that TeX does not know."""
    assert page.isascii(), {c for c in page if not c.isascii()}
    assert page.count(r"\left") == page.count(r"\right")
    depth = 0
    for c in page:
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0
    flat = page
    while (inner := re.sub(r"\{[^{}]*\}", "", flat)) != flat:
        flat = inner
    assert not re.search(r"\^\^|__|\^_\^|_\^_|\^'|'_?\^", flat)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("h[t-1]ᵀ", "h[t]ᵀ"), ("W_xᵀ", "W_x"), ("1 - h[t]²", "1 - h[t]"), ("∂a[t+1] W_hᵀ", "∂a[t+1] W_h")],
)
def test_the_reader_notices_a_wrong_line(right: str, wrong: str) -> None:
    case = CASES["rnn"]
    d = explain(case.program, derive(case.program))
    page, r = str(d), reader(d, case.numbers)
    assert right in page
    with pytest.raises((AssertionError, ValueError)):
        agree(page.replace(right, wrong), r)
