"""Expressions → C, one after the other: what is read, where it lies, and how it is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

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
    Range,
    Read,
    Reduce,
    range_of,
)
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import nodes
from chalkgrad.kernels.c.lower import Lowered, equations_in
from chalkgrad.kernels.c.segment import Segment


@dataclass(frozen=True, slots=True)
class Place:
    """How an element of a name is found: a pointer, one stride per axis (0 where an axis is left out)."""

    pointer: str
    strides: tuple[str, ...]
    lows: tuple[Size, ...]


@dataclass
class Expressions:
    """Writes expressions of a segment; sizes become numbers that come in, axes C variables.

    ``around`` are the loops at hand, the outermost first; ``bounds`` says where the axes that threads share
    out begin and end, in C.
    """

    segment: Segment
    double: bool
    sizes: dict[Size, str] = field(default_factory=dict[Size, str])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    letters: dict[str, str] = field(default_factory=dict[str, str])
    around: tuple[Lowered, ...] = ()
    bounds: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    conditions: dict[Condition, str] = field(default_factory=dict[Condition, str])
    locals: dict[str, str] = field(default_factory=dict[str, str])
    held: bool = False  # whether every condition on the step holds in the variant at hand
    fresh: int = 0  # how many variables there are

    # --- names and numbers -----------------------------------------------------------------------------

    def size(self, s: Size) -> str:
        if s.constant is not None:
            return str(s.constant)
        return self.sizes.setdefault(s, f"n[{len(self.sizes)}]")

    def letter(self, axis: str) -> str:
        """An axis as a C variable."""
        return self.letters.setdefault(axis, f"i{len(self.letters)}")

    def variable(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    def index(self, i: Index) -> str:
        parts = [f"{k} * {self.letter(a)}" if k != 1 else self.letter(a) for a, k in i.terms]
        if i.shift != Size() or not parts:
            parts.append(self.size(i.shift))
        text = " + ".join(parts)
        return f"(({text}) / {i.divisor})" if i.divisor != 1 else f"({text})" if len(parts) > 1 else text

    def element(self, name: str, at: Sequence[Index]) -> str:
        """The element of a name at an index per axis."""
        place = self.places[name]
        terms: list[str] = []
        for i, stride, low in zip(at, place.strides, place.lows, strict=True):
            if stride == "0":
                continue
            moved = Index(i.terms, i.shift - low * i.divisor, i.divisor)
            shown = self.index(moved)
            terms.append(shown if stride == "1" else f"{shown} * {stride}")
        return f"{place.pointer}[{' + '.join(terms) or '0'}]"

    # --- expressions -----------------------------------------------------------------------------------

    def expression(self, e: Expr) -> str:
        match e:
            case Const(value):
                return _number(value)
            case At(i):
                return f"(R){self.index(i)}"
            case Read(name, at):
                return self.locals.get(name) or self.element(name, at)
            case Apply("add", args):
                return "(" + " + ".join(map(self.expression, args)) + ")"
            case Apply("mul", args):
                return "(" + " * ".join(map(self.expression, args)) + ")"
            case Apply("pow", (base, Const(value))):
                return self.power(base, value)
            case Apply(op, args):
                return f"c_{op}({', '.join(map(self.expression, args))})"
            case Guard(conditions, body):
                tests = [self.condition(c) for c in conditions]
                tests = [t for t in tests if t != "1"]
                inner = self.expression(body)
                return f"({' && '.join(tests)} ? {inner} : 0)" if tests else inner
            case Reduce():
                return self.reduction(e)
            case ArgMax():
                return self.winner(e)
            case _:
                assert_never(e)

    def power(self, base: Expr, value: float) -> str:
        x = self.expression(base)
        if value == -1:
            return f"(1 / {x})"
        if value in (2, -2):
            v = self.variable("x")
            return f"({{ R {v} = {x}; {'1 / ' if value < 0 else ''}({v} * {v}); }})"
        if value == 0.5:
            return f"c_sqrt({x})"
        return f"c_pow({x}, {_number(value)})"

    def condition(self, c: Condition) -> str:
        if self.around and set(c.index.axes) <= {self.around[0].axis}:
            if self.held:
                return "1"
            return self.conditions.setdefault(c, f"g{len(self.conditions)}")
        return self.test(c)

    def test(self, c: Condition) -> str:
        i = self.index(c.index)
        match c.kind:
            case "nonnegative":
                return f"({i} >= 0)"
            case "zero":
                return f"({i} == 0)"
            case "divisible":
                return f"({i} % {c.divisor} == 0)"

    def loops(self, over: Iterable[Range]) -> str:
        return " ".join(self.loop(r) for r in over)

    def loop(self, r: Range) -> str:
        i = self.letter(r.axis)
        low, high = self.bounds.get(r.axis) or (self.size(r.low), self.size(r.high))
        return f"for (int64_t {i} = {low}; {i} < {high}; {i}++)"

    def reduction(self, e: Reduce) -> str:
        v, body = self.variable("s"), self.expression(e.body)
        *outer, inner = [self.loop(r) for r in e.over]
        before = " ".join(outer)
        if e.op == "sum":
            simd = "" if _has_reduction(e.body) else f'_Pragma("omp simd reduction(+ : {v})") '
            return f"({{ R {v} = 0; {before} {{ {simd}{inner} {v} += {body}; }} {v}; }})"
        if e.op in ("max", "min"):
            first = "-LARGEST" if e.op == "max" else "LARGEST"
            return f"({{ R {v} = {first}; {before} {inner} {v} = c_{e.op}imum({v}, {body}); {v}; }})"
        # logsumexp: the largest one first, so that nothing overflows
        m = self.variable("m")
        again = self.expression(e.body)
        return (
            f"({{ R {m} = -LARGEST; {before} {inner} {m} = c_maximum({m}, {body}); R {v} = 0; "
            f"if ({m} > -LARGEST && {m} < LARGEST) {{ {before} {inner} {v} += c_exp({again} - {m}); "
            f"{v} = {m} + c_log({v}); }} else {v} = {m}; {v}; }})"
        )

    def winner(self, e: ArgMax) -> str:
        """The position of the first largest element."""
        m, p, x = self.variable("m"), self.variable("at"), self.variable("x")
        loops, i = self.loops(e.over), self.letter(e.axis)
        return (
            f"({{ R {m} = -LARGEST, {p} = 0; int c{p} = 0; {loops} {{ R {x} = {self.expression(e.body)}; "
            f"if (!c{p} || {x} > {m} || ({x} != {x} && {m} == {m})) "
            f"{{ {m} = {x}; {p} = (R){i}; c{p} = 1; }} }} {p}; }})"
        )

    # --- loops -----------------------------------------------------------------------------------------

    def free(self, e: Equation) -> list[Range]:
        """The axes of an equation that are no loop's."""
        axes = {loop.axis for loop in self.around}
        return [r for r in e.domain if r.axis not in axes]

    def inside(self, e: Equation) -> list[str]:
        """The tests that a step lies in the equation's own interval, where a loop is longer."""
        found: list[str] = []
        for loop in self.around:
            own, others = range_of(e.domain, loop.axis), steps_of(loop)
            t = Index.axis(loop.axis)
            if any(r.low != own.low for r in others):
                found.append(self.condition(Condition(t - own.low)))
            if any(r.high != own.high for r in others):
                found.append(self.condition(Condition(t * -1 + (own.high - 1))))
        return [test for test in found if test != "1"]

    def steps(self, loop: Lowered) -> str:
        """The loop over the steps, or the one step that the call is about."""
        if self.segment.step is not None:
            t, now = self.letter(loop.axis), self.size(self.segment.step)
            return f"for (int64_t {t} = {now}; {t} <= {now}; {t}++)"
        first = min_of(self.size(r.low) for r in steps_of(loop))
        last = max_of(self.size(r.high) for r in steps_of(loop))
        t = self.letter(loop.axis)
        if loop.reverse:
            return f"for (int64_t {t} = {last} - 1; {t} >= {first}; {t}--)"
        return f"for (int64_t {t} = {first}; {t} < {last}; {t}++)"

    # --- where names live ------------------------------------------------------------------------------

    def place_names(self) -> None:
        """A pointer and strides for each name: what is given as it lies, the rest in order."""
        whole = self.segment
        for k, name in enumerate(whole.given):
            axes = whole.names[name]
            strides = tuple(f"s{k}_{j}" for j in range(len(axes) - 1)) + (("1",) if axes else ())
            self.places[name] = Place(f"p{k}", strides, tuple(r.low for r in axes))
        for stem, group in (("t", (*whole.kept, *whole.tables)), ("w", whole.scratch)):
            for k, name in enumerate(group):
                axes = whole.names[name]
                order = self.order(name)[1 if stem == "w" else 0 :]
                strides = ["0"] * len(axes)
                for place, j in enumerate(order):
                    inner = [self.size(axes[i].size) for i in order[place + 1 :]]
                    strides[j] = f"({' * '.join(inner)})" if inner else "1"
                self.places[name] = Place(f"{stem}{k}", tuple(strides), tuple(r.low for r in axes))
        for name, part in whole.within.items():
            place = self.places[part.whole]
            lows = [low - part.first if j == part.dim else low for j, low in enumerate(place.lows)]
            self.places[name] = Place(place.pointer, place.strides, tuple(lows))

    def order(self, name: str) -> tuple[int, ...]:
        """A table's axes in memory: its loop's first."""
        count, position = len(self.segment.names[name]), self.segment.position.get(name)
        if position is None:
            return tuple(range(count))
        return (position, *(j for j in range(count) if j != position))

    def room(self, name: str) -> str:
        """How many numbers a name has; one step's where it is kept for the step at hand."""
        axes = self.segment.names[name]
        if name in self.segment.scratch:
            axes = [r for j, r in enumerate(axes) if j != self.segment.position[name]]
        return f"({' * '.join(self.size(r.size) for r in axes) or '1'})"


def steps_of(loop: Lowered) -> list[Range]:
    """The intervals of the loop's axis, each equation's once."""
    return list(dict.fromkeys(range_of(e.domain, loop.axis) for e in equations_in(loop)))


def min_of(sizes: Iterable[str]) -> str:
    """The least of some numbers, in C."""
    found = list(dict.fromkeys(sizes))
    text = found[0]
    for s in found[1:]:
        text = f"least({text}, {s})"
    return text


def max_of(sizes: Iterable[str]) -> str:
    """The largest of some numbers, in C."""
    found = list(dict.fromkeys(sizes))
    text = found[0]
    for s in found[1:]:
        text = f"(-least(-({text}), -({s})))"
    return text


def _has_reduction(e: Expr) -> bool:
    return any(isinstance(n, Reduce | ArgMax) for n in nodes(e))


def _number(value: float) -> str:
    if value != value:
        return "(R)NAN"
    if value in (float("inf"), float("-inf")):
        return "LARGEST" if value > 0 else "(-LARGEST)"
    text = repr(float(value))
    return f"((R){text})" if value < 0 else f"(R){text}"
