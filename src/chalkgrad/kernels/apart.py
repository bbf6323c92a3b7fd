"""Products in equations of their own, so that each may run where it is fastest: before or after a loop."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
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
    Range,
    Read,
    Reduce,
    full,
)
from chalkgrad.equations.ops import add, mul
from chalkgrad.equations.walk import free_axes, reads, with_children


def with_products_apart(equation: Equation, taken: set[str]) -> list[Equation]:
    """The equation with every sum over a product taken out of it, those equations first.

    A guard around the sum goes with it; what is taken out runs over its free axes only, so nothing grows.
    ``taken`` are names in use; the new ones are added to it.
    """
    found: list[Equation] = []

    def named(e: Expr, box: Mapping[str, Range], guards: tuple[Condition, ...]) -> Expr:
        needed = free_axes(e)
        # Outside the guards that stand around it, the sum may read what does not exist.
        around = tuple(c for c in guards if set(c.index.axes) <= set(needed))
        domain = tuple(r for r in box.values() if r.axis in needed)
        name = next(n for k in count(1) if (n := f"{equation.target}·{k}") not in taken)
        taken.add(name)
        found.append(Equation(name, domain, Guard(around, e) if around else e))
        return Read(name, full(domain))

    def go(e: Expr, box: Mapping[str, Range], guards: tuple[Condition, ...], top: bool) -> Expr:
        match e:
            case Const() | At() | Read():
                return e
            case Guard(conditions, body):
                inner = go(body, box, guards + conditions, True)
                whole = e if inner is body else Guard(conditions, inner)
                if not _is_product(whole) or top:
                    return whole
                # A fact about other axes does not make the sum one of them: Σ[d] W[j,d] where t ≥ 1.
                axes = set(free_axes(inner))
                within = tuple(c for c in conditions if set(c.index.axes) & axes)
                around = tuple(c for c in conditions if c not in within)
                own = named(Guard(within, inner) if within else inner, box, guards)
                return Guard(around, own) if around else own
            case Reduce("sum", over, Apply("add", terms)) if _grows(terms):
                return go(add(*(Reduce("sum", over, term) for term in terms)), box, guards, top)
            case Reduce("sum", over, Apply("mul", factors)) if alone := _alone(over, factors):
                inside = {**box, **{r.axis: r for r in over}}
                before = [
                    named(Reduce("sum", alone[k], f), inside, guards) if k in alone else f
                    for k, f in enumerate(factors)
                ]
                rest = tuple(r for r in over if not any(r in ranges for ranges in alone.values()))
                whole = Reduce("sum", rest, mul(*before)) if rest else mul(*before)
                return go(whole, box, guards, top)
            case Reduce(_, over, body) | ArgMax(over, _, body):
                inner = go(body, {**box, **{r.axis: r for r in over}}, guards, True)
                whole = with_children(e, (inner,))
                return named(whole, box, guards) if _is_product(whole) and not top else whole
            case Apply(_, args):
                return with_children(e, tuple(go(a, box, guards, False) for a in args))
            case _:
                assert_never(e)

    value = go(equation.value, {r.axis: r for r in equation.domain}, (), True)
    return [*found, Equation(equation.target, equation.domain, value)]


def _alone(over: tuple[Range, ...], factors: tuple[Expr, ...]) -> dict[int, tuple[Range, ...]]:
    """For each factor the summed axes that only it has: Σ[j,k] a[j] b[j,k] is Σ[j] a[j] (Σ[k] b[j,k])."""
    found: dict[int, tuple[Range, ...]] = {}
    free = [set(free_axes(f)) for f in factors]
    for k, f in enumerate(factors):
        others = set[str]().union(*(axes for j, axes in enumerate(free) if j != k))
        own = tuple(r for r in over if r.axis in free[k] and r.axis not in others)
        if own and isinstance(f, Read) and free[k] & others:
            found[k] = own
    return found


def _is_product(e: Expr) -> bool:
    while isinstance(e, Guard):
        e = e.body
    if not (isinstance(e, Reduce) and e.op == "sum"):
        return False
    body = e.body
    while isinstance(body, Guard):
        body = body.body
    return isinstance(body, Read) or (isinstance(body, Apply) and body.op == "mul")


def _grows(terms: tuple[Expr, ...]) -> bool:
    """Whether adding the terms point by point would span more axes than any one read of them has."""
    together = {a for term in terms for a in free_axes(term)}
    return not any(together <= set(free_axes(r)) for term in terms for r in reads(term))
