"""Maxima over windows are given to the library, and their gradient is scattered to the first winners."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.kernels.comparing import Calls
from torch import Tensor
from torch.nn import functional

from chalkgrad import layer
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.account import account
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System

POOLS: dict[str, tuple[str, tuple[int, ...], Callable[[Tensor], Tensor]]] = {
    "halves": (
        "y[c,i,j] = max[p<2,q<2] x[c,2i+p,2j+q] where x: input",
        (3, 2, 5, 7),
        lambda x: functional.max_pool2d(x, 2),
    ),
    "overlapping": (
        "y[c,i,j] = max[p<3,q<3] x[c,2i+p,2j+q] where x: input",
        (3, 2, 7, 8),
        lambda x: functional.max_pool2d(x, 3, 2),
    ),
    "dilated, one further": (
        "y[c,i] = max[p<3] x[c,2i+2p+1] where x: input",
        (3, 2, 12),
        lambda x: functional.max_pool1d(x[..., 1:], 3, 2, dilation=2),
    ),
    "three dimensions": (
        "y[c,i,j,k] = max[p<2,q<2,r<2] x[c,2i+p,2j+q,2k+r] where x: input",
        (3, 2, 5, 7, 4),
        lambda x: functional.max_pool3d(x, 2),
    ),
    "axes in another order": (
        "y[j,c,i] = max[p<2,q<3] x[2i+p,c,2j+q] where x: input",
        (3, 5, 2, 7),
        lambda x: functional.max_pool2d(x.transpose(1, 2), (2, 3), 2).permute(0, 3, 1, 2),
    ),
}


APART = {"dilated, one further"}
"""Pools whose windows begin inside the image, which the library counts in no way."""


def gradients(text: str, x: Tensor, seed: Tensor) -> tuple[Tensor, ...]:
    """What the derived program says."""
    program = read(text).program
    resolved = {s: n for r, n in zip(program["x"].ranges, x.shape[1:], strict=True) for s in r.size.symbols}
    derived = System(normalise(batch(program))).derived(("x",))
    (name,) = (s.name for s in derived.program.given("seed"))
    return derived({"x": x, name: seed}, {**resolved, "batch": len(x)}, derived.program.outputs)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", POOLS)
def test_a_pool_is_torchs_forward_and_backward(name: str, ties: bool) -> None:
    text, shape, peer = POOLS[name]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = (x.round() if ties else x).requires_grad_()
    net = layer(text)
    with Calls() as calls:
        y = net(x)
        seed = torch.randn(y.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
        (ours,) = torch.autograd.grad(y, x, seed)
    z = peer(x)
    (theirs,) = torch.autograd.grad(z, x, seed)
    assert torch.equal(y, z)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    # The layer is one call, with the winners kept for its backward pass.
    assert sum("max_pool" in n for n in calls.names) == 2
    assert any("with_indices_backward" in n for n in calls.names)
    # What is derived finds the winners along all axes with one call, and gives to them with another.
    with Calls() as calls:
        (derived,) = gradients(text, x.detach(), seed)
    torch.testing.assert_close(derived, theirs, rtol=1e-12, atol=1e-12)
    assert sum("max_pool" in n for n in calls.names) == (1 if name in APART else 2)
    assert calls.names.count("scatter_add") == (name in APART)


def test_a_winner_outside_of_what_is_given_gets_nothing() -> None:
    x = -1 - torch.rand(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    net = layer("y[i] = max[p<3] x[2i+p-1] where x: input N zero outside ±1")
    z = functional.max_pool1d(functional.pad(x, (1, 1)), 3, 2)
    y = net(x)
    assert torch.equal(y, z)
    assert (y == 0).sum() == 6
    for a, b in zip(torch.autograd.grad(y.sum(), x), torch.autograd.grad(z.sum(), x), strict=True):
        assert torch.equal(a, b)
    assert torch.autograd.gradgradcheck(net, x)


@pytest.mark.parametrize(
    "text",
    [
        "y[i] = max[p<3] (x[i+p] w[p]) where x: input 8, w: 3",
        "y[i] = max[p<3] x[i-p+2] where x: input 8",  # backwards: the first winner is another
        "y = max[p<8] x[p] where x: input 8",
        "y[i] = max[p<2] x[i+p,i] where x: input 6×5",
        "y[i] = min[p<3] x[i+p] where x: input 8",
    ],
)
def test_what_is_no_pool_is_not_given_to_one(text: str) -> None:
    net = layer(text).double()
    shape = [r.size.value({}) for r in read(text).program["x"].ranges]
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x.requires_grad_()
    with Calls() as calls:
        net(x).sum().backward()
    assert not any("pool" in n for n in calls.names)
    assert torch.autograd.gradcheck(net, x)


def test_the_account_names_the_calls() -> None:
    program = normalise(batch(read(POOLS["halves"][0]).program))
    derived = System(program).derived(("x",)).program
    numbers = dict.fromkeys((*program.symbols, *derived.symbols), 6)
    (forward,) = account(program, program.outputs, (), numbers)
    first, second, image = account(derived, derived.outputs, (), numbers)
    assert forward.how == first.how == "torch.nn.functional.max_pool2d"
    assert second.how == "  by the same call"
    assert image.how == "torch.ops.aten.max_pool2d_with_indices_backward"


MEANS: dict[str, tuple[str, tuple[int, ...], Callable[[Tensor], Tensor]]] = {
    "halves": (
        "y[c,i,j] = Σ[p<2,q<2] x[c,2i+p,2j+q]/4 where x: input",
        (3, 2, 5, 7),
        lambda x: functional.avg_pool2d(x, 2),
    ),
    "sevenths": (
        "y[c,i,j] = Σ[p<7,q<7] x[c,i+p,j+q]/49 where x: input",
        (3, 2, 8, 9),
        lambda x: functional.avg_pool2d(x, 7, 1),
    ),
    "overlapping, of a sequence": (
        "y[c,i] = Σ[p<3] x[c,2i+p]/3 where x: input",
        (3, 2, 8),
        lambda x: functional.avg_pool1d(x, 3, 2),
    ),
    "padded, zeros counted": (
        "y[i] = Σ[p<3] x[2i+p-1]/3 where x: input N zero outside ±1",
        (3, 9),
        lambda x: functional.avg_pool1d(x, 3, 2, padding=1),
    ),
    "padded, with channels that are not": (
        "y[c,i,j] = Σ[p<3,q<3] x[c,2i+p-1,2j+q-1]/9 where x: input C×M×N zero outside ±1",
        (3, 2, 7, 8),
        lambda x: functional.avg_pool2d(x, 3, 2, padding=1),
    ),
    "a sum": (
        "y[c,i,j] = Σ[p<2,q<3] x[c,2i+p,j+q] where x: input",
        (3, 2, 6, 7),
        lambda x: functional.avg_pool2d(x, (2, 3), (2, 1)) * 6,
    ),
    "three dimensions": (
        "y[c,i,j,k] = Σ[p<2,q<2,r<2] x[c,2i+p,2j+q,2k+r]/8 where x: input",
        (3, 2, 5, 7, 4),
        lambda x: functional.avg_pool3d(x, 2),
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_an_average_is_torchs_forward_and_backward(name: str) -> None:
    text, shape, peer = MEANS[name]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    net = layer(text)
    with Calls() as calls:
        y = net(x)
        seed = torch.randn(y.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
        (ours,) = torch.autograd.grad(y, x, seed)
    assert sum("avg_pool" in n for n in calls.names) == 2
    assert not {"mul", "div", "unfold", "sum"} & {*calls.names}
    z = peer(x)
    (theirs,) = torch.autograd.grad(z, x, seed)
    for a, b in ((y, z), (ours, theirs), (layer(text, backend="eager")(x), z)):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    (derived,) = gradients(text, x.detach(), seed)
    torch.testing.assert_close(derived, theirs, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradgradcheck(net, x)


@pytest.mark.parametrize(
    "text",
    [
        "y[c,i] = Σ[p<2] x[c,i+2p] where x: input 2×8",  # torch's averages have no gaps
        "y[i] = Σ[c,p<2] x[c,i+p] where x: input 2×8",
        "y[c] = Σ[i] x[c,i] where x: input 2×8",
    ],
)
def test_what_is_no_average_is_not_given_to_one(text: str) -> None:
    x = torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    with Calls() as calls:
        y = layer(text)(x)
    assert not any("pool" in n for n in calls.names)
    torch.testing.assert_close(y, layer(text, backend="eager")(x))


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        # torch takes padding of at most half of the taps, not of what they span.
        ("y[c,i] = max[p<3] x[c,i+2p-2] where x: input C×N -∞ outside ±2", (2, 3, 6)),
        ("y[c,i,j] = max[p<3,q<3] x[c,i+2p-2,2j+2q-2] where x: input C×M×N -∞ outside ±2", (2, 3, 6, 7)),
        # And no mean in three dimensions of an image smaller than a window.
        (
            "y[c,i,j,k] = Σ[p<2,q<2,r<2] x[c,i+p-1,j+q-1,k+r-1]/8\nwhere x: input C×L×M×N zero outside ±1",
            (2, 2, 1, 3, 3),
        ),
    ],
)
def test_windows_that_the_library_refuses_are_padded_first(text: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64).requires_grad_()
    with Calls() as calls:
        y = layer(text)(x)
    assert any("pool" in n for n in calls.names)
    z = layer(text, backend="eager")(x)
    torch.testing.assert_close(y, z, rtol=0, atol=1e-14)
    ours, plain = (torch.autograd.grad(v.square().sum(), x)[0] for v in (y, z))
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-13)


def test_global_pools_are_plain_reductions() -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x.requires_grad_()
    for text, peer in (
        ("y[c] = Σ[i,j] x[c,i,j]/20 where x: input C×4×5", x.mean((2, 3))),
        ("y[c] = max[i,j] x[c,i,j] where x: input", x.amax((2, 3))),
    ):
        y = layer(text)(x)
        torch.testing.assert_close(y, peer)
        ours, theirs = (torch.autograd.grad(z.square().sum(), x)[0] for z in (y, peer))
        torch.testing.assert_close(ours, theirs)
