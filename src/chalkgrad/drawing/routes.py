"""Which way every wire goes: through which channels between layers, and down which lane of which gutter.

Channel k lies below layer k. Gutter g lies to the left of column number g, the last one to the right of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

from chalkgrad.drawing.graph import Graph, Link

MOST_PERMUTED = 6
"""Of how many kinds of wire in a channel every order of tracks is tried."""

NEAR = 4.0
"""Uprights less than this apart seem to be one."""

Net = tuple[str, str]
"""The wires of one source (its key) with one delay."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The middle of a box's top, where its wires begin, or the place on its bottom where a net ends."""

    key: str
    net: Net | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """Where the wire of a name goes straight up through a layer of its column."""

    column: int
    name: str
    layer: int


@dataclass(frozen=True, slots=True)
class Lane:
    """A net's own line up or down a gutter."""

    gutter: int
    net: Net


End = Pin | Pass | Lane


@dataclass(frozen=True, slots=True)
class Hop:
    """A link's way through one channel: from an end below it or beside it to another."""

    channel: int
    net: Net
    enter: End
    leave: End


def routes(graph: Graph, level: Mapping[str, int], later: frozenset[str]) -> dict[Link, tuple[Hop, ...]]:
    """Each link's hops in order.

    What is above in the same column, or in the layer right above in another, is reached directly; everything
    else by way of the gutter before the target's column, or after it, where it comes from a later one; a wire
    back to its own column, through the one after it for the sources in ``later``.
    """
    place = {c: n for n, c in enumerate(graph.columns)}
    vertex = {v.key: v for v in graph.vertices}
    found: dict[Link, tuple[Hop, ...]] = {}
    for link in graph.links:
        a, b = vertex[link.source], vertex[link.target]
        low, high = level[a.name], level[b.name]
        net = (a.key, link.delay)
        start, end = Pin(a.key), Pin(b.key, net)
        if a.column == b.column and high > low and not link.recurrent:
            between: list[End] = [Pass(a.column, a.name, k) for k in range(low + 1, high)]
            ends = [start, *between, end]
            found[link] = tuple(Hop(low + 1 + k, net, p, q) for k, (p, q) in enumerate(pairwise(ends)))
        elif a.column != b.column and high == low + 1:
            found[link] = (Hop(high, net, start, end),)
        else:
            after = a.column > b.column or (a.column == b.column and a.key in later)
            lane = Lane(place[b.column] + after, net)
            found[link] = (Hop(low + 1, net, start, lane), Hop(high, net, lane, end))
    return found


# --- tracks --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """A net in one channel: the uprights that come from below, and those that go on upwards. A lane is both
    or either; what is level with it hides no other."""

    net: Net
    kind: str
    below: frozenset[float]
    above: frozenset[float]
    beside: frozenset[float]

    @property
    def span(self) -> tuple[float, float]:
        every = self.below | self.above | self.beside
        return min(every), max(every)

    @property
    def straight(self) -> bool:
        low, high = self.span
        return not self.beside and high - low < 0.5


def tracks(runs: Sequence[Run]) -> dict[Net, int]:
    """A track for every run that is not straight, counted from below, chosen for few crossings.

    Runs of one kind (one name) share tracks where they do not meet.
    """
    level = [r for r in runs if not r.straight]
    kinds = list(dict.fromkeys(r.kind for r in level))
    if len(kinds) <= MOST_PERMUTED:
        tried = [_stacked(level, order) for order in permutations(kinds)]
    else:
        tried = [_stacked(level, order) for order in (kinds, kinds[::-1])]
    return min(tried, key=lambda t: _crossings(runs, t), default={})


def _stacked(runs: Sequence[Run], order: Sequence[str]) -> dict[Net, int]:
    found: dict[Net, int] = {}
    base = 0
    for kind in order:
        ends: list[float] = []
        for r in sorted((r for r in runs if r.kind == kind), key=lambda r: r.span):
            low, high = r.span
            free = next((k for k, end in enumerate(ends) if end + 2 * NEAR < low), None)
            if free is None:
                free = len(ends)
                ends.append(high)
            ends[free] = high
            found[r.net] = base + free
        base += len(ends)
    return found


def _crossings(runs: Sequence[Run], track: Mapping[Net, int]) -> int:
    """Crossings of wires, and many for uprights of two nets that run over each other."""
    top = len(track) + 1
    count = 0
    for a in runs:
        for b in runs:
            if a.net[0] == b.net[0]:
                continue
            for x, bottom, end in _uprights(a, track, top):
                if b.net in track and b.span[0] - NEAR < x < b.span[1] + NEAR:
                    count += bottom < track[b.net] < end
                for other, low, high in _uprights(b, track, top):
                    count += 20 * (abs(x - other) < NEAR and low < end and bottom < high)
    return count


def _uprights(r: Run, track: Mapping[Net, int], top: int) -> list[tuple[float, int, int]]:
    if r.net not in track:
        return [(x, -1, top) for x in r.below]
    return [(x, -1, track[r.net]) for x in r.below] + [(x, track[r.net], top) for x in r.above]
