"""Equations with a number for each size, looked at from one step in time: what holds there, what is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    Condition,
    Const,
    Expr,
    Guard,
    Index,
    Program,
    Range,
    Read,
    Reduce,
)
from chalkgrad.equations.ops import apply
from chalkgrad.equations.walk import children, reads, with_children
from chalkgrad.language.resolve import Resolved

Steps = Mapping[str, int]
"""Axes, and the step that each stands at."""

Place = tuple[str, tuple[int, ...]]
"""A name, and its steps in time."""


def timed_positions(resolved: Resolved, program: Program) -> dict[str, tuple[int, ...]]:
    """For each name, which of its axes are steps in time: a recurrence's index, written in brackets.

    >>> from chalkgrad.language.resolve import read
    >>> rnn = read("h[t] = tanh(x[t] W + h[t-1] U)")
    >>> timed_positions(rnn, rnn.program)
    {'x': (0,), 'W': (), 'U': (), 'h₀': (0,), 'h': (0,)}
    """

    def of(name: str) -> tuple[int, ...]:
        n = program[name]
        if n.role in ("start", "seed") or n.name.startswith("∂"):
            return of(n.of)
        return tuple(k for k in range(n.written) if n.ranges[k].axis in resolved.recurrence)

    return {n.name: of(n.name) for n in program.names}


@dataclass(frozen=True)
class System:
    """A program with the numbers of its sizes; ``timed`` says which axes of a name are time."""

    program: Program
    numbers: Mapping[str, int]
    timed: Mapping[str, tuple[int, ...]]

    def interval(self, r: Range) -> range:
        low = r.low.value(self.numbers)
        return range(low, low + r.size.value(self.numbers))

    def own(self, name: str) -> tuple[Range, ...]:
        """The axes of a name without the steps before its start."""
        n = self.program[name]
        return self.program.defining(name)[-1].domain if n.role == "defined" else n.ranges

    def at(self, index: Index, steps: Steps) -> int | None:
        """The number an index is; None where an axis in it has no step, or where it is not whole."""
        if any(a not in steps for a in index.axes):
            return None
        total = index.shift.value(self.numbers) + sum(k * steps[a] for a, k in index.terms)
        return total // index.divisor if total % index.divisor == 0 else None

    def holds(self, c: Condition, steps: Steps) -> bool | None:
        """Whether a condition holds; None where an axis in it has no step."""
        if any(a not in steps for a in c.index.axes):
            return None
        value = c.index.shift.value(self.numbers) + sum(k * steps[a] for a, k in c.index.terms)
        return c.holds(value)

    def here(self, e: Expr, steps: Steps) -> Expr:
        """The expression at these steps: decided guards are gone, and so is what they hold back."""
        match e:
            case Guard(conditions, body):
                decided = [(c, self.holds(c, steps)) for c in conditions]
                if any(known is False for _, known in decided):
                    return Const(0)
                inner = self.here(body, steps)
                left = tuple(c for c, known in decided if known is None)
                return Guard(left, inner) if left and inner != Const(0) else inner
            case Read() if self.program[e.name].role == "seed" and self.before_start(e, steps):
                return Const(0)
            case Apply(op, args):
                return apply(op, *(self.here(a, steps) for a in args))
            case Reduce("sum", _, body) if (inner := self.here(body, steps)) == Const(0):
                return inner
            case _:
                return with_children(e, tuple(self.here(c, steps) for c in children(e)))

    def before_start(self, seed: Read, steps: Steps) -> bool:
        """Whether the read is of a step that is a start, of which a loss says nothing."""
        output = self.program[seed.name].of
        ranges = self.own(output)
        place = ((self.at(seed.at[k], steps), ranges[k]) for k in self.timed[output])
        return any(p is not None and p not in self.interval(r) for p, r in place)

    def needs(self, e: Expr, steps: Steps) -> Iterator[Place]:
        """The places that the expression reads at these steps; a place it does not say is left out."""
        match e:
            case Guard(conditions, body):
                if all(self.holds(c, steps) is not False for c in conditions):
                    yield from self.needs(body, steps)
            case Read(name, at):
                place = [self.at(at[k], steps) for k in self.timed[name]]
                if None not in place:
                    yield name, tuple(p for p in place if p is not None)
            case Reduce(_, over, body) | ArgMax(over, _, body):
                axes = self.time_in(over, body)
                for values in product(*map(self.interval, axes)):
                    inside = {**steps, **dict(zip((r.axis for r in axes), values, strict=True))}
                    yield from self.needs(body, inside)
            case _:
                for c in children(e):
                    yield from self.needs(c, steps)

    def time_in(self, over: tuple[Range, ...], body: Expr) -> list[Range]:
        """Those of some bound axes at which the body reads a step in time."""
        used = {a for r in reads(body) for k in self.timed[r.name] for a in r.at[k].axes}
        return [r for r in over if r.axis in used]
