"""Layers of sequences with what they begin with, and a loss in which every number counts differently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import chalkgrad
from chalkgrad.nn.layer import Layer

F64 = torch.float64
BOTH_WAYS = (
    "h[t] = tanh(x[t] W + h[t-1] R + a)\ng[t] = tanh(x[t] V + g[t+1] S + b)\ny[t] = h[t] A + g[t] B + c"
)
TWO_BACK = "h[t] = tanh(x[t] W + h[t-1] R + h[t-2] S + b)"
BEGINS_LATE = "h[t] = tanh((x[t] - x[t-1]) W + h[t-1] R + b)"
LEARNED_START = "h[t] = tanh(x[t] W + h[t-1] R + b)\nh[0] = s"
ZOO = ("rnn", "lstm", "lstm_peephole", "gru", "gru_after")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def float64(text: str, **sizes: Any) -> Layer:
    net = chalkgrad.layer(text, dtype=F64, **sizes)
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.6 * normal(*p.shape, seed=100 + k))
    return net


def flat(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [x for part in result for x in flat(part)]


def weighted(results: Sequence[Tensor]) -> Tensor:
    """A loss in which every element of every result counts differently."""
    return torch.stack([(r * normal(*r.shape, seed=70 + k)).sum() for k, r in enumerate(results)]).sum()


def gradients(results: Sequence[Tensor], leaves: Sequence[Tensor], **options: bool) -> tuple[Tensor, ...]:
    return torch.autograd.grad(weighted(results), leaves, materialize_grads=True, **options)


def close(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    assert len(found) == len(expected)
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11, msg=lambda m, k=k: f"{k}: {m}")


def starts(net: Layer, x: Tensor) -> Any:
    """Initial states that are not zero, of which the gradient is asked too."""
    _, form = net(x)
    return form._make(0.5 * normal(*s.shape, seed=50 + k).requires_grad_() for k, s in enumerate(form))


LOOPS: dict[str, Callable[[], Layer]] = {
    "lstm": lambda: float64("lstm", D=2, H=3),
    "both ways": lambda: float64(BOTH_WAYS, x=2, h=3, g=2, y=2),
    "two back": lambda: float64(TWO_BACK, x=2, h=3),
    "learned start": lambda: float64(LEARNED_START, x=2, h=3),
    "begins late": lambda: float64(BEGINS_LATE, x=2, h=3),
}
