"""Reads and targets as subscripts: ``x[:, t]``, ``x[:, p : p + n_i : 2]``, ``h[:, -1]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalkgrad.equations.ir import Index, Range, Size
from chalkgrad.kernels.script.body import Array, Body
from chalkgrad.kernels.script.pieces import Piece, permuted, read

Box = Mapping[str, Range]


def along(index: Index, box: Box) -> tuple[str, Range] | None:
    """The one axis of the box that an index runs along; None where it stands still."""
    here = [a for a in index.axes if a in box]
    assert len(here) == len(index.axes) <= 1, f"{index} runs along several axes"
    return (here[0], box[here[0]]) if here else None


def span(index: Index, r: Range) -> tuple[Size, Size, int]:
    """Where an index begins, how many places it takes, and how far apart (negative: backwards)."""
    [(axis, k)] = index.terms
    first = index.substitute({axis: Index((), r.low)})
    step = Index((), Size((), k), index.divisor).reduced()
    assert first.divisor == step.divisor == 1, f"{index} is not whole over {r}"
    return first.shift, r.size, step.shift.const


def reading(b: Body, a: Array, at: Sequence[Index], box: Box) -> Piece:
    """The elements of an array at an index per axis, each along at most one axis of the box."""
    lead, places = a.name, list[tuple[str, str]]()
    flips: list[int] = []
    for k, index in enumerate(at):
        if a.dropped[k]:
            continue
        found = along(index, box)
        if found is None:
            places.append((b.size(a.position(k, whole(index))), ""))
            continue
        axis, r = found
        first, count, step = span(index, r)
        if step < 0:
            flips.append(sum(bool(x) for _, x in places))
            first, step = first + (count - 1) * step, -step
        if a.wrapped[k] and not b.nonnegative(first) and not _before_zero(b, first, count):
            lead = _rolled(b, a, lead, k)
            first = first - a.ranges[k].low
            places.append((_slice(b, first, count, step, a.ranges[k].size), axis))
            continue
        places.append((_slice(b, a.position(k, first), count, step, a.ranges[k].size, a.wrapped[k]), axis))
    piece = read(lead, places)
    for place in flips:
        piece = Piece(b.library.flipped(piece.code, place), piece.axes)
    return piece


def target(b: Body, a: Array, at: Sequence[Index], box: Box) -> str:
    """What is assigned to."""
    piece = reading(b, a, at, box)
    order = tuple(x for x in box if x in piece.axes)
    return permuted(piece, order).code


def whole(index: Index) -> Size:
    """An index without axes as a size; where it is divided, a condition says that this leaves no rest."""
    assert not index.terms, f"{index} is no whole number"
    return index.shift.floordiv(index.divisor)


def crosses(b: Body, a: Array, k: int, first: Size, count: Size) -> bool:
    """Whether a stretch of a wrapped axis begins before zero and goes on past it."""
    return a.wrapped[k] and not b.nonnegative(first) and not _before_zero(b, first, count)


def _before_zero(b: Body, first: Size, count: Size) -> bool:
    return b.nonnegative((first + count) * -1)


def _slice(b: Body, first: Size, count: Size, step: int, size: Size, wrapped: bool = False) -> str:
    """The slice of ``count`` places from ``first``; what reaches to an end is left open."""
    if step == 1 and first == Size() and count == size:
        return ":"
    if wrapped and _before_zero(b, first, count):
        stop = first + count
        return _ends(b.size(first), "" if stop == Size() else b.size(stop), 1)
    stop = first + count * step
    low = "" if first == Size() else b.size(first)
    open_end = not wrapped and stop == size
    high = "" if open_end else _stop(b, first, count, step)
    return _ends(low, high, step)


def _ends(low: str, high: str, step: int) -> str:
    """A slice, with room around its colons where its ends are sums."""
    gap = " " if " " in low + high else ""
    text = f"{low}{gap}:{gap}{high}".strip()
    return text if step == 1 else f"{text}{gap}:{gap}{step}"


def _stop(b: Body, first: Size, count: Size, step: int) -> str:
    simple = b.size(first + count * step)
    if step == 1:
        return simple
    # p + 2 * n_i rather than what the bounds of n_i come to: where it begins, then how far it reaches.
    reach = b.size(count)
    reach = f"{step} * ({reach})" if " " in reach else f"{step} * {reach}"
    whole = f"{b.size(first)} + {reach}" if first != Size() else reach
    return min(whole, simple, key=len)


def _rolled(b: Body, a: Array, lead: str, k: int) -> str:
    """The array with the steps before zero moved from the end to the front."""
    by = b.size(a.ranges[k].low * -1)
    place = k - sum(a.dropped[:k])
    code = b.library.roll(lead, by, place)
    if lead != a.name or b.depth > 1:  # inside a loop the array may not be complete
        return code
    if code not in b.rolled:
        name = b.names.free(f"{a.name.rstrip('_')}_from_start")
        b.rolled[code] = name
        place = len(b.lines)
        while place and b.lines[place - 1].lstrip().startswith("#"):  # above the comment that leads here
            place -= 1
        b.lines.insert(place, f"    {name} = {code}  # the start first")
    return b.rolled[code]
