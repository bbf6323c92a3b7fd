"""Where the pieces of a loop read and write, and their calls.

What a piece makes lies at once where it is read: in a table with the loop's axis first, which after the loop
is the name's value; side by side with others where the library wants them so. What the library makes at a
step is read where that has put it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import Equation, Expr, Index, Range, Read, range_of
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import reads, rewrite
from chalkgrad.kernels.c.segment import Within
from chalkgrad.kernels.c.stepped import Asked, Running, Stepped
from chalkgrad.kernels.eager.code import Code, Frame, Ring, Run, Scope, Stage
from chalkgrad.kernels.eager.pieces import positions
from chalkgrad.kernels.eager.reads import stacking
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

    ``own`` are the tables by name, ``within`` names that lie in others, ``fleeting`` what else the loop
    makes, there for its own step only, with the place of the loop's axis, ``alone`` what only a piece itself
    reads at its step. ``shown`` are names that calls of the library read at a step, ``after`` those that are
    read after the loop; ``idle`` steps have nothing to do.
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
    loop: Loop | Looped,
    steps: Sequence[Merged],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
    ranges: Mapping[str, tuple[Range, ...]],
) -> Tables:
    """The tables of a loop with pieces, one of ``steps``."""
    position = positions(loop.body, loop.axis)
    pieces = [s for s in loop.body if isinstance(s, Piece)]
    others = [s for s in loop.body if not isinstance(s, Piece)]
    makers = {e.target: p for p in pieces for e in p.equations}
    outside = {*wanted, *(n for s in steps if s is not loop for n in (*read_by(s), *made_by(s)))}
    joins: list[Joined] = []
    for s in (s for s in others if isinstance(s, Joined) and makers.keys() >= {*s.parts}):
        there = [*s.parts, *(n for join in joins for n in join.parts)]
        if len({*there}) == len(there):  # a name lies in one place only
            joins.append(s)
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


# --- calls ---------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Lying:
    """The tables of a loop while it is staged, and the slot that has them from before its first step on."""

    tables: Tables
    stage: Stage
    ring: Ring
    slot: int

    @classmethod
    def before(cls, ring: Ring, found: Tables, stage: Stage) -> Lying:
        """Make the tables before the loop."""
        dtype = stage.like.dtype
        make = Code(lambda f: found.made(f, stage.sizes, dtype))
        return cls(found, stage, ring, stage.save(make, Scope({}, frozenset(), (ring,))))

    def piece(self, step: Piece) -> Run:
        """A piece: told before the loop where everything lies, called at each step. Raises CompilerError."""
        lie, stage, tables = self.tables, self.stage, self.slot
        call = Stepped(asked(step, lie, stage.like.dtype == torch.float64), stage.sizes)
        fresh = [(k, n) for k, n in enumerate(call.given) if n in lie.fleeting]
        whole = [(k, n, stacking(stage, n)) for k, n in enumerate(call.given) if n not in lie.fleeting]

        def begin(f: Frame) -> Running:
            made = f.slots[tables]
            running = call.run([made[n] for n in call.tables])
            for k, name, find in whole:
                running.give(k, find(f.store[name], ()))
            return running

        slot = stage.save(Code(begin), Scope({}, frozenset(), (self.ring,)))
        shown = [
            (name, lie.table(name).low, *range_of(e.domain, step.axis).interval(stage.sizes))
            for e in step.equations
            for name in lie.of(e.target)
            if name in lie.shown
        ]

        def run(f: Frame) -> None:
            running, t = f.slots[slot], f.at[0]
            for k, name in fresh:
                x = f.store[name].get((t,))
                if x is not None:  # the library has made none for a step that reads none
                    running.give(k, x)
            running(t)
            for name, low, first, count in shown:
                if first <= t < first + count:
                    f.store[name][(t,)] = f.slots[tables][name][t - low]

        return run

    def keep(self, f: Frame) -> None:
        """What is read after the loop, whole, each with its axes in order."""
        made = f.slots[self.slot]
        for name in self.tables.after:
            f.store[name] = {(): made[name].movedim(0, self.tables.table(name).position)}


__all__ = ["Lying", "Table", "Tables", "asked", "tables"]
