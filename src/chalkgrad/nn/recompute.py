"""A long sequence in chunks: their insides are computed again for the gradient, and not kept.

Of T steps in √T chunks of √T steps the states between the chunks are kept, and while the gradient goes
through a chunk, the tables of that one: the memory of 2√T steps, for a second forward pass (Gruslys et al.,
"Memory-efficient backpropagation through time", NIPS 2016, after Griewank 1992).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from chalkgrad.nn.layer import Layer
from chalkgrad.nn.streaming import places_of_steps, streaming


def recompute(
    layer: Layer,
    *inputs: Any,
    state: Any = None,
    every: int | None = None,
    truncate: int | None = None,
    **named: Tensor,
) -> Any:
    """``layer(x)`` for sequences too long to keep: ``(output, state)`` with the same numbers and gradients.

    ``every`` is how many steps a chunk has, √T where it is left out, and with ``truncate=k`` a multiple of k.
    What is kept beside the inputs and outputs grows with √T. (A call's lengths and resets are not for it:
    both would need the first state in every chunk.)

    Raises EquationError for equations that need more than the past, or for a chunk that is none.

    >>> from chalkgrad import layer
    >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=3, h=4)
    >>> x = torch.randn(2, 1000, 3)
    >>> torch.allclose(recompute(net, x)[0], net(x)[0], atol=1e-6)
    True
    """
    numbers = layer._numbers
    how = streaming(layer._resolved, numbers, layer._states.fields)
    if how.back:
        early = next(iter(how.positions))
        problem = f"`{early}` is read at earlier steps, which lie in another chunk"
        raise numbers.fail(problem, early, help="call layer(x)")
    for what, k in (("every", every), ("truncate", truncate)):
        if k is not None and (not isinstance(k, int) or isinstance(k, bool) or k < 1):
            raise numbers.fail(f"{what} is {k!r}", help=f"{what} is a number of steps, at least 1")
    tensors, state = layer._arguments.bound(inputs, state, named)
    batch = int(layer._arguments.batched(tensors, next(layer.parameters(), None)))
    layer._arguments.solve(tensors if batch else {n: x[None] for n, x in tensors.items()})  # or refuse
    if not how.positions:
        return layer(**tensors, state=state, truncate=truncate)
    steps = next(tensors[n].shape[batch + k] for n, k in how.positions.items())
    size = every or math.isqrt(max(1, steps - 1)) + 1
    size = size if truncate is None else -(-size // truncate) * truncate

    def chunk(state: Any, *tensors: Tensor) -> Any:
        return layer(**dict(zip(names, tensors, strict=True)), state=state, truncate=truncate)

    # All split at once: the gradient of one part by itself would be as large as the whole sequence.
    names, many = tuple(tensors), -(-max(1, steps) // size)
    parts = [
        x.split(size, batch + how.positions[n]) if n in how.positions else (x,) * many
        for n, x in tensors.items()
    ]
    outputs: list[Any] = []
    for k, given in enumerate(zip(*parts, strict=True)):
        if k and truncate is not None:  # a chunk ends where the gradient is cut
            state = state._make(s.detach() for s in state)
        if torch.is_grad_enabled():
            output, state = checkpoint(chunk, state, *given, use_reentrant=False, preserve_rng_state=False)
        else:
            output, state = chunk(state, *given)
        outputs.append(output)
    places = places_of_steps(layer.program)
    if isinstance(outputs[0], Tensor):
        return _joined(outputs, places[0], batch), state
    joined = (_joined(xs, k, batch) for xs, k in zip(zip(*outputs, strict=True), places, strict=True))
    return outputs[0]._make(joined), state


def _joined(parts: Sequence[Tensor], place: int | None, batch: int) -> Tensor:
    """The chunks of one output after each other; one without steps is that of the last."""
    return parts[-1] if place is None else torch.cat([*parts], batch + place)


__all__ = ["recompute"]
