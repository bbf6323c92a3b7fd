"""Where the names of one column stand: in layers, so that all is read from below, with few crossings.

Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", IEEE Trans.
SMC 11(2), 1981: layers by longest path, order by barycentres, then positions as near to the neighbours as the
widths allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Item = tuple[str, int]
"""A name in its layer, or where the wire of a name passes a layer on its way up."""

SWEEPS = 12


def layers(
    names: Sequence[str], forward: Sequence[tuple[str, str]], inputs: frozenset[str]
) -> dict[str, int]:
    """The layer of each name: above all that it reads; an input just below what reads it first.

    >>> layers(("x", "y", "a", "h"), (("x", "a"), ("a", "h"), ("y", "h")), frozenset("xy"))
    {'x': 0, 'y': 1, 'a': 1, 'h': 2}
    """
    found = dict.fromkeys(names, 0)
    for _ in names:
        for a, b in forward:
            found[b] = max(found[b], found[a] + 1)
    for n in names:
        readers = [found[b] for a, b in forward if a == n]
        if n in inputs and readers:
            found[n] = min(readers) - 1
    return found


@dataclass(frozen=True)
class Column:
    """Items from left to right in each layer, and the middle of each; the column runs from 0 to ``width``."""

    rows: tuple[tuple[Item, ...], ...]
    middle: Mapping[Item, float]
    width: float


def column(
    level: Mapping[str, int],
    count: int,
    forward: Sequence[tuple[str, str]],
    widths: Mapping[str, float],
    gap: float,
    lane: float,
) -> Column:
    """The names of ``widths`` arranged; ``gap`` lies between them, ``lane`` is as wide as a passing wire."""
    rows: list[list[Item]] = [[(n, k) for n in widths if level[n] == k] for k in range(count)]
    segments: dict[tuple[Item, Item], None] = {}
    for a, b in forward:
        if a in widths and b in widths:
            for k in range(level[a], level[b]):
                segments[(a, k), (a, k + 1) if k + 1 < level[b] else (b, k + 1)] = None
                if k + 1 < level[b] and (a, k + 1) not in rows[k + 1]:
                    rows[k + 1].append((a, k + 1))
    rows = _ordered(rows, list(segments))
    width = {item: widths[item[0]] if level[item[0]] == item[1] else lane for row in rows for item in row}
    middle = _placed(rows, list(segments), width, gap)
    left = min((middle[i] - width[i] / 2 for row in rows for i in row), default=0)
    right = max((middle[i] + width[i] / 2 for row in rows for i in row), default=0)
    return Column(tuple(tuple(row) for row in rows), {i: x - left for i, x in middle.items()}, right - left)


# --- order ---------------------------------------------------------------------------------------------


def _ordered(rows: list[list[Item]], segments: list[tuple[Item, Item]]) -> list[list[Item]]:
    """The rows with few crossings between them: sweeps by barycentre, then swaps of neighbours."""
    best, fewest = [list(row) for row in rows], _crossings(rows, segments)
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        for k in range(1, len(rows)) if upwards else range(len(rows) - 2, -1, -1):
            other = rows[k - 1] if upwards else rows[k + 1]
            place = {item: n for n, item in enumerate(other)}
            own = {item: n for n, item in enumerate(rows[k])}

            def centre(item: Item, place: dict[Item, int] = place, own: dict[Item, int] = own) -> float:
                near = [place[a] for a, b in segments if b == item and a in place]
                near += [place[b] for a, b in segments if a == item and b in place]
                return sum(near) / len(near) if near else own[item]

            rows[k].sort(key=centre)
        if (now := _crossings(rows, segments)) < fewest:
            best, fewest = [list(row) for row in rows], now
    improved = True
    while improved and fewest:
        improved = False
        for row in best:
            for k in range(len(row) - 1):
                row[k], row[k + 1] = row[k + 1], row[k]
                if (now := _crossings(best, segments)) < fewest:
                    fewest, improved = now, True
                else:
                    row[k], row[k + 1] = row[k + 1], row[k]
    return best


def _crossings(rows: list[list[Item]], segments: list[tuple[Item, Item]]) -> int:
    place = {item: n for row in rows for n, item in enumerate(row)}
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for n, (a, b) in enumerate(segments)
        for c, d in segments[n + 1 :]
        if a[1] == c[1]
    )


# --- positions -----------------------------------------------------------------------------------------


def _placed(
    rows: list[list[Item]], segments: list[tuple[Item, Item]], width: Mapping[Item, float], gap: float
) -> dict[Item, float]:
    middle: dict[Item, float] = {}
    for row in rows:
        middle |= dict(zip(row, spaced([0.0] * len(row), [width[i] for i in row], gap), strict=True))
    near: dict[Item, list[Item]] = {i: [] for i in middle}
    for a, b in segments:
        near[a].append(b)
        near[b].append(a)
    for sweep in range(4 * SWEEPS):
        for row in rows if sweep % 2 else rows[::-1]:
            wish = [sum(middle[j] for j in near[i]) / len(near[i]) if near[i] else middle[i] for i in row]
            middle |= dict(zip(row, spaced(wish, [width[i] for i in row], gap), strict=True))
    _straighten(rows, segments, middle, width, gap)
    return middle


def _straighten(
    rows: list[list[Item]],
    segments: list[tuple[Item, Item]],
    middle: dict[Item, float],
    width: Mapping[Item, float],
    gap: float,
) -> None:
    """Puts the passages of one wire right above each other where nothing stands in the way."""
    chains = [(a, b) for a, b in segments if a[0] == b[0] and a != b]
    for a, b in chains:
        (row,) = (row for row in rows if b in row)
        k = row.index(b)
        clear = gap / 2 + width[b] / 2
        low = middle[row[k - 1]] + width[row[k - 1]] / 2 + clear if k else -float("inf")
        high = middle[row[k + 1]] - width[row[k + 1]] / 2 - clear if k + 1 < len(row) else float("inf")
        if a in middle and any(p == a for p, q in chains if q == b) and low <= middle[a] <= high:
            is_box = all(q != a for _, q in chains)
            if not is_box or abs(middle[a] - middle[b]) < 2 * gap:
                middle[b] = middle[a]


def spaced(
    wish: Sequence[float], widths: Sequence[float], gap: float, weight: Sequence[float] = ()
) -> list[float]:
    """Middles in order, ``gap`` apart, with the least (weighted) squared distance from where each would be.

    >>> spaced([0, 0], [10, 10], 2)
    [-6.0, 6.0]
    """
    # Pool adjacent violators: what must keep apart is moved together.
    shift = [0.0]
    for a, b in pairwise(widths):
        shift.append(shift[-1] + (a + b) / 2 + gap)
    pools: list[tuple[float, float, int]] = []
    for k, (w, s) in enumerate(zip(wish, shift, strict=False)):
        pools.append((w - s, weight[k] if weight else 1.0, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, u, n) = pools[-2:]
            pools[-2:] = [((a * v + b * u) / (v + u), v + u, m + n)]
    flat = [value for value, _, n in pools for _ in range(n)]
    return [value + s for value, s in zip(flat, shift, strict=False)]
