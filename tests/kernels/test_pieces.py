"""What a loop computes between its convolutions runs as compiled pieces, over tables that nothing copies."""

from __future__ import annotations

import pytest
import torch
from tests.kernels.comparing import Calls
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from chalkgrad import layer
from chalkgrad.kernels.account import account
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.c import loops
from chalkgrad.kernels.eager import calls
from chalkgrad.nn.layer import Layer

F64 = torch.float64
PICTURES = "where x[t]: D×M×N zero outside ±1, h[t]: K×M×N zero outside ±1, W: K×D×3×3, U: K×K×3×3"
GATES = f"""
z[t,k,u,v] = σ(Σ[d,p,q] W[k,d,p,q] x[t,d,u+p-1,v+q-1] + Σ[l,p,q] U[k,l,p,q] h[t-1,l,u+p-1,v+q-1] + b[k])
g[t,k,u,v] = tanh(Σ[l,p,q] V[k,l,p,q] h[t-1,l,u+p-1,v+q-1] + P[k,u,v] h[t-1,k,u,v])
h[t,k,u,v] = (1 - z[t,k,u,v]) h[t-1,k,u,v] + z[t,k,u,v] g[t,k,u,v]
{PICTURES}, V: K×K×3×3, P: K×M×N
"""
TEXTS = {
    "gates": GATES,
    "two steps back": f"""
c[t,k,u,v] = tanh(Σ[d,p,q] W[k,d,p,q] x[t,d,u+p-1,v+q-1] + Σ[l,p,q] U[k,l,p,q] h[t-1,l,u+p-1,v+q-1])
h[t,k,u,v] = c[t,k,u,v] + h[t-2,k,u,v] c[t-1,k,u,v]
{PICTURES}
""",
    "a kernel twice": f"""
h[t,k,u,v] = tanh(Σ[l,p,q] U[k,l,p,q] h[t-1,l,u+p-1,v+q-1] + Σ[l,p,q] V[k,l,p,q] h[t-1,l,u+p-1,v+q-1]
    + Σ[d,p,q] W[k,d,p,q] x[t,d,u+p-1,v+q-1])
{PICTURES}, V: K×K×3×3
""",
    "backwards": f"""
h[t,k,u,v] = tanh(Σ[d,p,q] W[k,d,p,q] x[t,d,u+p-1,v+q-1] + Σ[l,p,q] U[k,l,p,q] h[t+1,l,u+p-1,v+q-1])
{PICTURES}
""",
}


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loop with a convolution runs with the library, on as many threads as there are."""
    monkeypatch.setattr(calls, "_LIBRARYS", 0)
    monkeypatch.setattr(loops, "ALONE", 0)


def drawn(text: str, backend: Backend = "c", dtype: torch.dtype = F64, **sizes: int) -> Layer:
    net = layer(text, dtype=dtype, backend=backend, **({"D": 2, "K": 3, "M": 4, "N": 5} | sizes))
    for k, p in enumerate(net.parameters()):
        torch.nn.init.normal_(p, std=0.4, generator=torch.Generator().manual_seed(k))
    return net


def normal(*shape: int, dtype: torch.dtype = F64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype).requires_grad_()


def everything(net: Layer, x: Tensor) -> list[Tensor]:
    y, state = net(x)
    of = [v for v in (y, *state) if isinstance(v, Tensor)]
    loss = sum((v * torch.linspace(-1, 1, v.numel(), dtype=v.dtype).reshape(v.shape)).sum() for v in of)
    return [*of, *torch.autograd.grad(loss, [x, *net.parameters()])]  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("name", TEXTS)
def test_pieces_give_what_the_equations_say(name: str, batch: int, steps: int) -> None:
    x = normal(batch, steps, 2, 4, 5)
    ours, plain = everything(drawn(TEXTS[name]), x), everything(drawn(TEXTS[name], "eager"), x)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b)


def test_a_gradient_through_pieces_has_a_gradient() -> None:
    net, x = drawn(GATES, D=1, K=1, M=2, N=2), normal(1, 3, 1, 2, 2)
    assert gradcheck(lambda x: net(x)[0], (x,))
    assert gradgradcheck(lambda x: net(x)[0], (x,))


def test_a_step_calls_its_convolutions_and_nothing_else_of_torch() -> None:
    net = drawn(GATES, dtype=torch.float32)

    def called(steps: int) -> list[str]:
        x = normal(2, steps, 2, 4, 5, dtype=torch.float32)
        everything(net, x)
        with Calls() as found:
            y = net(x)[0]
            torch.autograd.grad(y.sum(), [x, *net.parameters()])
        return found.names

    few, many = called(4), called(6)
    more = {n for n in many if many.count(n) > few.count(n)}
    assert "convolution" in more or "mkldnn_convolution" in more
    assert more <= {"convolution", "mkldnn_convolution", "select", "as_strided"}


def test_the_account_tells_what_is_together() -> None:
    program = drawn(GATES)._system.program
    numbers = {"batch": 2, "T": 5, "D": 2, "K": 3, "M": 4, "N": 5}
    told = [(entry.depth, entry.how) for entry in account(program, ("h",), (), numbers)]
    assert told.count((1, "point by point, compiled")) == 1
    assert (1, "  together with it") in told
