"""Where threads wait for each other, when each has a part of every stage's last axis."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from chalkgrad.equations.ir import Equation, Index, Range
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c.lower import Product, Stage, equations_in


def meetings(stages: Sequence[Stage], axis: str, tables: Collection[str]) -> tuple[bool, ...]:
    """Before which stages the threads meet, where each has a part of every stage's last axis.

    A stage that reads at its own part what was made in equal parts meets nobody. What is kept for one step
    only (not in ``tables``) must not be made anew while somebody still reads it.
    """
    split: dict[str, tuple[int, Range] | None] = {}
    for e in (e for s in stages for e in equations_in(s)):
        last = _last(e, axis)
        split[e.target] = last if split.get(e.target, last) == last else None
    before = [False] * len(stages)
    made: set[str] = set()
    shared: set[str] = set()
    for _ in range(2):  # the second time with what the step before has left
        for k, stage in enumerate(stages):
            foreign = set(_foreign(stage, axis, split))
            targets = {_home(stage, e) for e in equations_in(stage)}
            if foreign & made or (targets - set(tables)) & shared:
                before[k] = True
                made, shared = set(), set()
            made |= targets
            shared |= foreign
    return tuple(before)


def _home(stage: Stage, e: Equation) -> str:
    """The name that an equation of a stage is stored under."""
    return stage.into or e.target if isinstance(stage, Product) else e.target


def _last(e: Equation, axis: str) -> tuple[int, Range] | None:
    """The axis that is cut into parts: its position, its interval."""
    free = [(k, r) for k, r in enumerate(e.domain) if r.axis != axis]
    return free[-1] if free else None


def _foreign(stage: Stage, axis: str, split: Mapping[str, tuple[int, Range] | None]) -> Iterator[str]:
    """The names that a stage reads in other parts than its own."""
    if isinstance(stage, Product) and stage.left.name in split:
        yield stage.left.name
        return
    for e in equations_in(stage):
        mine = _last(e, axis)
        for r in reads(e.value):
            if r.name not in split:
                continue
            theirs = split[r.name]
            alike = (
                mine is not None
                and theirs is not None
                and r.at[theirs[0]] == Index.axis(mine[1].axis)
                and (mine[1].low, mine[1].size) == (theirs[1].low, theirs[1].size)
            )
            if not alike:
                yield r.name
