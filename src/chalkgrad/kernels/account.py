"""What a plan costs: floating-point operations and bytes of each step, and how each will run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from chalkgrad.equations.ir import Apply, ArgMax, Equation, Expr, Guard, Program, Range, Reduce
from chalkgrad.equations.show import show
from chalkgrad.equations.walk import children, reads
from chalkgrad.kernels.c.lower import Nest, Pointwise, Product, lower
from chalkgrad.kernels.eager.merging import Joined, Parted, planned
from chalkgrad.kernels.schedule import Block, Loop

BYTES = 4
"""Of a number in float32, in which the account is kept."""


@dataclass(frozen=True)
class Entry:
    """One step of a plan: what is computed, how, and what that costs.

    ``depth`` is 1 inside a loop. ``flops`` counts a multiplication and an addition as two, a function as one;
    ``bytes`` what is read and written once.
    """

    text: str
    how: str
    flops: int
    bytes: int
    depth: int = 0


def account(
    program: Program,
    wanted: Collection[str],
    known: Collection[str],
    numbers: Mapping[str, int],
    kernels: bool,
) -> tuple[Entry, ...]:
    """The steps that compute ``wanted`` where ``known`` is there already, at the sizes ``numbers``.

    ``kernels`` says that loops are compiled where they can be.
    """
    plan = planned(program, tuple(wanted), known, numbers)
    ledger = _Ledger(numbers, plan.intervals)
    found: list[Entry] = []
    for step in plan.steps:
        match step:
            case Block(e):
                found.append(ledger.equation(e, "a product" if _is_product(e) else "whole, with torch"))
            case Joined(_, parts, _):
                found.append(Entry(" | ".join(parts), "put side by side", 0, 2 * ledger.bytes_of(parts)))
            case Parted(name, parts, _, _):
                found.append(Entry(f"{', '.join(parts)} are pieces of {name}", "views", 0, 0))
            case Loop():
                found += ledger.loop(step, kernels)
    return tuple(found)


@dataclass(frozen=True)
class _Ledger:
    numbers: Mapping[str, int]
    intervals: Mapping[str, tuple[tuple[int, int], ...]]

    def bytes_of(self, names: Collection[str]) -> int:
        return sum(BYTES * prod(size for _, size in self.intervals.get(n, ())) for n in names)

    def points(self, over: Collection[Range]) -> int:
        return prod(r.size.value(self.numbers) for r in over)

    def flops(self, e: Expr) -> int:
        """Operations at one point."""
        match e:
            case Apply("add" | "mul", args):
                return len(args) - 1 + sum(map(self.flops, args))
            case Apply(_, args):
                return 1 + sum(map(self.flops, args))
            case Reduce(_, over, body) | ArgMax(over, _, body):
                return self.points(over) * (1 + self.flops(body))
            case Guard(_, body):
                return self.flops(body)
            case _:
                return 0

    def equation(self, e: Equation, how: str, depth: int = 0) -> Entry:
        points = self.points(e.domain)
        read = sum(
            BYTES * min(prod(size for _, size in self.intervals[r.name]), points * self.most(e.value))
            for r in {r.name: r for r in reads(e.value)}.values()
        )
        return Entry(show(e), how, points * self.flops(e.value), BYTES * points + read, depth)

    def most(self, e: Expr) -> int:
        """At how many places an expression may read a name, at one point."""
        own = self.points(e.over) if isinstance(e, Reduce | ArgMax) else 1
        return own * max((self.most(c) for c in children(e)), default=1)

    def loop(self, loop: Loop, kernels: bool) -> Iterator[Entry]:
        equations = loop.equations
        span = [r for e in equations for r in e.domain if r.axis == loop.axis]
        steps = max(r.high.value(self.numbers) for r in span) - min(r.low.value(self.numbers) for r in span)
        lowered = lower(loop, {e.target for e in equations}) if kernels else None
        way = "backwards" if loop.reverse else "forwards"
        names = {n for e in equations for n in (e.target, *(r.name for r in reads(e.value)))}
        how = (
            f"compiled{', ' + lowered.rows + ' shared among threads' if lowered.rows else ''}"
            if lowered
            else "step by step in Python"
        )
        if kernels and lowered is None:
            how += ": a loop inside a loop is not compiled yet"
        entries = [self.equation(e, "", 1) for e in equations]
        yield Entry(
            f"loop over {loop.axis}, {way}, {steps} steps",
            how,
            sum(e.flops for e in entries),
            self.bytes_of(names),
        )
        if lowered is None:
            yield from entries
            return
        for stage in lowered.stages:
            match stage:
                case Product(e):
                    yield self.equation(e, "a product with packed weights", 1)
                case Nest(e):
                    yield self.equation(e, "a sum, point by point", 1)
                case Pointwise(together):
                    for k, e in enumerate(together):
                        yield self.equation(e, "point by point" if k == 0 else "  together with it", 1)


def _is_product(e: Equation) -> bool:
    value = e.value.body if isinstance(e.value, Guard) else e.value
    return isinstance(value, Reduce) and isinstance(value.body, Apply) and value.body.op == "mul"
