"""What a loop computes point by point between calls of the library, as compiled calls over tables.

A loop whose step holds a convolution runs step by step. Each torch operation of such a step would be a call
with a result of its own, and what is read after the loop would be copied together from the steps. Here the
equations between two calls are one compiled call, and what they make lies at once where it is read: in a table
with the loop's axis first, side by side with others where the library wants them so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import Equation, Expr, Index, Range, Read
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import reads, rewrite
from chalkgrad.kernels.c.lower import is_pointwise
from chalkgrad.kernels.c.segment import Within
from chalkgrad.kernels.c.stepped import Asked
from chalkgrad.kernels.eager.code import Frame
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
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.schedule import Block, Loop

# --- which equations -----------------------------------------------------------------------------------


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
    position = _positions(loop.body, loop.axis)
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


def _positions(body: Iterable[Merged], axis: str) -> dict[str, int]:
    """Of each name that a loop makes, which of its axes is the loop's."""
    found: dict[str, int] = {}
    for step in body:
        if isinstance(step, Joined | Parted):
            found |= dict.fromkeys(made_by(step), found[read_by(step)[0]])
        found |= {e.target: e.axes.index(axis) for e in equations_of(step)}
    return found


# --- where they lie ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """A name's room for all steps: its shape in memory, the loop's axis first, and what that axis begins at.

    ``position`` is that axis's place in the name's own order. It begins as zeros where it is not filled.
    """

    shape: tuple[int, ...]
    position: int
    low: int
    zero: bool


_NOWHERE = Within("", -1, Size())


@dataclass(frozen=True, slots=True)
class Tables:
    """Where the pieces of a loop read and write.

    ``own`` are the tables by name, ``within`` names that lie in others, ``fleeting`` what else the loop makes,
    there for its own step only, with the place of the loop's axis, ``alone`` what only a piece itself reads at
    its step. ``shown`` are names that calls of the
    library read at a step, ``after`` those that are read after the loop; ``idle`` steps have nothing to do.
    """

    own: Mapping[str, Table] = field(default_factory=dict[str, Table])
    within: Mapping[str, Within] = field(default_factory=dict[str, Within])
    fleeting: Mapping[str, int] = field(default_factory=dict[str, int])
    ranges: Mapping[str, tuple[Range, ...]] = field(default_factory=dict[str, tuple[Range, ...]])
    alone: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    idle: tuple[Merged, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Whether a name is made by pieces."""
        return name in self.own or name in self.alone or self.within.get(name, _NOWHERE).whole in self.own

    def table(self, name: str) -> Table:
        """The table that a name lies in."""
        return self.own[self.within[name].whole if name in self.within else name]

    def of(self, name: str) -> tuple[str, ...]:
        """The names that are filled, at least in part, with this one."""
        return (name, self.within[name].whole) if name in self.within else (name,)

    def whole(self, name: str, made: Tensor) -> Tensor:
        """What lies in a table, its axes in the name's order."""
        return made.movedim(0, self.table(name).position)

    def made(self, f: Frame, numbers: Mapping[str, int], dtype: torch.dtype) -> dict[str, Tensor]:
        """Room for all steps of every name; what is there before the first is put into it."""
        found: dict[str, Tensor] = {}
        for name, table in self.own.items():
            found[name] = (torch.zeros if table.zero else torch.empty)(table.shape, dtype=dtype)
        for name, part in self.within.items():
            if part.whole in self.own:
                dim = part.dim + (part.dim < self.own[part.whole].position)
                size = self.ranges[name][part.dim].size.value(numbers)
                found[name] = found[part.whole].narrow(dim, part.first.value(numbers), size)
        for name, x in found.items():
            for (t,), start in f.store[name].items():
                x[t - self.table(name).low].copy_(start)
        return found


def tables(
    loop: Looped,
    steps: Sequence[Merged],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
    ranges: Mapping[str, tuple[Range, ...]],
) -> Tables:
    """The tables of a loop with pieces, one of ``steps``."""
    position = _positions(loop.body, loop.axis)
    pieces = [s for s in loop.body if isinstance(s, Piece)]
    others = [s for s in loop.body if not isinstance(s, Piece)]
    makers = {e.target: p for p in pieces for e in p.equations}
    outside = {*wanted, *(n for s in steps if s is not loop for n in (*read_by(s), *made_by(s)))}
    joins = [s for s in others if isinstance(s, Joined) and makers.keys() >= {*s.parts}]
    called = {
        n
        for s in others
        if isinstance(s, Block) or (isinstance(s, Joined) and s not in joins)
        for n in read_by(s)
    }
    parted = [s for s in others if isinstance(s, Parted) and not {*s.parts} & (outside | called)]
    ranges = {**{e.target: e.domain for e in loop.equations}, **ranges}
    within: dict[str, Within] = {}
    for s in (*joins, *parted):
        end = Size()
        for part in s.parts:
            within[part] = Within(s.name, s.dim, end)
            end = end + ranges[part][s.dim].size
        like = ranges[s.parts[0]]
        ranges[s.name] = tuple(Range(r.axis, end) if k == s.dim else r for k, r in enumerate(like))
    filled = Counter[str]()
    for e in (e for s in steps for e in equations_of(s)):
        filled[e.target] += prod(r.size.value(numbers) for r in e.domain)
    partial = {n for n in makers if filled[n] < prod(size for _, size in intervals[n])}
    kept = {n for n in makers if n in outside or n in called or n in partial} | {s.name for s in joins}
    here = Index.axis(loop.axis)
    for p in pieces:
        read = {r.name for e in p.equations for r in reads(e.value) if makers.get(r.name) is not p}
        away = (r for e in p.equations for r in reads(e.value) if r.name in makers)
        kept |= (read | {r.name for r in away if r.at[position[r.name]] != here}) & makers.keys()
        kept |= {e.target for e in p.equations if makers[e.target] is not p}
    own: dict[str, Table] = {}
    for name in position:
        if name in kept and name not in within:
            at, sizes = position[name], [size for _, size in intervals[name]]
            zero = any(n == name or (n in within and within[n].whole == name) for n in partial)
            shape = (sizes[at], *(n for k, n in enumerate(sizes) if k != at))
            own[name] = Table(shape, at, intervals[name][at][0], zero)
    inside = {*own, *(n for n, part in within.items() if part.whole in own)}
    return Tables(
        own,
        within,
        {n: at for n, at in position.items() if n not in makers and n not in own},
        ranges,
        frozenset(makers.keys() - inside),
        frozenset(inside & called),
        frozenset(inside & outside),
        (*joins, *parted),
    )


# --- run -----------------------------------------------------------------------------------------------


def asked(piece: Piece, lie: Tables, double: bool) -> Asked:
    """What is compiled for a piece."""
    ranges = dict(lie.ranges)

    def without(name: str, at: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(x for k, x in enumerate(at) if k != lie.fleeting[name])

    def rule(e: Expr) -> Expr:
        return Read(e.name, without(e.name, e.at)) if isinstance(e, Read) and e.name in lie.fleeting else e

    equations = tuple(Equation(e.target, e.domain, rewrite(e.value, rule)) for e in piece.equations)
    names = dict.fromkeys(n for e in piece.equations for n in (e.target, *(r.name for r in reads(e.value))))
    within: dict[str, Within] = {}
    for name in names:
        if (part := lie.within.get(name)) and (part.whole in lie.own or name in lie.fleeting):
            behind = name in lie.fleeting and lie.fleeting[name] < part.dim
            within[name] = replace(part, dim=part.dim - behind)
    names |= dict.fromkeys(part.whole for part in within.values())
    return Asked(
        piece.axis,
        piece.reverse,
        equations,
        tuple((n, without(n, ranges[n]) if n in lie.fleeting else ranges[n]) for n in sorted(names)),
        tuple((n, lie.own[n].position) for n in sorted(names) if n in lie.own),
        tuple(sorted(within.items(), key=lambda item: item[0])),
        double,
    )
