"""A recurrence written out: ``h[t]`` for three steps is h₁, h₂ and h₃, each with an equation of its own.

The steps are counted from one, as on paper: h₀ is what the first step reads. The axis of one recurrence is
written out, and with it every sum along it, also one over a fixed number of neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import assert_never

from chalkgrad.calculus.order import evaluation_order
from chalkgrad.calculus.simplify import simplified
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
    Name,
    Program,
    Range,
    Read,
    Reduce,
    Size,
)
from chalkgrad.equations.ops import add
from chalkgrad.equations.walk import needed, nodes, reads
from chalkgrad.language.source import EquationError

Position = tuple[str, int]
"""A name and which of its axes."""

LOWERED = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")

MOST_STEPS = 12
"""How many steps are written out at most: a page of an LSTM by then has some five hundred lines."""


@dataclass(frozen=True)
class Unrolled:
    """A program without its recurrence.

    ``steps`` says which name and step stand behind a new name (a state's initial value is a step of it),
    ``origin`` what a name of the program is called at some place along time.
    """

    program: Program
    steps: Mapping[str, tuple[str, int]]
    origin: Mapping[tuple[str, tuple[int, ...]], str]
    places: Collection[Position]
    axis: str
    length: int


def checked_steps(steps: int) -> int:
    """A number of steps that can be written out. Raises EquationError for any other."""
    if steps < 1:
        raise EquationError(f"--unroll {steps}: there is no step to write out", help="--unroll 3")
    if steps > MOST_STEPS:
        raise EquationError(
            f"--unroll {steps}: no more than {MOST_STEPS} steps are written out; each is a page of its own",
            help="--unroll 3 shows how it goes on",
        )
    return steps


def unrolled(program: Program, steps: int) -> Unrolled:
    """The program with its first recurrence written out for so many steps.

    Raises EquationError where there is no recurrence, for a number of steps that is none or too large, and
    where some value depends on all steps at once in a way that cannot be written out.

    >>> from chalkgrad.equations.show import show
    >>> from chalkgrad.language.resolve import read
    >>> page = read("S[k] = X[k] a + S[k-1] b where X[k]: scalar, S[k]: scalar")
    >>> print(show(unrolled(page.program, 2).program))
    S₁ = X₁ a + S₀ b
    S₂ = X₂ a + S₁ b
    """
    checked_steps(steps)
    found = _recurrences(program)
    if not found:
        raise EquationError(
            "there is no recurrence to write out: no name reads itself at another step",
            help="leave --unroll out, or give a page with a state: h[t] = tanh(x[t] W + h[t-1] U)",
        )
    name, position = found[0]
    along = {(s.name, s.position) for s in program.states}
    if len(both := [_axis(program, name, k) for n, k in sorted({*found}) if n == name]) > 1:
        raise EquationError(
            f"`{name}` runs along {' and along '.join(both)}, and what is written out is one recurrence",
            help="chalkgrad derive --steps shows its gradient rule by rule",
        )
    recurring = next(r for e in program.defining(name) if (r := e.domain[position]).size.symbols)
    if len(recurring.size.symbols) != 1:
        raise _cannot(name)
    (symbol,) = recurring.size.symbols
    size = Size((), steps - recurring.size.const)
    program = _sized(program, {symbol: size})
    along = {
        (s.name, s.position) for s in program.states if _axis(program, s.name, s.position) == recurring.axis
    }
    low = recurring.low.substitute({symbol: size}).const
    return _Unroller(program, _places(program, {(name, position), *along}), low).run(recurring.axis, steps)


def _recurrences(program: Program) -> list[Position]:
    """The names and the axes along which something is read at a shift of itself; the states first."""
    if program.states:
        return [(s.name, s.position) for s in program.states]
    leads = {n.name: needed(program.equations, [n.name]) for n in program.names}
    found = [
        (r.name, k, i)
        for e in program.equations
        for r in reads(e.value)
        if e.target in leads[r.name] and program[r.name].role == "defined"
        for k, i in enumerate(r.at[: program[r.name].written])
    ]
    # h[t-1], or the whole past, Σ[s<t] c[s]
    shifted = [(name, k) for name, k, i in found if i.plain() is None]
    return shifted or [(name, k) for name, k, _ in found][:1]


def _axis(program: Program, name: str, position: int) -> str:
    return program[name].ranges[position].axis


def stepped(name: str, steps: tuple[int, ...]) -> str:
    """The name at a step: ``h₃``."""
    return name + "".join(str(s).translate(LOWERED) for s in steps)


# --- sizes ---------------------------------------------------------------------------------------------


def _sized(program: Program, values: Mapping[str, Size]) -> Program:
    """The program with numbers for some of its size symbols."""

    def ranges(over: tuple[Range, ...]) -> tuple[Range, ...]:
        return tuple(Range(r.axis, r.size.substitute(values), r.low.substitute(values)) for r in over)

    def index(i: Index) -> Index:
        return Index(i.terms, i.shift.substitute(values), i.divisor).reduced()

    def expr(e: Expr) -> Expr:
        match e:
            case Const():
                return e
            case At(i):
                return At(index(i))
            case Read(name, at):
                return Read(name, tuple(map(index, at)))
            case Apply(op, args):
                return Apply(op, tuple(map(expr, args)))
            case Guard(conditions, body):
                return Guard(tuple(replace(c, index=index(c.index)) for c in conditions), expr(body))
            case Reduce(op, over, body):
                return Reduce(op, ranges(over), expr(body))
            case ArgMax(over, axis, body):
                return ArgMax(ranges(over), axis, expr(body))
            case _:
                assert_never(e)

    return replace(
        program,
        equations=tuple(Equation(e.target, ranges(e.domain), expr(e.value)) for e in program.equations),
        names=tuple(replace(n, ranges=ranges(n.ranges)) for n in program.names),
    )


# --- which axes are time -------------------------------------------------------------------------------


def _places(program: Program, start: set[Position]) -> set[Position]:
    """The axes that are written out: those of the states, of what is read at their steps, and so on."""
    found, grown = set(start), True
    while grown:
        before = len(found)
        for e in program.equations:
            here = {r.axis for k, r in enumerate(e.domain) if (e.target, k) in found}
            looked = [((r.name, k), i) for r in reads(e.value) for k, i in enumerate(r.at)]
            here |= {a for place, i in looked if place in found for a in i.axes}
            # A kernel of three over time, Σ[k<3] w[k] x[t+k]: every step has its three terms.
            short = {r.axis for r in _summed(e.value) if r.size.constant is not None}
            here |= {a for _, i in looked if {*i.axes} & here and {*i.axes} <= here | short for a in i.axes}
            found |= {(e.target, k) for k, r in enumerate(e.domain) if r.axis in here}
            found |= {place for place, i in looked if i.axes and {*i.axes} <= here}
        grown = len(found) > before
    for name, _ in _open(program, found):
        raise _cannot(name)
    return found


def _summed(e: Expr) -> Iterator[Range]:
    """The ranges of every sum in an expression."""
    return (r for n in nodes(e) if isinstance(n, Reduce) for r in n.over)


def _open(program: Program, found: Collection[Position]) -> Iterator[Position]:
    """Axes that some read looks at along an axis of time and one that stays."""
    for e in program.equations:
        here = {r.axis for k, r in enumerate(e.domain) if (e.target, k) in found}
        looked = [((r.name, k), i) for r in reads(e.value) for k, i in enumerate(r.at)]
        here |= {a for place, i in looked if place in found for a in i.axes}
        for place, i in looked:
            if {*i.axes} & here and not {*i.axes} <= here:
                yield place


# --- writing out ---------------------------------------------------------------------------------------

Where = Mapping[str, int]


class _Unroller:
    def __init__(self, program: Program, places: set[Position], low: int) -> None:
        self.program, self.places, self.low = program, places, low
        self.steps: dict[str, tuple[str, int]] = {}
        self.origin: dict[tuple[str, tuple[int, ...]], str] = {}

    def run(self, axis: str, length: int) -> Unrolled:
        equations: list[tuple[int, Equation]] = []
        order = {n: k for k, n in enumerate(evaluation_order(self.program))}
        for e in sorted(self.program.equations, key=lambda e: order[e.target]):
            kept = tuple(r for k, r in enumerate(e.domain) if (e.target, k) not in self.places)
            for where in self.points(e):
                at = tuple(where.get(a) for k, a in enumerate(e.axes) if (e.target, k) in self.places)
                target = self.named(e.target, tuple(v for v in at if v is not None))
                value = self.expand(e.value, where)
                if value == Read(target, tuple(Index.axis(r.axis) for r in kept)):
                    continue  # a state's start is its initial value, and called so
                step = self.steps[target][1] if target in self.steps else length
                equations.append((step, simplified(Equation(target, kept, value))))
        equations.sort(key=lambda found: found[0])
        whole = self.whole(tuple(e for _, e in equations))
        return Unrolled(whole, self.steps, self.origin, frozenset(self.places), axis, length)

    def whole(self, equations: tuple[Equation, ...]) -> Program:
        names: dict[str, Name] = {}
        for n in self.program.names:
            for name in self.each(n):
                names.setdefault(name.name, name)
        defined = {e.target for e in equations}
        table = tuple(
            replace(n, role="start") if n.role == "defined" and n.name not in defined else n
            for n in names.values()
        )
        own = {n.name for n in table if n.role == "defined"}
        outputs = [n.name for o in self.program.outputs for n in self.each(self.program[o])]
        kept = tuple(o for o in outputs if o in own and self.steps.get(o, ("", 1))[1] >= 1)
        return Program(equations, table, kept, (), self.program.columns)

    def each(self, n: Name) -> Iterator[Name]:
        """A name at each of its steps."""
        time = [k for k in range(len(n.ranges)) if (n.name, k) in self.places]
        kept = tuple(r for k, r in enumerate(n.ranges) if k not in time)
        timed = n.role != "start" and any(name == n.of for name, _ in self.places)
        for point in product(*(_interval(n.ranges[k]) for k in time)):
            of = self.named(n.of, point) if timed else n.of
            gone = sum(k < n.written for k in time)
            yield replace(n, name=self.named(n.name, point), ranges=kept, written=n.written - gone, of=of)

    def points(self, e: Equation) -> Iterator[dict[str, int]]:
        """Every step at which an equation holds."""
        time = [r for k, r in enumerate(e.domain) if (e.target, k) in self.places]
        for point in product(*map(_interval, time)):
            yield dict(zip((r.axis for r in time), point, strict=True))

    def named(self, name: str, at: tuple[int, ...]) -> str:
        """A name at its steps, counted from one; a state's initial value is the state before them."""
        if not at:
            return name
        known = self.program[name]
        prefix = name[: len(name) - len(name.lstrip("∂"))]
        base = name
        primal = self.program.table.get(name.removeprefix(prefix)) if prefix else known
        if primal is not None and primal.role == "start":
            base = prefix + primal.of
        new = stepped(base, tuple(v - self.low + 1 for v in at))
        self.steps[new] = (base, max(at) - self.low + 1)
        self.origin[name, at] = new
        return new

    def expand(self, e: Expr, where: Where) -> Expr:
        match e:
            case Const():
                return e
            case At(index):
                found = _at(index, where)
                whole = not found.terms and found.shift.constant is not None and found.divisor == 1
                return Const(found.shift.const) if whole else At(found)
            case Read(name, at):
                points: list[int] = []
                kept: list[Index] = []
                for k, index in enumerate(at):
                    found = _at(index, where)
                    if (name, k) in self.places:
                        if found.terms or found.shift.constant is None:
                            raise _cannot(name)
                        points.append(found.shift.const)
                    else:
                        kept.append(found)
                return Read(self.named(name, tuple(points)), tuple(kept))
            case Apply("add", args):
                return add(*(self.expand(a, where) for a in args))
            case Apply(op, args):
                return Apply(op, tuple(self.expand(a, where) for a in args))
            case Guard(conditions, body):
                moved = [replace(c, index=_at(c.index, where)) for c in conditions]
                decided = [_holds(c) for c in moved]
                if False in decided:
                    return Const(0)
                open_ones = tuple(c for c, d in zip(moved, decided, strict=True) if d is None)
                inner = self.expand(body, where)
                return Guard(open_ones, inner) if open_ones else inner
            case Reduce(op, over, body):
                return self.reduction(op, over, body, where)
            case ArgMax(over, axis, body):
                if any(self.is_time(r.axis, body) for r in over):
                    raise _cannot(axis)
                return ArgMax(over, axis, self.expand(body, where))
            case _:
                assert_never(e)

    def reduction(self, op: str, over: tuple[Range, ...], body: Expr, where: Where) -> Expr:
        time = tuple(r for r in over if self.is_time(r.axis, body))
        rest = tuple(r for r in over if r not in time)
        if any(r.size.constant is None for r in time):
            raise _cannot(time[0].axis)
        terms: list[Expr] = []
        for point in product(*map(_interval, time)):
            inner = self.expand(body, {**where, **dict(zip((r.axis for r in time), point, strict=True))})
            if rest:
                assert op == "sum" or op == "max" or op == "min" or op == "logsumexp"
                inner = Reduce(op, rest, inner)
            terms.append(inner)
        if not time or op == "sum":
            return add(*terms)
        match op:
            case "logsumexp":
                return Apply("log", (add(*(Apply("exp", (t,)) for t in terms)),))
            case _:
                whole = terms[0]
                for t in terms[1:]:
                    whole = Apply("maximum" if op == "max" else "minimum", (whole, t))
                return whole

    def is_time(self, axis: str, body: Expr) -> bool:
        """Whether an axis runs over steps: something under it is read along time there."""
        looked = (((r.name, k), i) for r in reads(body) for k, i in enumerate(r.at))
        return any(place in self.places and axis in i.axes for place, i in looked)


def _interval(r: Range) -> range:
    return range(r.low.const, r.low.const + r.size.const)


def _at(index: Index, where: Where) -> Index:
    return index.substitute({a: Index((), Size((), v)) for a, v in where.items()})


def _holds(c: Condition) -> bool | None:
    """Whether a condition holds; None while that depends on an axis or a size."""
    if c.index.terms or c.index.shift.constant is None:
        return None
    return c.holds(c.index.shift.constant)


def _cannot(name: str) -> EquationError:
    return EquationError(
        f"`{name}` runs over all steps at once, and that cannot be written out step by step",
        help="give a sum over neighbours a number, Σ[k<3]; without --unroll it is shown whole",
    )
