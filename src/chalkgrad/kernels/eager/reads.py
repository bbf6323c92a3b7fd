"""Reads, and the other leaves of an expression: index values and masks.

A name that is complete is read as a view. One that the loops around are still making is looked up at the
loops' position, or stacked from several positions where the index asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product as points

import torch
from torch import Tensor

from chalkgrad.equations.ir import Condition, Index
from chalkgrad.kernels.eager.code import Code, Frame, Key, Labels, Run, Scope, Stage, number, then
from chalkgrad.kernels.eager.views import Affine, arranged, leaves, view


def _grid(stage: Stage, at: Affine, s: Scope) -> tuple[Tensor, Labels]:
    """The index's numerator over the box of its own axes, as integers."""
    labels = s.ordered(set(at.axes))
    total = torch.full((), at.shift, dtype=torch.long, device=stage.like.device)
    for k, axis in enumerate(labels):
        low, size = s.box[axis]
        steps = torch.arange(low, low + size, device=stage.like.device) * dict(at.terms)[axis]
        total = total + steps.reshape([-1] + [1] * (len(labels) - 1 - k))
    return total, labels


def positions(stage: Stage, at: Affine, s: Scope) -> Code:
    if not at.terms:
        return number(at.shift / at.divisor)
    grid, labels = _grid(stage, at, s)
    return stage.leaf(grid.to(stage.like.dtype) / at.divisor, labels, s)


def mask(stage: Stage, conditions: tuple[Condition, ...], s: Scope) -> Code:
    """Whether every condition holds, over the box of their axes."""
    labels = s.ordered({a for c in conditions for a in c.index.axes})
    holds = torch.ones((), dtype=torch.bool, device=stage.like.device)
    for c in conditions:
        grid, own = _grid(stage, Affine.of(c.index, stage.sizes), s)
        lay = arranged(own, labels)
        grid = lay(grid) if lay else grid
        match c.kind:
            case "nonnegative":
                holds = holds & (grid >= 0)
            case "zero":
                holds = holds & (grid == 0)
            case "divisible":
                holds = holds & (grid % c.divisor == 0)
    return stage.leaf(holds.expand([s.box[a][1] for a in labels]), labels, s)


def read(stage: Stage, name: str, at: tuple[Index, ...], s: Scope) -> Code:
    place = stage.places[name]
    index = [Affine.of(i, stage.sizes) for i in at]
    outside = any(leaves(v, i, s.box) for v, i in zip(place.intervals, index, strict=True))
    if outside and not s.guarded:
        raise AssertionError(f"{name}[{', '.join(map(str, at))}] leaves its range in {stage.line}")
    looped = [position for _, position in place.loops[: len(s.loops)]]
    rest = [k for k in range(len(at)) if k not in looped]
    base, front = _cell(stage, name, [index[k] for k in looped], s)
    steps, labels = view([place.intervals[k] for k in rest], [index[k] for k in rest], s.box)
    if not front:
        return _stepped(stage, then(base, steps, labels), s)
    # The axes in front belong to several steps at once: each of them is one index of its own.
    own = [Affine(((a, 1),), 0) for a in front]
    intervals = [s.box[a] for a in front] + [place.intervals[k] for k in rest]
    steps, labels = view(intervals, [*own, *(index[k] for k in rest)], s.box)
    return _stepped(stage, then(base, steps, labels), s)


def _stepped(stage: Stage, c: Code, s: Scope) -> Code:
    """A tensor that still has a loop's axis as a label, at the loop's position."""
    for depth, ring in enumerate(s.loops):
        if ring.axis in c.labels:
            dim, low, run = c.labels.index(ring.axis), s.box[ring.axis][0], c.run
            labels = tuple(a for a in c.labels if a != ring.axis)

            def select(f: Frame, run: Run = run, dim: int = dim, d: int = depth, low: int = low) -> Tensor:
                return run(f).select(dim, f.at[d] - low)

            c = Code(select, labels, max(c.depth, depth + 1))
    return c


def _cell(stage: Stage, name: str, at: list[Affine], s: Scope) -> tuple[Code, Labels]:
    """What a name in the making holds at a loop position; stacked where the index has other axes too."""
    depth = len(at)
    front = s.ordered({a for i in at for a in i.axes} - set(s.numbers))
    if depth == 0:
        return Code(lambda f: f.store[name][()]), ()
    if not front:
        (only, *more), place = at, stage.places[name]
        if any(leaves(place.intervals[p], i, s.box) for (_, p), i in zip(place.loops, at, strict=False)):
            return _cell_or_zero(stage, name, at, s), ()
        if not more and len(place.loops) == 1 and only.terms == ((s.loops[0].axis, 1),) and only.divisor == 1:
            shift = only.shift
            return Code(lambda f: f.store[name][(f.at[0] + shift,)], depth=1), ()
        keys = [evaluator(stage, i, s, {}) for i in at]
        whole = stacking(stage, name)
        return Code(lambda f: whole(f.store[name], tuple(key(f.at) for key in keys)), depth=depth), ()
    spans = [range(s.box[a][0], s.box[a][0] + s.box[a][1]) for a in front]
    cells = [
        [evaluator(stage, i, s, dict(zip(front, point, strict=True))) for i in at] for point in points(*spans)
    ]
    place = stage.places[name]
    looped = {position for _, position in place.loops[:depth]}
    shape = [size for k, (_, size) in enumerate(place.intervals) if k not in looped]
    counts = [s.box[a][1] for a in front]
    like = stage.like

    def stacked(f: Frame) -> Tensor:
        held = f.store[name]
        found = [held.get(tuple(key(f.at) for key in keys)) for keys in cells]
        if all(x is None for x in found):
            return like.new_zeros(counts + shape)
        # A guard keeps what has not been computed yet from counting.
        empty = like.new_zeros(shape)
        return torch.stack([empty if x is None else x for x in found]).reshape(counts + shape)

    return Code(stacked, depth=depth), front


def _cell_or_zero(stage: Stage, name: str, at: list[Affine], s: Scope) -> Code:
    """A read at the loops' position that a guard keeps from counting where there is none."""
    place, keys = stage.places[name], [evaluator(stage, i, s, {}) for i in at]
    looped = {position for _, position in place.loops[: len(at)]}
    shape = [size for k, (_, size) in enumerate(place.intervals) if k not in looped]

    def find(f: Frame) -> Tensor:
        x = f.store[name].get(tuple(key(f.at) for key in keys))
        return stage.like.new_zeros(shape) if x is None else x

    return Code(find, depth=len(at))


def stacking(stage: Stage, name: str) -> Callable[[dict[Key, Tensor], Key], Tensor]:
    """Finds what a name's table holds at a position of some of its loops, stacking what inner loops put in.

    The loop's axis comes to be the slowest in memory.
    """
    place = stage.places[name]
    looped = [position for _, position in place.loops]

    def find(held: dict[Key, Tensor], key: Key) -> Tensor:
        level = len(key)
        if key in held or level == len(looped):
            return held[key]
        outer, position = looped[:level], looped[level]
        low, size = place.intervals[position]
        left = [n for k, (_, n) in enumerate(place.intervals) if k not in outer]
        if 0 in left:
            return stage.like.new_zeros(left)
        cells = [find(held, (*key, t)) for t in range(low, low + size)]
        return torch.stack(cells).movedim(0, position - sum(k < position for k in outer))

    return find


def evaluator(stage: Stage, at: Affine, s: Scope, fixed: Mapping[str, int]) -> Callable[[list[int]], int]:
    """The index at the loops' positions; -2³¹, which is no position, where its divisor does not divide."""
    shift = at.shift + sum(k * fixed[a] for a, k in at.terms if a in fixed)
    terms = [(s.numbers.index(a), k) for a, k in at.terms if a not in fixed]
    divisor = at.divisor

    def value(position: list[int]) -> int:
        total = shift
        for d, k in terms:
            total += k * position[d]
        return total // divisor if total % divisor == 0 else -(2**31)

    return value


def masked(stage: Stage, c: Code, s: Scope) -> Code:
    """What is read under a guard around a function: one outside of it, where even a slope stays finite."""
    axes = {*c.labels, *s.numbers}
    needed = tuple(m for m in s.mask if m.index.axes and set(m.index.axes) <= axes)
    needed = tuple(m for m in needed if not set(m.index.axes) <= set(s.numbers))
    if not needed:
        return c
    return stage.pointwise(lambda hold, x: torch.where(hold, x, 1.0), [mask(stage, needed, s), c], s)
