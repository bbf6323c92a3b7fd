"""The pages of the notes as layers and as functions in double precision, with numbers to give them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tests.pages import Page
from torch import Tensor
from torch.func import functional_call

import chalkgrad
from chalkgrad.nn.layer import Layer

F64 = torch.float64
LONG = {"G1", "G2", "G3 before", "G3 after", "A1", "X2"}
Function = Callable[..., tuple[Tensor, ...]]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def float64(text: str, seed: int = 0, **options: object) -> Layer:
    """A layer whose every parameter, biases too, is some normal number."""
    net = chalkgrad.layer(text, dtype=F64, **options)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.6 * normal(*p.shape, seed=100 * seed + k))
    return net


def flat(result: object) -> tuple[Tensor, ...]:
    """The tensors of a result: outputs, then states."""
    if isinstance(result, Tensor):
        return (result,)
    assert isinstance(result, tuple)
    return tuple(x for part in result for x in flat(part))


def function(page: Page, examples: int) -> tuple[Function, list[Tensor]]:
    """A page's layer as a function of everything (inputs, initial states, parameters), and its values."""
    net = float64(page.text, **page.sizes)
    inputs = [normal(examples, *shape, seed=k) for k, shape in enumerate(page.inputs)]
    result = net(*inputs)
    states = result[1] if net.program.states else ()
    starts = [0.5 * normal(*s.shape, seed=50 + k) for k, s in enumerate(states)]
    names = [name for name, _ in net.named_parameters()]
    first, last = len(inputs), len(inputs) + len(starts)

    def call(*values: Tensor) -> tuple[Tensor, ...]:
        state = values[first:last] or None
        arguments = (*values[:first], *((state,) if state else ()))
        parameters = dict(zip(names, values[last:], strict=True))
        return flat(functional_call(net, parameters, arguments))

    values = [*inputs, *starts, *(p.detach().clone() for p in net.parameters())]
    return call, [v.requires_grad_() for v in values]


def weighted(results: tuple[Tensor, ...]) -> Tensor:
    """A loss in which every element of every result counts differently."""
    return torch.stack([(r * normal(*r.shape, seed=70 + k)).sum() for k, r in enumerate(results)]).sum()
