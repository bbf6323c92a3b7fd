"""What the backward passes of a layer told: squares of norms, from which means are made when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

Path = tuple[str, str]
"""A state and a path to it; "" is the whole."""

WAITING, NUMBERS = 32, 1 << 20
"""So many passes, and numbers, wait at most. A small layer's step takes as long as a few dozen calls of
torch, so that many small tensors are reduced in one; and a device is not waited for at every step."""


class Passes:
    """The backward passes of one layer, in order."""

    def __init__(self) -> None:
        self._rows: list[Mapping[Path, Tensor]] = []
        self._waiting: list[tuple[tuple[Path, ...], list[Tensor]]] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._rows) + len(self._waiting)

    def add(self, whole: Mapping[str, Tensor], paths: Mapping[str, Mapping[str, Tensor]]) -> None:
        """One more: squares of norms (batch, T), of every state and of every path to it."""
        names = [(state, "") for state in whole]
        squares = [*whole.values()]
        for state, of in paths.items():
            names += [(state, path) for path in of]
            squares += of.values()
        self._waiting.append((tuple(names), squares))
        self._numbers += len(squares) * squares[0].numel()
        if len(self._waiting) >= WAITING or self._numbers >= NUMBERS:
            self._reduce()

    @property
    def rows(self) -> Sequence[Mapping[Path, Tensor]]:
        """Of each pass, by state and path, the mean over the batch of each example's norm, (T,)."""
        self._reduce()
        return self._rows

    def tables(self) -> dict[Path, Tensor]:
        """By state and path, (passes, T). What a pass has not is NaN: steps at its end, or a path."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {name: _table([row.get(name) for row in self.rows]) for name in names}

    def _reduce(self) -> None:
        for (names, shapes), found in groupby(self._waiting, lambda p: (p[0], tuple(s.shape for s in p[1]))):
            of_passes = [squares for _, squares in found]
            rows: list[dict[Path, Tensor]] = [{} for _ in of_passes]
            for shape in dict.fromkeys(shapes):
                alike = [k for k, own in enumerate(shapes) if own == shape]
                together = torch.stack([squares[k] for squares in of_passes for k in alike])
                # Infinite is also what is NaN: that says where a sequence has ended.
                means = together.sqrt_().mean(1).cpu().nan_to_num(nan=float("inf"), posinf=float("inf"))
                for row, own in zip(rows, means.unflatten(0, (len(rows), len(alike))), strict=True):
                    row.update(zip((names[k] for k in alike), own, strict=True))
            self._rows += [{name: row[name] for name in names} for row in rows]
        self._waiting, self._numbers = [], 0


def _table(rows: Sequence[Tensor | None]) -> Tensor:
    """Rows of several lengths under each other, NaN where there is none."""
    there = [row for row in rows if row is not None]
    longest = [max(sizes) for sizes in zip(*(row.shape for row in there), strict=True)]
    table = there[0].new_full((len(rows), *longest), float("nan"))
    for k, row in enumerate(rows):
        if row is not None:
            table[(k, *map(slice, row.shape))] = row
    return table


__all__ = ["Passes", "Path"]
