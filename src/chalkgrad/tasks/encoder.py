"""Sequences read by layers of any recurrence, in one direction of time or in both.

B batch   T time   W width   D directions, 1 or 2
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from chalkgrad.nn.combine import Bidirectional
from chalkgrad.nn.layer import Layer
from chalkgrad.tasks.language_model.bodies import recurrence

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
            Bidirectional(layer).reverse for layer in self.onward if both and isinstance(layer, Layer)
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
        for k, layer in enumerate(layers):
            below = dropped(values, self.dropout, self.training) if k else values
            values = layer(below, lengths=lengths)[0]
        return values


__all__ = ["Encoder", "Lengths"]
