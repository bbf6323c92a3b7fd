"""A character language model: embedding → layers of any recurrent cell → readout.

B batch   T time   H hidden   V size of the vocabulary
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chalkgrad.language.resolve import read
from chalkgrad.nn.layer import Layer, layer
from chalkgrad.tasks.errors import TaskError
from chalkgrad.zoo import source_of

# One entry per layer: what that layer's cell carries on, each (B, H).
States = tuple[tuple[Tensor, ...], ...]


class LanguageModel(nn.Module):
    """Predicts each next character: ``ids (B, T) → logits (B, T, V)``.

    ``cell`` is a standard layer's name or equations; it must be a recurrence with one input per time step
    and one output, all vectors. Raises :class:`TaskError` where it is not, and
    :class:`chalkgrad.EquationError` where the equations themselves cannot be read.
    """

    def __init__(self, cell: str, characters: int, *, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, hidden)
        self.layers = nn.ModuleList(recurrence(cell, hidden) for _ in range(layers))
        self.readout = nn.Linear(hidden, characters)
        self.equations = source_of(cell)

    def forward(self, ids: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """``states`` are what an earlier call returned; without them the text starts here."""
        values = self.embedding(ids)
        carried: list[tuple[Tensor, ...]] = []
        for cell, state in zip(self.layers, states or (None,) * len(self.layers), strict=True):
            values, after = cell(values) if state is None else cell(values, state)
            carried.append(tuple(after))
        return self.readout(values), tuple(carried)


def recurrence(cell: str, width: int) -> Layer:
    """The cell as a layer, ``(B, T, width) → (B, T, width)``: everything in it is of one width.

    Raises :class:`TaskError` where the cell is no such thing, or looks at characters to come.
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
        raise TaskError("this cell sees characters that it is to predict: it reads ahead in time")


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
