"""What lies between embedding and readout: recurrent layers, Bengio's net, a Transformer, all of equations.

A body turns vectors into vectors, ``(B, T, H), states → (B, T, H), states``. States are what it carries on to
what follows, so that a text read in pieces is read as if in one; without states the text begins here.

B batch   T time   H hidden   S steps that were kept
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.language.resolve import read
from chalkgrad.nn.layer import Layer, layer
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.transformer import EncoderBlock, nearer
from chalkgrad.zoo import source_of

# One entry per layer: what that layer carries on, each (B, …).
States = tuple[tuple[Tensor, ...], ...]


class Body(nn.Module, ABC):
    """``values (B, T, H), states → values (B, T, H), states``."""

    @abstractmethod
    def forward(self, values: Tensor, states: States | None = None) -> tuple[Tensor, States]: ...


class Recurrent(Body):
    """Layers of any recurrent cell; dropout on what goes from each to the next (Zaremba, Sutskever and
    Vinyals, "Recurrent neural network regularization", arXiv 1409.2329, 2014).
    """

    def __init__(self, cell: str, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(recurrence(cell, hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        carried: list[tuple[Tensor, ...]] = []
        for number, cell in enumerate(self.layers):
            values = self.dropout(values) if number else values
            values, after = cell(values, states[number]) if states else cell(values)
            carried.append(tuple(after))
        return values, tuple(carried)


class FeedForward(Body):
    """Bengio's net (2003): the first layer sees so many steps (``window``), those on top of it one each."""

    def __init__(self, width: int, hidden: int, window: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            layer("neural_ngram", K=1 if n else window, E=hidden if n else width, H=hidden)
            for n in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.kept = window - 1

    def forward(self, values: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        batch, _, width = values.shape
        before = states[0][0] if states else values.new_zeros(batch, self.kept, width)
        seen = values = torch.cat([before, values], 1)
        for number, one in enumerate(self.layers):
            values = one(self.dropout(values) if number else values)
        return values, ((seen[:, seen.shape[1] - self.kept :],),)


class Transformer(Body):
    """A decoder-only Transformer whose places see ``window`` places, themselves and those before.

    It carries on what its blocks were given at the last places, through which no gradient goes back once it
    is detached (Dai et al., "Transformer-XL", ACL 2019).
    """

    def __init__(self, hidden: int, heads: int, window: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(EncoderBlock(hidden, heads, dropout) for _ in range(layers))
        self.norm = layer("layer_norm", D=hidden)
        self.heads, self.kept = heads, window - 1

    def forward(self, values: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        batch, places, _ = values.shape
        kept = states[0][0].shape[1] if states else 0
        bias = nearer(places, kept + places, self.heads, self.kept).to(values)
        bias = bias.expand(batch, *bias.shape)
        carried: list[tuple[Tensor, ...]] = []
        for number, block in enumerate(self.blocks):
            before = states[number][0] if states else None
            seen = values if before is None else torch.cat([before, values], 1)
            carried.append((seen[:, max(0, seen.shape[1] - self.kept) :],))
            values = block(values, bias, before)
        return self.norm(values), tuple(carried)


def recurrence(cell: str, width: int) -> Layer:
    """The cell as a layer, ``(B, T, width) → (B, T, width)``: everything in it is of one width.

    Raises :class:`TaskError` where the cell is no such thing, or looks at tokens to come.
    """
    source = source_of(cell)
    program = read(source).program
    inputs, outputs = [name.name for name in program.given("input")], program.outputs
    if not program.states:
        raise TaskError("this cell is no recurrence: nothing in it is carried from step to step")
    if len(inputs) != 1 or len(outputs) != 1:
        raise TaskError(
            f"a language model's cell has one input and one output, and this one has "
            f"inputs {', '.join(inputs) or 'none'} and outputs {', '.join(outputs)}"
        )
    ranges = (r for name in program.given("parameter") for r in name.ranges)
    sizes: dict[str, Any] = dict.fromkeys((symbol for r in ranges for symbol in r.size.symbols), width)
    made = layer(source, **sizes)
    causal(made, width)
    return made


@torch.no_grad()
def causal(made: Layer, width: int) -> None:
    """Raise :class:`TaskError` unless step t of the output depends on inputs up to step t alone.

    It is tried rather than read off the equations: what comes later is changed, what came before must stay.
    """
    steps, known = 5, 3
    values = torch.linspace(-1, 1, steps * width).view(1, steps, width)
    changed = torch.cat([values[:, :known], -values[:, known:] - 1], 1)
    before, after = made(values)[0], made(changed)[0]
    if before.shape != values.shape:
        raise TaskError(
            f"a language model's cell has an output of {width} numbers for each step of its input: from "
            f"{tuple(values.shape)} this one makes {tuple(before.shape)}"
        )
    if not torch.equal(before[:, :known], after[:, :known]):
        raise TaskError("this cell sees tokens that it is to predict: it reads ahead in time")


__all__ = ["Body", "FeedForward", "Recurrent", "States", "Transformer", "recurrence"]
