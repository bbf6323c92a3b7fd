"""Statements in order: loops over time, and what a step hands back to the one before it.

The derived equation says what ``∂h[t]`` collects from step t + 1. In a loop that runs backwards that is
written the other way round, as everybody writes it by hand: step t, once it is complete, adds to
``∂h[t-1]``. Then nothing need be said about the last step, which collects nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chalkgrad.equations.ir import Apply, Equation, Expr, Guard, Index, Range, Size, full, range_of
from chalkgrad.equations.ops import add
from chalkgrad.equations.walk import reads, substitute
from chalkgrad.kernels.schedule import Block, Loop, Step
from chalkgrad.kernels.script import comments
from chalkgrad.kernels.script.body import Body, scalar
from chalkgrad.kernels.script.parts import bounds
from chalkgrad.kernels.script.prepare import Passes
from chalkgrad.kernels.script.statements import fill


@dataclass(frozen=True)
class Statement:
    """``target[at] = value`` over a domain, or ``+=``, under a comment."""

    target: str
    at: tuple[Index, ...]
    domain: tuple[Range, ...]
    value: Expr
    add: bool
    comment: str


@dataclass(frozen=True)
class Nest:
    """A loop of statements and further loops."""

    axis: str
    reverse: bool
    body: tuple[Statement | Nest, ...]

    @property
    def statements(self) -> Iterator[Statement]:
        for s in self.body:
            yield from [s] if isinstance(s, Statement) else s.statements


# --- which statements ----------------------------------------------------------------------------------


def ordered(steps: Sequence[Step], passes: Passes) -> Iterator[Statement | Nest]:
    """The steps of a schedule as statements."""
    for step in steps:
        if isinstance(step, Block):
            yield _whole(step.equation, passes)
        else:
            members = {e.target: e for e in step.equations}
            before: list[Statement] = []
            nest = _nest(step, (), members, passes, before)
            yield from before
            yield nest


def _whole(e: Equation, passes: Passes) -> Statement:
    return Statement(e.target, full(e.domain), e.domain, e.value, False, _line(e, passes))


def _line(e: Equation, passes: Passes) -> str:
    # A recurrence is told by its look; where the lines before its start hold must be said.
    names, columns = passes.program.table, passes.program.columns
    before = e is not passes.program.defining(e.target)[-1]
    said = comments.line(e, names, columns, before)
    of = names[e.target].of if e.target.startswith("∂") else ""
    if of not in passes.written_out:
        return said
    # The page has no such name: it is what a function was taken of.
    return f"with {comments.line(passes.written_out[of], names, columns)}\n{said}"


def _nest(
    loop: Loop,
    path: tuple[str, ...],
    members: Mapping[str, Equation],
    passes: Passes,
    before: list[Statement],
) -> Nest:
    path = (*path, loop.axis)
    home = {s.equation.target for s in loop.body if isinstance(s, Block)}
    body: list[Statement | Nest] = []
    handed: list[Statement] = []
    for s in loop.body:
        if isinstance(s, Loop):
            body.append(_nest(s, path, members, passes, before))
            continue
        e = s.equation
        split = _split(e, path, members, home) if e.target.startswith("∂") else None
        if split is None:
            body.append(_whole(e, passes))
            continue
        first, here, back = split
        line = _line(e, passes)
        if first:
            before.append(Statement(e.target, full(e.domain), e.domain, add(*first), False, line))
        if here:
            part = Equation(e.target, e.domain, add(*here))
            said = comments.share(part, full(e.domain), passes.program.table, passes.program.columns)
            body.append(
                Statement(e.target, full(e.domain), e.domain, part.value, True, said if first else line)
            )
        for distance, terms in back.items():
            handed.append(_handed(e, path, distance, terms, passes))
    return Nest(loop.axis, loop.reverse, (*body, *handed))


_Back = dict[tuple[int, ...], list[Expr]]


def _split(
    e: Equation, path: tuple[str, ...], members: Mapping[str, Equation], home: set[str]
) -> tuple[list[Expr], list[Expr], _Back] | None:
    """The terms that need no loop, those of the same step, and those of other steps, by their distance."""
    first: list[Expr] = []
    here: list[Expr] = []
    back: _Back = {}
    for term in e.value.args if isinstance(e.value, Apply) and e.value.op == "add" else (e.value,):
        distances: set[tuple[int, ...]] = set()
        for r in reads(term):
            if r.name not in members:
                continue
            gaps = tuple(r.at[members[r.name].axes.index(a)] - Index.axis(a) for a in path)
            if r.name not in home or any(g.terms or g.divisor != 1 or g.shift.terms for g in gaps):
                return None
            distances.add(tuple(g.shift.const for g in gaps))
        if len(distances) > 1:
            return None
        if not distances:
            first.append(term)
        elif not any(next(iter(distances))):
            here.append(term)
        else:
            back.setdefault(distances.pop(), []).append(term)
    return (first, here, back) if back else None


def _handed(
    e: Equation, path: tuple[str, ...], distance: tuple[int, ...], terms: list[Expr], passes: Passes
) -> Statement:
    """Terms of another step as what that step adds to this one."""
    values = {a: Index.axis(a) - k for a, k in zip(path, distance, strict=True)}
    value = substitute(add(*terms), values)
    shift = dict(zip(path, distance, strict=True))
    domain = tuple(replace(r, low=r.low + shift.get(r.axis, 0)) for r in e.domain)
    at = tuple(i.substitute(values) for i in full(e.domain))
    part = Equation(e.target, domain, value)
    said = comments.share(part, at, passes.program.table, passes.program.columns)
    return Statement(e.target, at, domain, value, True, said)


# --- writing -------------------------------------------------------------------------------------------


def write(b: Body, nodes: Iterator[Statement | Nest], optional: Mapping[str, str]) -> None:
    """The statements in the body of a function.

    ``optional`` arguments, by name, may be None: what they say is then left out.
    """
    filled = list(nodes)
    later = {s.target for n in filled if isinstance(n, Nest) for s in n.statements}
    for n in filled:
        if isinstance(n, Statement):
            absent = next((optional[r.name] for r in reads(n.value) if r.name in optional), None)
            if absent:
                b.make(b.arrays[n.target])
                with b.indented(f"if {absent} is not None:"):
                    _write(b, n, {})
                continue
            b.comment(n.comment)
            if n.target in later:  # filled by a loop too, so it must be an array of its own
                b.make(b.arrays[n.target])
            _write(b, n, {})
        else:
            b.make(*(b.arrays[s.target] for s in n.statements))
            _loop(b, n, {})


def _loop(b: Body, nest: Nest, loops: Mapping[str, str]) -> None:
    ranges = [_reach(b, s, nest.axis) for s in nest.statements]
    low, high = ranges[0].low, ranges[0].high
    for r in ranges[1:]:
        low = low if b.nonnegative(r.low - low) else r.low
        high = high if b.nonnegative(high - r.high) else r.high
    with b.loop(Range(nest.axis, high - low, low), nest.reverse) as symbol:
        inner = {**loops, nest.axis: symbol}
        for n in nest.body:
            if isinstance(n, Statement):
                b.comment(n.comment)
                _write(b, n, inner)
            else:
                _loop(b, n, inner)


def _reach(b: Body, s: Statement, axis: str) -> Range:
    """How far a statement runs along a loop's axis, as its guard says."""
    r = range_of(s.domain, axis)
    if not s.add:
        return r
    low, high = r.low, r.high
    terms = s.value.args if isinstance(s.value, Apply) and s.value.op == "add" else (s.value,)
    guards = [t.conditions if isinstance(t, Guard) else () for t in terms]
    for c in guards[0]:
        if c.kind == "nonnegative" and c.index.axes == (axis,) and all(c in g for g in guards):
            first, last = bounds(c, axis)
            low = b.larger(low, first) or low if first is not None else low
            high = _lower(b, high, last) if last is not None else high
    return Range(axis, high - low, low)


def _lower(b: Body, x: Size, y: Size) -> Size:
    return y if b.nonnegative(x - y) else x


def _write(b: Body, s: Statement, loops: Mapping[str, str]) -> None:
    values = {a: scalar(symbol) for a, symbol in loops.items()}
    conditions: list[str] = []
    for r in s.domain:
        if r.axis in loops:
            here = values[r.axis].shift
            if not b.nonnegative(here - r.low):
                conditions.append(f"{b.spelled[loops[r.axis]]} >= {b.size(r.low)}")
            if not b.nonnegative(r.high - 1 - here):
                conditions.append(f"{b.spelled[loops[r.axis]]} < {b.size(r.high)}")
    at = tuple(i.substitute(values) for i in s.at)
    value = substitute(s.value, values)
    box = {r.axis: r for r in s.domain if r.axis not in loops}
    if conditions:
        with b.indented(f"if {' and '.join(conditions)}:"):
            fill(b, b.arrays[s.target], at, box, value, add=s.add)
    else:
        fill(b, b.arrays[s.target], at, box, value, add=s.add)
