"""Tables of any length made small enough for a page: neighbours averaged, numbers packed into two bytes."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

TOP = 65_000
"""The code of the largest number of a table; 0 is that of the smallest."""
ZERO, BAD, END = 65_533, 65_534, 65_535
"""Codes of what has no logarithm: exactly zero, no number, and no step (the sequence has ended)."""


@dataclass(frozen=True)
class Sample:
    """Means (rows, columns) over ``tall`` × ``wide`` neighbours; NaN where there are none, by ``ended``."""

    means: Tensor
    ended: Tensor
    tall: int
    wide: int


def sampled(table: Tensor, rows: int, columns: int) -> Sample:
    """A table (training steps, T) in at most so many rows and columns, each the mean of neighbours.

    What a shorter sequence lacks, NaN at the end of a row, is in no mean; a number that is none makes its
    mean none.

    >>> sampled(torch.tensor([[1.0, 3.0, 5.0], [1.0, 3.0, float("nan")]]), 2, 2).means.tolist()
    [[2.0, 5.0], [2.0, nan]]
    """
    n, steps = table.shape
    tall, wide = ceil(n / rows), ceil(steps / columns)
    ended = table.isnan().flip(1).cumprod(1).flip(1).bool()
    edge = (0, -steps % wide, 0, -n % tall)
    there = torch.nn.functional.pad((~ended).double(), edge)
    values = torch.nn.functional.pad(table.double().masked_fill(ended, 0.0), edge)

    def totals(x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, wide)).unflatten(0, (-1, tall)).sum((1, 3))

    count = totals(there)
    return Sample(totals(values) / count, count == 0, tall, wide)


def span(samples: list[Sample]) -> tuple[float, float]:
    """The smallest and the largest logarithm, to base 10, of what is positive and finite; (0, 0) for none."""
    means = torch.cat([s.means.flatten() for s in samples])
    logs = means[means.isfinite() & (means > 0)].log10()
    return (float(logs.min()), float(logs.max())) if len(logs) else (0.0, 0.0)


def packed(sample: Sample, low: float, high: float) -> str:
    """Logarithms as codes of two bytes, the lower first, in base 64.

    >>> packed(sampled(torch.tensor([[0.01, 1.0, 0.0]]), 1, 3), -2.0, 0.0)
    'AADo/f3/'
    """
    scale = TOP / (high - low) if high > low else 0.0
    codes = ((sample.means.log10() - low) * scale).round()
    codes = torch.where(sample.means == 0, ZERO, codes)
    codes = torch.where(sample.means.isfinite(), codes, BAD)
    codes = torch.where(sample.ended, END, codes)
    return base64.b64encode(codes.to(torch.int32).numpy().astype("<u2").tobytes()).decode("ascii")


def shaded(values: Tensor, low: float, high: float) -> str:
    """Numbers from low to high as one byte each, in base 64; 255 is what is no number.

    >>> shaded(torch.tensor([0.0, 0.5, 1.0]), 0.0, 1.0)
    'AH/+'
    """
    share = ((values.double() - low) / ((high - low) or 1.0)).clamp(0, 1)
    codes = torch.where(share.isfinite(), (share * 254).round(), 255)
    return base64.b64encode(codes.to(torch.uint8).numpy().tobytes()).decode("ascii")


__all__ = ["Sample", "packed", "sampled", "shaded", "span"]
