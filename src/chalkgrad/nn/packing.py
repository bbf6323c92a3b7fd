"""Packed sequences in a graph. torch pads them by their numbers, and a graph is written down without any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


@dataclass(frozen=True)
class Packing:
    """Where the rows of a packed sequence lie in a padded one: found by index, with no number looked at.

    ``lengths`` are those of the sequences, the longest first; ``step`` and ``place`` say of each row which
    step of which sequence it is; ``rows`` (steps, sequences) says the reverse, any row for what is padding.
    """

    packed: PackedSequence
    lengths: Tensor
    step: Tensor
    place: Tensor
    rows: Tensor

    def padded(self) -> Tensor:
        """The data, (steps, sequences, features); what stands in the padding is some other step."""
        return self.packed.data[self.rows]

    def again(self, y: Tensor) -> PackedSequence:
        """What was computed of the padded one, packed in the same way."""
        _, sizes, order, back = self.packed
        return PackedSequence(y[self.step, self.place], sizes, order, back)


def packing(packed: PackedSequence, hx: Any) -> Packing:
    """How a sequence is packed; the graph ends where only the numbers say how many sequences there are."""
    data, sizes, order, _ = packed
    start = hx[0] if isinstance(hx, tuple | list) else hx
    if order is not None:
        batch = order.shape[0]
    elif isinstance(start, Tensor):
        batch = start.shape[1]
    else:
        torch._dynamo.graph_break(  # with words that stand here: Dynamo shows no others
            "a graph is written down without numbers, and how many sequences enforce_sorted=True has packed "
            "is one. Pack with enforce_sorted=False, give the initial states, or give padded sequences: "
            "layer(x, lengths=[5, 3])"
        )
        batch = int(sizes[0])
    sizes = sizes.to(data.device)
    ends = sizes.cumsum(0)
    row, column = (torch.arange(n, device=data.device) for n in (data.shape[0], batch))
    step = torch.searchsorted(ends, row, right=True)
    begin = ends - sizes
    rows = (begin[:, None] + column).clamp(max=data.shape[0] - 1)
    lengths = (sizes[:, None] > column).sum(0)
    return Packing(packed, lengths, step, row - begin[step], rows)
