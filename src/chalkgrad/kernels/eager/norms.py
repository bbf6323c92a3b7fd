"""What is normalised along one axis, and the gradient back through that, found among equations.

Less its mean, over the root of its variance, it is five equations,

    t = Σ[j] x[j]    s[d] = x[d] - t/D    a = ε + (Σ[k] s[k]²)/D    m = sqrt(a)    y[d] = γ[d] s[d]/m + β[d]

of which γ, β or both may be missing; s and m are kept for the gradient, which is five as well:

    q = Σ[d] ∂y[d] γ[d] s[d]    ∂m = -q/m²    ∂s[d] = ∂m s[d]/(m D) + ∂y[d] γ[d]/m    u = Σ[d] ∂s[d]
    ∂x[j] = ∂s[j] - u/D

The library has a call for each, and its second makes what γ and β are given too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations, product
from typing import NamedTuple

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, At, Const, Equation, Expr, Index, Range, Read, Reduce, range_of
from chalkgrad.equations.walk import nodes, reads, substitute
from chalkgrad.kernels.eager.among import Among, letters_of, same
from chalkgrad.kernels.eager.functions import inverted
from chalkgrad.kernels.eager.steps import Shared
from chalkgrad.kernels.eager.views import View, arranged

# --- what the equations say, in names that were found --------------------------------------------------


def _plus(*terms: Expr | None) -> Expr:
    there = tuple(t for t in terms if t is not None)
    return there[0] if len(there) == 1 else Apply("add", there)


def _times(*factors: Expr | None) -> Expr:
    return Apply("mul", tuple(f for f in factors if f is not None))


def _power(e: Expr, k: float) -> Expr:
    return Apply("pow", (e, Const(k)))


def _sum(over: Sequence[Range], body: Expr) -> Expr:
    return Reduce("sum", tuple(over), body)


def _share(r: Range) -> Expr:
    """One over how many places an axis has."""
    return _power(At(Index((), r.size)), -1)


# --- forwards ------------------------------------------------------------------------------------------


def norm(among: Among, e: Equation) -> Shared | None:
    """The call of which an equation is the end: ``y[d] = γ[d] s[d]/m + β[d]``."""
    found = _read_in(among, e, e.value)
    if found is None or len(found.whole) != 1:
        return None
    r, (s,), m = found.axis, found.whole, found.under
    scale = next(
        (
            (gain, shift)
            for gain, shift in product((None, *found.each), repeat=2)
            if same(e.value, _plus(_times(gain, s, _power(m, -1)), shift))
        ),
        None,
    )
    deviation, under = among.of(e, s), among.of(e, m)
    if scale is None or not deviation or not under:
        return None
    x = next((n for n in reads(deviation.value) if among.is_all(n, e)), None)
    t = next((n for n in reads(deviation.value) if n is not x), None)
    a = next(reads(under.value), None)
    total, mean = among.of(e, t, 1), among.of(e, a, 1)
    if not (x and t and a and total and mean) or not isinstance(mean.value, Apply):
        return None
    least = next((n.value for n in mean.value.args if isinstance(n, Const)), 0.0)
    if not (
        same(total.value, _sum([r], x))
        and same(deviation.value, _plus(x, _times(Const(-1), t, _share(r))))
        and same(mean.value, _plus(Const(least), _times(_sum([r], _power(s, 2)), _share(r))))
        and same(under.value, Apply("sqrt", (a,)))
    ):
        return None
    parts = (total, deviation, mean, under, e)
    here, own = among.place[e.target], {among.place[q.target] for q in parts}
    if any(k < here and k not in own for q in (deviation, under) for k in among.readers[q.target]):
        return None
    kept = {q.target for q, times in ((deviation, 2), (under, 1)) if among.read[q.target] > times}
    return _forward(parts, x, scale, r.axis, least, kept)


def _forward(
    parts: tuple[Equation, ...],
    x: Read,
    scale: tuple[Read | None, Read | None],
    axis: str,
    least: float,
    kept: set[str],
) -> Shared:
    _, deviation, _, under, e = parts
    rows = [a for a in e.axes if a != axis]
    order = [*rows, axis]
    lay, back = arranged(letters_of(x), order), arranged(order, e.axes)
    apart, below = arranged(order, deviation.axes), arranged(rows, under.axes)
    gain, shift = (n and n.name for n in scale)
    name, y, s, m = x.name, e.target, deviation.target, under.target

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        x = _laid(lay, values[name])
        weight, bias = (values[n] if n else None for n in (gain, shift))
        out, mean, over = torch.native_layer_norm(x, x.shape[-1:], weight, bias, least)
        found = {y: _laid(back, out)}
        if s in kept:
            found[s] = _laid(apart, (x - mean).to(x.dtype))
        if m in kept:
            found[m] = _laid(below, over.reciprocal().squeeze(-1).to(x.dtype))
        return found

    given = tuple(n for n in (name, gain, shift) if n)
    made = (y, *(n for n in (s, m) if n in kept))
    return Shared(parts, "torch.native_layer_norm", given, made, call)


# --- backwards -----------------------------------------------------------------------------------------


def through_norm(among: Among, e: Equation) -> Shared | None:
    """The call of which an equation is the end: ``∂x[j] = ∂s[j] - u/D``."""
    own = next((n for n in reads(e.value) if among.is_all(n, e)), None)
    u = next((n for n in reads(e.value) if n is not own), None)
    inner, total = among.of(e, own, 2), among.of(e, u, 1)
    found = _read_in(among, e, inner.value) if inner else None
    if not (own and u and inner and total and found) or len(found.whole) != 2 or len(found.rows) != 1:
        return None
    r, m, (low,) = found.axis, found.under, found.rows
    if not (same(e.value, _plus(own, _times(Const(-1), u, _share(r)))) and same(total.value, _sum([r], own))):
        return None
    slope = among.of(e, low, 1)
    q = next((n for n in reads(slope.value) if n != m), None) if slope else None
    product_of = among.of(e, q, 1)
    if not (slope and q and product_of) or not same(slope.value, _times(Const(-1), q, _power(m, -2))):
        return None
    for (s, g), gain in product(permutations(found.whole), (None, *found.each)):
        spread = _times(low, _power(m, -1), _share(r), s)
        if same(inner.value, _plus(spread, _times(g, gain, _power(m, -1)))) and same(
            product_of.value, _sum([r], _times(g, gain, s))
        ):
            parts = (product_of, slope, inner, total, e)
            return _backward(among, parts, g, s, m, gain, r)
    return None


def _backward(
    among: Among, parts: tuple[Equation, ...], g: Read, s: Read, m: Read, gain: Read | None, r: Range
) -> Shared:
    e = parts[-1]
    rows = [a for a in e.axes if a != r.axis]
    order = [*rows, r.axis]
    by_gain = gain and _beside(among, e, r, _times(g, s, _power(m, -1)))
    by_shift = gain and _beside(among, e, r, g)
    seed, deviation, under = (
        (n.name, arranged(letters_of(n), labels)) for n, labels in ((g, order), (s, order), (m, rows))
    )
    back, weight = arranged(order, e.axes), gain and gain.name
    mask = [True, by_gain is not None, by_shift is not None]
    target, gains, shifts = e.target, by_gain and by_gain.target, by_shift and by_shift.target

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        g, x, m = (_laid(lay, values[n]) for n, lay in (seed, deviation, under))
        # Off the CPU the library has the mean and the scale of half numbers in single precision.
        wide = m if m.is_cpu or m.dtype == torch.float64 else m.float()
        over = wide.reciprocal().unsqueeze(-1)
        w = values[weight] if weight else None
        # Of what is added it is only asked whether there is something.
        by, gain, shift = torch.ops.aten.native_layer_norm_backward(
            g, x, x.shape[-1:], torch.zeros_like(over), over, w, w if shifts else None, mask
        )
        found = {target: _laid(back, by)}
        if gains:
            found[gains] = gain
        if shifts:
            found[shifts] = shift
        return found

    equations = (*parts, *(q for q in (by_gain, by_shift) if q))
    given = tuple(dict.fromkeys(n for n in (g.name, s.name, m.name, weight) if n))
    made = tuple(n for n in (target, gains, shifts) if n)
    return Shared(equations, "torch.ops.aten.native_layer_norm_backward", given, made, call)


def _beside(among: Among, e: Equation, r: Range, body: Expr) -> Equation | None:
    """The equation that adds up ``body`` over all rows, where nothing before ``e`` reads it."""
    rows = [own for own in e.domain if own.axis != r.axis]
    here = among.place[e.target]
    for q in among.made.values():
        if [(own.low, own.size) for own in q.domain] != [(r.low, r.size)]:
            continue
        value = substitute(q.value, {q.axes[0]: Index.axis(r.axis)})
        if same(value, _sum(rows, body)) and all(k > here for k in among.readers.get(q.target, ())):
            return q
    return None


# --- both ----------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """What an expression over ``rows`` and one ``axis`` reads.

    At all of its points, at each place of the axis, at the rows, and there in a denominator (``under``).
    """

    axis: Range
    whole: tuple[Read, ...]
    each: tuple[Read, ...]
    rows: tuple[Read, ...]
    under: Read


def _read_in(among: Among, e: Equation, value: Expr) -> _Found | None:
    under = next((m for n in nodes(value) if isinstance(m := inverted(n), Read)), None)
    if under is None or len({*letters_of(under)}) != len(e.axes) - 1 or not {*letters_of(under)} < {*e.axes}:
        return None
    (axis,) = {*e.axes} - {*letters_of(under)}
    others = [n for n in dict.fromkeys(reads(value)) if n != under]
    return _Found(
        range_of(e.domain, axis),
        tuple(n for n in others if among.is_all(n, e) and len(n.at) == len(e.axes)),
        tuple(n for n in others if letters_of(n) == (axis,)),
        tuple(n for n in others if {*letters_of(n)} == {*letters_of(under)}),
        under,
    )


def _laid(lay: View | None, x: Tensor) -> Tensor:
    return lay(x) if lay else x
