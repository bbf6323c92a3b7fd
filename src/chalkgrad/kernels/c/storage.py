"""Where the names of one call live: tables, scratch of one step, or nowhere but in registers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chalkgrad.equations.ir import Index, full
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c.lower import Lowered, Pointwise, Product, Stage, equations_in

Home = Literal["table", "scratch", "local", "another's"]
"""A product that is added to another one has that one's home."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Names by where they live.

    ``tables`` have a value at every step or belong to no loop, ``scratch`` one for the step at hand,
    ``local`` none: they are computed when read. ``position`` says which axis of a name is its loop's.
    """

    tables: tuple[str, ...]
    scratch: tuple[str, ...]
    local: frozenset[str]
    position: Mapping[str, int]


def storage(made: Iterable[str], loops: Sequence[Lowered], outside: Collection[str]) -> Storage:
    """Where the names that are ``made`` live; those in ``outside`` are read or written around the loops."""
    position: dict[str, int] = {}
    homes: dict[str, Home] = {}
    for loop in loops:
        position |= _positions(loop)
        others = [e for o in loops if o is not loop for e in equations_in(o)]
        shared = {e.target for e in others} | {r.name for e in others for r in reads(e.value)}
        for name in dict.fromkeys(e.target for e in equations_in(loop)):
            homes[name] = _home(name, loop, position[name], name in outside or name in shared)
    homes |= {name: "table" for name in made if name not in homes}

    def living(where: Home) -> tuple[str, ...]:
        return tuple(name for name, home in homes.items() if home == where)

    return Storage(living("table"), living("scratch"), frozenset(living("local")), position)


def _home(name: str, loop: Lowered, position: int, outside: bool) -> Home:
    """Where a name that a loop makes lives; ``outside`` says that others than the loop read or write it."""
    if any(isinstance(s, Product) and s.into and s.equation.target == name for s in loop.stages):
        return "another's"
    if outside or _read_elsewhere(name, loop, position):
        return "table"
    if _only_inside(name, loop.stages):
        return "local"
    inner = any(e.target == name for s in loop.stages if isinstance(s, Lowered) for e in equations_in(s))
    return "table" if inner else "scratch"


def _positions(loop: Lowered) -> dict[str, int]:
    """For every name that a loop makes, or reads where it is: the position of the loop's axis."""
    found: dict[str, int] = {}
    for e in equations_in(loop):
        for r in reads(e.value):
            for k, i in enumerate(r.at):
                if loop.axis in i.axes and r.name not in found:
                    found[r.name] = k
    return found | {e.target: e.axes.index(loop.axis) for e in equations_in(loop)}


def _read_elsewhere(name: str, loop: Lowered, position: int) -> bool:
    """Whether a name is read at another step than the one at hand."""
    here = Index.axis(loop.axis)
    return any(r.at[position] != here for e in equations_in(loop) for r in reads(e.value) if r.name == name)


def _only_inside(name: str, stages: Iterable[Stage]) -> bool:
    """Whether a name is made in one group of pointwise equations and read nowhere else."""
    for stage in stages:
        if isinstance(stage, Lowered):
            if not _only_inside(name, stage.stages):
                return False
            continue
        inside = isinstance(stage, Pointwise) and any(e.target == name for e in stage.equations)
        if not inside and any(r.name == name for e in equations_in(stage) for r in reads(e.value)):
            return False
        if not inside and any(e.target == name for e in equations_in(stage)):
            return False
        if inside and sum(e.target == name for e in equations_in(stage)) > 1:
            return False
        # At another point of an inner loop, or of the group, only a table has it.
        if inside and any(
            r.at != full(e.domain) for e in equations_in(stage) for r in reads(e.value) if r.name == name
        ):
            return False
    return True
