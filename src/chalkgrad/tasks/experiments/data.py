"""Sequences drawn at random whose answer needs what stood far back in them.

n sequences   T steps
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

BASELINE = 1 / 6
"""The mean squared error of the adding problem for the best constant answer, 1: the variance of the sum."""


def adding(n: int, steps: int, drawn: Generator) -> tuple[Tensor, Tensor]:
    """``(n, T, 2)`` and ``(n,)``: numbers from 0 to 1 with two of them marked, and the sum of the two.

    One mark is in the first half, one in the second. Hochreiter and Schmidhuber, "Long short-term memory",
    Neural Computation 9(8), 1997, experiment 4, with numbers from 0 to 1.

    >>> x, y = adding(3, 10, torch.Generator().manual_seed(0))
    >>> x[:, :, 1].sum(1).tolist()
    [2.0, 2.0, 2.0]
    """
    x = torch.stack([torch.rand(n, steps, generator=drawn), torch.zeros(n, steps)], 2)
    every = torch.arange(n)
    x[every, torch.randint(0, steps // 2, (n,), generator=drawn), 1] = 1
    x[every, torch.randint(steps // 2, steps, (n,), generator=drawn), 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(1, keepdim=True)


def temporal_order(n: int, steps: int, drawn: Generator) -> tuple[Tensor, Tensor]:
    """``(n, T, 6)`` one-hot and ``(n,)``: letters that mean nothing, among them twice A or B: in which order?

    The first stands after a tenth to a fifth of the steps, the second after four to five tenths; the classes
    are AA, AB, BA, BB. Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
    networks", ICML 2013, section 4.1.
    """
    letters = torch.randint(2, 6, (n, steps), generator=drawn)
    every = torch.arange(n)
    first, second = torch.randint(0, 2, (2, n), generator=drawn)
    letters[every, torch.randint(steps // 10, 2 * steps // 10 + 1, (n,), generator=drawn)] = first
    letters[every, torch.randint(4 * steps // 10, 5 * steps // 10 + 1, (n,), generator=drawn)] = second
    return one_hot(letters, 6).float(), 2 * first + second


def first_bit(n: int, steps: int, drawn: Generator) -> tuple[Tensor, Tensor]:
    """``(n, T, 2)`` and ``(n,)``: 1 or -1 at the first step, then noise: which was it?

    The second channel marks the first step. The noise is twice as loud as the bit, so that an untrained state
    keeps no trace of it by chance, from which the rest could be learned.
    """
    x = torch.stack([2 * torch.randn(n, steps, generator=drawn), torch.zeros(n, steps)], 2)
    bit = torch.randint(0, 2, (n,), generator=drawn)
    x[:, 0, 0] = 2.0 * bit - 1
    x[:, 0, 1] = 1
    return x, bit


def held_value(
    n: int, steps: int, drawn: Generator, *, write: int | None = None, read: int | None = None
) -> tuple[Tensor, Tensor]:
    """``(n, T, 3)`` and ``(n, T, 1)``: 1 or -1 at every step, flags to write and to read; what was written.

    It is written at one step of the first half and read at two steps of the second, one after the other,
    drawn for each sequence where they are not given. Elsewhere the answer is 0.
    """
    every = torch.arange(n)
    x = torch.zeros(n, steps, 3)
    x[:, :, 0] = 2.0 * torch.randint(0, 2, (n, steps), generator=drawn) - 1
    at = torch.randint(0, steps // 2, (n,), generator=drawn) if write is None else torch.full((n,), write)
    first = torch.randint(steps // 2, steps - 1, (n,), generator=drawn)
    first = first if read is None else torch.full((n,), read)
    x[every, at, 1] = 1
    x[every, first, 2] = x[every, first + 1, 2] = 1
    return x, x[every, at, 0][:, None, None] * x[:, :, 2:]


def bits(n: int, steps: int, drawn: Generator) -> tuple[Tensor, Tensor]:
    """``(n, T)`` and ``(n,)``: bits, and how many of a row are one."""
    x = torch.randint(0, 2, (n, steps), generator=drawn).float()
    return x, x.sum(1)


__all__ = ["BASELINE", "adding", "bits", "first_bit", "held_value", "temporal_order"]
