"""Which equations are needed, and in which order a person would evaluate them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from chalkgrad.equations.ir import Program, Read
from chalkgrad.equations.walk import needed, reads


def live(program: Program, keep: Collection[str] = ()) -> Program:
    """The program with only the equations that its outputs need, and the names that those mention.

    The names in ``keep`` stay in the table even where nothing reads them.
    """
    reached = needed(program.equations, program.outputs)
    mentioned = reached | {*keep}
    return Program(
        tuple(e for e in program.equations if e.target in reached),
        tuple(n for n in program.names if n.name in mentioned),
        program.outputs,
        tuple(s for s in program.states if s.name in reached),
        program.columns,
    )


def evaluation_order(program: Program) -> tuple[str, ...]:
    """The defined names, each after those it reads; in a cycle, reads at a shift do not count.

    >>> from chalkgrad.equations.ir import Equation, Index, Name, Range, Size
    >>> t, here = Range("t", Size.symbol("T")), Index.axis("t")
    >>> names = (Name("h", "defined", (t,), 1), Name("a", "defined", (t,), 1))
    >>> loop = (Equation("h", (t,), Read("a", (here,))), Equation("a", (t,), Read("h", (here - 1,))))
    >>> evaluation_order(Program(loop, names, ("h",)))
    ('a', 'h')
    """
    edges = {n.name: [r for e in program.defining(n.name) for r in reads(e.value)] for n in program.names}
    reached = _closure({a: {r.name for r in found} for a, found in edges.items()})
    order: dict[str, None] = {}
    visiting: set[str] = set()

    def visit(name: str) -> None:
        if name in order or name in visiting:
            return
        visiting.add(name)
        for r in edges[name]:
            if not (name in reached[r.name] and _shifted(r)):
                visit(r.name)
        order[name] = None

    # A state stands where its recurrence does, not where its start is set.
    place = {e.target: k for k, e in enumerate(program.equations)}
    for name in sorted(place, key=place.__getitem__):
        visit(name)
    return tuple(n for n in order if n in place)


def _shifted(r: Read) -> bool:
    """Whether some index is an axis and a constant: a neighbour, not the same point."""
    return any(len(i.terms) == 1 and i.plain() is None for i in r.at)


def _closure(edges: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """What each name leads to, by any number of reads."""
    reached = {a: {*found} for a, found in edges.items()}
    grown = True
    while grown:
        grown = False
        for found in reached.values():
            more = {c for b in found for c in reached[b]} - found
            found |= more
            grown = grown or bool(more)
    return reached
