"""Reads as strided views: the part of a tensor that an affine index looks at, one dimension per axis.

``x[2i+3p]`` becomes a view with a dimension for i and one for p; nothing is copied unless the read leaves the
tensor (under a guard: padded with zeros), runs backwards (flipped), or is rational (zeros between the
elements). Every step is a differentiable torch function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import pad

from chalkgrad.equations.ir import Index

Interval = tuple[int, int]
"""The lowest value and the number of values."""

Box = Mapping[str, Interval]
"""An interval per axis."""

View = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Affine:
    """An index with its sizes put in: ``(Σ k·axis + shift) / divisor``."""

    terms: tuple[tuple[str, int], ...]
    shift: int
    divisor: int = 1

    @staticmethod
    def of(index: Index, numbers: Mapping[str, int]) -> Affine:
        return Affine(index.terms, index.shift.value(numbers), index.divisor)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(a for a, _ in self.terms)

    def bounds(self, box: Box) -> Interval:
        """The lowest and the highest numerator over the box (whose intervals are not empty)."""
        low = high = self.shift
        for axis, k in self.terms:
            first, last = box[axis][0] * k, (box[axis][0] + box[axis][1] - 1) * k
            low, high = low + min(first, last), high + max(first, last)
        return low, high


def leaves(interval: Interval, at: Affine, box: Box) -> bool:
    """Whether the read leaves the interval somewhere in the box."""
    if any(box[a][1] == 0 for a in at.axes):
        return False
    low, high = at.bounds(box)
    first, size = interval
    return low < first * at.divisor or high > (first + size - 1) * at.divisor


def view(intervals: Sequence[Interval], at: Sequence[Affine], box: Box) -> tuple[list[View], tuple[str, ...]]:
    """The steps from a tensor over ``intervals`` to its view at the indices ``at``, and the view's labels.

    >>> steps, labels = view([(0, 5)], [Affine((("i", 1), ("p", 1)), 0)], {"i": (0, 3), "p": (0, 3)})
    >>> x = torch.arange(5)
    >>> for step in steps:
    ...     x = step(x)
    >>> x.tolist(), labels
    ([[0, 1, 2], [1, 2, 3], [2, 3, 4]], ('i', 'p'))
    """
    steps: list[View] = []
    labels: list[str] = []
    if any(box[a][1] == 0 for i in at for a in i.axes):
        labels = list(dict.fromkeys(a for i in at for a in i.axes))
        shape = tuple(box[a][1] for a in labels)
        # An empty box reads nothing, whatever the index says.
        return [lambda x: x.new_zeros(shape)], tuple(labels)
    for dim in reversed(range(len(at))):  # from the last, so that the dimensions before it keep their places
        steps += _one(intervals[dim], at[dim], dim, box)
        labels[:0] = at[dim].axes
    while len(set(labels)) < len(labels):
        first = next(k for k, a in enumerate(labels) if a in labels[k + 1 :])
        second = labels.index(labels[first], first + 1)
        steps.append(lambda x, i=first, j=second: torch.diagonal(x, dim1=i, dim2=j))
        labels = [a for k, a in enumerate(labels) if k not in (first, second)] + [labels[first]]
    return steps, tuple(labels)


def _one(interval: Interval, at: Affine, dim: int, box: Box) -> list[View]:
    """The steps for one dimension, which becomes as many as its index has axes."""
    steps: list[View] = []
    first, size = interval
    if at.divisor > 1:
        steps.append(lambda x: _spread(x, dim, at.divisor))
        first, size = first * at.divisor, max(0, (size - 1) * at.divisor + 1)
    low, high = at.bounds(box)
    before, after = max(0, first - low), max(0, high - (first + size - 1))
    if before or after:
        steps.append(lambda x: pad(x, [0, 0] * (x.ndim - 1 - dim) + [before, after]))
    start, length = low - first + before, high - low + 1
    if not at.terms:
        steps.append(lambda x: x.select(dim, start))
        return steps
    if (start, length) != (0, before + size + after):
        steps.append(lambda x, n=length: x.narrow(dim, start, n))
    place = dim
    *windows, (last, step) = at.terms
    for axis, k in windows:
        length -= abs(k) * (box[axis][1] - 1)
        steps.append(_windows(place, length, abs(k)))
        place += 1
    if abs(step) > 1 and box[last][1] > 1:
        every = (slice(None),) * place + (slice(None, None, abs(step)),)
        steps.append(lambda x: x[every])
    backwards = [dim + n for n, (_, k) in enumerate(at.terms) if k < 0]
    if backwards:
        steps.append(lambda x: x.flip(backwards))
    return steps


def _windows(dim: int, length: int, step: int) -> View:
    return lambda x: x.unfold(dim, length, step).movedim(-1, dim + 1)


def _spread(x: Tensor, dim: int, by: int) -> Tensor:
    """``by - 1`` zeros between neighbours along ``dim``."""
    if x.shape[dim] == 0:
        return x
    wide = pad(x.unsqueeze(dim + 1), [0, 0] * (x.ndim - 1 - dim) + [0, by - 1])
    return wide.flatten(dim, dim + 1).narrow(dim, 0, (x.shape[dim] - 1) * by + 1)


Layout = tuple[tuple[int, ...], ...]
"""For each dimension that a library has, the tensor's own dimensions that it is made of."""


def laid(layout: Layout, shape: Sequence[int]) -> View:
    """How a tensor of this shape comes to have the library's dimensions."""
    order = [k for group in layout for k in group]
    sizes = [prod(shape[k] for k in group) for group in layout]
    moved, grouped = order != sorted(order), any(len(group) != 1 for group in layout)
    if not grouped:
        return (lambda x: x.permute(order)) if moved else lambda x: x
    return lambda x: x.permute(order).reshape(sizes)


def unlaid(layout: Layout, shape: Sequence[int]) -> View:
    """How a tensor with the library's dimensions comes to have its own.

    >>> x = torch.arange(24).reshape(2, 3, 4)
    >>> layout = ((2,), (0, 1))
    >>> torch.equal(unlaid(layout, x.shape)(laid(layout, x.shape)(x)), x)
    True
    """
    order = [k for group in layout for k in group]
    sizes, back = [shape[k] for k in order], [order.index(k) for k in range(len(order))]
    moved, grouped = order != sorted(order), any(len(group) != 1 for group in layout)
    if not grouped:
        return (lambda x: x.permute(back)) if moved else lambda x: x
    return lambda x: x.reshape(sizes).permute(back)


def slowest_first(x: Tensor, dims: Sequence[int]) -> tuple[int, ...]:
    """Which of these dimensions lie how far apart in memory: their places among them, the farthest first.

    >>> slowest_first(torch.zeros(3, 2, 5).transpose(0, 1), (0, 1))
    (1, 0)
    """
    return tuple(sorted(range(len(dims)), key=lambda k: x.stride(dims[k]), reverse=True))


def arranged(labels: Sequence[str], wanted: Sequence[str]) -> View | None:
    """How a tensor with ``labels`` is laid to broadcast against ``wanted``; None where it does as it is."""
    present = [a for a in wanted if a in labels]
    lead = next((k for k, a in enumerate(wanted) if a in labels), len(wanted))
    gaps = [k - lead for k, a in enumerate(wanted) if k > lead and a not in labels]
    order = [labels.index(a) for a in present]
    moved = order != sorted(order)
    if not moved and not gaps:
        return None
    if order == [1, 0] and not gaps:
        return Tensor.t
    if not moved and len(gaps) == 1:
        return lambda x: x.unsqueeze(gaps[0])

    def lay(x: Tensor) -> Tensor:
        x = x.permute(order) if moved else x
        for k in gaps:
            x = x.unsqueeze(k)
        return x

    return lay
