"""A softmax and the gradient back through one are the library's where the equations say no more."""

from __future__ import annotations

import math

import pytest
import torch
from tests.kernels.comparing import Calls, normal
from torch import Tensor

from chalkgrad import layer
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.account import account
from chalkgrad.kernels.backends import BACKENDS, Backend
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System
from chalkgrad.zoo import source_of

GIVEN = {
    "along the last axis": ("y[i,j] = softmax[j](x[i,j]) where x: input", (2, 3, 5)),
    "along the first axis": ("y[i,j] = softmax[i](x[i,j]) where x: input", (2, 3, 5)),
    "of what lies otherwise": ("y[i,j] = softmax[j](x[j,i]) where x: input", (2, 5, 3)),
    "of a vector": ("y = softmax(x) where x: input", (2, 5)),
    "of a product and more": (
        "y[i,k] = softmax[k](Σ[j] x[i,j] w[j,k] + b[k])\nwhere x: input, w: 5×4, b: 4",
        (2, 3, 5),
    ),
    "in part of what follows": (
        "p[i,j] = softmax[j](x[i,j])\ny[i] = Σ[j] p[i,j] v[j] where x: input, v: 5",
        (2, 3, 5),
    ),
}
"""Softmaxes, and the shape of x."""

APART = {
    "the total is wanted too": (
        "L[i] = logsumexp[k](x[i,k])\ny[i,j] = exp(x[i,j] - L[i])\nwhere x: input, L: output, y: output",
        (2, 3, 5),
    ),
    "the total is of something else": (
        "L[i] = logsumexp[k](2 x[i,k])\ny[i,j] = exp(x[i,j] - L[i])\nwhere x: input",
        (2, 3, 5),
    ),
    "the exponent reads it otherwise": (
        "L[i] = logsumexp[k](x[i,k])\ny[i,j] = exp(x[j,i] - L[i])\nwhere x: input N×N",
        (2, 4, 4),
    ),
}
"""What is not a softmax, or not only one."""


def made(net: torch.nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    found = net(x)
    return found if isinstance(found, tuple) else (found,)


def both(text: str, shape: tuple[int, ...]) -> tuple[Calls, Calls]:
    """Checks a page against its equations step by step; the calls that it made, forwards and backwards."""
    ours, plain = (layer(text, dtype=torch.float64, backend=b) for b in ("c", "eager"))
    plain.load_state_dict(ours.state_dict())
    x = normal(*shape).requires_grad_()
    with Calls() as forward:
        found = made(ours, x)
    expected = made(plain, x)
    seeds = [normal(*y.shape, seed=3) for y in found]
    with Calls() as backward:
        got = torch.autograd.grad(found, [x, *ours.parameters()], seeds)
    wanted = torch.autograd.grad(expected, [x, *plain.parameters()], seeds)
    for a, b in zip((*found, *got), (*expected, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(lambda x: made(ours, x), x)
    assert torch.autograd.gradgradcheck(lambda x: made(ours, x), x)
    return forward, backward


@pytest.mark.parametrize("name", GIVEN)
def test_a_softmax_is_one_call_each_way(name: str) -> None:
    forward, backward = both(*GIVEN[name])
    assert forward.names.count("_softmax") == 1
    assert not {"exp", "logsumexp"} & {*forward.names}
    assert backward.names.count("_softmax_backward_data") == 1


@pytest.mark.parametrize("name", APART)
def test_what_is_more_or_less_than_a_softmax_stays_as_it_is_written(name: str) -> None:
    forward, backward = both(*APART[name])
    assert "_softmax" not in forward.names
    assert "_softmax_backward_data" not in backward.names


def test_an_attention_goes_over_its_scores_once_for_each_call() -> None:
    program = normalise(batch(read(source_of("attention")).program))
    derived = System(program).derived(("Q", "K", "V")).program
    numbers = dict.fromkeys((*program.symbols, *derived.symbols), 3)
    hows = [e.how for e in account(program, program.outputs, (), numbers)]
    assert hows.count("torch.softmax") == 1
    assert hows.count("  by the same call") == 2
    back = [e.how for e in account(derived, derived.outputs, ("A",), numbers)]
    assert back.count("torch.ops.aten._softmax_backward_data") == 1
    assert back.count("  by the same call") == 3


def attention(backend: Backend) -> torch.nn.Module:
    return layer("attention", H=2, D=4, backend=backend, dtype=torch.float64)


def test_what_may_not_be_seen_and_rows_that_see_nothing_are_as_the_equations_have_them() -> None:
    q, k, v = (normal(2, 2, 3, 4, seed=n).requires_grad_() for n in range(3))
    bias = torch.zeros(2, 2, 3, 3, dtype=torch.float64).masked_fill(
        ~torch.ones(3, 3).tril().bool(), -math.inf
    )
    bias[0, 1, 2] = -math.inf  # nothing at all
    results: list[tuple[Tensor, ...]] = []
    for backend in BACKENDS:
        y = attention(backend)(Q=q, K=k, V=v, B=bias)
        results.append((y, *torch.autograd.grad(y.sum(), [q, k, v])))
    for a, b in (pair for other in results[:-1] for pair in zip(other, results[-1], strict=True)):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)
    y = results[0][0]
    assert y[0, 1, 2].isnan().all()
    assert not y[0, 0].isnan().any()
    assert not y[1].isnan().any()
    assert not results[0][1][1].isnan().any(), "a batch is not spoiled by another"
