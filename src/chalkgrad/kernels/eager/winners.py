"""Where the maxima of windows are: found with the maxima, kept as the library has it, and given back to it.

A derived program has an equation for the first winner's position along each axis of a window, and one that
gives each position's gradient to its winner. The library has one whole number for a winner, and one call that
gives. So the winners of one maximum have a name together: a forward pass computes it with the maximum, and
the backward pass is handed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from chalkgrad.equations.ir import ArgMax, Equation, Program, Reduce
from chalkgrad.kernels.eager.pooling import Span
from chalkgrad.kernels.eager.recognition import lone_pool, lone_scatter
from chalkgrad.kernels.eager.steps import Plain, Shared, read_by
from chalkgrad.kernels.eager.views import Interval, Layout, laid, unlaid
from chalkgrad.kernels.schedule import Block

_MAX: tuple[Callable[..., tuple[Tensor, Tensor]], ...] = (
    functional.max_pool1d_with_indices,
    functional.max_pool2d_with_indices,
    functional.max_pool3d_with_indices,
)
_BACK: tuple[Any, ...] = (
    torch.ops.aten.max_pool2d_with_indices_backward,
    torch.ops.aten.max_pool3d_with_indices_backward,
)


@dataclass(frozen=True, slots=True)
class Winners:
    """The winners of one maximum: ``equations``, one for each window's axis, are their positions along it.

    ``letters`` has for each of the image's dimensions the axis of the equations that it is read at, or the
    number of its window.
    """

    equations: tuple[Equation, ...]
    image: str
    spans: tuple[Span, ...]
    letters: tuple[str | int, ...]
    ceiling: bool
    lows: tuple[int, ...]
    """The first tap along each axis."""

    @property
    def name(self) -> str:
        """That of all positions of a winner in one number."""
        return f"({','.join(e.target for e in self.equations)})"

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the positions."""
        return tuple(e.target for e in self.equations)

    @property
    def how(self) -> tuple[list[int], ...]:
        """Kernel, stride, padding and dilation, as the library is told."""
        return (
            [s.size for s in self.spans],
            [s.stride for s in self.spans],
            [-s.offset for s in self.spans],
            [s.dilation for s in self.spans],
        )

    def shapes(self, intervals: Mapping[str, tuple[Interval, ...]]) -> tuple[list[int], list[int]]:
        """Of the image and of the maximum."""
        image, own = intervals[self.image], intervals[self.equations[0].target]
        return [size for _, size in image], [size for _, size in own]

    @property
    def layouts(self) -> tuple[Layout, Layout]:
        """Of the image and of the maximum: channels, in a batch or not, and the windows."""
        rest = [k for k, a in enumerate(self.letters) if isinstance(a, str)]
        windows = [self.letters.index(k) for k in range(len(self.spans))]
        axes = self.equations[0].axes
        own = [axes.index(str(self.letters[k])) for k in rest], [axes.index(s.position) for s in self.spans]
        return _channels(rest, windows), _channels(*own)


def _channels(rest: Sequence[int], windows: Sequence[int]) -> Layout:
    outer = tuple((k,) for k in rest) if len(rest) in (1, 2) else (tuple(rest),)
    return (*outer, *((k,) for k in windows))


def winners_of(program: Program, numbers: Mapping[str, int]) -> dict[str, Winners]:
    """By name the winners that the library finds at these sizes, as it counts the windows."""
    intervals = {n.name: tuple(r.interval(numbers) for r in n.ranges) for n in program.names}
    alike: dict[object, list[Equation]] = {}
    for e in program.equations:
        if isinstance(e.value, ArgMax):
            alike.setdefault((e.domain, e.value.over, e.value.body), []).append(e)
    found = (_winners(equations, numbers, intervals) for equations in alike.values())
    return {w.name: w for w in found if w}


def _winners(
    equations: Sequence[Equation],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> Winners | None:
    first = equations[0]
    by_axis = {e.value.axis: e for e in equations if isinstance(e.value, ArgMax)}
    seen = lone_pool(first, numbers, intervals)
    if seen is None or first.target not in intervals:
        return None
    pool, box = seen
    ceiling = pool.ceiling
    if ceiling is None or {*by_axis} != {s.tap for s in pool.spans}:
        return None
    windows = {s.label: k for k, s in enumerate(pool.spans)}
    plain = [i.plain() for i in pool.read.at]
    own = [*zip(plain, intervals[pool.read.name], strict=True)]
    if any(a is None or box[a] != interval for a, interval in own) or {*first.axes} != {*pool.labels}:
        return None
    letters = tuple(windows.get(a, a) for a in plain if a)
    ordered = tuple(by_axis[s.tap] for s in pool.spans)
    lows = tuple(box[s.tap][0] for s in pool.spans)
    return Winners(ordered, pool.read.name, pool.spans, letters, ceiling, lows)


def opened(names: Iterable[str], groups: Mapping[str, Winners]) -> tuple[str, ...]:
    """The names, each of winners together as that of every position."""
    return tuple(
        dict.fromkeys(n for name in names for n in (groups[name].targets if name in groups else (name,)))
    )


# --- among the steps -----------------------------------------------------------------------------------


def keeping_winners(
    steps: Sequence[Plain],
    groups: Mapping[str, Winners],
    wanted: Collection[str],
    known: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> list[Plain]:
    """The steps, winners found and given to by one call each where that is ``wanted``, ``known`` or used."""
    found = [*steps]
    for w in groups.values():
        found = _with(found, w, w.name in wanted, w.name in known, {*wanted}, numbers, intervals)
    return found


def _with(
    steps: Sequence[Plain],
    w: Winners,
    asked: bool,
    known: bool,
    wanted: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> list[Plain]:
    names = {*w.targets}
    made = [k for k, s in enumerate(steps) if isinstance(s, Block) and s.equation in w.equations]
    giving = {
        k: call
        for k, s in enumerate(steps)
        if isinstance(s, Block)
        and names & {*read_by(s)}
        and (call := _given(s.equation, w, numbers, intervals))
    }
    if not known and not (made and (asked or giving)):
        return [*steps]
    apart = names & {*wanted} or any(names & {*read_by(s)} for k, s in enumerate(steps) if k not in giving)
    first: list[Plain] = []
    if not known:
        own = w.equations[0]
        largest = [
            (k, s.equation)
            for k, s in enumerate(steps)
            if isinstance(s, Block) and _is_maximum(s.equation, own)
        ][:1]
        made += [k for k, _ in largest]
        first = [_finding(w, [e for _, e in largest], intervals)]
    first += [_apart(w, intervals)] if apart else []
    place = min(made, default=0)
    return [
        s
        for k in range(len(steps))
        for s in (
            *(first if k == place else ()),
            *([giving[k]] if k in giving else [steps[k]] if k not in made else []),
        )
    ]


def _is_maximum(e: Equation, winner: Equation) -> bool:
    """Whether an equation is what a winner is the winner of."""
    match e.value, winner.value:
        case Reduce("max", over, body), ArgMax(its, _, of):
            return (over, body, e.domain) == (its, of, winner.domain)
        case _:
            return False


def _finding(w: Winners, maxima: Sequence[Equation], intervals: Mapping[str, tuple[Interval, ...]]) -> Shared:
    """The call that finds winners, and the maximum that is among the ``maxima``."""
    image, own = w.layouts
    shape, result = w.shapes(intervals)
    lay, back = laid(image, shape), unlaid(own, result)
    name, source, find, how, ceiling = w.name, w.image, _MAX[len(w.spans) - 1], w.how, w.ceiling
    targets = [e.target for e in maxima]

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        largest, winners = find(lay(values[source]), *how, ceiling, True)
        return {name: back(winners), **{target: back(largest) for target in targets}}

    how_named = f"torch.nn.functional.max_pool{len(w.spans)}d"
    return Shared((*maxima, *w.equations), how_named, (source,), (*targets, name), call)


def _given(
    e: Equation,
    w: Winners,
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> Shared | None:
    """The call for an equation that gives each winner what its position has; None where it is none."""
    seen = lone_scatter(e, numbers, intervals)
    if seen is None or intervals[e.target] != intervals[w.image]:
        return None
    scatter, box = seen
    number_of = {own.target: k for k, own in enumerate(w.equations)}
    order = [number_of.get(r.name, -1) for r in scatter.winners]
    if sorted(order) != [*range(len(w.spans))]:
        return None
    at = [i.plain() for i in scatter.given.at]
    own = intervals[scatter.given.name]
    if any(a is None or box[a] != interval for a, interval in zip(at, own, strict=True)):
        return None
    domain = w.equations[0].axes
    moved: dict[int, str] = {}
    taps = [r.axis for r in e.value.over] if isinstance(e.value, Reduce) else []
    for k, tap, (label, m, alpha, beta, shift, divisor) in zip(order, taps, scatter.places, strict=True):
        span, (low, count), (begin, size) = w.spans[k], box[label], box[tap]
        offset = alpha * (divisor * low - beta * begin - shift) - box[m][0]
        same = (span.stride, span.dilation, span.offset, span.size, span.count, span.image)
        if same != (alpha * divisor, -alpha * beta, offset, size, count, box[m][1]):
            return None
        if begin != w.lows[k] or at[domain.index(span.position)] != label:
            return None
        moved[k] = m
    read = [moved[a] if isinstance(a, int) else at[domain.index(a)] for a in w.letters]
    if read != [*e.axes]:
        return None
    return _giving(e, w, scatter.given.name, intervals)


def _giving(e: Equation, w: Winners, seed: str, intervals: Mapping[str, tuple[Interval, ...]]) -> Shared:
    image, own = w.layouts
    shape, result = w.shapes(intervals)
    lay, back, how, ceiling = laid(own, result), unlaid(image, shape), w.how, w.ceiling
    sizes = [prod(shape[k] for k in group) for group in image]
    name, target = w.name, e.target
    if len(w.spans) == 1:  # the library's call is that of two dimensions, one of a single place
        how = tuple([fill, *v] for fill, v in zip((1, 1, 0, 1), how, strict=True))
        sizes = [*sizes[:-1], 1, sizes[-1]]
        give = torch.ops.aten.max_pool2d_with_indices_backward

        def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
            share, winners = (lay(values[n]).unsqueeze(-2) for n in (seed, name))
            there = share.new_empty(1).expand(sizes)  # asked for its shape only
            return {target: back(give(share, there, *how, ceiling, winners).squeeze(-2))}

    else:
        give = _BACK[len(w.spans) - 2]

        def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
            share, winners = (lay(values[n]) for n in (seed, name))
            there = share.new_empty(1).expand(sizes)
            return {target: back(give(share, there, *how, ceiling, winners))}

    called = f"torch.ops.aten.max_pool{max(2, len(w.spans))}d_with_indices_backward"
    return Shared((e,), called, (seed, name), (target,), call)


def _apart(w: Winners, intervals: Mapping[str, tuple[Interval, ...]]) -> Shared:
    """The positions of winners along each axis, from where they are in the image."""
    own, result = w.layouts[1], w.shapes(intervals)[1]
    lay, back = laid(own, result), unlaid(own, result)
    name, targets = w.name, w.targets
    sizes = [s.image for s in w.spans]

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        flat, found = lay(values[name]), dict[str, Tensor]()
        for k, (span, target, low) in enumerate(zip(w.spans, targets, w.lows, strict=True)):
            first = torch.arange(span.count, device=flat.device) * span.stride + span.offset
            first = first.reshape([-1] + [1] * (len(sizes) - 1 - k))
            place = flat // prod(sizes[k + 1 :]) % sizes[k]
            found[target] = back(((place - first) // span.dilation + low).to(like.dtype))
        return found

    return Shared(w.equations, "places from the library's winners", (name,), targets, call)
