"""The gradients of one convolution, found by themselves, as one call of the library.

Three equations of a derived program read one gradient ``g``: by the image (a convolution the other way), by
the kernel, and by what was added to each channel (``Σ g`` over all else). Whatever they are gradients of, the
library computes what they say in one call, where they agree on how the dimensions correspond: that is all
that is looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from chalkgrad.equations.ir import Equation, Read, Reduce
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.eager.code import Labels
from chalkgrad.kernels.eager.convolution import Convolution, Coordinate, Window
from chalkgrad.kernels.eager.convolving import ends_of
from chalkgrad.kernels.eager.recognition import lone_convolution
from chalkgrad.kernels.eager.steps import Merged, Shared, equations_of, made_at
from chalkgrad.kernels.eager.views import Interval, Layout, View, laid, slowest_first, unlaid
from chalkgrad.kernels.schedule import Block

IMAGE, POSITIONS, KERNEL = range(3)


@dataclass(frozen=True, slots=True)
class Geometry:
    """What two gradients of one convolution agree on.

    ``gradient`` is the name of g, which is laid out as the image where ``transposed`` (it has come out of a
    transposed convolution), else as the positions; ``layouts`` and ``shapes`` are of image, positions and
    kernel. The windows' coordinates have no labels.
    """

    gradient: str
    transposed: bool
    layouts: tuple[Layout, Layout, Layout]
    shapes: tuple[tuple[int, ...], ...]
    windows: tuple[Window, ...]
    groups: int


@dataclass(frozen=True, slots=True)
class Part:
    """An equation as one of the gradients: which of the three tensors it is, and the names of all three."""

    equation: Equation
    role: int
    names: tuple[str, ...]


def parts(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]
) -> list[tuple[Geometry, Part]]:
    """Each way in which an equation is a gradient of a convolution."""
    found = lone_convolution(e, numbers, intervals)
    if found is None:
        return []
    c, box = found
    box = {**box, **c.box}
    tensors = [_axes(c, which, e) for which in c.roles]
    role = c.roles.index("result")
    if any(
        None in axes or tuple(box[a] for a in axes if a) != intervals[name] for name, axes in tensors
    ) or any(q.turned for w in c.windows for q in w.coordinates):
        return []
    names = tuple(name for name, _ in tensors)
    axes = [[a or "" for a in found] for _, found in tensors]
    sizes = {a: size for a, (_, size) in box.items()}
    return [
        (
            _geometry(_in_order(c, axes[g], axes[POSITIONS - g]), names[g], g, axes, sizes),
            Part(e, role, names),
        )
        for g in (IMAGE, POSITIONS)
        if g != role and (role == KERNEL or g == POSITIONS - role)
    ]


def _axes(c: Convolution, which: str, e: Equation) -> tuple[str, list[str | None]]:
    """A tensor's name and the label of each of its dimensions; None where that is read in part."""
    match which:
        case "result":
            return e.target, [*e.axes]
        case "read":
            return c.read.name, [i.plain() for i in c.read.at]
        case _:
            return c.other.name, [i.plain() for i in c.other.at]


def _in_order(c: Convolution, first: Sequence[str], second: Sequence[str]) -> Convolution:
    """The convolution, its labels and windows in the order in which two of its tensors have them."""
    rank = {a: k for k, a in enumerate(dict.fromkeys((*first, *second)))}

    def ordered(labels: Labels) -> Labels:
        return tuple(sorted(labels, key=rank.__getitem__))

    return replace(
        c,
        windows=tuple(
            sorted(c.windows, key=lambda w: min(rank[q.label] for q in w.coordinates if q.label in first))
        ),
        batch=ordered(c.batch),
        groups=ordered(c.groups),
        incoming=ordered(c.incoming),
        outgoing=ordered(c.outgoing),
    )


def _geometry(
    c: Convolution, gradient: str, role: int, axes: Sequence[Sequence[str]], sizes: Mapping[str, int]
) -> Geometry:
    layouts = [
        tuple(tuple(own.index(a) for a in group) for group in groups)
        for own, groups in zip(axes, c.layouts, strict=True)
    ]
    return Geometry(
        gradient,
        role == IMAGE,
        (layouts[IMAGE], layouts[POSITIONS], layouts[KERNEL]),
        tuple(tuple(sizes[a] for a in own) for own in axes),
        tuple(
            replace(w, **{n: Coordinate("", getattr(w, n).size) for n in ("image", "position", "tap")})
            for w in c.windows
        ),
        prod(sizes[a] for a in c.groups),
    )


# --- the call ------------------------------------------------------------------------------------------


def together(g: Geometry, members: Sequence[Part], added: Equation | None) -> Shared | None:
    """The call for gradients that agree; None where there is none.

    ``added`` is the gradient of what has been added to each channel.
    """
    sides = _sides(g)
    if sides is None:
        return None
    padding, more, margins = sides
    by_role = {p.role: p for p in members}
    side, other = (IMAGE, POSITIONS) if g.transposed else (POSITIONS, IMAGE)
    by_input, by_kernel = by_role.get(other), by_role.get(KERNEL)
    given = {KERNEL: by_input.names[KERNEL]} if by_input else {}
    given |= {other: by_kernel.names[other]} if by_kernel else {}
    batch = g.layouts[side][0]
    ways = {order: _views(g, order) for order in permutations(range(len(batch)))}
    shapes = [
        [prod(shape[k] for k in group) for group in own]
        for own, shape in zip(g.layouts, g.shapes, strict=True)
    ]
    if margins:
        pairs = zip(margins[-2::-2], margins[::-2], strict=True)
        shapes[IMAGE][2:] = [n + a + b for n, (a, b) in zip(shapes[IMAGE][2:], pairs, strict=True)]
    bias = [shapes[side][1]] if added else None
    stride, dilation = [w.stride for w in g.windows], [w.dilation for w in g.windows]
    mask = [by_input is not None, by_kernel is not None, added is not None]
    gradient, groups, transposed = g.gradient, g.groups, g.transposed
    spread = _spread(g, side, added) if added else None
    crop, cropped = [-v for v in margins], bool(margins) and not g.transposed

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        seed = values[gradient]
        there, back = ways[slowest_first(seed, batch)]
        seed = there[side](seed)
        # Of what is not given only the shape is asked for.
        source, kernel = (
            there[role](values[given[role]]) if role in given else seed.new_empty(1).expand(shapes[role])
            for role in (other, KERNEL)
        )
        if margins and transposed:
            seed = functional.pad(seed, margins)
        elif margins and by_kernel:
            source = functional.pad(source, margins)
        by, kernel, sums = torch.ops.aten.convolution_backward(
            seed, source, kernel, bias, stride, padding, dilation, transposed, more, groups, mask
        )
        found: dict[str, Tensor] = {}
        if by_input:
            found[by_input.equation.target] = back[other](functional.pad(by, crop) if cropped else by)
        if by_kernel:
            found[by_kernel.equation.target] = back[KERNEL](kernel)
        if added and spread:
            found[added.target] = spread(sums)
        return found

    equations = (*(p.equation for p in members), *([added] if added else []))
    return Shared(
        equations,
        "torch.ops.aten.convolution_backward",
        tuple(dict.fromkeys((gradient, *given.values()))),
        tuple(e.target for e in equations),
        call,
    )


def _views(g: Geometry, order: Sequence[int]) -> tuple[list[View], list[View]]:
    """How each tensor comes to have the library's dimensions, and back, its batch in this order.

    A table that a loop has made has its steps slowest, and is copied where they are not.
    """
    layouts = [
        own if role == KERNEL else (tuple(own[0][k] for k in order), *own[1:])
        for role, own in enumerate(g.layouts)
    ]
    both = [*zip(layouts, g.shapes, strict=True)]
    return [laid(*of) for of in both], [unlaid(*of) for of in both]


def _sides(g: Geometry) -> tuple[list[int], list[int], list[int]] | None:
    """The padding and the output padding of the call, and the zeros to put around the image before it."""
    none = [0] * len(g.windows)
    fitting = [w.cut if g.transposed else w.margin for w in g.windows]
    whole = [n for n in fitting if n is not None]
    if len(whole) == len(fitting):
        return ([-w.offset for w in g.windows], whole, []) if g.transposed else (whole, none, [])
    margins = ends_of((-w.offset, w.reach + w.offset - w.image.size) for w in g.windows)
    # What is cut off of g would be missing in what it adds up to.
    return None if g.transposed and min(margins) < 0 else (none, none, margins)


def _spread(g: Geometry, side: int, added: Equation) -> View:
    """How one number for each channel of g comes to have the axes of ``added``."""
    channels = g.layouts[side][1]
    read = next(reads(added.value))
    sizes = [g.shapes[side][k] for k in channels]
    order = [[read.at[k].plain() for k in channels].index(a) for a in added.axes]
    return lambda x: x.reshape(sizes).permute(order)


def adds_up(e: Equation, g: Geometry, box: Mapping[str, Interval], whole: Sequence[Interval]) -> bool:
    """Whether an equation is the sum of g over all but its channels; ``box`` has its axes, ``whole`` g's."""
    match e.value:
        case Reduce("sum", over, Read(name, at)) if name == g.gradient:
            axes = [i.plain() for i in at]
        case _:
            return False
    channels = g.layouts[IMAGE if g.transposed else POSITIONS][1]
    return (
        None not in axes
        and len({*axes}) == len(axes)
        and {*e.axes} == {axes[k] for k in channels}
        and len(over) + len(e.axes) == len(axes)
        and all(box[a] == own for a, own in zip(axes, whole, strict=True) if a)
    )


# --- among the steps -----------------------------------------------------------------------------------


def gathered(
    steps: Sequence[Merged],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> list[Merged]:
    """The steps, those that are gradients of one convolution in one call, where the first of them stood."""
    ready = made_at(steps)
    alone = Counter(name for step in steps for name in {e.target for e in equations_of(step)})
    groups: dict[Geometry, list[tuple[int, Part]]] = {}
    for k, step in enumerate(steps):
        if isinstance(step, Block) and alone[step.equation.target] == 1:
            for geometry, part in parts(step.equation, numbers, intervals):
                groups.setdefault(geometry, []).append((k, part))
    instead: dict[int, Shared] = {}
    gone: set[int] = set()
    for g, found in groups.items():
        members = {part.role: (k, part) for k, part in reversed(found) if k not in gone}
        if KERNEL not in members:
            continue
        sums = next(
            (
                (k, step.equation)
                for k, step in enumerate(steps)
                if isinstance(step, Block)
                and k not in gone
                and alone[step.equation.target] == 1
                and adds_up(step.equation, g, _box(step.equation, numbers), intervals[g.gradient])
            ),
            None,
        )
        places = [*(k for k, _ in members.values()), *([sums[0]] if sums else [])]
        call = together(g, [p for _, p in members.values()], sums[1] if sums else None)
        if len(places) < 2 or call is None or any(ready.get(n, -1) >= min(places) for n in call.given):
            continue
        instead[min(places)] = call
        gone |= {*places}
    return [instead.get(k, step) for k, step in enumerate(steps) if k in instead or k not in gone]


def _box(e: Equation, numbers: Mapping[str, int]) -> dict[str, Interval]:
    over = e.value.over if isinstance(e.value, Reduce) else ()
    return {r.axis: r.interval(numbers) for r in (*e.domain, *over)}
