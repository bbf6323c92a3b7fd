"""A character language model: embedding → layers of any recurrent cell → readout.

B batch   T time   H hidden   V size of the vocabulary
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import chalkgrad

# One entry per layer: what that layer's cell carries on, each (B, H).
States = tuple[tuple[Tensor, ...], ...]


class LanguageModel(nn.Module):
    """Predicts each next character: ``ids (B, T) → logits (B, T, V)``.

    ``cell`` is a standard layer's name or equations; it must be a recurrence with one input per time step
    and one output, all vectors. Raises :class:`LanguageModelError` where it is not, and
    :class:`chalkgrad.EquationError` where the equations themselves cannot be read.
    """

    def __init__(self, cell: str, characters: int, *, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, hidden)
        self.layers = nn.ModuleList(recurrence(cell, hidden) for _ in range(layers))
        self.readout = nn.Linear(hidden, characters)

    @property
    def equations(self) -> str:
        return self.layers[0].equations

    def forward(self, ids: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """``states`` are what an earlier call returned; without them the text starts here."""
        values = self.embedding(ids)
        carried: list[tuple[Tensor, ...]] = []
        for layer, state in zip(self.layers, states or (None,) * len(self.layers), strict=True):
            values, after = layer(values) if state is None else layer(values, state)
            carried.append(tuple(after))
        return self.readout(values), tuple(carried)


def recurrence(cell: str, width: int) -> nn.Module:
    """The cell as a layer, ``(B, T, width) → (B, T, width)``."""
    return chalkgrad.layer(cell, x=width, h=width)


class Loss(NamedTuple):
    """Nats, summed over the characters that were predicted, and how many those are."""

    nats: float
    characters: int

    @property
    def mean(self) -> float:
        return self.nats / self.characters


def nats(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of -log p(target): logits (B, T, V), targets (B, T)."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten())


def detach(states: States) -> States:
    """The same values, with no way back for a gradient: where truncated back-propagation stops."""
    return tuple(tuple(value.detach() for value in state) for state in states)


@torch.no_grad()
def evaluate(model: nn.Module, chunks: Iterable[tuple[Tensor, Tensor]]) -> Loss:
    """The loss over chunks that follow one another, the state carried from each to the next."""
    states: States | None = None
    total, characters = 0.0, 0
    for ids, targets in chunks:
        logits, states = model(ids, states)
        total += nats(logits, targets).item() * targets.numel()
        characters += targets.numel()
    return Loss(total, characters)
