"""What lies between embedding and readout: recurrent layers, Bengio's net, a Transformer, all of equations.

A body turns vectors into vectors, ``(B, T, H), states → (B, T, H), states``. States are what it carries on to
what follows, so that a text read in pieces is read as if in one; without states the text begins here.

B batch   T time   H hidden   S steps that were kept
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from chalkgrad.nn.layer import layer
from chalkgrad.tasks.encoder import recurrence
from chalkgrad.tasks.transformer import EncoderBlock, nearer

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


__all__ = ["Body", "FeedForward", "Recurrent", "States", "Transformer"]
