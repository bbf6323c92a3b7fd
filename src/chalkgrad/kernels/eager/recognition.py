"""What an equation is to the library, looked at without running it: which of its calls, alone or in part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from chalkgrad.equations.ir import Apply, ArgMax, Condition, Const, Equation, Expr, Guard, Range, Read, Reduce
from chalkgrad.equations.walk import children
from chalkgrad.kernels.eager.code import Code, Place, Scope, Stage
from chalkgrad.kernels.eager.convolution import Convolution
from chalkgrad.kernels.eager.functions import ALIKE, where_positive
from chalkgrad.kernels.eager.guards import sure
from chalkgrad.kernels.eager.pooling import Pool, pool
from chalkgrad.kernels.eager.scatter import Scattered, scattered
from chalkgrad.kernels.eager.sums import as_average, as_convolution, factors_of, scale_of, with_bias, within
from chalkgrad.kernels.eager.views import Interval


def library_calls(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> tuple[str, ...]:
    """Which parts of an equation are given to the library as a whole, by the call's name."""
    stage, domain = _dry(e, numbers, intervals)
    return tuple(_calls(stage, e.value, domain))


def is_call(
    e: Equation,
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
    scaled: bool = False,
) -> bool:
    """Whether an equation is one library call and nothing else; ``scaled``, or a number times one."""
    stage, domain = _dry(e, numbers, intervals)
    value = _bare(stage, e.value, domain)
    match value:
        case Apply("add", terms):
            found = with_bias(stage, terms, domain)
            return found is not None and not found[3]
        case Reduce("sum", over, body):
            conditions, factors = factors_of(body)
            held, inner = within(stage, over, conditions, domain)
            if mean := as_average(stage, over, factors, held, inner):
                return scaled or mean.scale == 1
            return len([*_calls(stage, value, domain)]) == 1 and (scaled or scale_of(factors) == 1)
        case Reduce("max", over, body):
            return pool(stage, over, body, stage.bound(over, domain)) is not None
        case _:
            return False


def is_torchs(e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]) -> bool:
    """Whether torch's own gradient of what an equation runs as is what is derived from it, by the same calls.

    That is so of one library call, a maximum's to the first winner too, of functions point by point, and of
    sums of products that are read as they lie.
    """
    box = {r.axis: r.interval(numbers) for r in e.domain}
    if tuple(box.values()) != intervals[e.target]:
        return False
    if is_call(e, numbers, intervals, scaled=True):
        return True
    match e.value:
        case Reduce("sum", over, Read() | Apply("mul") as body):
            box |= {r.axis: r.interval(numbers) for r in over}
            return _is_pointwise(body, box, intervals)
        case _:
            return _is_pointwise(e.value, box, intervals)


def _is_pointwise(
    e: Expr, box: Mapping[str, Interval], intervals: Mapping[str, tuple[Interval, ...]]
) -> bool:
    match e:
        case Const():
            return True
        case Read(name, at):
            axes = [i.plain() or "" for i in at]
            return len({*axes}) == len(axes) and tuple(box.get(a) for a in axes) == intervals[name]
        case Apply("pow", (base, Const(-1))):
            return _is_pointwise(base, box, intervals)
        case Apply(op, args):
            return op in ALIKE and all(_is_pointwise(a, box, intervals) for a in args)
        case _:
            return False


def lone_convolution(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> tuple[Convolution, Mapping[str, Interval]] | None:
    """The convolution that is all of an equation, with the intervals of its axes; None where none is."""
    lone = _lone_sum(e, numbers, intervals)
    if lone is None or any(isinstance(f, Const) for f in lone.factors):
        return None
    axes, inner = {r.axis for r in lone.over}, lone.inner
    found = as_convolution(lone.stage, lone.factors, lone.conditions, axes, inner)
    return (found, inner.box) if found else None


def lone_pool(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> tuple[Pool, Mapping[str, Interval]] | None:
    """The pool of which an equation is the maximum or a winner, with the intervals of its axes."""
    if not isinstance(e.value, ArgMax) and not (isinstance(e.value, Reduce) and e.value.op == "max"):
        return None
    stage, domain = _dry(e, numbers, intervals)
    inner = stage.bound(e.value.over, domain)
    found = pool(stage, e.value.over, e.value.body, inner)
    return (found, {**inner.box, **found.box}) if found else None


def lone_scatter(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> tuple[Scattered, Mapping[str, Interval]] | None:
    """What winners are given where that is all of an equation, with the intervals of its axes."""
    lone = _lone_sum(e, numbers, intervals)
    if lone is None:
        return None
    found = scattered(lone.stage, lone.over, lone.factors, lone.conditions, lone.inner)
    return (found, {**lone.inner.box, **found.box}) if found else None


class _LoneSum(NamedTuple):
    """A sum of a product that is all of an equation: every condition is about what is summed."""

    stage: Stage
    over: tuple[Range, ...]
    factors: list[Expr]
    conditions: tuple[Condition, ...]
    inner: Scope


def _lone_sum(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> _LoneSum | None:
    stage, domain = _dry(e, numbers, intervals)
    value = _bare(stage, e.value, domain)
    if not isinstance(value, Reduce) or value.op != "sum":
        return None
    axes = {r.axis for r in value.over}
    conditions, factors = factors_of(value.body)
    conditions, inner = within(stage, value.over, conditions, domain)
    if any(not axes & {*c.index.axes} for c in conditions):
        return None
    return _LoneSum(stage, value.over, factors, conditions, inner)


def _bare(stage: Stage, e: Expr, s: Scope) -> Expr:
    """An expression without a guard that holds everywhere."""
    return e.body if isinstance(e, Guard) and all(sure(stage, c, s) for c in e.conditions) else e


def _dry(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> tuple[Stage, Scope]:
    """A stage that only looks, and the scope of the equation."""

    def never(stage: Stage, e: Expr, s: Scope) -> Code:
        raise AssertionError(e)

    places = {name: Place(found) for name, found in intervals.items()}
    stage = Stage(numbers, places, torch.zeros(()), never, torch.mm)
    return stage, stage.bound(e.domain, Scope({}, frozenset(e.axes)))


def _calls(stage: Stage, e: Expr, s: Scope) -> Iterator[str]:
    if isinstance(e, Apply) and e.op == "add" and (biased := with_bias(stage, e.args, s)):
        c, _, _, rest = biased
        yield f"{c.name} with its bias"
        for term in rest:
            yield from _calls(stage, term, s)
        return
    if isinstance(e, Apply) and e.op == "mul" and where_positive(e.args):
        yield "torch.ops.aten.threshold_backward"
    if isinstance(e, Reduce) and e.op == "sum":
        axes = {r.axis for r in e.over}
        conditions, factors = factors_of(e.body)
        conditions, inner = within(stage, e.over, tuple(c for c in conditions if axes & {*c.index.axes}), s)
        if found := as_convolution(stage, factors, conditions, axes, inner):
            yield found.name
            return
        if mean := as_average(stage, e.over, factors, conditions, inner):
            yield mean.name
            return
        if given := scattered(stage, e.over, factors, conditions, inner):
            yield given.name
            return
    inner = stage.bound(e.over, s) if isinstance(e, Reduce | ArgMax) else s
    match e:
        case Reduce("max", over, body) | ArgMax(over, _, body) if windows := pool(stage, over, body, inner):
            yield windows.name
        case _:
            pass
    for c in children(e):
        yield from _calls(stage, c, inner)
