"""Where things lie: views in the tensors they are views of, and what a compiled function reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chalkgrad.kernels.c.loops import Bound


@dataclass(frozen=True, slots=True)
class Spot:
    """A view of one of several tensors: which, how many elements in it begins, and how it lies there."""

    of: int
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def side_by_side(self) -> bool:
        """Whether the elements along the last axis lie side by side."""
        return not self.shape or self.shape[-1] == 1 or self.strides[-1] == 1

    @property
    def long(self) -> list[tuple[int, int]]:
        """The axes of more than one element: how many, and how far apart."""
        return [(n, step) for n, step in zip(self.shape, self.strides, strict=True) if n > 1]

    def strides_of(self, shape: Sequence[int]) -> tuple[int, ...] | None:
        """How it lies with axes of one element left out or added; None where the others are not the same."""
        if [n for n in shape if n > 1] != [n for n, _ in self.long]:
            return None
        steps = iter(self.long)
        return tuple(next(steps)[1] if n > 1 else 1 for n in shape)

    def view(self, tensors: Sequence[Tensor]) -> Tensor:
        """The view itself."""
        return tensors[self.of].as_strided(self.shape, self.strides, self.first)


def spots_of(views: Mapping[str, Tensor], tensors: Sequence[Tensor]) -> dict[str, Spot]:
    """Where each view lies, of those that are of these tensors, each of which has memory of its own.

    >>> a, b = torch.zeros(2), torch.zeros(3, 4)
    >>> spots_of({"row": b[1], "else": torch.zeros(1)}, [a, b])
    {'row': Spot(of=1, first=4, shape=(4,), strides=(1,))}
    """
    places = {t.untyped_storage().data_ptr(): k for k, t in enumerate(tensors)}
    found: dict[str, Spot] = {}
    for name, x in views.items():
        k = places.get(x.untyped_storage().data_ptr())
        if k is not None:
            found[name] = Spot(k, int(x.storage_offset()), tuple(x.shape), x.stride())
    return found


def hollow(like: Tensor) -> Tensor:
    """A tensor that lies like another one, in memory of its own, and holds nothing."""
    made = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype)
    return made.requires_grad_(like.requires_grad)


def zeros_beside(views: Mapping[str, Tensor], held: Sequence[Tensor]) -> dict[str, Tensor] | None:
    """The views that are of none of the tensors ``held``, where they are zeros; None where one is not.

    What is neither is made of what the tensors hold, and another one at every call.
    """
    found = spots_of(views, held)
    rest = {n: x for n, x in views.items() if n not in found}
    return None if any(bool(x.any()) for x in rest.values()) else rest


def made_spots(bound: Bound) -> dict[str, Spot]:
    """Where what a compiled function makes lies in its tables."""
    at = {t.name: k for k, t in enumerate(bound.tables)}
    tables = {t.name: Spot(at[t.name], 0, t.shape, t.strides) for t in bound.tables}
    return tables | {p.name: Spot(at[p.of], p.first, p.shape, p.strides) for p in bound.parts}


@dataclass(frozen=True, slots=True)
class Ready:
    """A compiled function that knows of everything in which tensor it lies, and how many bytes in."""

    bound: Bound
    places: tuple[tuple[int, int], ...]
    strides: Any

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        at = [t.data_ptr() for t in tensors]
        self.bound.start([at[k] + first for k, first in self.places], self.strides)


def ready(bound: Bound, spots: Mapping[str, Spot]) -> Ready | None:
    """The function for what it is given and what it keeps at these spots; None where it cannot read it so."""
    if not all(spots[n].side_by_side for n in bound.given):
        return None
    rows = [spots[n] for n in (*bound.given, *(t.name for t in bound.tables))]
    places = tuple((spot.of, spot.first * bound.dtype.itemsize) for spot in rows)
    return Ready(bound, places, bound.lying({n: spots[n].strides for n in bound.given}))
