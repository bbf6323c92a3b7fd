"""The lines of a trace, each with its equation at that step, the numbers put in, and its value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from chalkgrad.calculus.matrix import matrix_form
from chalkgrad.equations.formula import Facts, Formula, Position, Slice, Symbol, text
from chalkgrad.equations.ir import Condition, Const, Equation, Expr, Index, Name, Range, Read, Size
from chalkgrad.equations.show import Page, formula
from chalkgrad.equations.walk import reads
from chalkgrad.tracing.blocks import NoBlock
from chalkgrad.tracing.computed import Computed
from chalkgrad.tracing.points import Point
from chalkgrad.tracing.system import Steps
from chalkgrad.tracing.terms import Line, has_sum


@dataclass(frozen=True)
class Entry:
    """One line of a trace: ``shown = equation = value``.

    ``steps`` holds the steps in time as they are printed, counted from 1. Where ``grows``, the value is what
    is added at this step, and ``total`` what there is by now.
    """

    backward: bool
    steps: tuple[tuple[str, int], ...]
    name: str
    shown: str
    equation: str
    value: Tensor
    grows: bool
    total: Tensor
    closed: bool
    worked: Formula | None = None
    symbols: Any = None
    elements: tuple[tuple[str, Expr, Steps], ...] = ()


class Ledger:
    """Writes the entries of what was computed."""

    def __init__(self, computed: Computed) -> None:
        self.computed, self.system, self.values = computed, computed.system, computed.values
        self.program = computed.system.program
        self.page = Page({n.name: self._in_brackets(n) for n in self.program.names})
        self._offsets = _offsets(computed)
        self._lengths = {
            n.ranges[k].size: self._offsets[n.ranges[k].axis]
            for n in self.program.given("input")
            for k in self.system.timed[n.name]
        }
        self._forms: dict[tuple[str, Expr], Formula] = {}

    def entries(self) -> Iterator[Entry]:
        """Every line in order; that a state begins as its start is not one."""
        starts = {n.name for n in self.program.given("start")}
        totals: dict[str, Tensor] = {}
        for point, line in self.computed.points:
            value = line.part.value
            if isinstance(value, Read) and value.name in starts:
                continue
            yield self._entry(point, line, totals)

    def _entry(self, point: Point, line: Line, totals: dict[str, Tensor]) -> Entry:
        part, steps = point.part, point.steps
        target = part.equation.target
        shown = {r.axis: steps[r.axis] + self._offset_of(line, r) for r in part.over}
        spelled = self.system.here(line.spelled, steps)
        worked = self.system.here(line.worked, steps)
        value = self.at(line.name, line.domain, steps)
        if part.grows:
            totals[target] = totals[target] + value if target in totals else value
        closed = line.written == len(line.domain)  # no axis is implicit
        follow = closed and (has_sum(spelled) or None)
        hidden = isinstance(worked, Read)  # the products are the whole of it
        return Entry(
            part.backward,
            tuple((r.axis, shown[r.axis]) for r in part.over),
            target,
            text(self._told(self._left(line, spelled), steps, shown, line)),
            text(self._told(self._form(line, spelled), steps, shown, line)),
            value,
            part.grows,
            totals[target] if part.grows else value,
            closed and line.written > len(part.over),
            None if follow or hidden or isinstance(worked, Const) else self._form(line, worked),
            lambda s: self._numbers(s, line, steps),
            tuple(self._elements(line, steps, shown)) if follow else (),
        )

    def _left(self, line: Line, value: Expr) -> Formula:
        """The left side, with every index where the right side has every index."""
        written_out = self._form(line, value) == formula(value, self.page)
        return formula(line.left, self.page) if written_out else self._form(line, line.left)

    def _form(self, line: Line, e: Expr) -> Formula:
        key = line.name, e
        if key not in self._forms:
            sides = matrix_form(Equation(line.name, line.domain, e), self.page, self.program.columns)
            self._forms[key] = sides[1] if sides else formula(e, self.page)
        return self._forms[key]

    def _elements(self, line: Line, steps: Steps, shown: Steps) -> Iterator[tuple[str, Expr, Steps]]:
        """Each element of a line whose axes all stand in brackets: its name, and what it is the value of."""
        over = {r.axis for r in line.part.over}
        free = [r for r in line.domain if r.axis not in over]
        for place in product(*map(self.system.interval, free)):
            at = {**steps, **dict(zip((r.axis for r in free), place, strict=True))}
            left = self._told(formula(line.left, Page()), at, shown, line)
            yield text(left), self.system.here(line.part.value, steps), at

    # --- numbers ---------------------------------------------------------------------------------------

    def at(self, name: str, domain: tuple[Range, ...], steps: Steps) -> Tensor:
        """A name's values on a domain, at some steps."""
        x, numbers = self.values[name], self.system.numbers
        for k, (r, whole) in enumerate(zip(domain, self.program[name].ranges, strict=True)):
            low = steps.get(r.axis, r.low.value(numbers)) - whole.low.value(numbers)
            x = x.narrow(k, low, 1 if r.axis in steps else r.size.value(numbers))
        for k in reversed([k for k, r in enumerate(domain) if r.axis in steps]):
            x = x.squeeze(k)
        return x

    def _numbers(self, s: Symbol | Position, line: Line, steps: Steps) -> Tensor:
        """What stands in a symbol's place at these steps. Raises NoBlock where its axes are others."""
        if isinstance(s, Position):
            value = self.system.at(s.index, steps)
            if value is None:
                raise NoBlock
            return torch.tensor(float(value), dtype=torch.float64)
        n, x = self.program[s.name], self.values[s.name]
        over = {r.axis for r in line.part.over}
        written = [r.axis for r in line.domain[: line.written] if r.axis not in over]
        kept: list[str] = []
        dim = 0
        for index, r in zip(s.at, n.ranges, strict=False):
            low = r.low.value(self.system.numbers)
            if isinstance(index, Slice):
                first = 0 if index.low is None else index.low.value(self.system.numbers)
                last = x.shape[dim] if index.high is None else index.high.value(self.system.numbers)
                x = x.narrow(dim, first, last - first)
                dim += 1
            elif (fixed := self.system.at(index, steps)) is not None:
                x = x.select(dim, fixed - low)
            elif len(index.terms) == 1 and index.terms[0][1] == index.divisor == 1:
                own = next((q for q in line.domain if q.axis == index.terms[0][0]), None)
                if own is None:
                    raise NoBlock
                first = own.low.value(self.system.numbers) + index.shift.value(self.system.numbers) - low
                x = x.narrow(dim, first, own.size.value(self.system.numbers))
                kept.append(own.axis)
                dim += 1
            else:
                raise NoBlock
        if written and (x.dim(), kept) not in (
            (0, []),
            (len(line.domain) - len(over), written),
        ):
            raise NoBlock
        return x

    # --- steps as they are printed ---------------------------------------------------------------------

    def offset(self, name: str, position: int) -> int:
        """What is added to an index along a recurrence, so that the first step is 1; elsewhere nothing.

        An input's second axis that is as long as time (``w[t,s]``) is time too.
        """
        n = self.program[name]
        while n.of and (n.role in ("start", "seed") or n.name.startswith("∂")):
            n = self.program[n.of]
        r = n.ranges[position]
        if position in self.system.timed.get(n.name, ()):
            return self._offsets.get(r.axis, 0)
        also = n.role == "input" and position < n.written and not r.size.constant
        return self._lengths.get(r.size, 0) if also else 0

    def _offset_of(self, line: Line, r: Range) -> int:
        e = line.part.equation
        found = [*reads(line.part.value), Read(e.target, tuple(Index.axis(q.axis) for q in e.domain))]
        for read in found:
            for k in self.system.timed.get(read.name, ()):
                if r.axis in read.at[k].axes:
                    return self.offset(read.name, k)
        return 0

    def _told(self, f: Any, steps: Steps, shown: Steps, line: Line) -> Any:
        """The formula with its steps as numbers, counted as they are printed."""
        match f:
            case Symbol(name, at):
                timed = self.system.timed.get(name, ())
                if self._one_step(name):
                    at = tuple(i for k, i in enumerate(at) if k not in timed)
                return Symbol(name, tuple(self._index(name, k, i, steps) for k, i in enumerate(at)))
            case Position(index):
                value = self.system.at(index, steps)
                return f if value is None else Position(Index((), Size((), value)))
            case Facts(conditions):
                here = {a: Index((), Size((), n)) for a, n in shown.items()}
                return Facts(
                    tuple(Condition(c.index.substitute(here), c.kind, c.divisor) for c in conditions)
                )
            case tuple():
                return tuple(self._told(p, steps, shown, line) for p in f)
            case _ if is_dataclass(f) and not isinstance(f, Range):
                changed = {x.name: self._told(getattr(f, x.name), steps, shown, line) for x in fields(f)}
                return replace(f, **changed)  # pyright: ignore[reportArgumentType]
            case _:
                return f

    def _index(self, name: str, k: int, i: Index | Slice, steps: Steps) -> Index | Slice:
        value = None if isinstance(i, Slice) else self.system.at(i, steps)
        return i if value is None else Index((), Size((), value + self.offset(name, k)))

    def places(self, n: Name) -> Iterator[tuple[str, Tensor]]:
        """A given or computed name step by step: ``x[1]``, ``x[2]``, …; a start as the state it begins."""
        timed = self.system.timed[n.name]
        called = n.of if n.role == "start" else n.name
        if n.role != "start" and self._one_step(n.name):
            yield n.name, self.values[n.name].squeeze(timed[0])
            return
        ranges = self.system.own(n.of) if n.role == "seed" else self.system.own(n.name)
        for place in product(*(self.system.interval(ranges[k]) for k in timed)):
            steps = {ranges[k].axis: p for k, p in zip(timed, place, strict=True)}
            at = (Index((), Size((), p + self.offset(n.name, k))) for k, p in zip(timed, place, strict=True))
            yield text(Symbol(called, tuple(at))), self.at(n.name, ranges, steps)

    def _in_brackets(self, n: Name) -> Name:
        """The name with its steps in time in brackets, which a start's gradient has not."""
        return replace(n, written=max(n.written, *(1 + k for k in self.system.timed.get(n.name, ())), 0))

    def _one_step(self, name: str) -> bool:
        """Whether the name is a start of one step, or its gradient: h₀ has no step in time to be told."""
        n = self.program[name]
        start = n if n.role == "start" else self.program.table.get(n.of, n)
        timed = self.system.timed.get(name, ())
        return start.role == "start" and len(timed) == 1 and n.ranges[timed[0]].size.constant == 1


def _offsets(computed: Computed) -> dict[str, int]:
    """For each letter of time, what makes its first step 1: the last start is step 0."""
    resolved, numbers = computed.resolved, computed.system.numbers
    found = dict.fromkeys(resolved.recurrence, 1)
    for letter in found:
        ends = [
            resolved.program[s.start].ranges[s.position].high.value(numbers) - 1
            for s in resolved.program.states
            if s.forward and resolved.program[s.name].ranges[s.position].axis == letter
        ]
        if ends:
            found[letter] = -max(ends)
    return found
