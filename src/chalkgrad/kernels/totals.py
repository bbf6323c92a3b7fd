"""Totals over features of what a loop makes, taken while it is at hand.

The norm of a state at every step needs nothing of other steps, so that it could run after the loop, over
whole tables. Where nobody else needs these tables, it runs in the loop, and they are the step's scratch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from chalkgrad.equations.ir import Equation, Index, Reduce
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.schedule import Block, Loop, Step, equations_of, letters_beside, with_axis


def totals_inside(steps: Sequence[Step], wanted: Collection[str]) -> tuple[Step, ...]:
    """The steps, with totals moved into the loops whose tables nobody else would need.

    A total is a reduction of what has all its axes: ``n[t] = Σ[j] h[t,j]²``, and no product of matrices.
    """
    made = [{e.target for e in equations_of(s)} for s in steps]
    moved: dict[int, list[Equation]] = {}
    gone: set[int] = set()
    for k, loop in enumerate(steps):
        if not isinstance(loop, Loop):
            continue
        later = set[str]().union(*made[k + 1 :])
        found = {
            j: e
            for j, s in enumerate(steps[k + 1 :], start=k + 1)
            if isinstance(s, Block) and (e := _inside(loop, later, s.equation)) is not None
        }
        readers = {
            name: {j for j, s in enumerate(steps) if j != k and name in _read_by(s)} for name in made[k]
        }
        spared = {n for n, by in readers.items() if n not in wanted and by <= found.keys()}
        chosen = {j: e for j, e in found.items() if {r.name for r in reads(e.value)} & spared}
        moved[k] = list(chosen.values())
        gone |= chosen.keys()
    return tuple(
        replace(s, body=(*s.body, *map(Block, moved[k]))) if isinstance(s, Loop) and moved[k] else s
        for k, s in enumerate(steps)
        if k not in gone
    )


def _read_by(step: Step) -> set[str]:
    return {r.name for e in equations_of(step) for r in reads(e.value)}


def _inside(loop: Loop, later: Collection[str], e: Equation) -> Equation | None:
    """The equation with the loop's letter, if it is a total of what one step of the loop makes."""
    match e.value:
        case Reduce(_, over, _):
            axes = {*e.axes, *(r.axis for r in over)}
        case _:
            return None
    position = {q.target: q.axes.index(loop.axis) for q in loop.equations}
    if any(r.name in later for r in reads(e.value)):
        return None
    own = [r for r in reads(e.value) if r.name in position]
    steps = {r.at[position[r.name]] for r in own}
    if len(steps) != 1 or not all(axes <= {a for i in r.at for a in i.axes} for r in own):
        return None
    step = next((k for k, a in enumerate(e.axes) if Index.axis(a) in steps), None)
    if step is None or loop.axis in letters_beside(e, step):
        return None
    return with_axis(e, step, loop.axis)
