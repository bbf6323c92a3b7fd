"""A module of ours and torch's own with the same weights, and all that either of them computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import chalkgrad

F64 = torch.float64
Outcome = list[Tensor]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def pair(kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Ours and torch's, the weights of ours taken over by torch's."""
    torch.manual_seed(1)
    options = {"dtype": F64, **options}
    ours, theirs = getattr(chalkgrad, kind)(*args, **options), getattr(nn, kind)(*args, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def flat(result: Any) -> Iterator[Tensor]:
    """Every tensor of a result, in order; of a packed sequence all four."""
    match result:
        case Tensor():
            yield result
        case None:
            return
        case _:
            for part in result:
                yield from flat(part)


def starts(net: Any, batch: int | None, seed: int = 50) -> Any:
    """Initial states that are not zero, of which gradients are asked too."""
    layers = net.num_layers * (2 if net.bidirectional else 1)
    middle = () if batch is None else (batch,)
    dtype = net.weight_ih_l0.dtype
    h = normal(layers, *middle, net.proj_size or net.hidden_size, seed=seed, dtype=dtype).requires_grad_()
    if net.mode != "LSTM":
        return h
    return h, normal(layers, *middle, net.hidden_size, seed=seed + 1, dtype=dtype).requires_grad_()


def computed(net: Any, call: Callable[[Any], Any], *given: Tensor, only: slice = slice(None)) -> Outcome:
    """What a call gives, and the gradients of a loss in which every element of it counts differently.

    ``only`` picks the results that the loss is of; what it does not depend on has a gradient of zero.
    """
    results = [r for r in flat(call(net)) if r.is_floating_point()]
    loss = sum((r * normal(*r.shape, seed=70 + k, dtype=r.dtype)).sum() for k, r in enumerate(results[only]))
    leaves = [*given, *net.parameters()]
    results = [r.detach() for r in results]
    return [*results, *torch.autograd.grad(loss, leaves, materialize_grads=True, allow_unused=True)]


def close(found: Outcome, expected: Outcome, within: float = 1e-10) -> None:
    assert len(found) == len(expected) > 0
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        torch.testing.assert_close(a, b, rtol=within, atol=within, msg=lambda m, k=k: f"{k}: {m}")


def packed(*tensors: Tensor) -> PackedSequence:
    """Sequences of any lengths in any order."""
    return nn.utils.rnn.pack_sequence(list(tensors), enforce_sorted=False)
