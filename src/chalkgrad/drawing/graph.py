"""The computation graph of a page: what is read by what, folded or a column for every step in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from chalkgrad.calculus.latex import symbol
from chalkgrad.drawing.equation import equations, lowered
from chalkgrad.equations.ir import Equation, Index, Name, Program, Read, Size
from chalkgrad.equations.walk import reads
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.source import EquationError
from chalkgrad.tracing.system import System, timed_positions

MOST_STEPS = 8
"""How many columns an unrolled picture may have: more cannot be read."""

Kind = Literal["input", "parameter", "start", "computed", "output"]

BEFORE, AFTER = -(10**6), 10**6
"""Columns of what has no step in time: read by the steps, or computed from them."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """Something that is drawn: ``label`` and the pieces of ``equation`` are LaTeX.

    ``weights`` are the parameters that its equation alone reads, ``column`` its step in time, 0 in a folded
    picture.
    """

    key: str
    name: str
    kind: Kind
    label: str
    equation: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    column: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """``target`` reads ``source``; ``delay`` says at which other step, where it is another.

    ``recurrent`` links close a cycle, in a folded picture as in an unrolled one.
    """

    source: str
    target: str
    delay: str = ""
    recurrent: bool = False


@dataclass(frozen=True)
class Graph:
    """What is drawn; ``order`` holds the names so that each stands after those it reads at its own step."""

    vertices: tuple[Vertex, ...]
    links: tuple[Link, ...]
    names: tuple[str, ...]
    forward: tuple[tuple[str, str], ...]
    steps: str = ""

    def __getitem__(self, key: str) -> Vertex:
        return next(v for v in self.vertices if v.key == key)

    @property
    def columns(self) -> tuple[int, ...]:
        return tuple(sorted({v.column for v in self.vertices}))


def folded(resolved: Resolved) -> Graph:
    """Each name once; what is read at another step of a recurrence goes back as a recurrent link."""
    p = resolved.program
    shown = equations(resolved.text)
    lonely = _weights(p)
    timed = timed_positions(resolved, p)
    vertices = [
        Vertex(n.name, n.name, _kind(p, n), _written(p, n), shown.get(n.name, ()), lonely.get(n.name, ()))
        for n in p.names
        if n.role != "start" and not any(n.name in w for w in lonely.values())
    ]
    drawn = {v.key for v in vertices}
    links: dict[Link, None] = {}
    back = _recurrent(p)
    for e in p.equations:
        for r in reads(e.value):
            if r.name in drawn and not _is_start(p, e):
                delay = _delay(e, r, timed)
                links[Link(r.name, e.target, delay, bool(delay) and (r.name, e.target) in back)] = None
    ahead = dict.fromkeys((k.source, k.target) for k in links if not k.recurrent)
    return Graph(tuple(vertices), tuple(links), tuple(v.key for v in vertices), tuple(ahead))


def unrolled(resolved: Resolved, steps: int) -> Graph:
    """A copy of every timed name for each step. Raises EquationError where there are none, or too many."""
    flat = folded(resolved)
    p = resolved.program
    timed = timed_positions(resolved, p)
    if not any(timed.values()):
        raise EquationError(
            "nothing here runs through time, so there is nothing to unroll", help="leave --unroll out"
        )
    letters = {p[n].ranges[k].axis for n, found in timed.items() for k in found if p[n].role != "start"}
    if max(map(len, timed.values())) > 1 or len(letters) > 1:
        raise EquationError(
            f"recurrences along {' and '.join(sorted(letters))} are drawn folded only",
            help="leave --unroll out",
        )
    (letter,) = letters
    if not 1 <= steps <= MOST_STEPS:
        raise EquationError(f"--unroll {steps}: a picture holds 1 to {MOST_STEPS} steps", help="--unroll 3")
    from chalkgrad.tracing.given import given  # brings torch, which a folded picture does not wait for

    numbers = given(resolved, {}, {}, steps, random=True).numbers
    system = System(p, numbers, timed)
    offset = _first_step(p, numbers)
    vertices: dict[str, Vertex] = {}
    links: dict[Link, None] = {}
    late = _after_time(p, timed)

    def add(v: Vertex, place: tuple[int, ...]) -> str:
        column = place[0] + offset if place else AFTER if v.name in late else BEFORE
        key = f"{v.name}[{column}]" if place else v.name
        if key not in vertices:
            label = _at(p[v.name], column) if place else v.label
            here = [e for e in p.defining(v.name) if not place or place[0] in _interval(system, e, timed)]
            begins = bool(here) and _is_start(p, here[0])
            read = {r.name for e in here for r in reads(e.value)}
            weights = tuple(w for w in v.weights if w in read)
            kind = "start" if begins else v.kind
            vertices[key] = Vertex(key, v.name, kind, label, v.equation, weights, column)
        return key

    drawn = {v.key: v for v in flat.vertices}
    back = {(k.source, k.target) for k in flat.links if k.recurrent}
    for e in p.equations:
        over = tuple(e.domain[k] for k in timed[e.target])
        for place in product(*map(system.interval, over)):
            target = add(drawn[e.target], place)
            if _is_start(p, e):
                continue
            where = dict(zip((r.axis for r in over), place, strict=True))
            for name, at in system.needs(e.value, where):
                if name in drawn:
                    source = add(drawn[name], at)
                    recurrent = (name, e.target) in back and at != place
                    links[Link(source, target, "", recurrent)] = None
    return Graph(tuple(vertices.values()), tuple(links), flat.names, flat.forward, letter)


# --- what a name is ------------------------------------------------------------------------------------


def _kind(p: Program, n: Name) -> Kind:
    if n.name in p.outputs:
        return "output"
    return "input" if n.role == "input" else "parameter" if n.role == "parameter" else "computed"


def _written(p: Program, n: Name) -> str:
    letters = tuple(Index.axis(r.axis) for r in n.ranges[: n.written])
    return lowered(symbol(n.name, letters))


def _interval(system: System, e: Equation, timed: Mapping[str, tuple[int, ...]]) -> range:
    return system.interval(e.domain[timed[e.target][0]])


def _at(n: Name, step: int) -> str:
    rest = tuple(Index.axis(r.axis) for r in n.ranges[1 : n.written])
    return lowered(symbol(n.name, (Index((), Size((), step)), *rest)))


def _is_start(p: Program, e: Equation) -> bool:
    """Whether the equation says where a state begins: one of several of its name, and not the last."""
    return e is not p.defining(e.target)[-1]


def _weights(p: Program) -> dict[str, tuple[str, ...]]:
    """For each computed name, the parameters that are read in its equations and nowhere else."""
    readers: dict[str, dict[str, None]] = {n.name: {} for n in p.given("parameter")}
    for e in p.equations:
        for r in reads(e.value):
            if r.name in readers:
                readers[r.name][e.target] = None
    own: dict[str, list[str]] = {}
    for name, found in readers.items():
        if len(found) == 1:
            own.setdefault(next(iter(found)), []).append(name)
    return {target: tuple(names) for target, names in own.items()}


def _delay(e: Equation, r: Read, timed: Mapping[str, tuple[int, ...]]) -> str:
    """At which step a name is read, where it is not the reader's own: ``t-1``, ``all s``, ``T``."""
    own = [e.axes[k] for k in timed[e.target]]
    found: list[str] = []
    for k in timed[r.name]:
        index = r.at[k]
        if index.plain() in own:
            continue
        if not index.terms:
            found.append(str(index + 1))
        elif set(index.axes) <= set(own):
            found.append(str(index))
        elif own or index.plain() is None:
            found.append(f"all {'/'.join(index.axes)}")
    return ",".join(found)


def _recurrent(p: Program) -> set[tuple[str, str]]:
    """The pairs (read, reader) that lie on a cycle of definitions."""
    after: dict[str, set[str]] = {}
    for e in p.equations:
        for r in reads(e.value):
            after.setdefault(r.name, set()).add(e.target)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        ahead = {start}
        while ahead:
            ahead = {b for a in ahead for b in after.get(a, ())} - found
            found |= ahead
        return found

    return {(a, b) for a, targets in after.items() for b in targets if a in reached(b) | {b}}


def _after_time(p: Program, timed: Mapping[str, tuple[int, ...]]) -> set[str]:
    """The untimed names that are computed from steps in time."""
    late: set[str] = set()
    while True:
        more = {
            e.target
            for e in p.equations
            if not timed[e.target] and any(timed[r.name] or r.name in late for r in reads(e.value))
        }
        if more <= late:
            return late
        late |= more


def _first_step(p: Program, numbers: Mapping[str, int]) -> int:
    """What is added to a step so that the first is 1: the last start forward is 0."""
    ends = [p[s.start].ranges[s.position].high.value(numbers) - 1 for s in p.states if s.forward]
    return -max(ends) if ends else 1
