"""Sequences read by layers of any recurrence, in one direction of time or in both.

B batch   T time   W width   D directions, 1 or 2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from chalkgrad.language.resolve import read
from chalkgrad.nn.combine import Bidirectional
from chalkgrad.nn.layer import Layer, layer
from chalkgrad.tasks.errors import TaskError
from chalkgrad.zoo import source_of

Lengths = Sequence[int] | None


class Encoder(nn.Module):
    """What stands at each step, in the light of the steps before it: ``(B, T, W) → (B, T, D·W)``.

    ``both`` adds layers of the mirrored equations, which see the steps after it; the two directions meet at
    the top alone, as in Peters et al., "Deep contextualized word representations", NAACL 2018. ``dropout``
    is between layers. Raises :class:`TaskError` for a cell that is no recurrence of one input and output.

    >>> Encoder("gru", 6, layers=2, both=True)(torch.zeros(3, 5, 6), [5, 4, 1]).shape
    torch.Size([3, 5, 12])
    """

    def __init__(
        self, cell: str, width: int, *, layers: int = 1, both: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.onward = nn.ModuleList(recurrence(cell, width) for _ in range(layers))
        self.reverse = nn.ModuleList(
            Bidirectional(one).reverse for one in self.onward if both and isinstance(one, Layer)
        )

    @property
    def directions(self) -> int:
        return 2 if self.reverse else 1

    def forward(self, values: Tensor, lengths: Lengths = None) -> Tensor:
        """``lengths`` says how many steps of each sequence are its own; what comes after them is zero."""
        return torch.cat(self.each(values, lengths), -1)

    def each(self, values: Tensor, lengths: Lengths = None) -> list[Tensor]:
        """What :meth:`forward` lays side by side: (B, T, W) of each direction."""
        return [self._through(layers, values, lengths) for layers in (self.onward, self.reverse) if layers]

    def ends(self, values: Tensor, lengths: Lengths = None) -> Tensor:
        """What each direction knows at its own end, having seen the whole sequence: (B, D·W)."""
        onward, *reverse = self.each(values, lengths)
        if lengths is None:
            last = onward[:, -1]
        else:
            last = onward[torch.arange(len(onward)), torch.tensor(lengths) - 1]
        return torch.cat([last, *(way[:, 0] for way in reverse)], -1)

    def _through(self, layers: nn.ModuleList, values: Tensor, lengths: Lengths) -> Tensor:
        for k, one in enumerate(layers):
            below = dropped(values, self.dropout, self.training) if k else values
            values = one(below, lengths=lengths)[0]
        return values


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


__all__ = ["Encoder", "Lengths", "recurrence"]
