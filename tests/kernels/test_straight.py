"""What a plan has called as one function: the same calls, the same numbers, the same gradients."""

from __future__ import annotations

import dis
from collections.abc import Callable

import pytest
import torch
from tests.kernels.comparing import Called
from torch import Tensor
from torch.nn import functional

from chalkgrad.kernels.eager.straight import Again, straightened

F64 = torch.float64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "one call": lambda x, w: functional.conv1d(x, w, None, [1], [1]),
    "one after another": lambda x, w: functional.max_pool1d(torch.relu(functional.conv1d(x, w)), 2),
    "in place": lambda x, w: functional.conv1d(x, w).relu_() * 2,
    "a value read twice": lambda x, w: (y := functional.conv1d(x, w)) * y.sum((0, 2), keepdim=True),
    "what nothing needs": lambda x, w: (x.exp(), functional.conv1d(x, w))[1],
    "groups taken apart and put together": lambda x, w: (
        functional.conv1d(x.reshape(2, 2, 2, 9).reshape(2, 4, 9), w.reshape(2, 3, 4, 3).reshape(6, 4, 3))
        .reshape(2, 2, 3, 7)
        .reshape(2, 6, 7)
    ),
    "tensors in a list, and numbers of a dtype": lambda x, w: torch.cat([x, x * 0.5], 2).to(torch.float32),
    "what comes in": lambda x, w: w,
    "an operator by its name": lambda x, w: torch.ops.aten.convolution_backward(
        x[:, :1].expand(2, 6, 9)[..., :7], x, w, [0], [1], [0], [1], False, [0], 1, [True, False, False]
    )[0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_straight_function_gives_what_the_function_gives_of_other_tensors(name: str) -> None:
    run = FUNCTIONS[name]
    found, again = straightened(run, [normal(2, 4, 9), normal(6, 4, 3)])
    assert torch.equal(found, run(normal(2, 4, 9), normal(6, 4, 3)))
    other = [normal(2, 4, 9, seed=1).requires_grad_(), normal(6, 4, 3, seed=2).requires_grad_()]
    ours, theirs = again(*other), run(*other)
    assert torch.equal(ours, theirs)
    gradients = (torch.autograd.grad(y.square().sum(), other, allow_unused=True) for y in (ours, theirs))
    for a, b in zip(*gradients, strict=True):
        assert (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))


def test_reshapes_that_lead_back_are_left_out() -> None:
    tensors = [normal(2, 4, 9), normal(6, 4, 3)]
    _, again = straightened(FUNCTIONS["groups taken apart and put together"], tensors)
    with Called() as calls:
        again(*tensors)
    assert calls.functions == [functional.conv1d]


def test_a_reshape_is_of_what_it_was_before_only_until_that_is_changed_in_place() -> None:
    def run(x: Tensor) -> Tensor:
        return x.t().reshape(6).mul_(2).reshape(3, 2)  # a copy is changed, not x

    found, again = straightened(run, [normal(2, 3)])
    assert torch.equal(found, again(normal(2, 3)))
    assert torch.equal(again(normal(2, 3, seed=1)), run(normal(2, 3, seed=1)))


def test_a_value_is_let_go_once_it_has_been_read() -> None:
    _, again = straightened(lambda x: ((x + 1) * 2).exp().sum(), [normal(3)])
    gone = [i.argval for i in dis.get_instructions(again) if i.opname == "DELETE_FAST"]
    assert gone == ["y0", "y1"]


def test_the_first_call_writes_the_function_and_the_next_runs_it() -> None:
    runs: list[int] = []

    def run(x: Tensor) -> Tensor:
        runs.append(1)
        return x.exp()

    again = Again(run)
    for seed in range(3):
        assert torch.equal(again.call(normal(2, seed=seed)), normal(2, seed=seed).exp())
    assert runs == [1]
