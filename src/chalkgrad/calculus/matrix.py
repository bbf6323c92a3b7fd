"""Equations in matrix notation, where their ranks allow it.

A name's trailing, unwritten axes are its implicit ones: ``h[t]`` is a vector, ``W`` a matrix. Σ over them is
a matrix product (:mod:`chalkgrad.calculus.contraction`), Σ over the others stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from chalkgrad.calculus.contraction import Factor, NoMatrixForm, Tensor, contract
from chalkgrad.equations.formula import (
    Big,
    Call,
    Concatenation,
    Formula,
    Slice,
    Symbol,
    big_sum,
    hadamard,
    one_axis,
    product,
    total,
)
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
)
from chalkgrad.equations.show import Page, applied, facts, formula, fraction, raised, told, unbounded
from chalkgrad.equations.walk import fresh, reads, substitute


@dataclass(frozen=True)
class Scope:
    """What a term is read in: the names, the axes in force, which of them are implicit, and in what order a
    result's axes are wanted. ``columns`` says that vectors are columns (``W v``), else rows (``v W``)."""

    page: Page
    columns: bool
    ranges: Mapping[str, Range]
    implicit: frozenset[str]
    order: tuple[str, ...]
    diagonals: bool = False  # whether diag(v) may be written

    def binding(self, over: Sequence[Range], implicit: set[str]) -> Scope:
        ranges = {**self.ranges, **{r.axis: r for r in over}}
        return replace(self, ranges=ranges, implicit=self.implicit | implicit)

    def sorted(self, axes: Sequence[str]) -> tuple[str, ...]:
        """The axes in the order the target has them, where it has them all."""
        known = all(a in self.order for a in axes)
        return tuple(sorted(axes, key=self.order.index)) if known else tuple(axes)


def matrix_form(e: Equation, page: Page, columns: bool = False) -> tuple[Formula, Formula] | None:
    """Both sides of the equation in matrix notation, or None where its ranks do not allow that."""
    written = page.names[e.target].written
    axes = e.axes[written:]
    right = matrix_side(e.value, e.domain, axes, page, columns)
    if right is None:
        return None
    scope = Scope(page, columns, {r.axis: r for r in e.domain}, frozenset(axes), axes)
    return _symbol(e.target, tuple(Index.axis(a) for a in e.axes), scope).formula, right


def matrix_side(
    value: Expr,
    domain: Sequence[Range],
    axes: tuple[str, ...],
    page: Page,
    columns: bool = False,
    *,
    diagonals: bool = False,
) -> Formula | None:
    """An expression over a domain, as a number, vector or matrix along those of its axes that are implicit;
    None where its ranks do not allow that."""
    scope = Scope(page, columns, {r.axis: r for r in domain}, frozenset(axes), axes, diagonals)
    try:
        if len(axes) > 2:
            return None
        found = tensor(value, scope)
        if set(found.axes) != set(axes) and value != Const(0):
            return None
        return found.turned(axes).formula
    except NoMatrixForm:
        return None


def tensor(e: Expr, s: Scope) -> Tensor:
    """The expression in matrix notation. Raises NoMatrixForm where it has none."""
    match e:
        case Const():
            return Tensor(formula(e, s.page))
        case At(index):
            if s.implicit & set(index.axes):
                raise NoMatrixForm
            return Tensor(formula(e, s.page))
        case Read(name, at):
            return _symbol(name, at, s)
        case Apply("add", args) if len(cut := _cut(args, s)) > 1:
            return _concatenation(cut, s)
        case Apply("add", args):
            return _sum([tensor(a, s) for a in args], s)
        case Apply("pow", (base, Const(value))) if value > 0:
            return _power(tensor(base, s), value)
        case Guard() | Reduce("sum", _, _) | Apply("mul", _) | Apply("pow", (_, Const())):
            return _term(e, s)
        case Apply("pow", (base, exponent)):
            below, above = _alike([tensor(base, s), tensor(exponent, s)])
            if len(below.axes) > 1:
                raise NoMatrixForm
            return Tensor(raised(below.formula, above.formula), below.axes or above.axes)
        case Apply(op, args):
            alike = _alike([tensor(a, s) for a in args])
            widest = max((a.axes for a in alike), key=len)
            return Tensor(applied(op, tuple(a.formula for a in alike)), widest)
        case Reduce(op, over, body):
            over, body, inner = _bind(over, body, s)
            return _reduction(op, over, tensor(body, inner), inner, unbounded(over, body))
        case ArgMax(over, axis, body):
            bound = {r.axis for r in over}
            if bound & s.ranges.keys():
                raise NoMatrixForm
            value = tensor(body, s.binding(over, set()))  # over implicit axes it has no name
            return Tensor(Big("argmax", over, value.formula, unbounded(over, body), axis), value.axes)
        case _:
            assert_never(e)


# --- names ---------------------------------------------------------------------------------------------


def _symbol(name: str, at: tuple[Index, ...], s: Scope) -> Tensor:
    """A name with its written indices; of an implicit axis that is read in part, the part as a slice."""
    known = s.page.names[name]
    written, features = at[: known.written], at[known.written :]
    if any(s.implicit & set(i.axes) for i in written):
        raise NoMatrixForm
    axes = tuple(a for i in features for a in i.axes)
    bare = all(len(i.terms) == 1 and i.terms[0][1] == i.divisor == 1 for i in features)
    if not bare or not set(axes) <= s.implicit or len(set(axes)) < len(axes) or len(axes) > 2:
        raise NoMatrixForm
    parts = [
        _slice(s.ranges[a], i, whole)
        for a, i, whole in zip(axes, features, known.ranges[known.written :], strict=True)
    ]
    sliced = tuple(parts) if any(p != Slice() for p in parts) else ()
    return Tensor(Symbol(name, (*written, *sliced)), axes)


def _slice(r: Range, i: Index, whole: Range) -> Slice:
    low, high = r.low + i.shift, r.high + i.shift
    return Slice(None if low == whole.low else low, None if high == whole.high else high)


def _cut(terms: tuple[Expr, ...], s: Scope) -> list[tuple[Range, Expr]]:
    """The terms of ``[k<H] h[t-1,k] + [k≥H] x[t,k-H]``, each with its part of k; else nothing."""
    found: list[tuple[Range, Expr]] = []
    for term in terms:
        if not isinstance(term, Guard):
            return []
        bounds = [c for c in term.conditions if one_axis(c)[0] in s.implicit and c.kind == "nonnegative"]
        axes = {one_axis(c)[0] for c in bounds}
        if len(axes) != 1:
            return []
        (axis,) = axes
        whole = s.ranges[axis]
        at_least = {b.shift for c in bounds for b in (one_axis(c)[1],) if c.index.coefficient(axis) > 0}
        at_most = {b.shift + 1 for c in bounds for b in (one_axis(c)[1],) if c.index.coefficient(axis) < 0}
        lows, highs = at_least - {whole.low} or {whole.low}, at_most - {whole.high} or {whole.high}
        if len(lows) > 1 or len(highs) > 1:
            return []  # which of two bounds is the tighter cannot be told
        (low,), (high,) = lows, highs
        rest = tuple(c for c in term.conditions if c not in bounds)
        found.append((Range(axis, high - low, low), Guard(rest, term.body) if rest else term.body))
    whole = s.ranges[found[0][0].axis]
    edges = [whole.low, *(r.high for r, _ in found)]
    meet = all(r.low == edge for (r, _), edge in zip(found, edges, strict=False)) and edges[-1] == whole.high
    return found if meet and len({r.axis for r, _ in found}) == 1 else []


def _concatenation(cut: list[tuple[Range, Expr]], s: Scope) -> Tensor:
    axis = cut[0][0].axis
    parts = [tensor(body, s.binding((r,), set())) for r, body in cut]
    if any(p.axes != (axis,) for p in parts):
        raise NoMatrixForm
    return Tensor(Concatenation(tuple(p.formula for p in parts)), (axis,))


# --- element by element --------------------------------------------------------------------------------


def _alike(args: list[Tensor]) -> list[Tensor]:
    """All of one shape, numbers apart."""
    widest = max((a.axes for a in args), key=len)
    if any(a.axes and set(a.axes) != set(widest) for a in args):
        raise NoMatrixForm
    return [a.turned(widest) for a in args]


def _sum(terms: list[Tensor], s: Scope) -> Tensor:
    axes = s.sorted(max((t.axes for t in terms), key=len))
    if s.diagonals and len(axes) == 2 and any(len(t.axes) < 2 for t in terms):
        raise NoMatrixForm  # I - 1/n would be read as I - I/n
    # A row is added to every row of a matrix; a column has no such rule.
    rows = [t for t in terms if len(axes) == 2 and not s.columns and t.axes == axes[1:]]
    if any(t.axes and set(t.axes) != set(axes) and t not in rows for t in terms):
        raise NoMatrixForm
    return Tensor(total(*(t.formula if t in rows else t.turned(axes).formula for t in terms)), axes)


def _power(base: Tensor, exponent: float) -> Tensor:
    """Element by element, which is plain for a vector; a matrix's ² would be read as W W."""
    if len(base.axes) < 2 or exponent == 0.5:
        return Tensor(raised(base.formula, exponent), base.axes)
    if exponent != 2:
        raise NoMatrixForm
    return Tensor(hadamard(base.formula, base.formula), base.axes)


def _reduction(op: str, over: tuple[Range, ...], body: Tensor, s: Scope, bounds: bool) -> Tensor:
    implicit = {r.axis for r in over} & s.implicit
    assert op == "max" or op == "min" or op == "logsumexp"
    if not implicit:
        return Tensor(Big(op, over, body.formula, bounds), body.axes)
    if implicit != set(body.axes) or len(implicit) < len(over):
        raise NoMatrixForm
    return Tensor(Call(op, (body.formula,)))


# --- products and sums ---------------------------------------------------------------------------------


def _bind(over: tuple[Range, ...], body: Expr, s: Scope) -> tuple[tuple[Range, ...], Expr, Scope]:
    """The axes of a reduction, with letters of their own, and the scope inside it."""
    taken = {*s.ranges, *(r.axis for r in over)}
    for r in over:
        if r.axis in s.ranges:
            letter = fresh(r.axis, taken)
            taken.add(letter)
            body = substitute(body, {r.axis: Index.axis(letter)})
            over = tuple(Range(letter, q.size, q.low) if q == r else q for q in over)
    features = {a for read in reads(body) for i in read.at[s.page.names[read.name].written :] for a in i.axes}
    return over, body, s.binding(over, {r.axis for r in over} & features)


def _term(e: Expr, s: Scope) -> Tensor:
    """A product, under as many Σ and guards as stand before it."""
    before: list[Formula] = []
    written: list[Range] = []
    summed: list[Range] = []
    while isinstance(e, Guard | Reduce):
        if isinstance(e, Guard):
            if s.diagonals and len(e.conditions) == 1 and (pair := _same_axis(e.conditions[0], s)):
                return _diagonal(e.body, *pair, s)
            rest = told(e.conditions, e.body, s.page)
            if any(s.implicit & set(c.index.axes) for c in rest):
                raise NoMatrixForm
            before += facts(rest)
            e = e.body
        elif e.op == "sum":
            over, e, s = _bind(e.over, e.body, s)
            written += [r for r in over if r.axis not in s.implicit]
            summed += [r for r in over if r.axis in s.implicit]
        else:
            break
    axes = tuple(r.axis for r in summed)
    if isinstance(e, Apply) and e.op == "add":
        if axes:
            parts = [_contract(_factors(term, s), axes, s) for term in e.args]
            inner = _sum(parts, s)
        else:
            inner = tensor(e, s)
    else:
        inner = _contract(_factors(e, s), axes, s)
    whole = big_sum(tuple(written), product(*before, inner.formula), unbounded(written, e))
    return Tensor(whole, inner.axes)


def _same_axis(c: Condition, s: Scope) -> tuple[str, str] | None:
    """The two implicit axes that a condition says are one: ``[i=j]``."""
    axes = c.index.axes
    difference = len(axes) == 2 and c.index in (
        Index.axis(axes[0]) - Index.axis(axes[1]),
        Index.axis(axes[1]) - Index.axis(axes[0]),
    )
    return s.sorted(axes)[:2] if c.kind == "zero" and difference and {*axes} <= s.implicit else None  # pyright: ignore[reportReturnType]


def _diagonal(body: Expr, row: str, column: str, s: Scope) -> Tensor:
    """``[i=j] v[i]`` as ``diag(v)``."""
    along = tensor(substitute(body, {column: Index.axis(row)}), replace(s, order=(row,)))
    if along.axes == ():
        return Tensor(product(along.formula, Symbol("I")), (row, column))
    if along.axes != (row,):
        raise NoMatrixForm
    return Tensor(Call("diag", (along.formula,)), (row, column))


def _factors(e: Expr, s: Scope) -> list[Factor]:
    above, below = fraction(e)
    found = [Factor(i, tensor(f, s)) for i, f in enumerate(above)]
    return found + [Factor(len(above) + i, tensor(f, s), True) for i, f in enumerate(below)]


def _contract(factors: list[Factor], summed: tuple[str, ...], s: Scope) -> Tensor:
    used = tuple(dict.fromkeys(a for f in factors for a in f.value.axes))
    # Σ over an axis that nothing depends on multiplies by its size: no matrix says that.
    if not set(summed) <= set(used):
        raise NoMatrixForm
    return contract(factors, s.sorted([a for a in used if a not in summed]), s.columns, s.diagonals)
