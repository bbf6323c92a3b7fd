"""Products put together at each step of a loop, convolutions of one picture: the calls, and the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.kernels.test_merging import joined
from tests.kernels.test_shared_calls import Calls, drawn, normal
from tests.naive import evaluate

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.eager import Runner
from chalkgrad.kernels.eager.merging import planned
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import system_of
from chalkgrad.zoo import source_of

TIMES = 4


def test_a_convolutional_recurrence_makes_one_convolution_a_step_whatever_its_gates() -> None:
    net = drawn(source_of("conv_lstm"), "torch", D=2, K=3, M=5, N=4)
    x = normal(2, TIMES, 2, 5, 4).requires_grad_()
    with Calls() as calls:
        y, _ = net(x)
    assert calls.counts("convolution", "convolution_backward") == [1 + TIMES, 0]
    with Calls() as calls:
        torch.autograd.grad(y.square().sum(), [x, *net.parameters()])
    # What is by pictures, their kernels and what is added, for all steps at once, and what is by the kernels
    # on h; then h itself, its start among it, step by step.
    assert calls.counts("convolution", "convolution_backward") == [2 + TIMES, 2]


PAGES: dict[str, str] = {
    "two kernels on one picture": (
        "y[k,i] = tanh(Σ[c,p] w[k,c,p] x[c,i+p-1]) σ(Σ[c,p] v[k,c,p] x[c,i+p-1])\n"
        "where x: input 2×5 zero outside ±1, w: 3×2×3, v: 3×2×3"
    ),
    "kernels that look elsewhere": (
        "y[k,i] = tanh(Σ[c,p] w[k,c,p] x[c,i+p-1]) σ(Σ[c,p] v[k,c,p] x[c,i+p-2])\n"
        "where x: input 2×5 zero outside, w: 3×2×3, v: 3×2×3"
    ),
    "groups": (
        "y[g,k,i] = tanh(Σ[c,p] w[g,k,c,p] x[g,c,i+p]) σ(Σ[c,p] v[g,k,c,p] x[g,c,i+p])\n"
        "where x: input 2×2×5, w: 2×3×2×2, v: 2×3×2×2"
    ),
    "a sum of convolutions of two pictures": (
        "a[c,i] = tanh(x[c,i])\ny[k,i] = (Σ[c,p] w[k,c,p] x[c,i+p]) + (Σ[c,p] v[k,c,p] a[c,i+p]) + x[1,i]\n"
        "where x: input 2×5, w: 3×2×2, v: 3×2×2"
    ),
    "sums over two axes": (
        "y[k] = (Σ[i,j] A[i,j,k] x[i,j]) + (Σ[i,j] B[i,j,k] x[i,j] x[i,j]) + Σ[i,j] C[i,j,k] x[i,j]\n"
        "where x: input 2×4, A: 2×4×3, B: 2×4×3, C: 2×4×3"
    ),
    "gates of convolutions in a loop": (
        "f[t,k,u] = σ(Σ[d,p] A[k,d,p] x[t,d,u+p-1] + Σ[l,p] B[k,l,p] h[t-1,l,u+p-1])\n"
        "g[t,k,u] = tanh(Σ[d,p] C[k,d,p] x[t,d,u+p-1] + Σ[l,p] D[k,l,p] h[t-1,l,u+p-1])\n"
        "h[t,k,u] = f[t,k,u] h[t-1,k,u] + (1 - f[t,k,u]) g[t,k,u]\n"
        "where x[t]: 2×3 zero outside ±1, h[t]: 2×3 zero outside ±1, A: 2×2×3, C: 2×2×3, B: 2×2×3, D: 2×2×3"
    ),
    "gates of products in a loop, one of them after another": (
        "z[t] = σ(x[t] A + h[t-1] B)\nr[t] = σ(x[t] C + h[t-1] D)\n"
        "m[t,k] = tanh(x[t,k] + Σ[l] r[t,l] h[t-1,l] E[l,k])\n"
        "h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ m[t]\nwhere x[t]: 2, h[t]: 2"
    ),
    "two steps back": (
        "f[t] = σ(h[t-1] A + h[t-2] B + x[t])\ng[t] = tanh(h[t-1] C + h[t-2] D)\nh[t] = f[t] ⊙ g[t]\n"
        "where x[t]: 2, h[t]: 2"
    ),
    "backwards": (
        "f[t] = σ(h[t+1] A + x[t])\ng[t] = tanh(h[t+1] B + x[t])\nh[t] = f[t] ⊙ g[t]\nwhere x[t]: 2, h[t]: 2"
    ),
    "one table of a loop twice": "h[t] = tanh(x[t] + h[t-1] A + h[t-1] B)\nwhere x[t]: 2, h[t]: 2",
}  # fmt: skip


MERGED: dict[str, tuple[set[str], set[str]]] = {
    "two kernels on one picture": ({"w v"}, {"w v", "∂a_y ∂a_y_2"}),
    "kernels that look elsewhere": (set(), set()),
    "groups": ({"w v"}, {"w v", "∂a_y ∂a_y_2"}),
    "a sum of convolutions of two pictures": ({"w v", "x a"}, {"v w"}),
    "sums over two axes": ({"A C", "x x"}, {"A C", "∂y ∂y"}),
    "gates of convolutions in a loop": ({"A C", "B D"}, {"A C", "B D", "∂a_f ∂a_g"}),
    "gates of products in a loop, one of them after another": (
        {"A C", "B D"},
        {"A C", "B D", "∂a_z ∂a_r"},
    ),
    "two steps back": ({"A C", "B D"}, {"A C", "B D", "∂a_f ∂a_g"}),
    "backwards": ({"A B"}, {"A B", "∂a_f ∂a_g"}),
    "one table of a loop twice": ({"A B"}, {"A B", "∂a ∂a"}),
}
"""What is put side by side, in the page and in what is derived from it."""


@pytest.mark.parametrize("name", PAGES)
def test_values_and_gradients_are_those_of_every_point_by_itself(name: str) -> None:
    program = normalise(batch(read(PAGES[name]).program))
    system = system_of(program, "torch")
    given = tuple(n.name for n in program.given("input", "parameter", "start"))
    derived = system.derived(given).program
    numbers = {"batch": 2, "T": 4}
    for of, wanted, merged in zip(
        (program, derived), (program.outputs, derived.outputs), MERGED[name], strict=True
    ):
        assert {*map(" ".join, joined(planned(of, wanted, (), numbers).steps))} == merged
        values = {
            n.name: normal(*(r.size.value(numbers) for r in n.ranges), seed=k)
            for k, n in enumerate(of.given())
        }
        found = Runner(of, "torch")(values, numbers, wanted)
        arrays = {n: x.numpy() for n, x in values.items()}
        for n, theirs in evaluate(of, arrays, numbers, wanted).items():
            assert np.any(theirs)
            np.testing.assert_allclose(found[n].numpy(), theirs, rtol=1e-10, atol=1e-12)
