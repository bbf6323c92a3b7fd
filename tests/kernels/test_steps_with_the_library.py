"""A loop that runs with the library: what goes back through its gates is one call, and no table is copied."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.kernels.comparing import Calls
from torch import Tensor
from torch.autograd import gradgradcheck

from chalkgrad import layer
from chalkgrad.kernels.backends import Backend
from chalkgrad.nn.layer import Layer

F64 = torch.float64

GATED = """
z[t] = σ(x[t] W_z + h[t-1] U_z)
g[t] = tanh(x[t] W_g + h[t-1] U_g)
h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ g[t]
"""
PICTURES = """
g[t,k,u,v] = tanh(Σ[d,p,q] W[k,d,p,q] x[t,d,u+p-1,v+q-1] + Σ[l,p,q] U[k,l,p,q] h[t-1,l,u+p-1,v+q-1] + b[k])
h[t,k,u,v] = g[t,k,u,v] h[t-1,k,u,v] + g[t,k,u,v]
where x[t]: D×M×N zero outside ±1, h[t]: K×M×N zero outside ±1, W: K×D×3×3, U: K×K×3×3
"""


def drawn(text: str, backend: Backend | None, **sizes: Any) -> Layer:
    net = layer(text, dtype=F64, backend=backend, **sizes)
    for k, p in enumerate(net.parameters()):
        torch.nn.init.normal_(p, std=0.4, generator=torch.Generator().manual_seed(k))
    return net


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=F64).requires_grad_()


class Copies(Calls):
    """How many numbers the largest copy moves, too."""

    copied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = super().__torch_dispatch__(func, types, args, kwargs)
        if self.names[-1] in ("clone", "contiguous", "copy_"):
            self.copied = max(self.copied, args[0].numel())
        return found


def gradients(net: Layer, x: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(net(x)[0].square().sum(), [x, *net.parameters()])


CASES = {
    "gates": (GATED, {"x": 3, "h": 4}, (2, 5, 3)),
    "pictures": (PICTURES, {"D": 2, "K": 3}, (2, 5, 2, 4, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gradients_are_those_of_the_plain_specification(name: str) -> None:
    text, sizes, shape = CASES[name]
    sizes = {**sizes, "M": 4, "N": 5} if name == "pictures" else sizes
    ours, plain = drawn(text, "torch", **sizes), drawn(text, "eager", **sizes)
    for a, b in zip(gradients(ours, normal(*shape)), gradients(plain, normal(*shape)), strict=True):
        torch.testing.assert_close(a, b)


def test_what_goes_back_through_a_gate_is_one_call_a_step() -> None:
    net, x = drawn(GATED, "torch", x=3, h=4), normal(2, 5, 3)
    y = net(x)[0].sum()
    with Calls() as calls:
        torch.autograd.grad(y, [x, *net.parameters()])
    assert calls.names.count("sigmoid_backward") == calls.names.count("tanh_backward") == 5


def test_its_gradient_has_a_gradient() -> None:
    net, x = drawn(GATED, "torch", x=2, h=2), normal(1, 3, 2)
    assert gradgradcheck(lambda x: net(x)[0], (x,))


def test_the_gradients_of_kernels_take_a_loops_table_as_it_lies() -> None:
    net, x = drawn(PICTURES, "torch", D=2, K=3, M=4, N=5), normal(2, 5, 2, 4, 5)
    y = net(x)[0].sum()
    with Copies() as calls:
        torch.autograd.grad(y, [x, *net.parameters()])
    table = 2 * 5 * 3 * 4 * 5
    assert calls.copied < table
