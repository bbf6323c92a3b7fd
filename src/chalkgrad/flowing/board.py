"""A record in TensorBoard, by whatever has its writer's methods; tensorboard itself is not needed."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from chalkgrad.flowing.sampled import sampled
from chalkgrad.flowing.seen import Seen

PIXELS = 600
"""How many rows and columns an image has at most."""
DECADES = 10


class Writer(Protocol):
    """What of torch.utils.tensorboard.SummaryWriter is used."""

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int) -> Any: ...

    def add_image(self, tag: str, img_tensor: Any, global_step: int) -> Any: ...


def write(record: Seen, writer: Writer) -> None:
    """For every state the norm at its first and its last step, what was noted, and an image of all norms."""
    steps = record.steps
    for state, table in record.norm.items():
        for k, row in zip(steps, table, strict=False):
            there = row[~row.isnan()]
            if len(there):
                writer.add_scalar(f"flow/{state}/first step", float(there[0]), k)
                writer.add_scalar(f"flow/{state}/last step", float(there[-1]), k)
        writer.add_image(f"flow/{state}/log norm", image(table), steps[len(table) - 1])
    for name, values in {**record.scalars, **{f"moved/{n}": u for n, u in record.updates.items()}}.items():
        numbers = steps if len(values) == len(steps) else range(1, len(values) + 1)
        for k, value in zip(numbers, values.tolist(), strict=True):
            writer.add_scalar(f"flow/{name}", value, k)


def image(table: Tensor) -> Tensor:
    """The logarithms of norms (training steps, T) as shades from 0 to 1, (1, rows, columns).

    White is the largest, black ten decades under it; also what is zero, past the end of a sequence, or
    infinite, is black.

    >>> image(torch.tensor([[1e-5, 1.0]])).tolist()
    [[[0.5, 1.0]]]
    """
    means = sampled(table, PIXELS, PIXELS).means
    logs = torch.where(means.isfinite() & (means > 0), means, torch.zeros(())).log10()
    high = logs.max()
    return (1 + (logs - high) / DECADES).clamp(0, 1).nan_to_num(0.0).float()[None]


__all__ = ["Writer", "image", "write"]
