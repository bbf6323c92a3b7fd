"""Guards: decided once, step by step, by padding, or by a mask, whichever is cheapest and never evaluates
outside."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, Condition, Expr, Guard, Index, Read, Reduce
from chalkgrad.kernels.eager.code import Code, Frame, Scope, Stage, Test, number
from chalkgrad.kernels.eager.functions import is_polynomial
from chalkgrad.kernels.eager.reads import evaluator, mask
from chalkgrad.kernels.eager.views import Affine, Interval


def sure(stage: Stage, c: Condition, s: Scope) -> bool | None:
    """Whether a condition holds everywhere in the box (True), nowhere (False), or somewhere (None)."""
    at = Affine.of(c.index, stage.sizes)
    if any(s.box[a][1] == 0 for a in at.axes):
        return False
    low, high = at.bounds(s.box)
    match c.kind:
        case "nonnegative":
            return True if low >= 0 else False if high < 0 else None
        case "zero":
            return low == 0 if low == high else False if low > 0 or high < 0 else None
        case "divisible":
            if all(k % c.divisor == 0 for _, k in at.terms):
                return at.shift % c.divisor == 0
            return None


def tightened(stage: Stage, conditions: tuple[Condition, ...], axes: set[str], s: Scope) -> Scope:
    """The scope with ``axes`` only where the conditions on them alone hold."""
    box = dict(s.box)
    for c in conditions:
        at = Affine.of(c.index, stage.sizes)
        if len(at.terms) != 1 or at.axes[0] not in axes or c.kind == "divisible":
            continue
        ((axis, k),) = at.terms
        low, size = box[axis]
        high = low + size - 1
        # k·axis + shift ≥ 0, and ≤ 0 too where it is to be zero.
        for sign in (1, -1) if c.kind == "zero" else (1,):
            a, b = k * sign, at.shift * sign
            low, high = (max(low, -(b // a)), high) if a > 0 else (low, min(high, b // -a))
        box[axis] = (low, max(0, high - low + 1))
    return replace(s, box=box)


def guard(stage: Stage, conditions: tuple[Condition, ...], body: Expr, s: Scope) -> Code:
    numbers = set(s.numbers)
    if any(sure(stage, c, s) is False for c in conditions):
        return number(0.0)
    conditions = tuple(c for c in conditions if sure(stage, c, s) is None)
    if not conditions:
        return stage.code(body, s)
    decided = tuple(c for c in conditions if set(c.index.axes) <= numbers)
    rest = tuple(c for c in conditions if c not in decided)
    inner = replace(tightened(stage, decided, numbers, s), guarded=True)
    if any(size == 0 for a, (_, size) in inner.box.items() if s.box[a][1]):
        return number(0.0)
    tests = tuple(_test(stage, c, s) for c in decided)
    inner = replace(inner, tests=inner.tests + tests)
    if is_polynomial(body):
        found = stage.code(body, inner)
        rest = tuple(c for c in rest if not vanishes(stage, body, c, inner))
    else:
        found = stage.code(body, replace(inner, mask=inner.mask + rest))
    if rest:
        found = stage.pointwise(
            lambda hold, x: torch.where(hold, x, 0.0), [mask(stage, rest, inner), stage.tensor(found)], inner
        )
    if not tests:
        return found
    depth = max(found.depth, *(d for d, _ in tests))
    run = stage.lifted(stage.tensor(found), depth, inner).run
    shape, like = [s.box[a][1] for a in found.labels], stage.like
    hold = [test for _, test in tests]

    def decide(f: Frame) -> Tensor:
        return run(f) if all(test(f.at) for test in hold) else like.new_zeros(shape)

    return Code(decide, found.labels, depth)


def _test(stage: Stage, c: Condition, s: Scope) -> tuple[int, Test]:
    """A condition on loop axes, and how many loops must have a position for it."""
    at = Affine.of(c.index, stage.sizes)
    value = evaluator(stage, at, s, {})
    depth = 1 + max(s.numbers.index(a) for a in at.axes)
    match c.kind:
        case "nonnegative":
            return depth, lambda position: value(position) >= 0
        case "zero":
            return depth, lambda position: value(position) == 0
        case "divisible":
            return depth, lambda position: value(position) % c.divisor == 0


def vanishes(stage: Stage, e: Expr, c: Condition, s: Scope) -> bool:
    """Whether ``e`` is zero wherever ``c`` fails, because what it reads there is padding."""
    match e:
        case Read(name, at):
            intervals = stage.places[name].intervals
            return any(misses(stage, i, v, c, s) for i, v in zip(at, intervals, strict=True))
        case Apply("mul", args):
            return any(vanishes(stage, a, c, s) for a in args)
        case Apply("add", args):
            return all(vanishes(stage, a, c, s) for a in args)
        case Guard(_, body):
            return vanishes(stage, body, c, s)
        case Reduce("sum", over, body) if not {r.axis for r in over} & set(c.index.axes):
            return vanishes(stage, body, c, stage.bound(over, s))
        case _:
            return False


def misses(stage: Stage, index: Index, interval: Interval, c: Condition, s: Scope) -> bool:
    """Whether a read at ``index`` lies outside of ``interval`` wherever ``c`` fails."""
    whole = Index(index.terms, index.shift)  # the numerator
    first, last = interval[0] * index.divisor, (interval[0] + interval[1] - 1) * index.divisor
    if set(index.axes) & set(s.numbers):
        return False
    match c.kind:
        case "nonnegative":
            # Where c < 0, one of these is negative too: the read lies before or after the interval.
            ways = (c.index - (whole - first), c.index - (whole * -1 + last))
            return any(Affine.of(way, stage.sizes).bounds(s.box)[0] >= 0 for way in ways)
        case "divisible":
            return index.divisor == c.divisor and whole in (c.index, c.index * -1)
        case "zero":
            return False
