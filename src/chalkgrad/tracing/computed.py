"""Every number of a trace: forward and backward equations and all their terms, run in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Program
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import Resolved
from chalkgrad.tracing.given import MOST_NUMBERS, Start, too_long
from chalkgrad.tracing.points import Point, ordered, parts
from chalkgrad.tracing.system import System, timed_positions
from chalkgrad.tracing.terms import Line, Lines

MOST_POINTS = 20_000
"""How many lines are still followed: equations times steps."""


@dataclass(frozen=True)
class Computed:
    """The points of a trace in order, and a tensor for every name, axes as the system has them."""

    resolved: Resolved
    start: Start
    system: System
    points: tuple[tuple[Point, Line], ...]
    values: Mapping[str, Tensor]
    adjoints: Mapping[str, str]  # of what is given → its gradient


def compute(resolved: Resolved, start: Start) -> Computed:
    """Run the equations and their derivation on what is given. Raises EquationError for a trace too long."""
    forward = normalise(resolved.program)
    derived = derive(forward)
    own = {e.target for e in forward.equations}
    names = {n.name: n for n in (*forward.names, *derived.names)}
    equations = (*forward.equations, *(e for e in derived.equations if e.target not in own))
    both = Program(equations, tuple(names.values()), forward.outputs, forward.states, forward.columns)
    timed = timed_positions(resolved, both)
    bare = System(both, start.numbers, timed)
    pieces = parts(bare, frozenset(own))
    count = sum(math.prod(len(bare.interval(r)) for r in p.over) for p in pieces)
    if count > MOST_POINTS:
        raise too_long(f"{count} lines")
    made = Lines(both, pieces)
    whole = made.whole
    count = sum(math.prod(r.size.value(start.numbers) for r in n.ranges) for n in whole.names)
    if count > MOST_NUMBERS:
        raise too_long(f"{count} numbers")
    system = System(whole, start.numbers, timed)
    given = {**start.tensors, **_seeds(bare, start)}
    wanted = [n.name for n in whole.names if n.role == "defined"]
    with torch.no_grad():
        values = {**given, **Runner(whole)(given, start.numbers, wanted)}
    line_of = {id(line.part): line for line in made.lines}
    points = tuple((p, line_of[id(p.part)]) for p in ordered(bare, pieces))
    adjoints = {derived[o].of: o for o in derived.outputs}
    return Computed(resolved, start, system, points, values, adjoints)


def _seeds(system: System, start: Start) -> dict[str, Tensor]:
    """What arrives from the loss, as the system has it: nothing at the steps before a start."""
    found: dict[str, Tensor] = {}
    for n in system.program.given("seed"):
        whole = torch.zeros([r.size.value(system.numbers) for r in n.ranges], dtype=torch.float64)
        inside = whole
        for k, (r, own) in enumerate(zip(n.ranges, system.own(n.of), strict=True)):
            first = own.low.value(system.numbers) - r.low.value(system.numbers)
            inside = inside.narrow(k, first, own.size.value(system.numbers))
        inside.copy_(start.seeds[n.of])
        found[n.name] = whole
    return found
