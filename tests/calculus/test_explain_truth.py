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
COLUMN_CASES = {k: Case(read(text).program, {"T": 3, "D": 2, "H": 3, "M": 4}) for k, text in COLUMNS.items()}
EVERY = {**CASES, **COLUMN_CASES}


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
