"""Maxima, sums and means over windows, and the winners of maxima, given to the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isclose, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from chalkgrad.equations.ir import Apply, Condition, Expr, Guard, Index, Range, Read
from chalkgrad.equations.ops import otherwise
from chalkgrad.kernels.eager.code import Code, Frame, Labels, Scope, Stage, then
from chalkgrad.kernels.eager.guards import misses, sure
from chalkgrad.kernels.eager.views import Affine, Interval, View, arranged

_MEAN: tuple[Callable[..., Tensor], ...] = (
    functional.avg_pool1d,
    functional.avg_pool2d,
    functional.avg_pool3d,
)
_MAX: tuple[Callable[..., Tensor], ...] = (
    functional.max_pool1d,
    functional.max_pool2d,
    functional.max_pool3d,
)
_MAX_ALONE: tuple[Callable[..., Tensor], ...] = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)
"""Without the winners."""


@dataclass(frozen=True, slots=True)
class Span:
    """The windows along one axis: ``count`` of them, each ``stride`` places after the one before it, and
    ``size`` taps in each.

    ``offset`` is where in the image the first begins; below 0, before it.
    """

    label: str
    position: str
    tap: str
    stride: int
    dilation: int
    size: int
    offset: int
    count: int
    image: int

    @property
    def reach(self) -> int:
        """How many places of the image the windows span."""
        return self.stride * (self.count - 1) + self.width

    @property
    def width(self) -> int:
        """How many places one window spans."""
        return self.dilation * (self.size - 1) + 1

    @property
    def ends(self) -> tuple[int, int]:
        """Places before and after the image that the windows span; below 0, places that they leave."""
        return -self.offset, self.offset + self.reach - self.image

    def fits(self, padded: int, ceiling: bool) -> bool:
        """Whether the library counts these windows, with as much at both ends, ``padded`` at most."""
        pad = -self.offset
        if pad and not 0 < pad <= padded:
            return False
        over = self.image + 2 * pad - self.width
        count = (over + (self.stride - 1 if ceiling else 0)) // self.stride + 1
        # The last window begins inside the image or before it.
        count -= ceiling and (count - 1) * self.stride >= self.image + pad
        return over >= 0 and count == self.count


@dataclass(frozen=True, slots=True)
class Pool:
    """A maximum or a sum over windows: ``read`` has new labels in their place, with intervals in ``box``.

    ``rest`` are the other labels, ``outside`` is what a window finds outside of the image.
    """

    read: Read
    box: Mapping[str, Interval]
    spans: tuple[Span, ...]
    rest: Labels
    outside: float
    summed: bool = False

    @property
    def name(self) -> str:
        """The library call that it is."""
        return f"torch.nn.functional.{'avg' if self.summed else 'max'}_pool{len(self.spans)}d"

    @property
    def ceiling(self) -> bool | None:
        """How the library comes to count these windows in this image, rounding up or not; None: in no way."""
        padded = self.outside == (0.0 if self.summed else -inf)  # that is what the library pads with
        # At most half of the taps, wherever dilation puts them.
        most = [s.size // 2 if padded else 0 for s in self.spans]
        # A mean that has no divisor of one's own divides a last window by what is left of it.
        ways = (False,) if self.summed and len(self.spans) == 1 else (False, True)
        # In three it has no mean of an image that is smaller than a window, whatever is padded.
        if self.summed and len(self.spans) == 3 and any(s.image < s.size for s in self.spans):
            return None
        return next((c for c in ways if all(map(Span.fits, self.spans, most, [c] * len(most)))), None)

    @property
    def labels(self) -> Labels:
        """Of the result."""
        return (*self.rest, *(s.position for s in self.spans))


def pool(stage: Stage, over: tuple[Range, ...], body: Expr, s: Scope) -> Pool | None:
    """What a maximum or a sum of ``body`` over ``over`` is as one over windows; None where it is none.

    ``s`` is the scope inside of it.
    """
    conditions, body, outside = _padded(body)
    if not isinstance(body, Read) or s.mask or s.guarded or not all(size for _, size in s.box.values()):
        return None
    if not 1 <= len(over) <= 3 or not stage.like.is_floating_point():
        return None
    intervals = stage.places[body.name].intervals
    if not _keeps_inside(stage, body, [c for c in conditions if not sure(stage, c, s)], s):
        return None
    index = [Affine.of(i, stage.sizes) for i in body.at]
    spans: list[Span] = []
    at, box = [*body.at], dict[str, Interval]()
    for tap in (r.axis for r in over):
        where = [k for k, i in enumerate(index) if tap in i.axes]
        if len(where) != 1 or len(index[where[0]].terms) != 2 or index[where[0]].divisor != 1:
            return None
        (k,) = where
        terms = dict(index[k].terms)
        dilation = terms.pop(tap)
        ((position, stride),) = terms.items()
        if min(stride, dilation) < 1 or at[k] != body.at[k]:
            return None
        label, (low, size) = f"{body.name}·{k}", intervals[k]
        (first, count), (begin, width) = s.box[position], s.box[tap]
        offset = index[k].shift + stride * first + dilation * begin - low
        spans.append(Span(label, position, tap, stride, dilation, width, offset, count, size))
        at[k], box[label] = Index.axis(label), intervals[k]
    loops = {*s.numbers}
    axes = [a for i in at for a in i.axes if a not in box and a not in loops]
    inside = {a for span in spans for a in (span.position, span.tap)}
    if len({*axes}) != len(axes) or inside & {*axes} or len(inside) != 2 * len(spans) or inside & loops:
        return None
    return Pool(Read(body.name, tuple(at)), box, tuple(spans), tuple(a for a in s.box if a in axes), outside)


def _padded(e: Expr) -> tuple[tuple[Condition, ...], Expr, float]:
    """A read, the conditions under which it counts, and what stands in its place elsewhere."""
    match e:
        case Guard(conditions, body):
            return conditions, body, 0.0
        case Apply() if found := otherwise(e):
            return found
        case _:
            return (), e, 0.0


def _keeps_inside(stage: Stage, e: Read, conditions: Sequence[Condition], s: Scope) -> bool:
    """Whether conditions keep a read away from nothing but what lies outside of its name."""
    own = [*zip(e.at, stage.places[e.name].intervals, strict=True)]
    return all(any(misses(stage, i, v, c, s) for i, v in own) for c in conditions)


def pooled(stage: Stage, p: Pool, s: Scope) -> Code:
    """The code that finds the maxima."""
    code, shape, how = _ready(stage, p, s)
    call = _MAX_ALONE[len(p.spans) - 1]
    return _called(code, p, lambda x: call(x, **how), shape)


def _called(code: Code, p: Pool, call: View, shape: list[int]) -> Code:
    steps = [call]
    if len(p.rest) not in (1, 2):
        steps.append(lambda x: x.reshape(shape))
    return then(code, steps, p.labels)


@dataclass(frozen=True, slots=True)
class Average:
    """``pool``'s sums over windows, zero outside of the image, divided by ``divisor`` and times ``scale``."""

    pool: Pool
    divisor: int
    scale: float

    @property
    def name(self) -> str:
        """The library call that it is."""
        return self.pool.name


def average(
    stage: Stage,
    over: tuple[Range, ...],
    body: Expr,
    times: float,
    conditions: Sequence[Condition],
    s: Scope,
) -> Average | None:
    """What ``times`` a sum is as an average over windows; None where it is none.

    ``s`` is the scope inside of the sum, ``conditions`` are those of its guards that do not hold everywhere.
    """
    found = pool(stage, over, body, s)
    if found is None or any(span.dilation > 1 and span.size > 1 for span in found.spans):
        return None
    assert isinstance(body, Read)
    if not _keeps_inside(stage, body, conditions, s):
        return None
    divisor = prod(span.size for span in found.spans)
    if len(found.spans) > 1 and not isclose(times * divisor, 1.0):
        divisor = 1
    scale = times * divisor
    return Average(replace(found, summed=True), divisor, 1.0 if isclose(scale, 1.0, rel_tol=1e-12) else scale)


def averaged(stage: Stage, a: Average, s: Scope) -> Code:
    """The code that calls the library."""
    code, shape, how = _ready(stage, a.pool, s)
    del how["dilation"]
    if len(a.pool.spans) > 1:
        how["divisor_override"] = a.divisor
    call = _MEAN[len(a.pool.spans) - 1]
    return stage.scaled(_called(code, a.pool, lambda x: call(x, **how), shape), a.scale, s)


def winning(stage: Stage, p: Pool, axis: str, s: Scope) -> Code:
    """The code that finds where along ``axis`` the first maximum of each window is.

    The winners along all axes come from one call.
    """
    code, shape, how = _ready(stage, p, s)
    call = _MAX[len(p.spans) - 1]
    slot = stage.shared((p.read, p.spans, tuple(s.box[a] for a in p.labels)))
    find = code.run
    sizes = [span.reach if p.ceiling is None else span.image for span in p.spans]
    k = [span.tap for span in p.spans].index(axis)
    span, inner = p.spans[k], prod(sizes[k + 1 :])
    first = torch.arange(span.count, device=stage.like.device) * span.stride
    first = first if p.ceiling is None else first + span.offset
    first = first.reshape([-1] + [1] * (len(p.spans) - 1 - k))
    low = s.box[axis][0]

    def run(f: Frame) -> Tensor:
        if f.slots[slot] is None:
            f.slots[slot] = call(find(f), **how, return_indices=True)[1].reshape(shape)
        place = f.slots[slot] // inner % sizes[k]
        return ((place - first) // span.dilation + low).to(stage.like.dtype)

    return Code(run, p.labels)


def _ready(stage: Stage, p: Pool, s: Scope) -> tuple[Code, list[int], dict[str, Any]]:
    """The image laid out for the call, the shape of the result, and what the call is told."""
    inner = replace(s, box={**s.box, **p.box})
    order = (*p.rest, *(span.label for span in p.spans))
    code = stage.tensor(stage.code(p.read, inner))
    lay = arranged(code.labels, order)
    sizes = [inner.box[span.label][1] for span in p.spans]
    steps: list[View] = [lay] if lay else []
    if len(p.rest) not in (1, 2):  # as the library has channels, in a batch or not
        steps.append(lambda x: x.reshape(-1, *sizes))
    ceiling, ends = p.ceiling, [v for span in reversed(p.spans) for v in span.ends]
    if ceiling is None and any(ends):
        steps.append(lambda x: functional.pad(x, ends, value=p.outside))
    how: dict[str, Any] = {
        "padding": [0 if ceiling is None else -span.offset for span in p.spans],
        "ceil_mode": bool(ceiling),
        "kernel_size": [span.size for span in p.spans],
        "stride": [span.stride for span in p.spans],
        "dilation": [span.dilation for span in p.spans],
    }
    shape = [s.box[a][1] for a in p.labels]
    return then(code, steps, order), shape, how
