"""Jacobians of one name by another: as matrices where they are, and in numbers always."""

from __future__ import annotations

import pytest
import torch
from tests.calculus.page_reader import Reader

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.explain import explain
from chalkgrad.calculus.jacobian import jacobian
from chalkgrad.calculus.matrix import matrix_side
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.formula import text
from chalkgrad.equations.show import show
from chalkgrad.language.resolve import read
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.steps.bench import Bench, slopes

MATRICES = {
    "y = tanh(W x + b)": "diag(1 - y²) W",
    "y = tanh(x W)": "diag(1 - y²) Wᵀ",
    "y = W tanh(V x)": "W diag(1 - tanh(a)²) V",
    "y = g ⊙ (W x)": "diag(g) W",
    "y = x ⊙ (W x)": "diag(x) W + diag(s_y)",
    "y = x": "I",
    "y = 2 x": "2 I",
    "y = x - mean(x)": "",  # a number in every place, which no matrix says
    "y = softmax(x)": "-y yᵀ + diag(y)",
    "y = x / (1 + exp(W x))": "-diag(x ⊙ exp(a) / m_y_2²) W + diag(1 / m_y_2)",
}


@pytest.mark.parametrize("source", MATRICES)
def test_it_is_what_autograd_says_and_reads_as_a_matrix(source: str) -> None:
    resolved = read(f"{source} where x: input")
    program = normalise(resolved.program)
    numbers = small_numbers(resolved, {})
    e = jacobian(program, "y", "x")
    bench = Bench(program, numbers)
    given = {n.name: bench.values[n.name] for n in program.given()}
    expected = slopes(program, "y", ["x"], given, numbers)["x"]
    torch.testing.assert_close(bench.value(e.value, e.domain, bench.values), expected)
    d = explain(program, derive(program))
    matrix = matrix_side(d.spelled(e).value, e.domain, e.axes, d.page, program.columns, diagonals=True)
    assert (text(matrix) if matrix else "") == MATRICES[source], show(e)
    if matrix is not None and "I" not in text(matrix):
        arrays = {n: v.numpy() for n, v in bench.values.items()}
        value = Reader(program.table, arrays, numbers, program.columns).value(text(matrix), {})
        torch.testing.assert_close(torch.tensor(value), expected)


def test_a_derivative_by_a_matrix_has_every_index() -> None:
    program = normalise(read("y = tanh(W x) where x: input").program)
    assert show(jacobian(program, "y", "W")) == "J[i,j,k] = [i=j] (1 - y[j]²) x[k]"


def test_what_does_not_reach_is_zero() -> None:
    program = normalise(read("y = W x\nz = V x where x: input").program)
    assert show(jacobian(program, "y", "V")) == "J[i,j,k] = 0"
