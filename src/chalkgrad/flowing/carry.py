"""How a state hands its gradient on from step to step: how much of it, how far, and what stops it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from chalkgrad.flowing.record import Record

FAINT = 0.01
"""Under this share of what it was, a gradient counts as gone."""


def reach(record: Record) -> tuple[float, int] | None:
    """What of a gradient at the last step is left at the first, and how many steps that is back.

    By the state of each recurrence that keeps most, of the recurrence that keeps least. None where there is
    one step.
    """
    best = (max(states, key=lambda c: c.kept) for states in recurrences(record))
    least = min(best, key=lambda c: c.kept)
    return (least.kept, least.steps - 1) if least.steps > 1 else None


def carried(record: Record) -> dict[str, Carry]:
    """How each state hands its gradient on. Raises ValueError for a record that has seen nothing, and for
    states along several indices.
    """
    if not len(record):
        raise ValueError("no backward pass was seen: call backward() inside `with chalkgrad.flow(…)`")
    paths = record.paths
    for state, table in record.norm.items():
        if table.dim() != 2:
            raise ValueError(
                f"{state} recurs along {table.dim() - 1} indices, so that there is no one time: "
                "see record.norm and record.paths, which have an axis for each"
            )
    return {state: Carry(state, table, paths.get(state, {})) for state, table in record.norm.items()}


def recurrences(record: Record) -> list[list[Carry]]:
    """The states of each recurrence together: those of one layer that look the same way.

    Raises ValueError as :func:`carried` does.
    """
    found: dict[tuple[str, bool], list[Carry]] = {}
    for c in carried(record).values():
        found.setdefault((c.layer, c.backward), []).append(c)
    return [*found.values()]


class Carry:
    """How a state hands its gradient on, by the last quarter of what was seen of it.

    ``norms`` is (training steps, T), ``paths`` the same by what it came through.
    """

    def __init__(self, name: str, norms: Tensor, paths: Mapping[str, Tensor]) -> None:
        self.name = name
        self.layer = name.rpartition(".")[0]
        self.norms = norms[-max(1, len(norms) // 4) :]
        self.all = norms
        later = [p[-len(self.norms) :] for path, p in paths.items() if re.search(r"[+-]\d", path)]
        # A path that a pass did not have is NaN, and adds nothing.
        self.later = torch.stack(later).square().nansum(0).sqrt() if later else torch.zeros_like(self.norms)
        self.backward = not any(re.search(r"-\d", path) for path in paths)

    @property
    def steps(self) -> int:
        """How long the longest sequence is."""
        return self.norms.shape[1]

    @property
    def way(self) -> str:
        """Where its gradient goes: ``back`` in time, or ``on`` where the state looks ahead."""
        return "back" if self.backward else "on"

    @property
    def gain(self) -> float:
        """How much of the norm a step hands on to the next on the way, the geometric mean; 0 if nothing."""
        whole, later = (self.norms, self.later) if self.backward else (self.norms.flip(1), self.later.flip(1))
        ratio = later[:, :-1] / whole[:, 1:]
        ratio = ratio[ratio.isfinite() & (ratio > 0)]
        return float(ratio.log().mean().exp()) if len(ratio) else 0.0

    @property
    def kept(self) -> float:
        """What is left of the norm after the whole sequence, by the gain."""
        if not self.gain:
            return 0.0
        return math.exp(min(700.0, (self.steps - 1) * math.log(self.gain)))

    @property
    def reach(self) -> int | None:
        """After how many steps a hundredth is left, by the gain; None where that never happens."""
        if not 0 < self.gain < 1:
            return None
        return math.ceil(math.log(FAINT) / math.log(self.gain))

    def not_finite(self) -> tuple[int, int] | None:
        """The training step and the time at which a norm was first infinite or NaN."""
        ends = self.all.isnan().flip(1).cumprod(1).flip(1).bool()  # what a shorter sequence lacks
        bad = (~self.all.isfinite() & ~ends).nonzero()
        if not len(bad):
            return None
        row = int(bad[0, 0])
        times = bad[bad[:, 0] == row][:, 1]
        return row, int(times.max() if self.backward else times.min())

    def window(self) -> int | None:
        """Within how many steps gradient stays where something cuts it, a few times or once; else None."""
        later, whole = self.later.nan_to_num().amax(0), self.norms.nan_to_num().amax(0)
        later = later[:-1] if self.backward else later[1:].flip(0)
        runs = "".join("x" if x else "." for x in later.tolist()).split(".")
        run = max(map(len, runs))
        if len(runs) == 1 or not run:
            return None
        first = int((later != 0).nonzero()[0])  # what only becomes too small for its numbers is not cut
        return run + 1 if later[first] > 1e-12 * whole.max() else None


__all__ = ["FAINT", "Carry", "carried", "reach", "recurrences"]
