"""The gradient of a maximum over windows, given to its winners by the library.

The position of a winner is a value, so what a gradient adds up is known only when it runs: each position of
the maximum gives to one place of the image, and that is a scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, At, Condition, Expr, Index, Range, Read
from chalkgrad.kernels.eager.code import Code, Frame, Labels, Scope, Stage, then
from chalkgrad.kernels.eager.guards import misses
from chalkgrad.kernels.eager.views import Affine, Interval, arranged


@dataclass(frozen=True, slots=True)
class Scattered:
    """``Σ[p] given[(α m + β p + γ)/δ] [winner[the same] = p]``: each position gives to where its winner is.

    ``places`` has, for each window, the axis of the position, m, α, β, γ and δ.
    """

    given: Read
    winners: tuple[Read, ...]
    box: Mapping[str, Interval]
    places: tuple[tuple[str, str, int, int, int, int], ...]
    rest: Labels

    name = "torch.scatter_add"


def scattered(
    stage: Stage,
    over: tuple[Range, ...],
    factors: Sequence[Expr],
    conditions: Sequence[Condition],
    s: Scope,
) -> Scattered | None:
    """A sum of ``factors`` over ``over`` as what winners are given; None where it is something else."""
    givens = [e for e in factors if isinstance(e, Read)]
    equals = {
        at.index.plain(): r
        for e in factors
        if isinstance(e, Apply) and e.op == "equal"
        for r, at in [e.args]
        if isinstance(r, Read) and isinstance(at, At)
    }
    taps = [r.axis for r in over]
    if len(givens) != 1 or len(factors) != 1 + len(over) or {*equals} != {*taps}:
        return None
    (given,) = givens
    whole = stage.bound(over, s).box
    if any(r.at != given.at for r in equals.values()) or s.mask or s.loops:
        return None
    if any(s.box[a] != whole[a] for a in taps) or not all(size for _, size in s.box.values()):
        return None
    intervals = stage.places[given.name].intervals
    if any(stage.places[r.name].intervals != intervals for r in equals.values()):
        return None
    own = [*zip(given.at, intervals, strict=True)]
    if not all(any(misses(stage, i, v, c, s) for i, v in own) for c in conditions):
        return None
    at, box = [*given.at], dict[str, Interval]()
    places: list[tuple[str, str, int, int, int, int]] = []
    for tap in taps:
        where = [k for k, i in enumerate(given.at) if tap in i.axes]
        if len(where) != 1 or len(given.at[where[0]].terms) != 2 or at[where[0]] != given.at[where[0]]:
            return None
        (k,) = where
        i = Affine.of(given.at[k], stage.sizes)
        terms = dict(i.terms)
        beta = terms.pop(tap)
        ((m, alpha),) = terms.items()
        if abs(alpha) != 1 or m in taps:
            return None
        label = f"{given.name}·{k}"
        at[k], box[label] = Index.axis(label), intervals[k]
        places.append((label, m, alpha, beta, i.shift, i.divisor))
    axes = [a for i in at for a in i.axes if a not in box]
    if len({*axes}) != len(axes) or {*axes} & {*taps, *(p[1] for p in places)}:
        return None
    moved = {r: replace(r, at=tuple(at)) for r in (given, *equals.values())}
    return Scattered(
        moved[given],
        tuple(moved[equals[t]] for t in taps),
        box,
        tuple(places),
        tuple(a for a in s.box if a in axes),
    )


def scattering(stage: Stage, c: Scattered, s: Scope) -> Code:
    """The code that gives each winner its share."""
    inner = replace(s, box={**s.box, **c.box})
    order = (*c.rest, *(p[0] for p in c.places))
    runs: list[Callable[[Frame], Tensor]] = []
    for read in (c.given, *c.winners):
        code = stage.tensor(stage.code(read, inner))
        lay = arranged(code.labels, order)
        runs.append((then(code, [lay], order) if lay else code).run)
    outer, sizes = [s.box[a][1] for a in c.rest], [s.box[p[1]][1] for p in c.places]
    many = prod(inner.box[p[0]][1] for p in c.places)
    bases: list[Tensor] = []
    for k, (label, m, alpha, _, shift, divisor) in enumerate(c.places):
        low, size = inner.box[label]
        steps = torch.arange(low, low + size, device=stage.like.device)
        base = alpha * (divisor * steps - shift) - s.box[m][0]
        bases.append(base.reshape([-1] + [1] * (len(c.places) - 1 - k)))
    slopes = [-alpha * beta for _, _, alpha, beta, _, _ in c.places]

    def run(f: Frame) -> Tensor:
        share, *winners = (r(f) for r in runs)
        flat, held = torch.zeros((), dtype=torch.long, device=share.device), None
        for winner, base, slope, size in zip(winners, bases, slopes, sizes, strict=True):
            place = base + slope * winner.detach().long()
            inside = (place >= 0) & (place < size)
            held = inside if held is None else held & inside
            flat = flat * size + place.clamp(0, size - 1)
        assert held is not None
        share = torch.where(held, share, 0.0)
        image = share.new_zeros([*outer, prod(sizes)])
        image = image.scatter_add(-1, flat.reshape(*outer, many), share.reshape(*outer, many))
        return image.reshape([*outer, *sizes])

    return Code(run, (*c.rest, *(p[1] for p in c.places)))
