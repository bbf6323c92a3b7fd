"""What a plan costs: floating-point operations and bytes of each step, and how each will run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from chalkgrad.equations.ir import Apply, ArgMax, Equation, Expr, Guard, Program, Range, Reduce
from chalkgrad.equations.show import show
from chalkgrad.equations.walk import children, reads
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.c.loops import can_be_compiled
from chalkgrad.kernels.c.lower import Lowered, Nest, Pointwise, Product, equations_in
from chalkgrad.kernels.c.segment import Matrices, Part, Sum, segment
from chalkgrad.kernels.eager.merging import intervals_of, planned
from chalkgrad.kernels.eager.nests import nest_of
from chalkgrad.kernels.eager.recognition import library_calls
from chalkgrad.kernels.eager.steps import Joined, Looped, Parted, Piece, Shared, equations_of
from chalkgrad.kernels.schedule import Block, Compiled, Loop

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
    backend: Backend = "c",
) -> tuple[Entry, ...]:
    """The steps that compute ``wanted`` where ``known`` is there already, at the sizes ``numbers``."""
    can, library = can_be_compiled if backend == "c" else None, backend != "eager"
    plan = planned(program, tuple(wanted), known, numbers, can, library)
    ledger = _Ledger(numbers, plan.intervals)
    found: list[Entry] = []
    for step in plan.steps:
        match step:
            case Block(e):
                nest = nest_of(e, numbers, plan.intervals, BYTES) if can else None
                called = ", ".join(library_calls(e, numbers, plan.intervals)) if library else ""
                usual = "a product" if _is_product(e) else "whole, with torch"
                how = f"C loop nest, vectors along {nest.lanes}" if nest else called or usual
                found.append(ledger.equation(e, how))
            case Joined() | Parted():
                found.append(ledger.placing(step))
            case Shared(equations, how):
                for k, e in enumerate(equations):
                    found.append(ledger.equation(e, how if k == 0 else "  by the same call"))
            case Loop() | Looped():
                found += ledger.loop(step)
            case Piece():
                raise AssertionError(step)
            case Compiled(steps):
                used = {n: plan.ranges[n] for n in (*step.made, *step.given)}
                whole = segment(steps, tuple(wanted), used)
                inside = _Ledger(numbers, {**intervals_of(whole.names, numbers), **plan.intervals})
                for part in whole.parts:
                    found += inside.part(part)
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

    def placing(self, step: Joined | Parted, depth: int = 0) -> Entry:
        """Names put side by side, or taken apart."""
        match step:
            case Joined(_, parts):
                bytes = 2 * self.bytes_of(parts)
                return Entry(" | ".join(parts), "put side by side", 0, bytes, depth)
            case Parted(name, parts):
                return Entry(f"{', '.join(parts)} are pieces of {name}", "views", 0, 0, depth)

    def loop(self, loop: Loop | Looped) -> Iterator[Entry]:
        """A loop that runs with torch."""
        yield self.head(loop.axis, loop.reverse, loop.equations, "step by step in Python")
        for step in loop.body:
            if isinstance(step, Joined | Parted):
                yield self.placing(step, 1)
            elif isinstance(step, Piece):
                for k, e in enumerate(step.equations):
                    yield self.equation(e, "  together with it" if k else "point by point, compiled", 1)
            else:
                yield from (self.equation(e, "", 1) for e in equations_of(step))

    def head(
        self, axis: str, reverse: bool, equations: Sequence[Equation], how: str, depth: int = 0
    ) -> Entry:
        """A loop as a whole."""
        span = [r for e in equations for r in e.domain if r.axis == axis]
        steps = max(r.high.value(self.numbers) for r in span) - min(r.low.value(self.numbers) for r in span)
        return Entry(
            f"loop over {axis}, {'backwards' if reverse else 'forwards'}, {steps} steps",
            how,
            sum(self.equation(e, "").flops for e in equations),
            self.bytes_of({n for e in equations for n in (e.target, *_names(e))}),
            depth,
        )

    def part(self, part: Part) -> Iterator[Entry]:
        """A part of a compiled call."""
        match part:
            case Lowered():
                shared = f", {part.rows} shared among threads" if part.rows else ""
                yield self.head(part.axis, part.reverse, equations_in(part), f"compiled{shared}")
                yield from self.stages(part, 1)
            case Matrices(factors):
                for k, f in enumerate(factors):
                    more = "added to it, " if f.more else ""
                    how = "a product with the same left side" if k else f"{more}a product, compiled"
                    yield self.equation(f.equation, how)
            case Sum(e):
                yield self.equation(e, "rows added up, compiled")
            case Pointwise((e,)):
                yield self.equation(e, "point by point, compiled")
            case Nest(e):
                yield self.equation(e, "each point by itself, compiled")
            case Pointwise() | Product():
                raise AssertionError(part)

    def stages(self, loop: Lowered, depth: int) -> Iterator[Entry]:
        """What a compiled loop does in each step."""
        for stage in loop.stages:
            match stage:
                case Product(e):
                    yield self.equation(e, "a product with packed weights", depth)
                case Nest(e):
                    yield self.equation(e, "a sum, point by point", depth)
                case Pointwise(together):
                    for k, e in enumerate(together):
                        yield self.equation(e, "point by point" if k == 0 else "  together with it", depth)
                case Lowered():
                    yield self.head(stage.axis, stage.reverse, equations_in(stage), "inside it", depth)
                    yield from self.stages(stage, depth + 1)


def _names(e: Equation) -> set[str]:
    return {r.name for r in reads(e.value)}


def _is_product(e: Equation) -> bool:
    value = e.value.body if isinstance(e.value, Guard) else e.value
    return isinstance(value, Reduce) and isinstance(value.body, Apply) and value.body.op == "mul"
