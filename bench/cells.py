"""What stands beside what: a layer of ours and a peer that computes the same from the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chalkgrad.nn.layer import Layer

Size = tuple[int, int, int]

GRID: tuple[Size, ...] = (
    (100, 1, 64), (100, 1, 256), (100, 8, 128), (100, 32, 128),
    (100, 32, 256), (50, 64, 512), (50, 64, 1024), (100, 128, 128),
)  # fmt: skip
"""(T, B, D = H)."""

QUICK: tuple[Size, ...] = ((100, 1, 64), (100, 8, 128), (100, 32, 256))


@dataclass(frozen=True)
class Side:
    """One of the two: each call computes everything anew.

    ``forward`` gives the output, ``training`` all gradients of its sum, the input's first.
    """

    forward: Callable[[], Any]
    training: Callable[[], Any]


@dataclass(frozen=True)
class Cell:
    """One place of the table. ``settle`` is for peers with threads of their own: see :func:`measure.pair`."""

    peer: str
    size: Size
    ours: Side
    theirs: Side
    settle: float = 0.0


def side(module: Callable[[Tensor], Any], parameters: Sequence[Tensor], x: Tensor) -> Side:
    """A torch module as a side."""
    given = [x.detach().requires_grad_(), *parameters]

    def output(x: Tensor) -> Tensor:
        result = module(x)
        return result if isinstance(result, Tensor) else result[0]

    def forward() -> Tensor:
        with torch.no_grad():
            return output(x)

    return Side(forward, lambda: torch.autograd.grad(output(given[0]).sum(), given))


def spread(net: Layer) -> Layer:
    """The layer with every parameter drawn at random, so that no term of its equations is zero."""
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(std=p.shape[-1] ** -0.5)
    return net


def distance(a: Any, b: Any) -> float:
    """The largest difference of two arrays, in parts of the largest value."""
    x, y = (np.asarray(v.detach() if isinstance(v, Tensor) else v, dtype=np.float64) for v in (a, b))
    return float(np.abs(x - y).max() / np.abs(y).max())


def agree(cell: Cell, within: float = 1e-3) -> Cell:
    """The cell, once both sides have given the same output and the same gradient of the input.

    Raises AssertionError where they do not: what computes something else is not a peer.
    """
    output = distance(cell.ours.forward(), cell.theirs.forward())
    gradient = distance(cell.ours.training()[0], cell.theirs.training()[0])
    if not max(output, gradient) < within:
        raise AssertionError(
            f"{cell.peer} at {cell.size} computes something else: {output:.0e}, {gradient:.0e}"
        )
    return cell
