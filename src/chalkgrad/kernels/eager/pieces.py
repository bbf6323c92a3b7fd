"""What a loop computes point by point between calls of the library, put together as pieces.

A loop whose step holds a convolution runs step by step, where each operation would be a call of torch. The
equations between two calls of the library are one compiled call instead: what can run with the others does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from chalkgrad.equations.ir import Index
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c.lower import is_pointwise
from chalkgrad.kernels.eager.steps import (
    Joined,
    Looped,
    Merged,
    Parted,
    Piece,
    equations_of,
    made_by,
    read_by,
)
from chalkgrad.kernels.schedule import Block, Loop


def pieced(steps: Sequence[Merged], left: Collection[str]) -> tuple[Merged, ...]:
    """The steps, what each loop computes point by point in pieces; nothing that makes or reads ``left``."""
    found: list[Merged] = []
    for k, step in enumerate(steps):
        if isinstance(step, Loop | Looped):
            starts = {n for s in steps[:k] if isinstance(s, Block) for n in made_by(s)}
            others = {n for s in steps if s is not step for n in made_by(s)} - starts
            step = _pieced(step, others, left)
        found.append(step)
    return tuple(found)


def _pieced(loop: Loop | Looped, others: Collection[str], left: Collection[str]) -> Loop | Looped:
    if not all(isinstance(step, Block | Joined | Parted) for step in loop.body):
        return loop
    chosen = _chosen(loop, others, left)
    made = [{*made_by(step)} for step in loop.body]
    needs = [
        {j for j in range(k) if made[j] & {*read_by(step)} or (made[j] & made[k])}
        for k, step in enumerate(loop.body)
    ]
    waiting, done = [*range(len(loop.body))], set[int]()
    body: list[Merged] = []
    while waiting:
        if calls := [k for k in waiting if needs[k] <= done and not made[k] <= chosen]:
            body += [loop.body[k] for k in calls]
            together = calls
        else:
            together, blocks = list[int](), list[Block]()
            for k in waiting:
                step = loop.body[k]
                if isinstance(step, Block) and made[k] <= chosen and needs[k] <= done | {*together}:
                    together.append(k)
                    blocks.append(step)
            body.append(Piece(loop.axis, loop.reverse, tuple(blocks)))
        done |= {*together}
        waiting = [k for k in waiting if k not in done]
    return Looped(loop.axis, loop.reverse, tuple(body)) if chosen else loop


def _chosen(loop: Loop | Looped, others: Collection[str], left: Collection[str]) -> set[str]:
    """The names that are computed point by point, of complete tables, each other and what their step made."""
    position = positions(loop.body, loop.axis)
    here = Index.axis(loop.axis)
    chosen = {*position} - {n for s in loop.body if not isinstance(s, Block) for n in made_by(s)}
    while True:
        fleeting = position.keys() - chosen
        wrong = {
            e.target
            for e in loop.equations
            if not is_pointwise(e.value)
            or e.target in others
            or e.target in left
            or any(
                r.name in left or (r.name in fleeting and r.at[position[r.name]] != here)
                for r in reads(e.value)
            )
        }
        if not wrong & chosen:
            return chosen
        chosen -= wrong


def positions(body: Iterable[Merged], axis: str) -> dict[str, int]:
    """Of each name that a loop makes, which of its axes is the loop's."""
    found: dict[str, int] = {}
    for step in body:
        if isinstance(step, Joined | Parted):
            found |= dict.fromkeys(made_by(step), found[read_by(step)[0]])
        found |= {e.target: e.axes.index(axis) for e in equations_of(step)}
    return found


__all__ = ["pieced", "positions"]
