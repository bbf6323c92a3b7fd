"""The computation graph of a page: what is read by what, folded or a column for every step in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chalkgrad.calculus.latex import symbol
from chalkgrad.drawing.equation import equations, lowered
from chalkgrad.equations.ir import Equation, Index, Name, Program, Read
from chalkgrad.equations.walk import reads
from chalkgrad.language.resolve import Resolved
from chalkgrad.tracing.system import timed_positions

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

    ``recurrent`` links close a cycle, in a folded picture as in an unrolled one. Where a kernel slides,
    ``tap`` is the place in it that the link goes through.
    """

    source: str
    target: str
    delay: str = ""
    recurrent: bool = False
    tap: int = 0


@dataclass(frozen=True)
class Graph:
    """What is drawn, and what decides the layers: the names, and which of them reads which at its own step.

    Where it is unrolled, ``heading`` stands below each column, LaTeX with {} for its number, and ``unit`` is
    what a column is.
    """

    vertices: tuple[Vertex, ...]
    links: tuple[Link, ...]
    names: tuple[str, ...]
    forward: tuple[tuple[str, str], ...]
    heading: str = ""
    unit: str = "step"

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
            if r.name in drawn and not begins(p, e):
                delay = _delay(e, r, timed)
                links[Link(r.name, e.target, delay, bool(delay) and (r.name, e.target) in back)] = None
    ahead = dict.fromkeys((k.source, k.target) for k in links if not k.recurrent)
    return Graph(tuple(vertices), tuple(links), tuple(v.key for v in vertices), tuple(ahead))


# --- what a name is ------------------------------------------------------------------------------------


def _kind(p: Program, n: Name) -> Kind:
    if n.name in p.outputs:
        return "output"
    return "input" if n.role == "input" else "parameter" if n.role == "parameter" else "computed"


def _written(p: Program, n: Name) -> str:
    letters = tuple(Index.axis(r.axis) for r in n.ranges[: n.written])
    return lowered(symbol(n.name, letters))


def begins(p: Program, e: Equation) -> bool:
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
