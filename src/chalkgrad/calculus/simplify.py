"""Derived expressions as a person would leave them: no idle guard, sum, or number.

Everything here is decided from the boxes over which the axes run, for all sizes ≥ 1 at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    Size,
)
from chalkgrad.equations.ops import add, apply, mul, power
from chalkgrad.equations.walk import free_axes, fresh, reads, rewrite, substitute, substitute_condition

Box = Mapping[str, Range]


def box(ranges: Iterable[Range]) -> dict[str, Range]:
    """The ranges by axis."""
    return {r.axis: r for r in ranges}


# --- conditions ----------------------------------------------------------------------------------------


def least(index: Index, over: Box) -> Size | None:
    """The smallest value of the index's numerator over a box, or None where an axis is not in it.

    >>> over = box([Range("n", Size.symbol("N")), Range("j", Size((), 3))])
    >>> str(least(Index.axis("n") - Index.axis("j"), over))
    '-2'
    """
    total = index.shift
    for axis, k in index.terms:
        if axis not in over:
            return None
        total = total + (over[axis].low if k > 0 else over[axis].high - 1) * k
    return total


def surely(c: Condition, over: Box) -> bool:
    """Whether the condition holds at every point of the box. False means "not sure"."""
    match c.kind:
        case "nonnegative":
            low = least(c.index, over)
            return low is not None and low.surely_nonnegative()
        case "zero":
            return not c.index.terms and c.index.shift == Size()
        case "divisible":
            # A divisor that divides every coefficient divides the whole; the shift must follow suit.
            parts = [k for _, k in (*c.index.terms, *c.index.shift.terms)] + [c.index.shift.const]
            return all(k % c.divisor == 0 for k in parts)
        case _:
            assert_never(c.kind)


def never(c: Condition, over: Box) -> bool:
    """Whether the condition fails at every point of the box. False means "not sure"."""
    below = least(c.index * -1 - 1, over)
    if below is not None and below.surely_nonnegative():
        return c.kind != "divisible"
    above = least(c.index - 1, over)
    return c.kind == "zero" and above is not None and above.surely_nonnegative()


def implied(c: Condition, by: Condition, over: Box) -> bool:
    """Whether one condition holds wherever another does, inside the box."""
    if c == by:
        return True
    if c.kind != "nonnegative" or by.kind == "divisible":
        return False
    signs = (1,) if by.kind == "nonnegative" else (1, -1)
    return any(surely(Condition(c.index - by.index * sign), over) for sign in signs)


def needed(conditions: Iterable[Condition], over: Box, known: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions that neither the box nor ``known`` nor another of them makes sure of, in order."""
    kept: list[Condition] = []
    for c in conditions:
        if surely(c, over) or any(implied(c, k, over) for k in (*known, *kept)):
            continue
        kept = [k for k in kept if not implied(k, c, over)]
        kept.append(c)
    return tuple(kept)


# --- expressions ---------------------------------------------------------------------------------------


def simplify(e: Expr, over: Box, known: tuple[Condition, ...] = ()) -> Expr:
    """The expression with the same value at every point of the box where the ``known`` conditions hold.

    >>> n = Range("n", Size.symbol("N"))
    >>> simplify(Guard((Condition(Index.axis("n")),), Read("x", (Index.axis("n"),))), box([n])).name
    'x'
    """
    match e:
        case Const() | At() | Read():
            return e
        case Apply("add", args):
            return gathered(tuple(simplify(a, over, known) for a in args))
        case Apply("mul", args):
            return product(tuple(simplify(a, over, known) for a in args), over, known)
        case Apply(op, args):
            return apply(op, *(simplify(a, over, known) for a in args))
        case ArgMax(ranges, axis, body):
            return ArgMax(ranges, axis, simplify(body, {**over, **box(ranges)}, known))
        case Reduce("sum", ranges, body):
            return summed(ranges, body, over, known)
        case Reduce(op, ranges, body):
            return Reduce(op, ranges, simplify(body, {**over, **box(ranges)}, known))
        case Guard(conditions, body):
            return guarded(conditions, body, over, known)
        case _:
            assert_never(e)


def simplified(equation: Equation) -> Equation:
    """The equation with a simplified value, no axis of which is bound twice on one path."""
    value = simplify(equation.value, box(equation.domain))
    return Equation(equation.target, equation.domain, distinct(value, frozenset(equation.axes)))


def written_in(e: Equation, into: Expr) -> Expr:
    """``into`` with e's right side in place of reads of its target."""

    def rule(part: Expr) -> Expr:
        if isinstance(part, Read) and part.name == e.target:
            return substitute(e.value, dict(zip(e.axes, part.at, strict=True)))
        return part

    return rewrite(into, rule)


def guarded(conditions: tuple[Condition, ...], body: Expr, over: Box, known: tuple[Condition, ...]) -> Expr:
    """The body under the conditions that are needed; nested guards are one."""
    while isinstance(body, Guard):
        conditions, body = (*conditions, *body.conditions), body.body
    kept = needed(conditions, over, known)
    if any(never(c, over) for c in kept):
        return Const(0)
    body = simplify(body, over, (*known, *kept))
    if body == Const(0) or not kept:
        return body
    if isinstance(body, Guard):
        return Guard(needed((*kept, *body.conditions), over, known), body.body)
    return Guard(kept, body)


def summed(ranges: tuple[Range, ...], body: Expr, over: Box, known: tuple[Condition, ...]) -> Expr:
    """The body's sum: ranges cut to where its guard holds, what does not vary taken outside."""
    inner = {**over, **box(ranges)}
    body = simplify(body, inner, tuple(c for c in known if not set(c.index.axes) & box(ranges).keys()))
    if isinstance(body, Const) and body.value == 0:
        return body
    if isinstance(body, Reduce) and body.op == "sum" and not _clash(ranges, body.over):
        ranges, body = (*ranges, *body.over), body.body
        inner = {**over, **box(ranges)}
    conditions: tuple[Condition, ...] = ()
    if isinstance(body, Guard):
        conditions, body = body.conditions, body.body
    pinned = _pinned(ranges, conditions)
    if pinned is not None:
        axis, value = pinned
        rest = tuple(r for r in ranges if r.axis != axis.axis)
        here = {axis.axis: value}
        inside = (Condition(value - axis.low), Condition(value * -1 + (axis.high - 1)))
        moved = tuple(substitute_condition(c, here) for c in conditions)
        again = Guard((*inside, *moved), substitute(body, here))
        return summed(rest, again, over, known) if rest else simplify(again, over, known)
    ranges, conditions = _cut(ranges, conditions)
    axes = {r.axis for r in ranges}
    outer = tuple(c for c in conditions if not axes & set(c.index.axes))
    within = tuple(c for c in conditions if axes & set(c.index.axes))
    out = _taken_out(ranges, within, body)
    return Guard(outer, out) if outer else out


def _taken_out(ranges: tuple[Range, ...], conditions: tuple[Condition, ...], body: Expr) -> Expr:
    """The sum with the factors that do not vary before or after it, as they stood."""
    axes = {r.axis for r in ranges}
    factors = body.args if isinstance(body, Apply) and body.op == "mul" else (body,)
    # What reads something stays under a guard that may be all that lets it be read.
    stays = [bool(axes & set(free_axes(f)) or (conditions and any(reads(f)))) for f in factors]
    inner = mul(*(f for f, s in zip(factors, stays, strict=True) if s))
    if inner == Const(1) and not conditions:
        return mul(*factors, *(At(Index((), r.size)) for r in ranges))
    total = Reduce("sum", ranges, Guard(conditions, inner) if conditions else inner)
    if not any(stays):
        return mul(*factors, total)
    first = stays.index(True)
    after = (f for f, s in zip(factors[first:], stays[first:], strict=True) if not s)
    return mul(*factors[:first], total, *after)


def _clash(a: tuple[Range, ...], b: tuple[Range, ...]) -> bool:
    return bool(box(a).keys() & box(b).keys())


def _pinned(ranges: tuple[Range, ...], conditions: tuple[Condition, ...]) -> tuple[Range, Index] | None:
    """A summed axis that can only have one value, and that value."""
    for r in ranges:
        if r.size.constant == 1:
            return r, Index((), r.low)
        for c in conditions:
            k = c.index.coefficient(r.axis)
            if c.kind == "zero" and k in (1, -1):
                return r, Index.axis(r.axis) - c.index * k
    return None


def _cut(
    ranges: tuple[Range, ...], conditions: tuple[Condition, ...]
) -> tuple[tuple[Range, ...], tuple[Condition, ...]]:
    """Conditions that bound one summed axis by sizes become its range, where that is surely an interval."""
    kept: list[Condition] = []
    cut = box(ranges)
    for c in conditions:
        axis = c.index.axes[0] if len(c.index.axes) == 1 else ""
        k = c.index.coefficient(axis)
        if c.kind == "nonnegative" and axis in cut and k in (1, -1):
            r = cut[axis]
            if k == 1:  # axis ≥ -shift
                low, high = c.index.shift * -1, r.high
                tighter = low - r.low
            else:  # axis ≤ shift
                low, high = r.low, c.index.shift + 1
                tighter = r.high - high
            if tighter.surely_nonnegative() and (high - low).surely_nonnegative():
                cut[axis] = Range(axis, high - low, low)
                continue
        kept.append(c)
    return tuple(cut[r.axis] for r in ranges), tuple(kept)


def _number(e: Expr) -> tuple[float, Expr]:
    """A product's leading number, and the rest of it."""
    match e:
        case Const(value):
            return value, Const(1)
        case Apply("mul", (Const(value), *rest)):
            return value, mul(*rest)
        case _:
            return 1, e


def gathered(terms: tuple[Expr, ...]) -> Expr:
    """The sum of the terms, equal ones counted together."""
    counts: dict[Expr, tuple[float, Expr]] = {}
    plain = add(*terms)
    for t in plain.args if isinstance(plain, Apply) and plain.op == "add" else (plain,):
        number, rest = _number(t)
        key = canonical(rest)
        before, first = counts.get(key, (0, rest))
        counts[key] = before + number, first
    return add(*(mul(Const(n), rest) for n, rest in counts.values()))


def product(factors: tuple[Expr, ...], over: Box, known: tuple[Condition, ...]) -> Expr:
    """The product of the factors: guards stand around it, equal factors are powers."""
    conditions = tuple(c for f in factors if isinstance(f, Guard) for c in f.conditions)
    if conditions:
        return guarded(
            conditions, mul(*(f.body if isinstance(f, Guard) else f for f in factors)), over, known
        )
    flat = mul(*_without_equal_sizes(factors))
    if not (isinstance(flat, Apply) and flat.op == "mul"):
        return flat
    powers: dict[Expr, float] = {}
    rest: list[Expr] = []
    for f in flat.args:
        base, k = _power(f)
        # x · x⁻¹ is left: at x = 0 it is not one.
        if isinstance(base, Read) and powers.get(base, k) * k > 0:
            if base not in powers:
                rest.append(base)
            powers[base] = powers.get(base, 0) + k
        else:
            rest.append(f)
    return mul(*(power(f, powers.pop(f)) if f in powers else f for f in rest))


def _without_equal_sizes(factors: tuple[Expr, ...]) -> list[Expr]:
    """The factors without a size that stands above and below the line: it is not zero."""
    kept = [*factors]
    for f in factors:
        size = isinstance(f, At) and not f.index.terms and (f.index.shift - 1).surely_nonnegative()
        below = power(f, -1)
        if size and f in kept and below in kept:
            kept.remove(f)
            kept.remove(below)
    return kept


def _power(e: Expr) -> tuple[Expr, float]:
    match e:
        case Apply("pow", (base, Const(k))):
            return base, k
        case _:
            return e, 1


# --- bound axes ----------------------------------------------------------------------------------------


def distinct(e: Expr, taken: frozenset[str]) -> Expr:
    """The expression with bound axes renamed where they repeat one of ``taken`` or an enclosing one."""
    match e:
        case Const() | At() | Read():
            return e
        case Apply(op, args):
            return Apply(op, tuple(distinct(a, taken) for a in args))
        case Guard(conditions, body):
            return Guard(conditions, distinct(body, taken))
        case Reduce(op, over, body):
            over, body, taken = _renamed(over, body, taken)
            return Reduce(op, over, distinct(body, taken))
        case ArgMax(over, axis, body):
            position = [r.axis for r in over].index(axis)
            over, body, taken = _renamed(over, body, taken)
            return ArgMax(over, over[position].axis, distinct(body, taken))
        case _:
            assert_never(e)


def _renamed(
    over: tuple[Range, ...], body: Expr, taken: frozenset[str]
) -> tuple[tuple[Range, ...], Expr, frozenset[str]]:
    used = set(taken) | set(free_axes(body))
    names: dict[str, str] = {}
    for r in over:
        names[r.axis] = fresh(r.axis, used - {r.axis} if r.axis not in taken else used)
        used.add(names[r.axis])
    changed = {old: Index.axis(new) for old, new in names.items() if old != new}
    return (
        tuple(Range(names[r.axis], r.size, r.low) for r in over),
        substitute(body, changed),
        frozenset(taken | set(names.values())),
    )


def canonical(e: Expr, numbers: Mapping[str, Index] | None = None, depth: int = 0) -> Expr:
    """The expression with bound axes numbered, so that equal ones are ``==`` whatever their letters."""
    values = numbers or {}
    match e:
        case Reduce(op, over, body):
            over, values = _numbered(over, values, depth)
            return Reduce(op, over, canonical(body, values, depth + len(over)))
        case ArgMax(over, axis, body):
            position = [r.axis for r in over].index(axis)
            over, values = _numbered(over, values, depth)
            return ArgMax(over, over[position].axis, canonical(body, values, depth + len(over)))
        case Apply(op, args):
            return Apply(op, tuple(canonical(a, values, depth) for a in args))
        case Guard(conditions, body):
            moved = tuple(substitute_condition(c, values) for c in conditions)
            return Guard(moved, canonical(body, values, depth))
        case Const() | At() | Read():
            return substitute(e, values)
        case _:
            assert_never(e)


def _numbered(
    over: tuple[Range, ...], values: Mapping[str, Index], depth: int
) -> tuple[tuple[Range, ...], Mapping[str, Index]]:
    names = {r.axis: f"#{depth + k}" for k, r in enumerate(over)}
    inner = {**values, **{a: Index.axis(n) for a, n in names.items()}}
    return tuple(Range(names[r.axis], r.size, r.low) for r in over), inner
