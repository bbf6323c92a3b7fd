"""Expressions as closures: one case per kind of node, and arithmetic point by point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, ArgMax, At, Const, Expr, Guard, Read, Reduce
from chalkgrad.equations.walk import free_axes, reads
from chalkgrad.kernels.eager.code import Code, Scope, Stage, number
from chalkgrad.kernels.eager.functions import (
    IN_PLACE,
    function,
    inverted,
    negated,
    power,
    through_sigmoid,
    where_positive,
)
from chalkgrad.kernels.eager.guards import guard
from chalkgrad.kernels.eager.reads import masked, positions, read
from chalkgrad.kernels.eager.sums import biased, reduction, total, winner
from chalkgrad.kernels.eager.views import Affine

_LONG = 2**20
"""How many numbers a loop may have computed before it begins, where it would do as much at each step."""


def code(stage: Stage, e: Expr, s: Scope) -> Code:
    """The closure for an expression."""
    if s.loops and _whole(stage, e, s) and steady(stage, e, s):
        return stage.outside(lambda outer: stage.code(e, outer), s)
    match e:
        case Const(value):
            return number(value)
        case At(index):
            return positions(stage, Affine.of(index, stage.sizes), s)
        case Read(name, at):
            return masked(stage, read(stage, name, at, s), s)
        case Guard(conditions, body):
            return guard(stage, conditions, body, s)
        case Reduce("sum", over, body):
            return total(stage, over, body, s)
        case Reduce(op, over, body):
            return reduction(stage, op, over, body, s)
        case ArgMax(over, axis, body):
            return winner(stage, over, axis, body, s)
        case Apply(op, args):
            return apply(stage, op, args, s)
        case _:
            assert_never(e)


def steady(stage: Stage, e: Expr, s: Scope) -> bool:
    """Whether the innermost loop computes nothing that ``e`` reads."""
    ring = s.loops[-1]
    return all(ring not in (r for r, _ in stage.places[read.name].loops) for read in reads(e))


def _whole(stage: Stage, e: Expr, s: Scope) -> bool:
    """Whether having ``e`` for all steps of a loop takes no more than the equation's own target does."""
    if isinstance(e, Const):
        return False
    return isinstance(e, Read | At) or set(free_axes(e)) <= s.domain


def apply(stage: Stage, op: str, args: tuple[Expr, ...], s: Scope) -> Code:
    through = op == "mul" and _through(stage, args, s)
    if op in ("add", "mul") and s.loops and len(args) > 2 and not through and not _long(s):
        # What the loop need not repeat is gathered, so that each step adds or multiplies it once.
        still = [a for a in args if not isinstance(a, Const) and _whole(stage, a, s) and steady(stage, a, s)]
        if 1 < len(still) < len(args):
            args = (Apply(op, tuple(still)), *(a for a in args if all(a is not b for b in still)))
    match op, args:
        case "add", _:
            return _sum(stage, args, s)
        case "mul", _:
            return _product(stage, args, s)
        case _, (Read(name, at),) if op in IN_PLACE and name in stage.spent and all(i.plain() for i in at):
            return stage.pointwise(IN_PLACE[op], [stage.code(args[0], s)], s)
        case "pow", (base, Const(k)):
            return _applied(stage, power(k), [stage.code(base, s)], s)
        case _:
            return _applied(stage, function(op), [stage.code(a, s) for a in args], s)


def _applied(stage: Stage, call: Callable[..., Tensor], codes: list[Code], s: Scope) -> Code:
    """A function point by point; of numbers alone it is a number: ``sqrt(D)`` is not computed again."""
    numbers = [c.number for c in codes if c.number is not None]
    if len(numbers) == len(codes):
        return number(call(*(torch.tensor(n, dtype=torch.float64) for n in numbers)).item())
    return stage.pointwise(call, [stage.tensor(c) for c in codes], s)


def _sum(stage: Stage, args: tuple[Expr, ...], s: Scope) -> Code:
    total: Code | None = None
    if found := biased(stage, args, s):
        total, args = found
    constant = math.fsum(a.value for a in args if isinstance(a, Const))
    terms = sorted((a for a in args if not isinstance(a, Const)), key=lambda a: negated(a) is not None)
    for a in terms:
        if total is not None and (factors := _multiplied(stage, a, s)):
            codes = [stage.tensor(stage.code(b, s)) for b in factors]
            total = stage.pointwise(torch.addcmul, [total, *codes], s)
            continue
        opposite = negated(a)
        c = stage.code(a if opposite is None else opposite, s)
        if c.number is not None:
            constant += c.number if opposite is None else -c.number
        elif total is not None:
            total = stage.pointwise(torch.add if opposite is None else torch.sub, [total, c], s)
        elif opposite is None:
            total = c
        else:
            total, constant = stage.pointwise(lambda x, k=constant: k - x, [c], s), 0.0
    if total is None:
        return number(constant)
    return stage.pointwise(lambda x: x + constant, [total], s) if constant else total


def _multiplied(stage: Stage, e: Expr, s: Scope) -> tuple[Expr, ...]:
    """The factors of a term that a step of a loop multiplies and adds in one call; none where it does not."""
    match e:
        case Apply("mul", (a, b)) if s.loops and stage.library and stage.like.is_floating_point():
            plain = not any(isinstance(x, Const) or inverted(x) for x in (a, b))
            once = _whole(stage, e, s) and steady(stage, e, s)
            special = once or where_positive((a, b)) or _through(stage, (a, b), s)
            return (a, b) if plain and not special else ()
        case _:
            return ()


def _long(s: Scope) -> bool:
    """Whether a value for all steps of the loops is more than is worth having, for a call less at each."""
    return math.prod(s.box[a][1] for a in s.domain) > _LONG


def _through(
    stage: Stage, args: tuple[Expr, ...], s: Scope
) -> tuple[tuple[Expr, ...], Read, Callable[[Tensor, Tensor], Tensor]] | None:
    """What goes back through a sigmoid or tanh at a step of a loop, and the library's call for it."""
    if not s.loops or not stage.library or not stage.like.is_floating_point():
        return None
    return through_sigmoid(args)


def _product(stage: Stage, args: tuple[Expr, ...], s: Scope) -> Code:
    scale = math.prod(a.value for a in args if isinstance(a, Const))
    if stage.library and stage.like.is_floating_point() and (found := where_positive(args)):
        x, z = stage.tensor(_product(stage, found[0], s)), stage.tensor(stage.code(found[1], s))
        kept = stage.pointwise(lambda x, z: torch.ops.aten.threshold_backward(x, z, 0), [x, z], s)
        return stage.scaled(kept, scale, s)
    if found := _through(stage, args, s):
        rest, z, call = found
        x, z = stage.tensor(_product(stage, rest, s)), stage.code(z, s)
        return stage.scaled(stage.pointwise(call, [x, z], s), scale, s)
    factors = [a for a in args if not isinstance(a, Const) and inverted(a) is None]
    total: Code | None = None
    for a in factors:
        c = stage.tensor(stage.code(a, s))
        total = c if total is None else stage.pointwise(torch.mul, [total, c], s)
    for a in args:
        below = inverted(a)
        if below is not None:
            c = stage.tensor(stage.code(below, s))
            total = (
                stage.pointwise(torch.reciprocal, [c], s)
                if total is None
                else stage.pointwise(torch.div, [total, c], s)
            )
    if total is None:
        return number(scale)
    return stage.scaled(total, scale, s)
