"""One read's share of a gradient, turned round: from "each point gives" to "each point collects".

The read ``x[2i+p]`` in an equation for ``y[i]`` gives ``∂y[i] w[p]`` to ``∂x[2i+p]``. Collected at ``∂x[n]``
that is ``Σ[p] ∂y[(n-p)/2] w[p]`` where 2 divides n - p and ``(n-p)/2`` lies in y's interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chalkgrad.calculus.simplify import box, simplify
from chalkgrad.equations.ir import Condition, Const, Expr, Guard, Index, Name, Range, Read, Reduce
from chalkgrad.equations.ops import mul
from chalkgrad.equations.walk import free_axes, fresh, inside, substitute, substitute_condition, whole


@dataclass(frozen=True, slots=True)
class Contribution:
    """``cotangent · factor``, given to ``name`` at the index ``at`` from each point of ``over``.

    The first ``outer`` ranges of ``over`` are the equation's own domain, the rest its reductions; ``source``
    is the name whose equation it is. Before the walk has come to a read, ``name`` and ``at`` are the
    equation's own.
    """

    name: str
    at: tuple[Index, ...]
    cotangent: Read
    factor: Expr
    conditions: tuple[Condition, ...]
    over: tuple[Range, ...]
    outer: int
    rules: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return self.name

    def by(self, rule: str) -> Contribution:
        return replace(self, rules=(*self.rules, rule))

    def to(self, name: str, at: tuple[Index, ...]) -> Contribution:
        return replace(self, name=name, at=at)

    def under(self, conditions: tuple[Condition, ...]) -> Contribution:
        return replace(self, conditions=(*self.conditions, *conditions))

    def within(self, over: tuple[Range, ...]) -> Contribution:
        return replace(self, over=(*self.over, *over))

    def times(self, factor: Expr) -> Contribution:
        return replace(self, factor=mul(self.factor, factor))


@dataclass(frozen=True, slots=True)
class Turned:
    """A contribution over the target's own axes.

    ``places`` says where the iteration is that gives to a point, by each of its axes, ``summed`` what the
    point does not determine, ``factor_first`` whether the factor is written before the cotangent.
    """

    places: Mapping[str, Index]
    summed: tuple[Range, ...]
    factor_first: bool
    term: Expr


def gather(c: Contribution, target: Name) -> Expr:
    """The contribution as a term of the adjoint of ``target``, over the target's own axes."""
    return turned(c, target).term


def turned(c: Contribution, target: Name) -> Turned:
    """The contribution collected at each point of ``target``: its index solved for the iteration's axes."""
    # The iteration's axes step aside: the target's letters may be among them.
    aside = {r.axis: f"{r.axis}°" for r in c.over}
    apart = {a: Index.axis(b) for a, b in aside.items()}
    over = tuple(Range(aside[r.axis], r.size, r.low) for r in c.over)
    rank = {r.axis: k for k, r in enumerate(over)}
    outer = {r.axis for r in over[: c.outer]}
    axes = tuple(r.axis for r in target.ranges)
    solution, zeros = solve([i.substitute(apart) for i in c.at], axes, rank, outer)

    conditions = [substitute_condition(q, apart) for q in c.conditions]
    conditions = [substitute_condition(q, solution) for q in conditions] + zeros
    for r in over:
        if r.axis in solution:
            conditions += inside(solution[r.axis], r)

    remaining = tuple(r for r in over if r.axis not in solution)
    letters = _letters(remaining, target, [r.axis for r in c.over if aside[r.axis] in solution])
    named = {a: Index.axis(b) for a, b in letters.items()}
    values = {**{a: i.substitute(named) for a, i in solution.items()}, **named}

    def moved(e: Expr) -> Expr:
        return substitute(substitute(e, apart), values)

    cotangent, factor = moved(c.cotangent), moved(c.factor)
    first = _stands_first(factor, cotangent, target)
    body = mul(factor, cotangent) if first else mul(cotangent, factor)
    if conditions:
        body = Guard(tuple(substitute_condition(q, named) for q in conditions), body)
    summed = tuple(Range(letters[r.axis], r.size, r.low) for r in remaining)
    if summed:
        body = Reduce("sum", summed, body)
    places = {r.axis: values[aside[r.axis]] for r in c.over}
    return Turned(places, summed, first, simplify(body, box(target.ranges)))


def solve(
    at: Sequence[Index], axes: Sequence[str], rank: Mapping[str, int], outer: set[str]
) -> tuple[dict[str, Index], list[Condition]]:
    """The iteration's axes that ``at = axes`` determines, and what it asks of ``axes`` beyond that.

    ``rank`` holds the unknowns. The equation's own axes (``outer``) are preferred: ``x[i+j] = n`` gives
    ``i = n - j`` and leaves the kernel's j to be summed.

    >>> found, _ = solve([Index((("i", 2), ("p", 1)))], ["n"], {"i": 0, "p": 1}, {"i"})
    >>> str(found["i"])
    '(n-p)/2'
    """
    pending = [whole(i - Index.axis(a)) for i, a in zip(at, axes, strict=True)]
    solution: dict[str, Index] = {}
    zeros: list[Condition] = []
    while pending:
        unknown = [[a for a in i.axes if a in rank] for i in pending]
        position = min(range(len(pending)), key=lambda k: len(unknown[k]) or len(rank) + 1)
        index = pending.pop(position)
        if not unknown[position]:
            if index != Index():
                zeros.append(Condition(index, "zero"))
            continue
        axis = min(unknown[position], key=lambda a: (a not in outer, abs(index.coefficient(a)), rank[a]))
        k = index.coefficient(axis)
        rest = Index.of({a: v for a, v in index.terms if a != axis}, index.shift)
        value = Index.of(
            dict((rest * (-1 if k > 0 else 1)).terms), (rest * (-1 if k > 0 else 1)).shift, abs(k)
        )
        here = {axis: value.reduced()}
        solution = {a: i.substitute(here) for a, i in solution.items()} | here
        pending = [whole(i.substitute(here)) for i in pending]
    return solution, zeros


def _letters(remaining: tuple[Range, ...], target: Name, free: list[str]) -> dict[str, str]:
    """Letters for the summed axes: their own, or one that was solved for where the target uses that."""
    taken = {r.axis for r in target.ranges}
    own = {r.axis: r.axis.rstrip("°") for r in remaining}
    letters = {a: b for a, b in own.items() if b not in taken}
    spare = [a for a in free if a not in taken and a not in letters.values()]
    for axis, letter in own.items():
        if axis not in letters:
            used = taken | {*letters.values()}
            letters[axis] = next((a for a in reversed(spare) if a not in used), fresh(letter, used))
    return letters


def _stands_first(factor: Expr, cotangent: Expr, target: Name) -> bool:
    """Whether the factor goes before the cotangent: ``Σ[t] x[t]ᵀ ∂a[t]``, as the weight's axes run."""
    implicit = [r.axis for r in target.ranges[target.written :]]
    if len(implicit) < 2 or factor == Const(1):
        return False
    return implicit[0] in free_axes(factor) and implicit[0] not in free_axes(cotangent)
