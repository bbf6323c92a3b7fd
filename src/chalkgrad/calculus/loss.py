"""A page that ends in its loss: nothing arrives from outside, the gradient of the loss by itself is one.

Derived like any other, ``J[t] = -Σ[j] y[t,j] log(y'[t,j])`` leaves a factor ∂J[t] in every line. Here it is
one, and what becomes explicit with it is written where it is used. After a softmax that leaves
``Σ(y[t]) y'[t] - y[t]`` of the whole chain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from chalkgrad.calculus.simplify import simplified, written_in
from chalkgrad.equations.ir import (
    Apply,
    Const,
    Equation,
    Expr,
    Index,
    Name,
    Program,
    Range,
    Read,
    Reduce,
    Size,
)
from chalkgrad.equations.walk import free_axes, nodes, reads, rewrite, substitute

LOSS = re.compile(r"(L|ℓ|J|E|[Ll]oss|[Cc]ost)(['′]|[₀-₉]|_\w+)*")
"""The names that textbooks give to a loss."""


@dataclass(frozen=True)
class Folded:
    """A derived program in which the gradients of the losses are one; ``unit`` holds, by adjoint, the losses
    that stood in its equation, in the order of the page."""

    derived: Program
    unit: Mapping[str, tuple[str, ...]]


def losses(program: Program) -> tuple[str, ...]:
    """The outputs that are a loss: one number, or one at each step, called as textbooks call it.

    >>> from chalkgrad.language.resolve import read
    >>> losses(read("y[t] = x[t] W\\nL = Σ[t,j] (y[t,j] - d[t,j])^2").program)
    ('L',)
    """
    states = {s.name for s in program.states}
    return tuple(
        o
        for o in program.outputs
        if LOSS.fullmatch(o) and o not in states and len(program[o].ranges) == program[o].written <= 1
    )


def folded(forward: Program, derived: Program) -> Folded:
    """The derivation with the gradient of every loss by itself put to one and simplified."""
    whole = losses(forward)
    known = forward.table
    seeds = {n.name: n.of for n in derived.given("seed") if n.of in whole and n.name not in known}
    if not seeds:
        return Folded(derived, {})
    own = tuple(e for e in derived.equations if e.target in known)
    adjoints = [e for e in derived.equations if e.target not in known]
    unit = {
        e.target: tuple(dict.fromkeys(seeds[r.name] for r in reads(e.value) if r.name in seeds))
        for e in adjoints
    }
    ones = tuple(simplified(replace(e, value=with_ones(e.value, seeds))) for e in adjoints)
    explicit, unit = _explicit(ones, derived.table, unit, {*derived.outputs})
    kept = {e.target for e in explicit} | {e.target for e in own}
    gone = {*seeds} | {e.target for e in adjoints} - kept
    names = tuple(n for n in derived.names if n.name not in gone)
    return Folded(replace(derived, equations=(*own, *explicit), names=names), unit)


def with_ones(e: Expr, seeds: Mapping[str, str]) -> Expr:
    """The expression with the number one for every read of a seed."""
    return rewrite(e, lambda part: Const(1) if isinstance(part, Read) and part.name in seeds else part)


Unit = dict[str, tuple[str, ...]]


def _explicit(
    equations: tuple[Equation, ...], names: Mapping[str, Name], unit: Unit, keep: set[str]
) -> tuple[tuple[Equation, ...], Unit]:
    """Adjoints of generated names that no longer read any adjoint, written where they are used."""
    adjoints = {e.target for e in equations}
    for e in equations:
        if not names[e.target].generated or e.target in keep:
            continue
        if any(r.name in adjoints for r in reads(e.value)):
            continue
        users = [q for q in equations if any(r.name == e.target for r in reads(q.value))]
        if not _worth_it(e, users):
            continue
        moved = tuple(
            simplified(replace(q, value=written_in(e, q.value))) if q in users else q
            for q in equations
            if q is not e
        )
        passed = {q.target: tuple(dict.fromkeys((*unit[q.target], *unit[e.target]))) for q in users}
        return _explicit(moved, names, {**unit, **passed}, keep)
    return equations, unit


def _worth_it(e: Equation, users: list[Equation]) -> bool:
    """A number without axes is always written out; what a product contracts never is; else what is short,
    or stands once."""
    if not e.domain and not any(isinstance(n, Reduce) for n in nodes(e.value)):
        return True
    sums = [n for q in users for n in nodes(q.value) if isinstance(n, Reduce)]
    if any({r.name for r in reads(n)} > {e.target} for n in sums):
        return False
    found = [r for q in users for r in reads(q.value) if r.name == e.target]
    return len(found) == 1 or len([*reads(e.value)]) == 1


# --- targets that sum to one ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Normal:
    """An equation as it is where some target sums to one, and the sum that then is one."""

    equation: Equation
    total: Reduce


def where_it_sums_to_one(e: Equation, program: Program) -> Normal | None:
    """The equation where the target in it is a distribution (one-hot or not); None where it has no such sum.

    >>> from chalkgrad.calculus.derive import derive
    >>> from chalkgrad.equations.show import show
    >>> from chalkgrad.language.resolve import read
    >>> page = "y = softmax(o)\\nJ = -Σ[j] d[j] log(y[j]) where o: input, d: input"
    >>> layer = read(page).program
    >>> e = folded(layer, derive(layer)).derived.defining("∂o")[0]
    >>> print(show(e), "or", show(where_it_sums_to_one(e, layer).equation))
    ∂o[j] = (Σ[j′] d[j′]) y[j] - d[j] or ∂o[j] = y[j] - d[j]
    """
    sums = [n for n in nodes(e.value) if isinstance(n, Reduce) and _is_total(n, program)]
    if not sums:
        return None
    total = sums[0]
    value = rewrite(e.value, lambda part: Const(1) if part == total else part)
    return Normal(simplified(replace(e, value=value)), total)


def _is_total(e: Reduce, program: Program) -> bool:
    """Whether this sums an input over the whole of its last axis."""
    if e.op != "sum" or len(e.over) != 1 or not isinstance(e.body, Read):
        return False
    name = program.table.get(e.body.name)
    if name is None or name.role != "input" or len(e.body.at) != len(name.ranges):
        return False
    return e.body.at[-1].plain() == e.over[0].axis and same(e.over[0], name.ranges[-1])


def same(a: Range, b: Range) -> bool:
    """Whether two ranges are one interval, whatever their letters."""
    return a.size == b.size and a.low == b.low and a.size != Size()


# --- softmax, by its name ------------------------------------------------------------------------------


def with_softmax(e: Expr, program: Program) -> Expr:
    """The expression with ``softmax(o)`` for ``exp(o - L)`` where L is ``logsumexp(o)``, and ``log(y)`` for
    what y is the exponential of. This is for a reader only: both are computed as what they are made of."""
    sums = {
        q.target: q
        for q in program.equations
        if isinstance(q.value, Reduce) and q.value.op == "logsumexp" and len(q.value.over) == 1
    }

    results = {
        q.value.args[0].name: q.target
        for q in program.equations
        if isinstance(q.value, Apply) and q.value.op == "exp" and isinstance(q.value.args[0], Read)
        if not program[q.target].generated
    }

    def rule(part: Expr) -> Expr:
        match part:
            case Read(name, at) if name in results and program[name].generated:
                return Apply("log", (Read(results[name], at),))
            case Apply("exp", (Apply("log", (Read() as result,)),)):
                return result
            case Apply("add", (score, Apply("mul", (Const(-1), Read(name, at))))) if name in sums:
                return Apply("logsoftmax", (score,)) if _scores(score, sums[name], at) else part
            case Apply("exp", (Apply("logsoftmax", (score,)),)):
                return Apply("softmax", (score,))
            case _:
                return part

    return rewrite(e, rule)


def _scores(score: Expr, total: Equation, at: tuple[Index, ...]) -> bool:
    """Whether ``score`` is one of the terms whose logsumexp at this point is ``total``."""
    assert isinstance(total.value, Reduce)
    body, axis = total.value.body, total.value.over[0].axis
    free = [a for a in free_axes(score) if a not in {b for i in at for b in i.axes}]
    if len(free) != 1:
        return False
    here = dict(zip(total.axes, at, strict=True))
    return substitute(body, {**here, axis: Index.axis(free[0])}) == score
