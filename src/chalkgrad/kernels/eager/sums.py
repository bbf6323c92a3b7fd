"""Reductions: sums of products as library calls, maxima and logsumexp over flattened axes.

No iteration space of a product is ever laid out: a window is a view, a guard a mask or padding, and what runs
backwards is the small operand, flipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from chalkgrad.equations.ir import (
    Apply,
    Condition,
    Const,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
    Size,
    range_of,
)
from chalkgrad.equations.ops import mul
from chalkgrad.equations.walk import free_axes, nodes, reads, substitute
from chalkgrad.kernels.eager.code import Code, Labels, Scope, Stage, number, then
from chalkgrad.kernels.eager.convolution import Convolution, convolution
from chalkgrad.kernels.eager.convolving import convolved
from chalkgrad.kernels.eager.functions import is_polynomial
from chalkgrad.kernels.eager.guards import guard, sure, tightened, vanishes
from chalkgrad.kernels.eager.pooling import Average, average, averaged, pool, pooled, winning
from chalkgrad.kernels.eager.products import product
from chalkgrad.kernels.eager.reads import mask
from chalkgrad.kernels.eager.scatter import scattered, scattering
from chalkgrad.kernels.eager.views import View, arranged


def total(stage: Stage, over: tuple[Range, ...], body: Expr, s: Scope) -> Code:
    """A sum: one library product where the body is one."""
    axes = {r.axis for r in over}
    conditions, factors = factors_of(body)
    free = tuple(c for c in conditions if not axes & set(c.index.axes))
    if free:
        held = tuple(c for c in conditions if c not in free)
        inner = Guard(held, mul(*factors)) if held else mul(*factors)
        return guard(stage, free, Reduce("sum", over, inner), s)
    conditions, inner = within(stage, over, conditions, s)
    if any(inner.box[a][1] == 0 for a in axes) or any(sure(stage, c, inner) is False for c in conditions):
        return number(0.0)
    if isinstance(body, Apply) and body.op == "add" and _splits(body):
        return stage.code(Apply("add", tuple(Reduce("sum", over, t) for t in body.args)), s)
    if found := as_convolution(stage, factors, conditions, axes, inner):
        return stage.scaled(convolved(stage, found, inner), scale_of(factors), s)
    if mean := as_average(stage, over, factors, conditions, inner):
        return averaged(stage, mean, inner)
    if stage.library and (given := scattered(stage, over, factors, conditions, inner)):
        return scattering(stage, given, inner)
    factors, conditions = _forwards(stage, factors, conditions, axes, inner)
    guarded = replace(inner, guarded=inner.guarded or bool(conditions))
    rough = [e for e in factors if not is_polynomial(e)]
    codes: list[Code] = []
    scale = 1.0
    for e in factors:
        if isinstance(e, Const):
            scale *= e.value
            continue
        c = stage.code(e, replace(guarded, mask=guarded.mask + conditions) if e in rough else guarded)
        scale *= 1.0 if c.number is None else c.number
        if c.number is None:
            codes.append(_kept(stage, c, conditions, guarded) if e in rough else c)
    smooth = mul(*(e for e in factors if e not in rough))
    left = tuple(c for c in conditions if not vanishes(stage, smooth, c, guarded))
    if left:
        hold = mask(stage, left, guarded)
        codes.append(stage.pointwise(lambda x, like=stage.like: x.to(like.dtype), [hold], guarded))
    for a in axes - {a for c in codes for a in c.labels}:
        scale *= inner.box[a][1]
    if not codes:
        return number(scale)
    kept = tuple(a for a in inner.box if a not in axes)
    if scale != 1 and len(codes) == 2:
        codes, scale = _scaled(stage, codes, kept, scale, inner)
    return stage.scaled(contract(stage, codes, kept, inner), scale, s)


def within(
    stage: Stage, over: tuple[Range, ...], conditions: tuple[Condition, ...], s: Scope
) -> tuple[tuple[Condition, ...], Scope]:
    """The scope inside a sum, and the conditions that hold in a part of it only, or nowhere."""
    inner = tightened(stage, conditions, {r.axis for r in over}, stage.bound(over, s))
    return tuple(c for c in conditions if not sure(stage, c, inner)), inner


def as_convolution(
    stage: Stage, factors: list[Expr], conditions: tuple[Condition, ...], axes: set[str], s: Scope
) -> Convolution | None:
    """The convolution that a product summed over ``axes`` is, but for its constant factors."""
    if not stage.library or not stage.like.is_floating_point():
        return None
    return convolution(stage, [e for e in factors if not isinstance(e, Const)], conditions, axes, s)


def as_average(
    stage: Stage, over: tuple[Range, ...], factors: list[Expr], conditions: Sequence[Condition], s: Scope
) -> Average | None:
    """The average over windows that a product summed over ``over`` is."""
    match [e for e in factors if not isinstance(e, Const)]:
        case [body] if stage.library:
            return average(stage, over, body, scale_of(factors), conditions, s)
        case _:
            return None


def biased(stage: Stage, terms: tuple[Expr, ...], s: Scope) -> tuple[Code, tuple[Expr, ...]] | None:
    """A convolution with the term that its call adds to each channel, and the terms that are left."""
    found = with_bias(stage, terms, s)
    if found is None:
        return None
    c, inner, bias, rest = found
    return convolved(stage, c, inner, bias), rest


def with_bias(
    stage: Stage, terms: tuple[Expr, ...], s: Scope
) -> tuple[Convolution, Scope, Read, tuple[Expr, ...]] | None:
    """The convolution among terms, its scope, what its call adds to each channel, and the terms left."""
    plain = [t for t in terms if isinstance(t, Read)]
    for sum in terms if plain else ():
        if not isinstance(sum, Reduce) or sum.op != "sum":
            continue
        axes = {r.axis for r in sum.over}
        conditions, factors = factors_of(sum.body)
        if any(isinstance(f, Const) for f in factors) or any(not axes & {*c.index.axes} for c in conditions):
            continue
        conditions, inner = within(stage, sum.over, conditions, s)
        c = as_convolution(stage, factors, conditions, axes, inner)
        bias = next((t for t in plain if c and c.takes(t)), None)
        if c and bias:
            return c, inner, bias, tuple(t for t in terms if t is not sum and t is not bias)
    return None


def scale_of(factors: list[Expr]) -> float:
    """The constant factors as one number."""
    return math.prod(e.value for e in factors if isinstance(e, Const))


def _kept(stage: Stage, c: Code, conditions: tuple[Condition, ...], s: Scope) -> Code:
    """A factor that may be infinite, zero where the conditions on its own axes fail."""
    own = tuple(m for m in conditions if set(m.index.axes) <= {*c.labels, *s.numbers})
    if not own:
        return c
    return stage.pointwise(lambda hold, x: torch.where(hold, x, 0.0), [mask(stage, own, s), c], s)


def _forwards(
    stage: Stage, factors: list[Expr], conditions: tuple[Condition, ...], axes: set[str], s: Scope
) -> tuple[list[Expr], tuple[Condition, ...]]:
    """Summed axes turned round where a window would run backwards, so that the small operand is flipped."""
    turned: dict[str, Index] = {}
    for a in axes:
        if any(i.coefficient(a) < 0 and len(i.terms) > 1 for e in factors for r in reads(e) for i in r.at):
            low, size = s.box[a]
            turned[a] = Index(((a, -1),), Size((), 2 * low + size - 1))
    if not turned:
        return factors, conditions
    guard = substitute(Guard(conditions, mul(*factors)), turned)
    conditions, factors = factors_of(guard)
    return factors, conditions


def contract(stage: Stage, codes: list[Code], kept: Labels, s: Scope) -> Code:
    """The product of labelled tensors, summed over every label that is not ``kept``."""
    codes = list(codes)
    while len(codes) > 2:
        pair = next(
            (
                (i, j)
                for i, a in enumerate(codes)
                for j, b in enumerate(codes)
                if i != j and set(a.labels) <= set(b.labels)
            ),
            None,
        )
        if pair is None:
            return _einsum(stage, codes, kept, s)
        both = [codes[k] for k in pair]
        codes = [c for k, c in enumerate(codes) if k not in pair]
        codes.append(stage.pointwise(torch.mul, both, s))
    if len(codes) == 1:
        return _summed(stage, codes[0], set(kept), s)
    a, b = codes
    a = _summed(stage, a, {*kept, *b.labels}, s)
    b = _summed(stage, b, {*kept, *a.labels}, s)
    p = product(a.labels, b.labels, kept, {x: size for x, (_, size) in s.box.items()}, stage.mm)
    if p.swapped:
        a, b = b, a
    depth = max(a.depth, b.depth)
    a = stage.lifted(then(a, [p.left], a.labels) if p.left else a, depth, s)
    b = stage.lifted(then(b, [p.right], b.labels) if p.right else b, depth, s)
    first, second, call = a.run, b.run, p.call
    done = Code(lambda f: call(first(f), second(f)), p.labels, depth)
    return then(done, [p.finish], p.labels) if p.finish else done


def _scaled(
    stage: Stage, codes: list[Code], kept: Labels, scale: float, s: Scope
) -> tuple[list[Code], float]:
    """A product's factors and scale, which goes to the smaller factor where that is less than the product."""

    def size(labels: Labels) -> int:
        return math.prod(s.box[a][1] for a in labels)

    small, large = sorted(codes, key=lambda c: size(c.labels))
    if size(small.labels) >= size(tuple(a for a in kept if a in small.labels + large.labels)):
        return codes, scale
    return [stage.scaled(c, scale, s) if c is small else c for c in codes], 1.0


def _summed(stage: Stage, c: Code, kept: set[str], s: Scope) -> Code:
    dims = [k for k, a in enumerate(c.labels) if a not in kept]
    labels = tuple(a for a in c.labels if a in kept)
    return then(c, [lambda x: x.sum(dims)], labels) if dims else c


def _einsum(stage: Stage, codes: list[Code], kept: Labels, s: Scope) -> Code:
    letters = {a: chr(ord("a") + k) for k, a in enumerate(dict.fromkeys(a for c in codes for a in c.labels))}
    labels = tuple(a for a in kept if a in letters)
    left = ",".join("".join(letters[a] for a in c.labels) for c in codes)
    pattern = f"{left}->{''.join(letters[a] for a in labels)}"
    depth = max(c.depth for c in codes)
    runs = [stage.lifted(c, depth, s).run for c in codes]
    return Code(lambda f: torch.einsum(pattern, [run(f) for run in runs]), labels, depth)


def _flat(stage: Stage, over: tuple[Range, ...], body: Expr, s: Scope) -> tuple[Code, list[str]]:
    """The body with the reduced axes last and flat, and those of them that it does not depend on."""
    inner = stage.bound(over, s)
    c = stage.tensor(stage.code(body, inner))
    axes = [r.axis for r in over]
    there = [a for a in axes if a in c.labels]
    labels = tuple(a for a in c.labels if a not in there)
    lay = arranged(c.labels, (*labels, *there))
    steps: list[View] = [lay] if lay else []
    if len(there) > 1:
        steps.append(lambda x: x.flatten(len(labels)))
    return then(c, steps, labels), [a for a in axes if a not in there]


def reduction(stage: Stage, op: str, over: tuple[Range, ...], body: Expr, s: Scope) -> Code:
    """A maximum, minimum or logsumexp; the gradient of the first two goes to the first winner."""
    if op == "max" and stage.library and (found := pool(stage, over, body, stage.bound(over, s))):
        return pooled(stage, found, stage.bound(over, s))
    c, absent = _flat(stage, over, body, s)
    more = math.log(math.prod(r.size.value(stage.sizes) for r in over if r.axis in absent))
    if len(absent) < len(over):
        call = {
            "max": lambda x: x.max(-1).values,
            "min": lambda x: x.min(-1).values,
            "logsumexp": lambda x: x.logsumexp(-1),
        }[op]
        c = then(c, [call], c.labels)
    return stage.pointwise(lambda x: x + more, [c], s) if op == "logsumexp" and more else c


def winner(stage: Stage, over: tuple[Range, ...], axis: str, body: Expr, s: Scope) -> Code:
    inside = stage.bound(over, s)
    if stage.library and not s.loops and (found := pool(stage, over, body, inside)):
        return winning(stage, found, axis, inside)
    c, absent = _flat(stage, over, body, s)
    low, _ = range_of(over, axis).interval(stage.sizes)
    if axis in absent:
        return number(low)
    there = [r for r in over if r.axis not in absent]
    place = [r.axis for r in there].index(axis)
    size = there[place].size.value(stage.sizes)
    inner = math.prod(r.size.value(stage.sizes) for r in there[place + 1 :])
    return then(c, [lambda x: (x.argmax(-1) // inner % size + low).to(x.dtype)], c.labels)


def factors_of(e: Expr) -> tuple[tuple[Condition, ...], list[Expr]]:
    """The factors of a product and the conditions of the guards around and in it."""
    match e:
        case Guard(conditions, body):
            more, factors = factors_of(body)
            return conditions + more, factors
        case Apply("mul", args):
            conditions: tuple[Condition, ...] = ()
            factors: list[Expr] = []
            for a in args:
                more, found = factors_of(a)
                conditions, factors = conditions + more, factors + found
            return conditions, factors
        case _:
            return (), [e]


def _splits(body: Expr) -> bool:
    """Whether to sum term by term, since point by point there would be more axes than any read has."""
    whole = set(free_axes(body))
    return not any(whole <= set(free_axes(n)) for n in nodes(body) if isinstance(n, Read))
