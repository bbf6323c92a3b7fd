"""Totals over features of what a loop has at hand, taken while it is in the cache.

The norm of a state at every step needs nothing of other steps, so that it could run before or after the loop,
over whole tables. Where nobody else needs the tables that the loop makes, it runs in the loop, and they are
the step's scratch; so does a total of rows that the loop reads anyway, which are then fetched once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from chalkgrad.equations.ir import Equation, Index, Read, Reduce
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.schedule import Block, Loop, Step, equations_of, letters_beside, with_axis


def totals_inside(steps: Sequence[Step], wanted: Collection[str]) -> tuple[Step, ...]:
    """The steps, with totals moved into the loops that have at hand all that they read.

    A total is a reduction of what has all its axes: ``n[t] = Σ[j] h[t,j]²``, and no product of matrices.
    """
    made, read = [{e.target for e in equations_of(s)} for s in steps], [_read_by(s) for s in steps]
    moved: dict[int, list[Equation]] = {}
    gone: set[int] = set()
    for k, loop in enumerate(steps):
        if not isinstance(loop, Loop):
            continue
        later = set[str]().union(*made[k + 1 :])
        totals = {
            j: s.equation
            for j, s in enumerate(steps)
            if isinstance(s, Block) and j not in gone and not read[j] & later
        }
        found = {j: e for j, total in totals.items() if j > k and (e := _of_made(loop, total)) is not None}
        readers = {name: {j for j, names in enumerate(read) if j != k and name in names} for name in made[k]}
        spared = {n for n, by in readers.items() if n not in wanted and by <= found.keys()}
        chosen = {j: e for j, e in found.items() if read[j] & spared}
        for j, total in totals.items():
            if not any(total.target in names for names in read) and (e := _of_rows(loop, total)) is not None:
                chosen[j] = e
        moved[k] = list(chosen.values())
        gone |= chosen.keys()
    return tuple(
        replace(s, body=(*s.body, *map(Block, moved[k]))) if isinstance(s, Loop) and moved[k] else s
        for k, s in enumerate(steps)
        if k not in gone
    )


def _read_by(step: Step) -> set[str]:
    return {r.name for e in equations_of(step) for r in reads(e.value)}


def _of_made(loop: Loop, e: Equation) -> Equation | None:
    """The equation with the loop's letter, if it is a total of what one step of the loop makes."""
    position = {q.target: q.axes.index(loop.axis) for q in loop.equations}
    own = [r for r in reads(e.value) if r.name in position]
    steps = {r.at[position[r.name]] for r in own}
    if len(steps) != 1 or not _is_total(e, own):
        return None
    step = next((k for k, a in enumerate(e.axes) if Index.axis(a) in steps), None)
    return None if step is None else _along(loop, e, step)


def _of_rows(loop: Loop, e: Equation) -> Equation | None:
    """The equation with the loop's letter, if it is a total of rows that a step of the loop reads too."""
    made = {q.target for q in loop.equations}
    sites = {
        (r.name, p, i.shift)
        for q in loop.equations
        for r in reads(q.value)
        for p, i in enumerate(r.at)
        if i.axes == (loop.axis,) and i.coefficient(loop.axis) == i.divisor == 1
    }
    own = [*reads(e.value)]
    if not own or {r.name for r in own} & made or not _is_total(e, own):
        return None
    for step, axis in enumerate(e.axes):
        along = [{(r.name, p, i.shift) for p, i in enumerate(r.at) if i.axes == (axis,)} for r in own]
        if all(places & sites for places in along):
            return _along(loop, e, step)
    return None


def _is_total(e: Equation, own: Sequence[Read]) -> bool:
    """Whether it is a reduction, and these reads have all its axes."""
    if not isinstance(e.value, Reduce):
        return False
    axes = {*e.axes, *(r.axis for r in e.value.over)}
    return all(axes <= {a for i in r.at for a in i.axes} for r in own)


def _along(loop: Loop, e: Equation, step: int) -> Equation | None:
    """The equation with the loop's letter for one of its axes, where it has no other of that letter."""
    return None if loop.axis in letters_beside(e, step) else with_axis(e, step, loop.axis)
