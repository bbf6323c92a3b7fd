"""Expressions → C, one after the other: what is read, where it lies, and how it is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
)
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import nodes
from chalkgrad.kernels.c.lower import Lowered, equations_in


@dataclass
class Place:
    """How an element of a name is found: a pointer, one stride per axis (0 where an axis is left out)."""

    pointer: str
    strides: tuple[str, ...]
    lows: tuple[Size, ...]


@dataclass
class Expressions:
    """Writes expressions of one loop; sizes become numbers that come in, axes C variables."""

    lowered: Lowered
    names: Mapping[str, tuple[Range, ...]]
    double: bool
    joint: tuple[tuple[str, ...], ...] = ()  # tables that lie side by side in one buffer
    sizes: dict[Size, str] = field(default_factory=dict[Size, str])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    letters: dict[str, str] = field(default_factory=dict[str, str])
    conditions: dict[Condition, str] = field(default_factory=dict[Condition, str])
    locals: dict[str, str] = field(default_factory=dict[str, str])
    held: bool = False  # whether every condition on the step holds in the variant at hand
    filled: dict[int, str] = field(
        default_factory=dict[int, str]
    )  # products whose left side is computed first
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
        if value == 2:
            v = self.variable("x")
            return f"({{ R {v} = {x}; {v} * {v}; }})"
        if value == 0.5:
            return f"c_sqrt({x})"
        return f"c_pow({x}, {_number(value)})"

    def condition(self, c: Condition) -> str:
        if set(c.index.axes) <= {self.lowered.axis}:
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
        low, high = self.size(r.low), self.size(r.high)
        if r.axis == self.lowered.rows:
            low, high = "first", "last"
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
        m, p, x = self.variable("m"), self.variable("p"), self.variable("x")
        loops, i = self.loops(e.over), self.letter(e.axis)
        return (
            f"({{ R {m} = -LARGEST, {p} = 0; int c{p} = 0; {loops} {{ R {x} = {self.expression(e.body)}; "
            f"if (!c{p} || {x} > {m} || ({x} != {x} && {m} == {m})) "
            f"{{ {m} = {x}; {p} = (R){i}; c{p} = 1; }} }} {p}; }})"
        )

    def steps_of(self) -> list[Range]:
        """The intervals of the loop's axis, each equation's once."""
        axis = self.lowered.axis
        every = (r for s in self.lowered.stages for e in equations_in(s) for r in e.domain if r.axis == axis)
        return list(dict.fromkeys(every))

    def place_names(self) -> None:
        low = self.lowered
        for k, name in enumerate(low.given):
            axes = self.names[name]
            strides = tuple(f"s{k}_{j}" for j in range(len(axes) - 1)) + (("1",) if axes else ())
            self.places[name] = Place(f"p{k}", strides, tuple(r.low for r in axes))
        for k, name in enumerate(low.tables):
            axes = self.names[name]
            order = self.order(name)
            beside = [str(len(group)) for group in self.joint if name in group]
            strides = ["1"] * len(axes)
            for place, j in enumerate(order[:-1]):
                inner = [self.size(axes[i].size) for i in order[place + 1 :]]
                strides[j] = f"({' * '.join([*inner, *beside])})"
            self.places[name] = Place(f"t{k}", tuple(strides), tuple(r.low for r in axes))
        for k, name in enumerate(low.scratch):
            axes = self.names[name]
            position = self.position(name)
            rest = [j for j in range(len(axes)) if j != position]
            strides = ["0"] * len(axes)
            for place, j in enumerate(rest):
                inner = [self.size(axes[i].size) for i in rest[place + 1 :]]
                strides[j] = f"({' * '.join(inner)})" if inner else "1"
            self.places[name] = Place(f"w{k}", tuple(strides), tuple(r.low for r in axes))

    def position(self, name: str) -> int:
        """Where the loop's axis stands among a made name's."""
        return next(
            e.axes.index(self.lowered.axis)
            for s in self.lowered.stages
            for e in equations_in(s)
            if e.target == name
        )

    def order(self, name: str) -> tuple[int, ...]:
        """A table's axes in memory: the loop's first."""
        position = self.position(name)
        return (position, *(j for j in range(len(self.names[name])) if j != position))

    def filled_steps(self, name: str) -> Size | None:
        """How many steps of a table the loop fills, None where it leaves out a part of one."""
        equations = [e for s in self.lowered.stages for e in equations_in(s) if e.target == name]
        axes, position = self.names[name], self.position(name)
        if len(equations) > 1:
            return None
        (e,) = equations
        rest = [(r.low, r.size) for j, r in enumerate(e.domain) if j != position]
        whole = [(r.low, r.size) for j, r in enumerate(axes) if j != position]
        return e.domain[position].size if rest == whole else None


def _has_reduction(e: Expr) -> bool:
    return any(isinstance(n, Reduce | ArgMax) for n in nodes(e))


def _number(value: float) -> str:
    if value != value:
        return "(R)NAN"
    if value in (float("inf"), float("-inf")):
        return "LARGEST" if value > 0 else "(-LARGEST)"
    text = repr(float(value))
    return f"((R){text})" if value < 0 else f"(R){text}"
