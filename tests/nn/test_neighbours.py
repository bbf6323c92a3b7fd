"""A state that reads its neighbours at the step before, on both sides: heat, waves, cellular automata."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradgradcheck
from torch.nn.functional import pad

import chalkgrad
from chalkgrad import EquationError

F64 = torch.float64
SIDES = """h[t,u] = tanh(a h[t-1,u-1] + b h[t-1,u] + c h[t-1,u+1] + x[t,u])
where x[t]: M, h[t]: M zero outside{}, a: scalar, b: scalar, c: scalar"""
FOUR = """h[t,u,v] = tanh(x[t,u,v] + n h[t-1,u-1,v] + s h[t-1,u+1,v] + w h[t-1,u,v-1] + e h[t-1,u,v+1])
where x[t]: M×N, h[t]: M×N zero outside, n: scalar, s: scalar, w: scalar, e: scalar"""


def drawn(page: str, backend: str = "c", **sizes: int) -> chalkgrad.Layer:
    torch.manual_seed(0)
    net = chalkgrad.layer(page, dtype=F64, backend=backend, **sizes)
    with torch.no_grad():
        for p in net.parameters():
            p.normal_()
    return net


def of_sides(x: Tensor, h: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    ys = []
    for now in x.unbind(1):
        left, right = pad(h, (1, 0))[:, :-1], pad(h, (0, 1))[:, 1:]
        h = torch.tanh(a * left + b * h + c * right + now)
        ys.append(h)
    return torch.stack(ys, 1)


def of_four(x: Tensor, h: Tensor, n: Tensor, s: Tensor, w: Tensor, e: Tensor) -> Tensor:
    ys = []
    for now in x.unbind(1):
        p = pad(h, (1, 1, 1, 1))
        around = n * p[:, :-2, 1:-1] + s * p[:, 2:, 1:-1] + w * p[:, 1:-1, :-2] + e * p[:, 1:-1, 2:]
        h = torch.tanh(now + around)
        ys.append(h)
    return torch.stack(ys, 1)


@pytest.mark.parametrize("backend", ["c", "torch", "eager"])
@pytest.mark.parametrize(
    ("page", "loop", "sizes"),
    [
        (SIDES.format(""), of_sides, {"M": 6}),
        (SIDES.format(" ±1"), of_sides, {"M": 6}),
        (SIDES.format(""), of_sides, {"M": 1}),
        (FOUR, of_four, {"M": 4, "N": 3}),
    ],
    ids=["outside", "outside by one", "a single place", "in the plane"],
)
def test_it_does_what_a_loop_does_and_has_its_gradients(
    page: str, loop: Callable[..., Tensor], sizes: dict[str, int], backend: str
) -> None:
    net = drawn(page, backend, **sizes)
    x, h = torch.randn(3, 5, *sizes.values(), dtype=F64), torch.randn(3, *sizes.values(), dtype=F64)
    leaves = [x.requires_grad_(), h.requires_grad_(), *net.parameters()]
    found, expected = net(x, h)[0], loop(*leaves)
    torch.testing.assert_close(found, expected)
    seed = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad((y * seed).sum(), leaves) for y in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_it_has_second_derivatives_and_one_start_for_each_place() -> None:
    net = drawn(SIDES.format(""), M=4)
    x, h = (
        torch.randn(2, 3, 4, dtype=F64, requires_grad=True),
        torch.randn(2, 4, dtype=F64, requires_grad=True),
    )
    assert gradgradcheck(lambda x, h: net(x, h)[0], (x, h))
    assert [tuple(s.shape) for s in net(x)[1]] == [(2, 4)]


def test_threads_share_places_and_wait_for_their_neighbours() -> None:
    net, x = drawn(SIDES.format(""), M=3000), torch.randn(1, 30, 3000, dtype=F64)
    torch.set_num_threads(2)
    try:
        found = net(x)[0]
    finally:
        torch.set_num_threads(1)
    torch.testing.assert_close(found, of_sides(x, x.new_zeros(1, 3000), *net.parameters()))


@pytest.mark.parametrize(
    "page",
    [
        "h[t] = h[t-1] + h[t+1] + x[t]",
        "h[i,j] = x[i,j] + h[i-1,j] + h[i,j+1] + h[i,j-1]",  # within a row, nothing says what comes first
        "h[t,u] = x[t,u] + g[t,u+1] + h[t-1,u]; g[t,u] = h[t,u-1] + g[t-1,u]",
    ],
)
def test_where_no_step_comes_first_it_is_refused(page: str) -> None:
    with pytest.raises(EquationError, match=r"both behind and ahead|one from behind and one from ahead"):
        chalkgrad.layer(page)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("h[t,u] = x[t,u] + h[t-1,u-1] + h[t-1,u+1]", "where h: zero outside"),
        ("h[t,u] = x[t,u] + h[t-1,u-1] + h[t-1,u+1]\nwhere x[t]: M, h[t]: M", "where h: … zero outside"),
        ("h[t,u] = x[t,u] + g[t-1,u-1] + g[t-1,u+1]\ng[t,u] = 2 h[t,u]", "where g: zero outside"),
    ],
)
def test_what_stands_beyond_the_ends_is_asked_for(page: str, says: str) -> None:
    with pytest.raises(EquationError, match="two sizes disagree") as refused:
        chalkgrad.layer(page)
    assert refused.value.help == f"say what stands beyond the ends of `{says[6]}`: {says}"
