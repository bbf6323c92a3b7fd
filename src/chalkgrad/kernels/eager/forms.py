"""A sum of products at its sizes, for a loop nest: every axis from zero, what is read, where it counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from chalkgrad.equations.ir import Apply, Condition, Const, Equation, Expr, Guard, Range, Read, Reduce
from chalkgrad.equations.walk import free_axes
from chalkgrad.kernels.eager.views import Affine, Interval


@dataclass(frozen=True, slots=True)
class Operand:
    """A table read at one index for each dimension, all counted from zero."""

    name: str
    at: tuple[Affine, ...]
    shape: tuple[int, ...]

    @property
    def axes(self) -> set[str]:
        return {a for i in self.at for a in i.axes}


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition outside of which a point counts as zero."""

    at: Affine
    kind: Literal["nonnegative", "zero", "divisible"]
    divisor: int = 1

    def at_least_zero(self) -> list[Affine]:
        """What it says is not negative."""
        found = [self.at] if self.kind != "divisible" else []
        return [*found, _times(self.at, -1)] if self.kind == "zero" else found


@dataclass(frozen=True)
class Form:
    """``target[outs] = scale · Σ[over] body``: ``sizes`` of all axes, ``body`` of operands by number."""

    outs: tuple[str, ...]
    over: tuple[str, ...]
    sizes: Mapping[str, int]
    operands: tuple[Operand, ...]
    facts: tuple[Fact, ...]
    body: Expr
    scale: float

    @property
    def box(self) -> dict[str, Interval]:
        return {a: (0, size) for a, size in self.sizes.items()}

    @property
    def points(self) -> int:
        """How many there are in all."""
        return prod(self.sizes.values())

    @property
    def factors(self) -> tuple[Expr, ...]:
        return self.body.args if isinstance(self.body, Apply) and self.body.op == "mul" else (self.body,)


def form(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> Form | None:
    """An equation as a sum over a box; None where it is none, is empty, or a read might leave its table."""
    conditions, over, terms = _parts(e.value)
    ranges = {r.axis: r.interval(numbers) for r in (*e.domain, *over)}
    if not over or len(ranges) < len(e.domain) + len(over):
        return None
    if tuple(r.interval(numbers) for r in e.domain) != tuple(intervals[e.target]):
        return None
    facts = [Fact(Affine.of(c.index, numbers), c.kind, c.divisor) for c in conditions]
    ranges = _narrowed(facts, {r.axis for r in over}, ranges)
    if any(size <= 0 for _, size in ranges.values()):
        return None
    lows = {a: low for a, (low, _) in ranges.items()}
    sizes = {a: size for a, (_, size) in ranges.items()}
    scale, factors = 1.0, list[Expr]()
    for t in terms:
        scale, factors = (scale * t.value, factors) if isinstance(t, Const) else (scale, [*factors, t])
    found: dict[Read, Operand] = {}
    body = [_numbered(f, found, numbers, intervals, lows) for f in factors]
    whole = [f for f in body if f is not None]
    if not whole or len(whole) < len(body):
        return None
    product = whole[0] if len(whole) == 1 else Apply("mul", tuple(whole))
    moved = (Fact(_from(f.at, lows), f.kind, f.divisor) for f in facts)
    made = Form(e.axes, tuple(r.axis for r in over), sizes, tuple(found.values()), (), product, scale)
    held = tuple(f for f in moved if not _always(f, made.box))
    if any(not f.at.terms for f in held):
        return None  # nowhere at all
    made = Form(made.outs, made.over, sizes, made.operands, held, product, scale)
    inside = all(
        stays(i, size, held, made.box) for o in made.operands for i, size in zip(o.at, o.shape, strict=True)
    )
    return made if inside else None


def stays(at: Affine, size: int, facts: Iterable[Fact], box: Mapping[str, Interval]) -> bool:
    """Whether an index lies in ``0 … size - 1`` wherever the facts hold."""
    facts = tuple(facts)
    if at.divisor > 1 and not any(
        f.kind == "divisible" and f.divisor % at.divisor == 0 and _numerator(at) in (f.at, _times(f.at, -1))
        for f in facts
    ):
        return False
    known = [w for f in facts for w in f.at_least_zero()]
    low, high = _numerator(at), _minus(Affine((), (size - 1) * at.divisor), _numerator(at))
    return all(
        way.bounds(box)[0] >= 0 or any(_minus(way, w).bounds(box)[0] >= 0 for w in known)
        for way in (low, high)
    )


def vanishes(form: Form, f: Fact, axis: str) -> bool:
    """Whether, where ``f`` fails, a factor reads beyond its table along an index with ``axis``: zeros."""
    if f.kind != "nonnegative":
        return False
    for factor in form.factors:
        if not isinstance(factor, Read):
            continue
        operand = form.operands[int(factor.name)]
        for i, size in zip(operand.at, operand.shape, strict=True):
            ways = (i, _minus(Affine((), size - 1), i))
            beyond = any(_minus(f.at, way).bounds(form.box)[0] >= 0 for way in ways)
            if beyond and axis in i.axes and i.divisor == 1:
                return True
    return False


# --- taking an equation apart --------------------------------------------------------------------------


def _parts(e: Expr) -> tuple[tuple[Condition, ...], tuple[Range, ...], tuple[Expr, ...]]:
    """The conditions around and in a sum, what it goes over, and its factors."""
    match e:
        case Guard(conditions, body):
            more, over, factors = _parts(body)
            return (*conditions, *more), over, factors
        case Reduce("sum", over, body):
            conditions, factors = _product(body)
            return conditions, over, factors
        case _:
            return (), (), ()


def _product(e: Expr) -> tuple[tuple[Condition, ...], tuple[Expr, ...]]:
    match e:
        case Guard(conditions, body):
            more, factors = _product(body)
            return (*conditions, *more), factors
        case Apply("mul", args):
            found = [_product(a) for a in args]
            return tuple(c for cs, _ in found for c in cs), tuple(f for _, fs in found for f in fs)
        case _:
            return (), (e,)


def _numbered(
    e: Expr,
    found: dict[Read, Operand],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
    lows: Mapping[str, int],
) -> Expr | None:
    """A factor with its reads by number; None where it is more than sums and products of reads."""
    match e:
        case Const():
            return e
        case Read(name, at):
            if e not in found:
                places = intervals[name]
                index = (_from(Affine.of(i, numbers), lows) for i in at)
                shifted = (
                    Affine(i.terms, i.shift - low * i.divisor, i.divisor)
                    for i, (low, _) in zip(index, places, strict=True)
                )
                found[e] = Operand(name, tuple(shifted), tuple(size for _, size in places))
            return Read(str([*found].index(e)), ())
        case Apply("add" | "mul" as op, args) if free_axes(e):
            inner = [_numbered(a, found, numbers, intervals, lows) for a in args]
            kept = tuple(a for a in inner if a is not None)
            return Apply(op, kept) if len(kept) == len(inner) else None
        case Apply("pow", (base, Const(k))) if k in (2, 3, 4):
            factor = _numbered(base, found, numbers, intervals, lows)
            return factor and Apply("mul", (factor,) * int(k))
        case _:
            return None


def _narrowed(facts: Iterable[Fact], axes: set[str], ranges: Mapping[str, Interval]) -> dict[str, Interval]:
    """The intervals of summed axes only where the facts about them alone hold."""
    found = dict(ranges)
    for f in facts:
        for way in f.at_least_zero():
            if len(way.terms) != 1 or way.axes[0] not in axes:
                continue
            ((axis, k),) = way.terms
            low, size = found[axis]
            high = low + size - 1
            low, high = (max(low, -(way.shift // k)), high) if k > 0 else (low, min(high, way.shift // -k))
            found[axis] = low, high - low + 1
    return found


def _always(f: Fact, box: Mapping[str, Interval]) -> bool:
    match f.kind:
        case "divisible":
            return all(k % f.divisor == 0 for _, k in f.at.terms) and f.at.shift % f.divisor == 0
        case "zero":
            return f.at.bounds(box) == (0, 0)
        case _:
            return f.at.bounds(box)[0] >= 0


# --- affine arithmetic ---------------------------------------------------------------------------------


def _numerator(at: Affine) -> Affine:
    return _tidy(dict(at.terms), at.shift)


def _tidy(terms: Mapping[str, int], shift: int) -> Affine:
    return Affine(tuple(sorted((a, k) for a, k in terms.items() if k)), shift)


def _times(at: Affine, k: int) -> Affine:
    return _tidy({a: c * k for a, c in at.terms}, at.shift * k)


def _minus(a: Affine, b: Affine) -> Affine:
    terms = dict(a.terms)
    for axis, k in b.terms:
        terms[axis] = terms.get(axis, 0) - k
    return _tidy(terms, a.shift - b.shift)


def _from(at: Affine, lows: Mapping[str, int]) -> Affine:
    """The index with every axis counted from its own lowest value."""
    shift = at.shift + sum(k * lows[a] for a, k in at.terms)
    return Affine(tuple(sorted(at.terms)), shift, at.divisor)


__all__ = ["Fact", "Form", "Operand", "form", "stays", "vanishes"]
