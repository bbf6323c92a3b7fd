"""What an equation is: immutable nodes over integer indices with shifted reads.

There is no convolution node, no recurrence node and no time node: ``x[i+p]`` and ``h[t-1]`` are both a
:class:`Read` at a shifted :class:`Index`. Source spans never take part in equality.

    Program  = Equation*, Name*, outputs
    Equation = target[axes of domain] = Expr          for every point of the domain
    Expr     = Const | At | Read | Apply | Reduce | ArgMax | Guard
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from chalkgrad.equations.size import ONE, ZERO, Size


@dataclass(frozen=True, slots=True)
class Index:
    """``(Σ coefficient · axis + shift) / divisor``: where a read looks, as a function of the axes.

    The divisor is 1 except in solved indices: the gradient of ``x[2i+p]`` reads ``i = (n - p)/2``, under a
    :class:`Guard` that says 2 divides ``n - p``.
    """

    terms: tuple[tuple[str, int], ...] = ()
    shift: Size = ZERO
    divisor: int = 1

    @staticmethod
    def of(terms: Mapping[str, int], shift: Size | int = 0, divisor: int = 1) -> Index:
        shift = Size((), shift) if isinstance(shift, int) else shift
        return Index(tuple((a, k) for a, k in terms.items() if k), shift, divisor)

    @staticmethod
    def axis(name: str) -> Index:
        return Index(((name, 1),))

    def __add__(self, other: Index | Size | int) -> Index:
        if not isinstance(other, Index):
            size = Size((), other) if isinstance(other, int) else other
            return Index(self.terms, self.shift + size * self.divisor, self.divisor)
        terms = {a: k * other.divisor for a, k in self.terms}
        for a, k in other.terms:
            terms[a] = terms.get(a, 0) + k * self.divisor
        shift = self.shift * other.divisor + other.shift * self.divisor
        return Index.of(terms, shift, self.divisor * other.divisor).reduced()

    def __mul__(self, k: int) -> Index:
        if k == 1:
            return self.reduced()
        return Index.of({a: c * k for a, c in self.terms}, self.shift * k, self.divisor).reduced()

    def __sub__(self, other: Index | Size | int) -> Index:
        return self + other * -1

    def reduced(self) -> Index:
        """The same index with divisor 1 where the divisor divides everything."""
        d = self.divisor
        if d == 1:
            return self
        sizes = [k for _, k in self.shift.terms] + [self.shift.const] + [k for _, k in self.terms]
        if any(k % d for k in sizes):
            return self
        shift = Size(tuple((a, k // d) for a, k in self.shift.terms), self.shift.const // d)
        return Index(tuple((a, k // d) for a, k in self.terms), shift)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(a for a, _ in self.terms)

    def coefficient(self, axis: str) -> int:
        return next((k for a, k in self.terms if a == axis), 0)

    def plain(self) -> str | None:
        """The axis that this index is, bare and unshifted, or None."""
        bare = len(self.terms) == 1 and self.terms[0][1] == self.divisor == 1 and self.shift == ZERO
        return self.terms[0][0] if bare else None

    def substitute(self, values: Mapping[str, Index]) -> Index:
        """Each axis replaced by the index that ``values`` gives for it."""
        if not any(a in values for a, _ in self.terms):
            return self.reduced()
        total = Index((), self.shift)
        for a, k in self.terms:
            total = total + values.get(a, Index.axis(a)) * k
        return Index(total.terms, total.shift, total.divisor * self.divisor).reduced()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Index)
            and self.divisor == other.divisor
            and self.shift == other.shift
            and dict(self.terms) == dict(other.terms)
        )

    def __hash__(self) -> int:
        return hash((frozenset(self.terms), self.shift, self.divisor))

    def __str__(self) -> str:
        # Positive terms first: n - j, never -j + n; no spaces, since it stands inside brackets.
        parts = sorted(self.terms, key=lambda term: term[1] < 0)
        parts += sorted(self.shift.terms, key=lambda term: term[1] < 0)
        text = ""
        for name, k in [*parts, *([("", self.shift.const)] if self.shift.const or not parts else [])]:
            shown = f"{abs(k) if abs(k) != 1 or not name else ''}{name}"
            text += ("-" if k < 0 else "+" if text else "") + shown
        return text if self.divisor == 1 else f"({text})/{self.divisor}"


@dataclass(frozen=True, slots=True)
class Range:
    """An axis and the interval it runs over: ``low ≤ axis < low + size``."""

    axis: str
    size: Size
    low: Size = ZERO

    @property
    def high(self) -> Size:
        """The last value plus one."""
        return self.low + self.size

    def interval(self, numbers: Mapping[str, int]) -> tuple[int, int]:
        """The first value and how many there are, where sizes are these numbers."""
        return self.low.value(numbers), self.size.value(numbers)

    def __str__(self) -> str:
        if self.low == ZERO:
            return f"{self.axis}<{self.size}"
        return f"{self.low}≤{self.axis}≤{self.high - 1}"


@dataclass(frozen=True, slots=True)
class Condition:
    """A fact about indices alone: ``index ≥ 0``, ``index = 0``, or ``index`` divisible by ``divisor``."""

    index: Index
    kind: Literal["nonnegative", "zero", "divisible"] = "nonnegative"
    divisor: int = 1

    def holds(self, value: int) -> bool:
        """Whether it holds where the index has this value."""
        match self.kind:
            case "nonnegative":
                return value >= 0
            case "zero":
                return value == 0
            case "divisible":
                return value % self.divisor == 0

    def __str__(self) -> str:
        match self.kind:
            case "nonnegative":
                return f"{self.index}≥0"
            case "zero":
                return f"{self.index}=0"
            case "divisible":
                return f"{self.divisor}|{self.index}"


# --- expressions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class At:
    """The value of an index as a number: the position itself, or a size (``At(Index((), N))``)."""

    index: Index


@dataclass(frozen=True, slots=True)
class Read:
    """The element of ``name`` at an index per axis."""

    name: str
    at: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of :mod:`chalkgrad.equations.ops`, point by point. ``add`` and ``mul`` take any number."""

    op: str
    args: tuple[Expr, ...]


ReduceOp = Literal["sum", "max", "min", "logsumexp"]


@dataclass(frozen=True, slots=True)
class Reduce:
    """``op`` of the body over every point of ``over``."""

    op: ReduceOp
    over: tuple[Range, ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class ArgMax:
    """The position along ``axis`` (one of ``over``) of the body's first maximum over ``over``, row by row."""

    over: tuple[Range, ...]
    axis: str
    body: Expr


@dataclass(frozen=True, slots=True)
class Guard:
    """The body where every condition holds and zero elsewhere; there the body is not evaluated at all."""

    conditions: tuple[Condition, ...]
    body: Expr


Expr = Const | At | Read | Apply | Reduce | ArgMax | Guard


# --- systems -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equation:
    """``target[a, b, …] = value`` for every point of the domain, whose axes are a, b, … in order.

    One name may have several equations on boxes that do not meet: a state's start and its recurrence.
    """

    target: str
    domain: tuple[Range, ...]
    value: Expr

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(r.axis for r in self.domain)


Role = Literal["input", "parameter", "start", "defined", "seed"]


@dataclass(frozen=True, slots=True)
class Name:
    """A name's part in the system: its role, its axes (canonical letters, intervals), how it is written.

    ``written`` counts the leading axes that stand in brackets on the page; the rest are implicit
    (the features of ``h[t]``). ``start`` is the initial value of the state ``of``; ``seed`` is the gradient
    that arrives from the loss at the output ``of``. ``of`` also names what an adjoint is the adjoint of, and
    what a generated intermediate (a pre-activation) was taken out of.
    """

    name: str
    role: Role
    ranges: tuple[Range, ...] = ()
    written: int = 0
    of: str = ""
    generated: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A name that reads itself at a shift along ``axis``: forward from the past, or backward from the future.

    ``depth`` is how far back it is read, ``start`` the name of its initial value.
    """

    name: str
    position: int
    depth: int
    forward: bool
    start: str


@dataclass(frozen=True)
class Program:
    """A system of equations: what is given (by its roles), what is defined, and what is asked."""

    equations: tuple[Equation, ...]
    names: tuple[Name, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...] = ()
    columns: bool = field(default=False)  # written with column vectors (W v), so printed so

    @cached_property
    def table(self) -> Mapping[str, Name]:
        return {n.name: n for n in self.names}

    def __getitem__(self, name: str) -> Name:
        return self.table[name]

    def given(self, *roles: Role) -> tuple[Name, ...]:
        """The names with one of these roles (default: everything that is not defined), in order."""
        return tuple(n for n in self.names if (n.role in roles if roles else n.role != "defined"))

    def defining(self, name: str) -> tuple[Equation, ...]:
        return tuple(e for e in self.equations if e.target == name)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Every size symbol, in order of appearance: in the names' axes, then how far sums go."""
        found: dict[str, None] = {}
        summed = (r for e in self.equations for r in _summed(e.value))
        for r in (*(r for n in self.names for r in n.ranges), *summed):
            found.update(dict.fromkeys((*r.size.symbols, *r.low.symbols)))
        return tuple(found)


def _summed(e: Expr) -> Iterator[Range]:
    """The ranges of every reduction in an expression."""
    match e:
        case Reduce(_, over, body) | ArgMax(over, _, body):
            yield from over
            yield from _summed(body)
        case Apply(_, args):
            for a in args:
                yield from _summed(a)
        case Guard(_, body):
            yield from _summed(body)
        case _:
            return


def full(ranges: tuple[Range, ...]) -> tuple[Index, ...]:
    """The index that reads each axis of ``ranges`` in place."""
    return tuple(Index.axis(r.axis) for r in ranges)


def range_of(domain: Iterable[Range], axis: str) -> Range:
    """The range of one axis of a domain."""
    return next(r for r in domain if r.axis == axis)


def extents(domain: Iterable[Range]) -> tuple[tuple[Size, Size], ...]:
    """Where the axes of a domain begin and how long they are, whatever their letters."""
    return tuple((r.low, r.size) for r in domain)


__all__ = [
    "ONE",
    "ZERO",
    "Apply",
    "ArgMax",
    "At",
    "Condition",
    "Const",
    "Equation",
    "Expr",
    "Guard",
    "Index",
    "Name",
    "Program",
    "Range",
    "Read",
    "Reduce",
    "Role",
    "Size",
    "State",
    "extents",
    "full",
    "range_of",
]
