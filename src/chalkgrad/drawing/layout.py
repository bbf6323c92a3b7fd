"""Where everything of a picture is: boxes for what is read and computed, wires between them, in points.

Wires run in the channels between layers and the gutters between columns, so that none runs over a box. What
closes a cycle goes up, over and down again through a gutter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from chalkgrad.drawing.graph import Graph, Link
from chalkgrad.drawing.layers import Column, column, layers, spaced
from chalkgrad.drawing.routes import NEAR, End, Hop, Lane, Net, Pass, Pin, Run, routes, tracks

GAP, LANE, TRACK, PIN = 22.0, 9.0, 9.0, 12.0
"""Between boxes of a layer; between lanes of a gutter; between tracks of a channel; between ends of wires."""

CHANNEL, GUTTER = 22.0, 14.0
"""Least height of a channel that wires use, least width of a gutter between columns."""

SLANTED = 54.0
"""Least height of a channel that wires cross on a slant."""

PILL = (30.0, 15.0)
"""Size of the box on a wire that says at which other step it reads."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: left, bottom, right, top."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def middle(self) -> Point:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def overlaps(self, other: Box) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def inside(self, other: Box) -> bool:
        return other.x0 <= self.x0 and self.x1 <= other.x1 and other.y0 <= self.y0 and self.y1 <= other.y1


@dataclass(frozen=True, slots=True)
class Wire:
    """A link's way from the top of its source to the bottom of its target, and its pill, if it has one."""

    link: Link
    points: tuple[Point, ...]
    pill: Box | None = None


@dataclass(frozen=True)
class Layout:
    """A picture's boxes by key, its wires, and from where to where each column goes."""

    boxes: Mapping[str, Box]
    wires: tuple[Wire, ...]
    columns: Mapping[int, tuple[float, float]]
    width: float
    height: float


def layout(graph: Graph, sizes: Mapping[str, tuple[float, float]]) -> Layout:
    """Boxes and wires for a graph whose vertices have these sizes (width, height)."""
    return _Plan(graph, sizes).layout()


class _Plan:
    """One graph on its way to a layout: first everything from left to right, then the heights."""

    def __init__(self, graph: Graph, sizes: Mapping[str, tuple[float, float]]) -> None:
        self.graph, self.sizes = graph, sizes
        given = frozenset(v.name for v in graph.vertices if v.kind in ("input", "parameter"))
        self.level = layers(graph.names, graph.forward, given)
        self.rows = 1 + max(self.level.values(), default=0)
        self.vertex = {v.key: v for v in graph.vertices}
        self._columns()
        self.ways = routes(graph, self.level, self._later())
        self.hops = [h for way in self.ways.values() for h in way]
        self._across()
        self._pins()
        self._up()

    # --- from left to right ----------------------------------------------------------------------------

    def _columns(self) -> None:
        """Each column by itself."""
        self.alone: dict[int, Column] = {}
        self.named: dict[int, dict[str, str]] = {}
        for c in self.graph.columns:
            own = {v.name: v.key for v in self.graph.vertices if v.column == c}
            widths = {name: self.sizes[own[name]][0] for name in self.graph.names if name in own}
            self.named[c] = own
            self.alone[c] = column(self.level, self.rows, self.graph.forward, widths, GAP, LANE)

    def _later(self) -> frozenset[str]:
        """The sources whose wires back to their own column are shorter round its right side than its left."""
        found: set[str] = set()
        for v in self.graph.vertices:
            own = self.alone[v.column]
            ends = [v.name, *(self.vertex[k.target].name for k in self.graph.links if k.source == v.key)]
            at = [own.middle[n, self.level[n]] for n in ends if (n, self.level[n]) in own.middle]
            if sum(own.width - x for x in at) <= sum(at) + 1:
                found.add(v.key)
        return frozenset(found)

    def _across(self) -> None:
        self.columns: dict[int, tuple[float, float]] = {}
        self.lane: dict[Lane, float] = {}
        self.middle: dict[str, float] = {}
        self.passing: dict[Pass, float] = {}
        x = 0.0
        for n, c in enumerate(self.graph.columns):
            x = self._gutter(n, x)
            own, here = self.named[c], self.alone[c]
            for (name, layer), middle in here.middle.items():
                if self.level[name] == layer:
                    self.middle[own[name]] = x + middle
                else:
                    self.passing[Pass(c, name, layer)] = x + middle
            self.columns[c] = (x, x + here.width)
            x += here.width
        self.width = self._gutter(len(self.graph.columns), x)

    def _gutter(self, number: int, x: float) -> float:
        """Places a gutter's lanes from x on; where the next column begins."""
        ends = (e for h in self.hops for e in (h.enter, h.leave))
        nets = {e.net: None for e in ends if isinstance(e, Lane) and e.gutter == number}
        inner = 0 < number < len(self.graph.columns)
        order = sorted(nets, key=lambda net: (self.level[self.vertex[net[0]].name], net))
        step = PILL[0] + 6 if any(delay for _, delay in order) else LANE
        x += GUTTER if inner or order else 0
        for net in order:
            self.lane[Lane(number, net)] = x + step / 2
            x += step
        return x + (GUTTER if order and number < len(self.graph.columns) else 0)

    def x(self, end: End) -> float:
        match end:
            case Pin(key, None):
                return self.top[key]
            case Pin():
                return self.pin[end]
            case Pass():
                return self.passing[end]
            case Lane():
                return self.lane[end]

    def _pins(self) -> None:
        """Where wires end on the bottom of each box: as near as can be to where they come from."""
        self.top = dict(self.middle)
        self.pin: dict[Pin, float] = {}
        arriving: defaultdict[str, dict[Pin, float]] = defaultdict(dict)
        for h in self.hops:
            if isinstance(h.leave, Pin):
                arriving[h.leave.key][h.leave] = self.x(h.enter)
        for key, found in arriving.items():
            half = self.sizes[key][0] / 2 - 7
            left, right = self.middle[key] - half, self.middle[key] + half
            order = sorted(found, key=lambda pin: (found[pin], str(pin)))
            wide = [PILL[0] + 2 if self._has_pill_at(p) else PIN for p in order]
            wide = [min(w, 2 * half / max(1, len(order))) for w in wide]
            wish = [min(max(found[p], left), right) for p in order]
            straight = [50.0 if left <= found[p] <= right else 1.0 for p in order]
            placed = spaced(wish, wide, 0, straight)
            for p, x in zip(order, _within(placed, wide, left, right), strict=True):
                self.pin[p] = found[p] if abs(x - found[p]) < 0.6 else x
        self._apart()

    def _has_pill_at(self, pin: Pin) -> bool:
        """Whether a delayed wire ends here without a lane that its pill could stand on."""
        return any(h.leave == pin and h.net[1] and not isinstance(h.enter, Lane) for h in self.hops)

    def _apart(self) -> None:
        """Moves the end of a wire aside where another comes from right below it."""
        for h in self.hops:
            if not isinstance(h.leave, Pin) or self._slanted(h):
                continue
            others = [q for q in self.pin if q.key == h.leave.key and q != h.leave]
            half = self.sizes[h.leave.key][0] / 2 - 5
            for move in (0.0, 5.0, -5.0, 7.0, -7.0):
                x = self.pin[h.leave] + move
                clear = all(
                    abs(self.x(k.enter) - x) >= NEAR + 0.5
                    for k in self.hops
                    if k.channel == h.channel and k.net[0] != h.net[0] and not isinstance(k.enter, Lane)
                )
                inside = abs(x - self.middle[h.leave.key]) <= half
                if clear and inside and all(abs(self.pin[q] - x) >= 6 for q in others):
                    self.pin[h.leave] = x
                    break

    # --- upwards ---------------------------------------------------------------------------------------

    def _up(self) -> None:
        self.track: dict[tuple[int, Net], float] = {}
        self.bottom: dict[int, float] = {}  # of a layer's row
        self.channel: dict[int, float] = {}  # the bottom of each
        tall = {
            k: max(
                (self.sizes[v.key][1] for v in self.graph.vertices if self.level[v.name] == k), default=0.0
            )
            for k in range(self.rows)
        }
        y = 0.0
        for k in range(self.rows + 1):
            hops = [h for h in self.hops if h.channel == k]
            found = tracks(self._runs([h for h in hops if not self._slanted(h)]))
            for net, n in found.items():
                self.track[k, net] = y + TRACK * (n + 1)
            height = TRACK * (1 + max(found.values(), default=0) + 1)
            pills = any(isinstance(h.leave, Pin) and self._has_pill_at(h.leave) for h in hops)
            slanted = any(map(self._slanted, hops))
            self.channel[k] = y
            if hops:
                y += max(SLANTED if slanted else CHANNEL, height) + (PILL[1] + 6 if pills else 0)
            if k < self.rows:
                self.bottom[k] = y
                y += tall[k]
        self.tall = tall
        self.height = y

    def _slanted(self, h: Hop) -> bool:
        """Whether a wire goes straight to its end: what slides over its input reads its neighbours so."""
        return self.graph.unit == "place" and not isinstance(h.enter, Lane) and not isinstance(h.leave, Lane)

    def _runs(self, hops: list[Hop]) -> list[Run]:
        nets = dict.fromkeys(h.net for h in hops)
        runs: list[Run] = []
        for net in nets:
            own = [h for h in hops if h.net == net]
            below = {self.x(h.enter) for h in own if not isinstance(h.enter, Lane)}
            above = {self.x(h.leave) for h in own if not isinstance(h.leave, Lane)}
            beside = {self.x(e) for h in own for e in (h.enter, h.leave) if isinstance(e, Lane)}
            kind = self.vertex[net[0]].name + net[1]
            runs.append(Run(net, kind, frozenset(below), frozenset(above), frozenset(beside)))
        return runs

    # --- the whole -------------------------------------------------------------------------------------

    def layout(self) -> Layout:
        boxes: dict[str, Box] = {}
        for v in self.graph.vertices:
            w, h = self.sizes[v.key]
            k = self.level[v.name]
            middle = self.bottom[k] + self.tall[k] / 2
            x = self.middle[v.key]
            boxes[v.key] = Box(x - w / 2, middle - h / 2, x + w / 2, middle + h / 2)
        wires = [self._wire(link, way, boxes) for link, way in self.ways.items()]
        return Layout(boxes, _with_pills_clear(_one_pill_each(wires)), self.columns, self.width, self.height)

    def _wire(self, link: Link, way: tuple[Hop, ...], boxes: Mapping[str, Box]) -> Wire:
        points: list[Point] = [(self.top[link.source], boxes[link.source].y1)]
        pill: Box | None = None
        for h in way:
            a, b = self.x(h.enter), self.x(h.leave)
            if self._slanted(h) and abs(a - b) > 1e-9:
                points += [(a, self.channel[h.channel] + 2), (b, self.bottom[h.channel] - 8)]
                continue
            if (h.channel, h.net) in self.track and abs(a - b) > 1e-9:
                y = self.track[h.channel, h.net]
                points += [(a, y), (b, y)]
        end = (self.x(way[-1].leave), boxes[link.target].y0)
        points.append(end)
        if link.delay:
            enter = way[-1].enter
            if isinstance(enter, Lane):
                heights = [y for x, y in points if x == self.lane[enter]]
                pill = _around(self.lane[enter], (min(heights) + max(heights)) / 2)
            else:
                pill = _around(end[0], end[1] - PILL[1] / 2 - 8)
        return Wire(link, tuple(points), pill)


def _with_pills_clear(wires: tuple[Wire, ...]) -> tuple[Wire, ...]:
    """Pills on lanes moved along them to where no other wire passes, as near as can be to where they were."""
    moved: dict[Box, Box] = {}
    for w in wires:
        if w.pill is None or w.pill in moved:
            continue
        x, y = w.pill.middle
        ends = [q for p, q in w.points if abs(p - x) < 1e-6]
        others = [k for k in wires if (k.link.source, k.link.delay) != (w.link.source, w.link.delay)]
        reach = (max(ends) - min(ends) - PILL[1]) / 2 if len(ends) > 1 else 0.0
        steps = [sign * d for d in range(0, 1 + max(0, int(reach)), 3) for sign in (1, -1)]
        places = (_around(x, y + d) for d in steps)
        moved[w.pill] = next((b for b in places if not any(_meets(k, b) for k in others)), w.pill)
    return tuple(w if w.pill is None else replace(w, pill=moved[w.pill]) for w in wires)


def _meets(w: Wire, b: Box) -> bool:
    """Whether a wire or its pill runs over a box, or very near."""
    near = Box(b.x0 - 2, b.y0 - 3, b.x1 + 2, b.y1 + 3)
    parts = [Box(min(p, r), min(q, s), max(p, r), max(q, s)) for (p, q), (r, s) in pairwise(w.points)]
    return any(near.overlaps(part) for part in parts)


def _within(middles: list[float], widths: list[float], left: float, right: float) -> list[float]:
    """Middles pushed inside an interval, from each end only as far as needed."""
    found = list(middles)
    for k, w in enumerate(widths):
        low = left if k == 0 else found[k - 1] + (widths[k - 1] + w) / 2
        found[k] = max(found[k], low)
    for k in reversed(range(len(widths))):
        last = k + 1 == len(widths)
        high = right if last else found[k + 1] - (widths[k] + widths[k + 1]) / 2
        found[k] = min(found[k], high)
    return found


def _one_pill_each(wires: list[Wire]) -> tuple[Wire, ...]:
    """The wires with one pill for each net and lane, where all of them still run together."""
    first: dict[tuple[str, str, float], Box] = {}
    for w in wires:
        if w.pill is not None:
            key = w.link.source, w.link.delay, w.pill.x0
            first[key] = max(first.get(key, w.pill), w.pill, key=lambda b: b.y0)
    return tuple(
        w if w.pill is None else replace(w, pill=first[w.link.source, w.link.delay, w.pill.x0]) for w in wires
    )


def _around(x: float, y: float) -> Box:
    w, h = PILL
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
