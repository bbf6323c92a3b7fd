"""Derived gradients against differences, both in the naive interpreter's numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chalkgrad.calculus.derive import derive
from chalkgrad.equations.ir import Program
from chalkgrad.equations.verify import verify
from naive import Array, evaluate, shape

STEP = 1e-5


def drawn(program: Program, numbers: Mapping[str, int], seed: int = 0) -> dict[str, Array]:
    """Normal numbers for every name that is given."""
    rng = np.random.default_rng(seed)
    return {n.name: rng.normal(size=shape(program, n.name, numbers)) for n in program.given()}


def check_gradients(
    program: Program,
    numbers: dict[str, int],
    wrt: tuple[str, ...] | None = None,
    positive: bool = False,
    tolerance: float = 1e-8,
) -> Program:
    """Asserts that each element of every gradient is the central difference of ``Σ seed · output``.

    The tolerance is relative to the gradient where that is large. Returns the derived program.
    """
    derived = verify(derive(program, wrt), "derived")
    given = drawn(program, numbers)
    if positive:
        given = {name: np.abs(value) + 0.2 for name, value in given.items()}
    rng = np.random.default_rng(1)
    weights = {o: rng.normal(size=shape(program, o, numbers)) for o in program.outputs}
    seeds = {n.name: weights[n.of] for n in derived.given("seed") if n.name not in given}
    everything = {name: value for name, value in {**given, **seeds}.items() if name in derived.table}
    got = evaluate(derived, everything, numbers, derived.outputs)

    def loss(at: Mapping[str, Array]) -> float:
        found = evaluate(program, at, numbers, program.outputs)
        return sum(float((found[o] * weights[o]).sum()) for o in program.outputs)

    for adjoint in derived.outputs:
        name = derived[adjoint].of
        expected = np.zeros_like(given[name])
        for point in np.ndindex(expected.shape):
            shifted = {name: given[name].copy()}
            shifted[name][point] += STEP
            above = loss({**given, **shifted})
            shifted[name][point] -= 2 * STEP
            expected[point] = (above - loss({**given, **shifted})) / (2 * STEP)
        np.testing.assert_allclose(got[adjoint], expected, rtol=tolerance, atol=tolerance, err_msg=adjoint)
    return derived
