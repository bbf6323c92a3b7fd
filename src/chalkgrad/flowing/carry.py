"""How a state hands its gradient on from step to step: how much of it, how far, and what stops it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chalkgrad.flowing.seen import Seen

FAINT = 0.01
"""Under this share of what it was, a gradient counts as gone."""


def reach(record: Seen) -> tuple[float, int] | None:
    """What of a gradient at the last step is left at the first, and how many steps that is back.

    By the state of each recurrence that keeps most, of the recurrence that keeps least. None where there is
    one step.
    """
    best = (max(states, key=lambda c: c.kept) for states in recurrences(record))
    least = min(best, key=lambda c: c.kept)
    return (least.kept, least.steps - 1) if least.steps > 1 else None


def carried(record: Seen) -> dict[str, Carry]:
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
    return {
        state: Carry.of(state, table, paths.get(state, {}), [*paths]) for state, table in record.norm.items()
    }


def recurrences(record: Seen) -> list[list[Carry]]:
    """The states of each recurrence together: those of one layer and length that look the same way.

    Raises ValueError as :func:`carried` does.
    """
    found: dict[tuple[str, bool, int], list[Carry]] = {}
    for c in carried(record).values():
        found.setdefault((c.layer, c.backward, c.steps), []).append(c)
    return [*found.values()]


@dataclass(frozen=True)
class Carry:
    """How a state hands its gradient on, by the last quarter of what was seen of it.

    ``all`` is its norm, (training steps, T); ``own`` the same without what another state gives to it at the
    same step; ``later``, of the last quarter, what came from another step; ``backward`` whether that is a
    later one.
    """

    name: str
    layer: str
    all: Tensor
    own: Tensor
    later: Tensor
    backward: bool

    @classmethod
    def of(cls, name: str, norms: Tensor, paths: Mapping[str, Tensor], states: Collection[str] = ()) -> Carry:
        """That of a state with these norms, as a whole and by path, among these states.

        Paths may cancel, so that what came from another step is no sum of theirs: it is the whole where
        nothing else came, and elsewhere as near to the root of the sum of squares as the whole allows.
        """
        # A path that a pass did not have is NaN, and adds nothing.
        whole, *tables = (x.nan_to_num(posinf=math.inf) for x in (norms, *paths.values()))
        far, beside, here = _zeros(whole), _zeros(whole), _zeros(whole)
        layer = name.rpartition(".")[0]
        prefix = f"{layer}." if layer else ""
        for path, table in zip(paths, tables, strict=True):
            if re.search(r"[+-]\d", path):
                far.append(table)
            elif prefix + path.partition("[")[0] in states:
                beside.append(table)
            else:
                here.append(table)
        later = _part(whole, far, beside + here)
        own = _part(whole, far + here, beside)
        backward = not any(re.search(r"-\d", path) for path in paths)
        return cls(name, layer, norms, own, later[-_late(norms) :], backward)

    @classmethod
    def together(cls, states: Sequence[Carry]) -> Carry:
        """That of all states of a recurrence as one vector, whose norm says whether anything grows.

        One state can grow by what another gives it while that stays as it is: no recurrence does so.
        """
        if len(states) == 1:
            return states[0]
        first = states[0]
        norms, later = (
            torch.stack(tables).square().sum(0).sqrt()
            for tables in ([s.own for s in states], [s.later for s in states])
        )
        names = f"{', '.join(s.name for s in states[:-1])} and {states[-1].name} together"
        return cls(names, first.layer, norms, norms, later, first.backward)

    @property
    def norms(self) -> Tensor:
        """The last quarter of its norm."""
        return self.all[-_late(self.all) :]

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
        """How much of the norm a step hands on to the next on the way, on the geometric mean; 0 if nothing.

        It is the slope of the line that fits the logarithm best, so that steps in the middle count most: what
        is lost or won once, where the loss reads a state or where a sequence begins, is no rate.
        """
        whole, later = (self.norms, self.later) if self.backward else (self.norms.flip(1), self.later.flip(1))
        ratio = (later[:, :-1] / whole[:, 1:]).double()
        at = torch.arange(1, self.steps, dtype=torch.float64)
        weight = (at * at.flip(0)).expand_as(ratio)[there := ratio.isfinite() & (ratio > 0)]
        return float((weight * ratio[there].log()).sum().div(weight.sum()).exp()) if len(weight) else 0.0

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
        """The row and the time at which a norm was first infinite or NaN."""
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


def _zeros(whole: Tensor) -> list[Tensor]:
    """A list of norms that begins with nothing."""
    return [torch.zeros_like(whole)]


def _part(whole: Tensor, of: list[Tensor], others: list[Tensor]) -> Tensor:
    """The norm of what some paths bring together, of a whole that the others add to."""
    guess, rest = torch.stack(of).square().sum(0).sqrt(), torch.stack(others).sum(0)
    return torch.where(guess > 0, guess.clamp((whole - rest).abs().nan_to_num(), whole + rest), guess)


def _late(norms: Tensor) -> int:
    """How many of the training steps are the last quarter."""
    return max(1, len(norms) // 4)


__all__ = ["FAINT", "Carry", "carried", "reach", "recurrences"]
