"""A computation graph with a column for every step of a recurrence, or for every place of a convolution."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from chalkgrad.calculus.latex import symbol
from chalkgrad.drawing.equation import lowered
from chalkgrad.drawing.graph import AFTER, BEFORE, Graph, Link, Vertex, begins, folded
from chalkgrad.equations.ir import Equation, Index, Name, Program, Size
from chalkgrad.equations.walk import reads
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.source import EquationError
from chalkgrad.tracing.system import System, timed_positions

MOST_STEPS = 8
"""How many steps an unrolled picture may have: more cannot be read."""

Moving = Mapping[str, tuple[int, ...]]
"""For each name, which of its axes goes from column to column."""


def unrolled(resolved: Resolved, steps: int) -> Graph:
    """A copy of every name for each step in time, or for each place that a sum slides over.

    Raises EquationError where there is neither, where there are two such axes, or too many steps.
    """
    p = resolved.program
    moving = timed_positions(resolved, p)
    if any(moving.values()):
        letters = {p[n].ranges[k].axis for n, found in moving.items() for k in found if p[n].role != "start"}
        in_time, (letter, *more) = True, sorted(letters)
    else:
        in_time, letter, more = False, "", []
        moving = sliding(p)
    if max(map(len, moving.values()), default=0) > 1 or more:
        raise EquationError("what moves along two axes is drawn folded only", help="leave --unroll out")
    if not any(moving.values()):
        raise EquationError(
            "nothing here moves from step to step or from place to place, so there is nothing to unroll",
            help="leave --unroll out",
        )
    if not 1 <= steps <= MOST_STEPS:
        raise EquationError(f"--unroll {steps}: a picture holds 1 to {MOST_STEPS} steps", help="--unroll 3")
    from chalkgrad.tracing.given import chosen_sizes  # brings torch, which a folded picture does not wait for

    last = p.outputs[-1]
    lengths = None if in_time else [(last, p[last].ranges[k].size) for k in moving[last]]
    numbers = chosen_sizes(resolved, steps, lengths)
    system = System(p, numbers, moving)
    flat = folded(resolved)
    vertices, links = _copies(resolved, flat, system, _first_step(p, numbers) if in_time else 0)
    heading = f"{letter} = {{}}" if in_time else r"\mathrm{{place}}\ {}"
    return Graph(vertices, links, flat.names, flat.forward, heading, "step" if in_time else "place")


def sliding(p: Program) -> dict[str, tuple[int, ...]]:
    """For each name, the axes along which something is read at neighbouring places: a convolution's.

    >>> from chalkgrad.language.resolve import read
    >>> sliding(read("y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] where x: input").program)
    {'x': (1,), 'w': (), 'y': (1,)}
    """
    found: dict[str, set[int]] = {n.name: set() for n in p.names}
    pairs = [
        (e, e.axes.index(letter), r.name, k, index.plain() is None)
        for e in p.equations
        for r in reads(e.value)
        if p[r.name].role != "parameter"
        for k, index in enumerate(r.at)
        for letter in index.axes
        if letter in e.axes
    ]
    grown = True
    while grown:
        grown = False
        for e, place, name, k, shifted in pairs:
            if (shifted or place in found[e.target] or k in found[name]) and not (
                place in found[e.target] and k in found[name]
            ):
                found[e.target].add(place)
                found[name].add(k)
                grown = True
    return {name: tuple(sorted(places)) for name, places in found.items()}


def _copies(
    resolved: Resolved, flat: Graph, system: System, offset: int
) -> tuple[tuple[Vertex, ...], tuple[Link, ...]]:
    """Every name at every place, and what is read from where."""
    p, moving = resolved.program, system.timed
    drawn = {v.key: v for v in flat.vertices}
    back = {(k.source, k.target) for k in flat.links if k.recurrent}
    late = _after_all(p, moving)
    stride = _strides(p, moving)
    vertices: dict[str, Vertex] = {}
    links: dict[Link, None] = {}

    def add(v: Vertex, place: tuple[int, ...]) -> str:
        column = place[0] + offset if place else AFTER if v.name in late else BEFORE
        key = f"{v.name}[{column}]" if place else v.name
        if key not in vertices:
            label = _at(p[v.name], moving[v.name][0], column) if place else v.label
            here = [e for e in p.defining(v.name) if not place or place[0] in _interval(system, e)]
            read = {r.name for e in here for r in reads(e.value)}
            weights = tuple(w for w in v.weights if w in read)
            kind = "start" if here and begins(p, here[0]) else v.kind
            vertices[key] = Vertex(key, v.name, kind, label, v.equation, weights, column)
        return key

    for e in p.equations:
        over = tuple(e.domain[k] for k in moving[e.target])
        for place in product(*map(system.interval, over)):
            target = add(drawn[e.target], place)
            if begins(p, e):
                continue
            where = dict(zip((r.axis for r in over), place, strict=True))
            for name, at in system.needs(e.value, where):
                if name in drawn:
                    recurrent = (name, e.target) in back and at != place
                    tap = at[0] - stride[name, e.target] * place[0] if at and place else 0
                    links[Link(add(drawn[name], at), target, "", recurrent, tap)] = None
    return tuple(vertices.values()), tuple(links)


def _strides(p: Program, moving: Moving) -> dict[tuple[str, str], int]:
    """By how much what is read moves when what reads moves by one."""
    return {
        (r.name, e.target): r.at[moving[r.name][0]].coefficient(e.axes[moving[e.target][0]])
        for e in p.equations
        for r in reads(e.value)
        if moving[r.name] and moving[e.target]
    }


def _interval(system: System, e: Equation) -> range:
    return system.interval(e.domain[system.timed[e.target][0]])


def _at(n: Name, position: int, step: int) -> str:
    at = [Index.axis(r.axis) for r in n.ranges[: n.written]]
    at[position] = Index((), Size((), step))
    return lowered(symbol(n.name, tuple(at)))


def _after_all(p: Program, moving: Moving) -> set[str]:
    """The names with one copy that are computed from names with many."""
    late: set[str] = set()
    while True:
        more = {
            e.target
            for e in p.equations
            if not moving[e.target] and any(moving[r.name] or r.name in late for r in reads(e.value))
        }
        if more <= late:
            return late
        late |= more


def _first_step(p: Program, numbers: Mapping[str, int]) -> int:
    """What is added to a step so that the first is 1: the last start forward is 0."""
    ends = [p[s.start].ranges[s.position].high.value(numbers) - 1 for s in p.states if s.forward]
    return -max(ends) if ends else 1
