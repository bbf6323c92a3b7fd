"""Equations as statements: one line where a slice says everything, loops and conditions where none does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chalkgrad.equations.ir import ONE, Condition, Expr, Index, Range, Size
from chalkgrad.kernels.script.access import crosses, span, target
from chalkgrad.kernels.script.body import Array, Body, scalar
from chalkgrad.kernels.script.expressions import plain, product, sum_of
from chalkgrad.kernels.script.parts import Part, bounds, parts_of, settled, to_loop
from chalkgrad.kernels.script.pieces import PRODUCT, SUM, Piece, laid, permuted

Box = Mapping[str, Range]


def fill(b: Body, a: Array, at: tuple[Index, ...], box: Box, value: Expr, /, *, add: bool = False) -> None:
    """``a[at] = value`` (or ``+=``) for every point of the box.

    What one expression says is one line. Then come, each added, the parts that hold for a stretch of an axis
    only, and those that need a loop: a convolution's, over the places of its kernel.
    """
    base = _without_dropped(a, Part(at, box, {}, (), value))
    found = parts_of(base.body, base.at, base.box)
    lines = [plain(b, p) for p in found]
    lines = [p if p is None or _stepped(b, a, p) is None else None for p in lines]
    together = [p for p in lines if p is not None]
    apart = [p for p, line in zip(found, lines, strict=True) if line is None]
    if together and not apart and not add and _everywhere(b, a, base):
        piece = permuted(sum_of(b, together), tuple(base.box))
        if piece.axes == tuple(base.box) and not piece.number:
            b.made.add(a.name)
            b.written.add(a.name)
            b.assign(a.name, "=", piece.code, piece.terms)
            return
    if together and not add and _everywhere(b, a, base) and base.box:
        piece = sum_of(b, together)
        if piece.axes != tuple(base.box):  # spread over the axes that it lacks
            zeros = b.library.zeros(b.shape(a), b.like)
            b.made.add(a.name)
            b.written.add(a.name)
            b.write(f"{a.name} = {zeros} + {laid(piece, tuple(base.box)).at(SUM)}")
            together = []
    b.make(a)
    if together:
        for regions in zip(*(_regions(b, a, p) for p in together), strict=True):
            _store(b, a, regions[0], *_signed(sum_of(b, list(regions)), "+=" if add else "="))
        b.written.add(a.name)
    stretches, rest = _stretches(b, a, apart)
    for group in stretches:
        for regions in zip(*(_regions(b, a, p) for p in group), strict=True):
            sign = "+=" if add or a.name in b.written else "="
            _store(b, a, regions[0], *_signed(sum_of(b, list(regions)), sign))
        b.written.add(a.name)
    for p in rest:
        _part(b, a, p, "+=" if add or a.name in b.written else "=")
        b.written.add(a.name)


def _signed(piece: Piece, sign: str) -> tuple[Piece, str]:
    """A negative product is subtracted rather than added."""
    if sign == "+=" and piece.code.startswith("-") and piece.level == PRODUCT:
        return replace(piece, code=piece.code[1:]), "-="
    return piece, sign


def _stretches(b: Body, a: Array, parts: list[Part]) -> tuple[list[list[Part]], list[Part]]:
    """The parts that hold along a stretch of the target, those along the same one together, and the rest."""
    groups: dict[object, list[Part]] = {}
    rest: list[Part] = []
    for p in parts:
        s = settled(b, p)
        if s is None:
            continue
        if s.conditions or to_loop(b, s) is not None or _stepped(b, a, s) is not None:
            rest.append(p)
        else:
            groups.setdefault((s.at, tuple(s.box.items())), []).append(s)
    return list(groups.values()), rest


def _everywhere(b: Body, a: Array, p: Part) -> bool:
    """Whether the part is all of an array that is not there yet."""
    kept = [(i, r) for i, r, gone in zip(p.at, a.ranges, a.dropped, strict=True) if not gone]
    whole = len(kept) == len(p.box) and all(
        i.plain() in p.box and (q := p.box[i.plain() or ""]).size == r.size and q.low == r.low
        for i, r in kept
    )
    return whole and a.name not in b.made


def _store(b: Body, a: Array, p: Part, piece: Piece, sign: str) -> None:
    here = tuple(p.box)
    piece = laid(permuted(piece, here), here)
    place = target(b, a, p.at, p.box)
    if place == a.name and sign == "=":
        # Zeros so far: adding is the shorter way to say it.
        place, sign = (place, "+=") if a.name not in b.written else (f"{place}[...]", "=")
    b.assign(place, sign, piece.code, piece.terms)


def _part(b: Body, a: Array, p: Part, sign: str) -> None:
    """The statements of one part: ranges narrowed, then conditions, then loops, until a line is left."""
    s = settled(b, p)
    if s is None:
        return
    standing = [c for c in s.conditions if not c.index.axes]
    if standing:
        rest = replace(s, conditions=tuple(c for c in s.conditions if c.index.axes))
        with b.indented(f"if {' and '.join(_said(b, c) for c in standing)}:"):
            _part(b, a, rest, sign)
        return
    axis = to_loop(b, s)
    if axis is None and not s.conditions:
        axis = _stepped(b, a, s)
    if axis is not None:
        with b.loop(s.range(axis)) as symbol:
            _part(b, a, s.put(axis, scalar(symbol)), "+=" if axis in s.over else sign)
        return
    if s.conditions:
        known = set(b.names.taken)
        _part(b, a, _clamped(b, s), sign)
        b.names.taken &= known
        return
    for r in _regions(b, a, s):
        _store(b, a, r, *_signed(product(b, r.body, tuple(r.over.values()), r.box), sign))


def _said(b: Body, c: Condition) -> str:
    """A condition on loop variables and sizes as Python."""
    s = c.index.shift
    if c.kind == "divisible":
        return f"({b.size(s)}) % {c.divisor} == 0"
    right = Size.of({x: -k for x, k in s.terms if k < 0}, max(0, -s.const))
    left = s + right
    if c.kind == "nonnegative" and right.const > 0 and right.terms:
        return f"{b.size(right - 1)} < {b.size(left)}"
    if c.kind == "nonnegative" and right.const > 0:
        return f"{b.size(left)} > {b.size(right - 1)}"
    return f"{b.size(left)} {'>=' if c.kind == 'nonnegative' else '=='} {b.size(right)}"


def _clamped(b: Body, p: Part) -> Part:
    """A range between the tighter of bounds that depend on where the loops stand: computed as they run."""
    axis = p.conditions[0].index.axes[0]
    mine = [c for c in p.conditions if c.index.axes == (axis,)]
    r = p.range(axis)
    lows, highs = [r.low], [r.high]
    for c in mine:
        low, high = bounds(c, axis)
        lows += [low] if low is not None else []
        highs += [high] if high is not None else []
    lows = [x for k, x in enumerate(lows) if not _beaten(b, k, lows, 1)]
    highs = [x for k, x in enumerate(highs) if not _beaten(b, k, highs, -1)]
    reach = Range("start", r.size + 1, r.low)
    first = lows[0]
    if len(lows) > 1:
        start = b.symbol("start", reach)
        b.write(f"{b.spelled[start]} = {_most_of('max', [b.size(x) for x in lows])}")
        first = Size.symbol(start)
    stop = b.symbol("end", replace(reach, axis="end"))
    ends = _most_of("min", [b.size(x) for x in highs])
    if not all(b.nonnegative(x - first) for x in highs):
        ends = f"max({b.size(first)}, {ends})"
    b.write(f"{b.spelled[stop]} = {ends}")
    kept = replace(p, conditions=tuple(c for c in p.conditions if c not in mine))
    return kept.running(Range(axis, Size.symbol(stop) - first, first))


def _beaten(b: Body, k: int, sizes: list[Size], sign: int) -> bool:
    """Whether another size is certainly larger (smaller, with sign -1), so that this one tells nothing."""
    return any(
        b.nonnegative((other - sizes[k]) * sign) and (j < k or not b.nonnegative((sizes[k] - other) * sign))
        for j, other in enumerate(sizes)
        if j != k
    )


def _most_of(call: str, sizes: list[str]) -> str:
    sizes = list(dict.fromkeys(sizes))
    return sizes[0] if len(sizes) == 1 else f"{call}({', '.join(sizes)})"


def _regions(b: Body, a: Array, p: Part) -> list[Part]:
    """The part, in two where its target lies on both sides of zero along a wrapped axis, and so on."""
    for k, index in enumerate(p.at):
        axes = [x for x in index.axes if x in p.box]
        if a.dropped[k] or len(axes) != 1:
            continue
        r = p.box[axes[0]]
        if r.size == ONE and a.ranges[k].size != ONE:
            return _regions(b, a, p.put(axes[0], Index((), r.low)))
        first, count, step = span(index, r)
        if step == 1 and crosses(b, a, k, first, count):
            before = Range(r.axis, first * -1, r.low)
            after = Range(r.axis, first + count, r.low - first)
            return [q for half in (before, after) for q in _regions(b, a, p.running(half))]
    return [p]


def _stepped(b: Body, a: Array, p: Part) -> str | None:
    """An axis to be gone along step by step: its target may or may not go past zero of a wrapped axis."""
    for k, index in enumerate(p.at):
        axes = [x for x in index.axes if x in p.box]
        if a.wrapped[k] and len(axes) == 1:
            first, count, step = span(index, p.box[axes[0]])
            if crosses(b, a, k, first, count) and (step != 1 or not b.nonnegative(first + count)):
                return axes[0]
    return None


def _without_dropped(a: Array, p: Part) -> Part:
    """The part at the one step of each axis that its target does not have."""
    for k, index in enumerate(p.at):
        if a.dropped[k] and index.terms:
            [axis] = index.axes
            p = p.put(axis, Index((), p.range(axis).low))
    return p
