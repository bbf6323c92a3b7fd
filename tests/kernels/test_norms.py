"""What is normalised along an axis is one call of the library, its gradient another; nothing else is."""

from __future__ import annotations

import pytest
import torch
from tests.kernels.comparing import Calls, drawn, normal
from torch import Tensor

from chalkgrad import layer
from chalkgrad.kernels.backends import Backend

GIVEN: dict[str, tuple[str, tuple[int, ...]]] = {
    "scaled and shifted": ("y[i] = γ ⊙ layernorm(x[i]) + β where x: input N×4, γ: 4, β: 4", (2, 3, 4)),
    "scaled": ("y[i] = γ ⊙ layernorm(x[i]) where x: input N×4, γ: 4", (2, 3, 4)),
    "shifted": ("y[i] = layernorm(x[i]) + β where x: input N×4, β: 4", (2, 3, 4)),
    "bare": ("y[i] = layernorm(x[i]) where x: input N×4", (2, 3, 4)),
    "of a vector": ("y = g ⊙ layernorm(x) where x: input 4, g: 4", (2, 4)),
    "of a product": ("y[i] = γ ⊙ layernorm(x[i] W) + β where x: input N×4, W: 4×5, γ: 5, β: 5", (2, 3, 4)),
    "by hand, along the first axis": (
        "s[i,j] = x[i,j] - (Σ[k] x[k,j]) / N\n"
        "m[j] = sqrt((Σ[k] s[k,j]²) / N + 0.001)\n"
        "y[i,j] = g[i] s[i,j] / m[j]\nwhere x: input N×4, g: N",
        (2, 3, 4),
    ),
}
"""Pages, and the shape of x."""

APART: dict[str, tuple[str, tuple[int, ...]]] = {
    "the mean square, of what has no mean taken off": (
        "m[i] = sqrt((Σ[k] x[i,k]²) / 4 + 0.001)\ny[i,j] = g[j] x[i,j] / m[i]\nwhere x: input N×4, g: 4",
        (2, 3, 4),
    ),
    "a variance of one place less": (
        "s[i,j] = x[i,j] - Σ[k] x[i,k] / 4\nm[i] = sqrt((Σ[k] s[i,k]²) / 3)\n"
        "y[i,j] = s[i,j] / m[i]\nwhere x: input N×4",
        (2, 3, 4),
    ),
    "a gain for each place and row": (
        "y[i] = G[i] ⊙ layernorm(x[i]) where x: input 3×4, G: 3×4",
        (2, 3, 4),
    ),
}
"""What is no such norm."""


def both(text: str, shape: tuple[int, ...], **sizes: int) -> tuple[Calls, Calls]:
    """Checks a page against its equations one by one; the calls that it made, forwards and backwards."""
    backends: tuple[Backend, ...] = ("c", "eager")
    ours, plain = (drawn(text, b, **sizes) for b in backends)
    x = normal(*shape).requires_grad_()
    with Calls() as forward:
        y = ours(x)
    expected = plain(x)
    seed = normal(*y.shape, seed=3)
    with Calls() as backward:
        got = torch.autograd.grad(y, [x, *ours.parameters()], seed)
    wanted = torch.autograd.grad(expected, [x, *plain.parameters()], seed)
    for a, b in zip((y, *got), (expected, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    parameters = [p.detach().clone().requires_grad_() for p in ours.parameters()]
    names = [n for n, _ in ours.named_parameters()]

    def function(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(ours, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x, *parameters))
    assert torch.autograd.gradgradcheck(function, (x, *parameters))
    return forward, backward


@pytest.mark.parametrize("name", GIVEN)
def test_a_norm_is_one_call_each_way(name: str) -> None:
    forward, backward = both(*GIVEN[name], **({"N": 3} if "g: N" in GIVEN[name][0] else {}))
    assert forward.names.count("native_layer_norm") == 1
    assert backward.names.count("native_layer_norm_backward") == 1
    assert "sqrt" not in forward.names


@pytest.mark.parametrize("name", APART)
def test_another_norm_stays_as_it_is_written(name: str) -> None:
    forward, backward = both(*APART[name])
    assert "native_layer_norm" not in forward.names
    assert "native_layer_norm_backward" not in backward.names


def test_half_numbers_stay_half_and_are_as_near_as_they_can_be() -> None:
    x, seed = normal(2, 3, 8), normal(2, 3, 8, seed=1)
    found: list[tuple[Tensor, ...]] = []
    for dtype in (torch.bfloat16, torch.float64):
        net, own = layer("layer_norm", D=8, dtype=dtype), x.to(torch.bfloat16).to(dtype).requires_grad_()
        y = net(own)
        found.append(
            (y, *torch.autograd.grad(y, [own, *net.parameters()], seed.to(torch.bfloat16).to(dtype)))
        )
    for half, exact in zip(*found, strict=True):
        assert half.dtype is torch.bfloat16
        assert (half.double() - exact).abs().max() <= 2**-6 * exact.abs().max()
