"""The meaning of a program, point by point: slow, plain, and independent of everything it checks.

Every value is one number, computed where it is asked for and remembered. Nothing is vectorised and no torch
takes part, so that agreement with it says something.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import assert_never

import numpy as np

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Equation,
    Expr,
    Guard,
    Index,
    Program,
    Range,
    Read,
    Reduce,
)

Array = np.ndarray
Point = tuple[int, ...]
Where = Mapping[str, int]

FUNCTIONS: dict[str, Callable[..., float]] = {
    "add": lambda *a: math.fsum(a),
    "mul": lambda *a: math.prod(a),
    "pow": lambda x, k: x**k,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "step": lambda x: float(x > 0),
    "erf": math.erf,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "maximum": max,
    "minimum": min,
    "equal": lambda a, b: float(a == b),
    "select": lambda m, a, b: a if m != 0 else b,
    "stop": lambda m, x: x,
}


def evaluate(
    program: Program, given: Mapping[str, Array], numbers: Mapping[str, int], names: Sequence[str]
) -> dict[str, Array]:
    """The arrays of ``names``, whose axes are each name's ranges in order; position = index - low.

    ``given`` holds every name that is read and not defined, ``numbers`` a number per size symbol. Raises
    AssertionError for a read outside its name's interval, and where no equation holds a point.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 50_000))
    try:
        system = _System(program, given, numbers)
        return {name: system.array(name) for name in names}
    finally:
        sys.setrecursionlimit(limit)


def shape(program: Program, name: str, numbers: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of the array that holds ``name``."""
    return tuple(r.size.value(numbers) for r in program[name].ranges)


class _System:
    """One evaluation: what is given, and every value found so far."""

    def __init__(self, program: Program, given: Mapping[str, Array], numbers: Mapping[str, int]) -> None:
        self.program, self.given, self.numbers = program, given, numbers
        self.found: dict[tuple[str, Point], float] = {}
        self.open: set[tuple[str, Point]] = set()
        for name, array in given.items():
            expected = shape(program, name, numbers)
            assert array.shape == expected, f"{name} has shape {array.shape}, not {expected}"

    def array(self, name: str) -> Array:
        out = np.zeros(shape(self.program, name, self.numbers))
        intervals = [self.interval(r) for r in self.program[name].ranges]
        for point in product(*intervals):
            out[tuple(p - i.start for p, i in zip(point, intervals, strict=True))] = self.value(name, point)
        return out

    def interval(self, r: Range) -> range:
        return range(r.low.value(self.numbers), r.high.value(self.numbers))

    def value(self, name: str, point: Point) -> float:
        key = name, point
        if key not in self.found:
            assert key not in self.open, f"{name}{list(point)} depends on itself"
            self.open.add(key)
            self.found[key] = self.compute(name, point)
            self.open.discard(key)
        return self.found[key]

    def compute(self, name: str, point: Point) -> float:
        ranges = self.program[name].ranges
        assert len(ranges) == len(point), f"{name} has {len(ranges)} axes and is read at {list(point)}"
        intervals = [self.interval(r) for r in ranges]
        for p, i, r in zip(point, intervals, ranges, strict=True):
            assert p in i, f"{name}{list(point)} is read outside {r} = {i}"
        if name in self.given:
            position = tuple(p - i.start for p, i in zip(point, intervals, strict=True))
            return float(self.given[name][position])
        equation, where = self.equation(name, point)
        return self.expression(equation.value, where)

    def equation(self, name: str, point: Point) -> tuple[Equation, Where]:
        holding = [
            e
            for e in self.program.defining(name)
            if all(p in self.interval(r) for p, r in zip(point, e.domain, strict=True))
        ]
        assert len(holding) == 1, f"{len(holding)} equations define {name}{list(point)}"
        return holding[0], dict(zip(holding[0].axes, point, strict=True))

    def expression(self, e: Expr, where: Where) -> float:
        match e:
            case Const(value):
                return float(value)
            case At(index):
                return float(self.index(index, where))
            case Read(name, at):
                return self.value(name, tuple(self.index(i, where) for i in at))
            case Apply(op, args):
                return FUNCTIONS[op](*(self.expression(a, where) for a in args))
            case Guard(conditions, body):
                return self.expression(body, where) if self.hold(conditions, where) else 0.0
            case Reduce(op, over, body):
                values = [self.expression(body, inner) for inner in self.points(over, where)]
                match op:
                    case "sum":
                        return math.fsum(values)
                    case "max":
                        return max(values, default=-math.inf)
                    case "min":
                        return min(values, default=math.inf)
                    case "logsumexp":
                        most = max(values, default=-math.inf)
                        if math.isinf(most):
                            return most
                        return most + math.log(math.fsum(math.exp(v - most) for v in values))
                    case _:
                        assert_never(op)
            case ArgMax(over, axis, body):
                # max keeps the first of equals, and the points come row by row.
                best = max(self.points(over, where), key=lambda inner: self.expression(body, inner))
                return float(best[axis])
            case _:
                assert_never(e)

    def points(self, over: tuple[Range, ...], where: Where) -> Iterator[dict[str, int]]:
        for point in product(*(self.interval(r) for r in over)):
            yield {**where, **dict(zip((r.axis for r in over), point, strict=True))}

    def hold(self, conditions: tuple[Condition, ...], where: Where) -> bool:
        return all(self.holds(c, where) for c in conditions)

    def holds(self, c: Condition, where: Where) -> bool:
        match c.kind:
            case "nonnegative":
                return self.numerator(c.index, where) >= 0
            case "zero":
                return self.numerator(c.index, where) == 0
            case "divisible":
                return self.index(c.index, where) % c.divisor == 0
            case _:
                assert_never(c.kind)

    def index(self, index: Index, where: Where) -> int:
        total = self.numerator(index, where)
        assert total % index.divisor == 0, f"the index {index} is not whole at {dict(where)}"
        return total // index.divisor

    def numerator(self, index: Index, where: Where) -> int:
        return sum(k * where[a] for a, k in index.terms) + index.shift.value(self.numbers)
