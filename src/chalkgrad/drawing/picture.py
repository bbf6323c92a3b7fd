"""A layout as a matplotlib figure: boxes, wires, a legend, and what the shared weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle

from chalkgrad.calculus.latex import symbol
from chalkgrad.drawing.graph import AFTER, BEFORE, Graph, Link, Vertex
from chalkgrad.drawing.labels import broken, extent
from chalkgrad.drawing.layout import Box, Layout, Point, Wire, layout
from chalkgrad.drawing.shapes import arrow, box_patch, line

NAME, EQUATION, WEIGHT, SMALL = 13.0, 11.0, 9.5, 9.0
"""Sizes of type: a name alone, an equation, a weight's name, the legend."""

WIDEST, PAD, CHIP_GAP = 210.0, 8.0, 4.0
"""Widest line of an equation; inside a box; between weights."""

MOST_WIDE = 1100.0
"""A wider unrolled picture shows a coloured mark for the weights of a box, not their names."""

EDGE = 18.0
"""Around the whole picture."""

FILL = {
    "input": ("#dbe9f6", "#3b78b5"),
    "computed": ("#f6f6f3", "#55554f"),
    "output": ("#dff0dc", "#3c8a3c"),
    "start": ("#ffffff", "#8a8a8a"),
    "parameter": ("#fdf1d4", "#b8860b"),
}
"""Fill and line of each kind of box."""

WIRES = ("#3b78b5", "#c2561a", "#7b4ba3", "#2a8c82", "#a83a5b", "#6b6b1f", "#4a4a8c", "#8a5a2b")
"""Colours of wires; all wires of one name have one."""

WEIGHTS = ("#fde3a7", "#cfe8cf", "#d6d9f5", "#f9d3cf", "#cdeaf0", "#ead3ee", "#e5e1c3", "#f7cfe4")
"""Colours of weights in an unrolled picture: one colour, one set of weights."""

WORDS = {
    "input": "input",
    "computed": "computed",
    "output": "output",
    "start": "start",
    "parameter": "weights",
}


@dataclass(frozen=True, slots=True)
class Label:
    """Text that was set: where its box is, in the coordinates of the figure (points from bottom left)."""

    text: str
    box: Box


@dataclass(frozen=True)
class Picture:
    """A figure with what a test wants to know of it: its layout and the boxes of all its labels."""

    figure: Figure
    layout: Layout
    canvas: Box
    labels: tuple[Label, ...]
    boxes: Mapping[str, Box]
    shared: tuple[str, ...]


def picture(graph: Graph) -> Picture:
    """The graph set and drawn. Nothing is shown on a screen."""
    return _Drawing(graph).picture()


class _Drawing:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.unrolled = bool(graph.heading)
        self.named = True
        self.sizes = {v.key: self._size(v) for v in graph.vertices}
        self.layout = layout(graph, self.sizes)
        if self.unrolled and self.layout.width > MOST_WIDE:
            self.named = False
            self.sizes = {v.key: self._size(v) for v in graph.vertices}
            self.layout = layout(graph, self.sizes)
        weighted = [v.name for v in graph.vertices if v.weights and v.kind != "start"]
        self.groups = dict.fromkeys(weighted)
        self.copied = [n for n in self.groups if weighted.count(n) > 1]
        self.tone = {name: WEIGHTS[k % len(WEIGHTS)] for k, name in enumerate(self.groups)}
        self.labels: list[Label] = []

    # --- sizes -----------------------------------------------------------------------------------------

    def _lines(self, v: Vertex) -> tuple[str, ...]:
        return broken(v.equation, EQUATION, WIDEST) if v.equation and not self.unrolled else (v.label,)

    def _type(self, v: Vertex) -> float:
        return EQUATION if v.equation and not self.unrolled else NAME

    def _size(self, v: Vertex) -> tuple[float, float]:
        size = self._type(v)
        lines = [extent(line, size) for line in self._lines(v)]
        wide = max(w for w, _, _ in lines)
        high = sum(_line_height(line, size) for line in self._lines(v))
        if v.weights and self.named:
            chips = [_chip(name) for name in v.weights]
            rows = _chip_rows(chips, max(wide, 90.0 if self.unrolled else WIDEST))
            wide = max(wide, *(sum(chips[k] for k in row) + CHIP_GAP * (len(row) - 1) for row in rows))
            high += len(rows) * (WEIGHT + 9) + 2
        elif v.weights:
            high += 6
        return max(wide + 2 * PAD, 34.0), high + PAD

    # --- drawing ---------------------------------------------------------------------------------------

    def picture(self) -> Picture:
        legend = self._legend_rows()
        below = 22.0 * len(legend) + (18 if self.unrolled else 0)
        wide = max(self.layout.width, *(w for _, w in legend), 150.0) + 2 * EDGE
        high = self.layout.height + below + 2 * EDGE
        self.dx, self.dy = (wide - self.layout.width) / 2, EDGE + below
        self.figure = Figure(figsize=(wide / 72, high / 72))
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1), frameon=False)
        self.axes.set(xlim=(0, wide), ylim=(0, high), xticks=[], yticks=[])
        if self.unrolled:
            self._columns()
        self._wires()
        boxes = {v.key: self._box(v) for v in self.graph.vertices}
        y = EDGE + 22.0 * (len(legend) - 1)
        for row, width in legend:
            self._legend(row, (wide - width) / 2, y)
            y -= 22
        shared = tuple(w for n in self.copied for v in self._first(n) for w in v.weights)
        canvas = Box(0, 0, wide, high)
        return Picture(self.figure, self.layout, canvas, tuple(self.labels), boxes, shared)

    def _first(self, name: str) -> Sequence[Vertex]:
        best = max((v for v in self.graph.vertices if v.name == name), key=lambda v: len(v.weights))
        return (best,)

    def _moved(self, b: Box) -> Box:
        return Box(b.x0 + self.dx, b.y0 + self.dy, b.x1 + self.dx, b.y1 + self.dy)

    def _columns(self) -> None:
        """A band behind each step, and which step it is."""
        for n, (c, (x0, x1)) in enumerate(self.layout.columns.items()):
            if c in (BEFORE, AFTER):
                continue
            left, right = x0 - 8 + self.dx, x1 + 8 + self.dx
            bottom = self.dy - 20
            if n % 2:
                band = Rectangle(
                    (left, bottom),
                    right - left,
                    self.layout.height + 26,
                    color="#f6f6f3",
                    zorder=0,
                    lw=0,
                    clip_on=False,
                )
                self.axes.add_patch(band)
            word = self.graph.heading.format(c)
            self._formula(word, (left + right) / 2, bottom + 5, SMALL + 1, "center", "#555555")

    def _wires(self) -> None:
        colour = self._wire_colours()
        for source in dict.fromkeys(w.link.source for w in self.layout.wires):
            own = [w for w in self.layout.wires if w.link.source == source]
            for w in own:  # white below, so that of two wires that cross one seems to go over the other
                self.axes.add_patch(self._curve(w, "white", 3.8, 1.0))
            for w in own:
                patch = self._curve(w, colour[w.link], 1.4, 1.1)
                patch.set_gid(f"wire {w.link.source} to {w.link.target}")
                self.axes.add_patch(patch)
                self._arrow(w.points[-1], colour[w.link])
        for pill, (delay, tone) in {
            w.pill: (w.link.delay, colour[w.link]) for w in self.layout.wires if w.pill is not None
        }.items():
            self._pill(self._moved(pill), delay, tone)

    def _wire_colours(self) -> dict[Link, str]:
        """One colour for all wires of a name; where a kernel slides, for each place in it."""
        names = {v.key: v.name for v in self.graph.vertices}
        sliding = self.graph.unit == "place"

        def kind(link: Link) -> int | str:
            return link.tap if sliding else names[link.source]

        kinds = dict.fromkeys(kind(w.link) for w in self.layout.wires)
        tone = {
            k: WIRES[n % len(WIRES)]
            for n, k in enumerate(
                sorted(kinds, key=lambda k: (str(k)[0] == "-", str(k))) if sliding else kinds
            )
        }
        return {w.link: tone[kind(w.link)] for w in self.layout.wires}

    def _curve(self, w: Wire, colour: str, width: float, z: float) -> PathPatch:
        points = [(x + self.dx, y + self.dy) for x, y in w.points]
        points[-1] = (points[-1][0], points[-1][1] - 2)
        return line(points, colour, width, z)

    def _arrow(self, end: Point, colour: str) -> None:
        x, y = end[0] + self.dx, end[1] + self.dy
        self.axes.add_patch(arrow(x, y, colour))

    def _pill(self, b: Box, delay: str, colour: str) -> None:
        self.axes.add_patch(box_patch(b, 4, "white", colour, 1.2, 2))
        size = SMALL + 0.5
        while extent(delay_latex(delay), size)[0] > b.x1 - b.x0 - 4:
            size -= 0.5
        self._formula(delay_latex(delay), *b.middle, size, "center", colour, middle=True)

    def _box(self, v: Vertex) -> Box:
        b = self._moved(self.layout.boxes[v.key])
        fill, edge = FILL[v.kind]
        radius = {"input": 9.0, "start": 9.0}.get(v.kind, 3.0)
        patch = box_patch(b, radius, fill, edge, 1.3, 3, dashed=v.kind == "start")
        patch.set_gid(f"name {v.key}")
        self.axes.add_patch(patch)
        if v.kind == "output":
            inner = Box(b.x0 + 2.2, b.y0 + 2.2, b.x1 - 2.2, b.y1 - 2.2)
            self.axes.add_patch(box_patch(inner, 2, "none", edge, 0.6, 3.1))
        size, lines = self._type(v), self._lines(v)
        y = b.y1 - PAD / 2
        for text in lines:
            tall = _line_height(text, size)
            _, above, depth = extent(text, size)
            base = y - tall / 2 - (above - depth) / 2
            start = len(lines) == 1
            x = b.middle[0] if start else b.x0 + PAD
            self._formula(text, x, base, size, "center" if start else "left", "#111111")
            y -= tall
        if v.weights and self.named:
            self._chips(v, b)
        elif v.weights:
            mark = Box(b.x0 + 5, b.y0 + 4, b.x1 - 5, b.y0 + 9)
            self.axes.add_patch(box_patch(mark, 2, self.tone[v.name], "#8a7a4a", 0.5, 3.2))
        return b

    def _chips(self, v: Vertex, b: Box) -> None:
        widths = [_chip(name) for name in v.weights]
        rows = _chip_rows(widths, b.x1 - b.x0 - 2 * PAD + 0.5)
        y = b.y0 + PAD / 2 + (len(rows) - 1) * (WEIGHT + 9)
        for row in rows:
            whole = sum(widths[k] for k in row) + CHIP_GAP * (len(row) - 1)
            x = b.middle[0] - whole / 2
            for k in row:
                self._chip(v.weights[k], Box(x, y, x + widths[k], y + WEIGHT + 6), self._weight_fill(v))
                x += widths[k] + CHIP_GAP
            y -= WEIGHT + 9

    def _weight_fill(self, v: Vertex) -> str:
        return self.tone[v.name] if self.unrolled else FILL["parameter"][0]

    def _chip(self, name: str, box: Box, fill: str) -> None:
        patch = box_patch(box, 2, fill, FILL["parameter"][1], 0.8, 3.3)
        patch.set_gid(f"weight {name}")
        self.axes.add_patch(patch)
        self._formula(symbol(name), *box.middle, WEIGHT, "center", "#3a2d00", middle=True)

    # --- text ------------------------------------------------------------------------------------------

    def _formula(
        self, latex: str, x: float, y: float, size: float, align: str, colour: str, middle: bool = False
    ) -> None:
        wide, above, depth = extent(latex, size)
        if middle:
            y -= (above - depth) / 2
        left = x - wide / 2 if align == "center" else x
        self.axes.text(left, y, f"${latex}$", size=size, color=colour, ha="left", va="baseline", zorder=4)
        self.labels.append(Label(latex, Box(left, y - depth, left + wide, y + above)))

    def _words(self, words: str, x: float, y: float, size: float, align: str, colour: str) -> None:
        wide, above, depth = extent(_upright(words), size)
        left = x - wide / 2 if align == "center" else x
        self.axes.text(
            left, y, f"${_upright(words)}$", size=size, color=colour, ha="left", va="baseline", zorder=4
        )
        self.labels.append(Label(words, Box(left, y - depth, left + wide, y + above)))

    # --- legend ----------------------------------------------------------------------------------------

    def _legend_rows(self) -> list[tuple[list[tuple[str, str]], float]]:
        """Rows of (kind of sample, words) with the width of each: what the boxes are, then the weights."""
        kinds = {v.kind for v in self.graph.vertices}
        entries = [(k, WORDS[k]) for k in ("input", "computed", "output", "start") if k in kinds]
        if "parameter" in kinds or (not self.unrolled and any(v.weights for v in self.graph.vertices)):
            entries.append(("parameter", WORDS["parameter"]))
        if any(w.pill for w in self.layout.wires):
            entries.append(("pill", "read at another step"))
        rows: list[list[tuple[str, str]]] = [entries]
        if self.copied:
            shared = [("words", f"the same weights at every {self.graph.unit}:")]
            for name in self.copied:
                (v,) = self._first(name)
                group = [(f"mark {name}", "")] if not self.named else []
                group += [(f"weight {name}", w) for w in v.weights]
                if _row_width([*shared, *group]) > max(self.layout.width, 420.0) and len(shared) > 1:
                    rows.append(shared)
                    shared = []
                shared = [*shared, *group]
            rows.append(shared)
        return [(row, _row_width(row)) for row in rows if row]

    def _legend(self, row: Sequence[tuple[str, str]], x: float, y: float) -> None:
        for kind, words in row:
            wide = _entry_width(kind, words)
            if kind in FILL:
                fill, edge = FILL[kind]
                sample = Box(x, y - 1, x + 18, y + 10)
                radius = 5.0 if kind in ("input", "start") else 2.0
                self.axes.add_patch(box_patch(sample, radius, fill, edge, 1.1, 3, dashed=kind == "start"))
                if kind == "output":
                    inner = Box(sample.x0 + 1.8, sample.y0 + 1.8, sample.x1 - 1.8, sample.y1 - 1.8)
                    self.axes.add_patch(box_patch(inner, 1.2, "none", edge, 0.5, 3.1))
                self._words(words, x + 23, y + 1.5, SMALL, "left", "#333333")
            elif kind == "pill":
                self.axes.add_patch(box_patch(Box(x, y - 2, x + 24, y + 11), 4, "white", "#555555", 1.1, 3))
                self._formula("t-1", x + 12, y + 4.5, SMALL - 1, "center", "#555555", middle=True)
                self._words(words, x + 29, y + 1.5, SMALL, "left", "#333333")
            elif kind == "words":
                self._words(words, x, y + 1.5, SMALL, "left", "#333333")
            elif kind.startswith("mark "):
                name = kind.removeprefix("mark ")
                mark = Box(x, y + 2, x + 16, y + 7)
                self.axes.add_patch(box_patch(mark, 2, self.tone[name], "#8a7a4a", 0.5, 3.2))
            else:
                name = kind.removeprefix("weight ")
                self._chip(words, Box(x, y - 3, x + _chip(words), y + WEIGHT + 3), self.tone[name])
            x += wide


def _line_height(latex: str, size: float) -> float:
    _, above, depth = extent(latex, size)
    return max(size * 1.45, above + depth + 5)


def _chip(name: str) -> float:
    return extent(symbol(name), WEIGHT)[0] + 8


def _chip_rows(widths: Sequence[float], room: float) -> list[list[int]]:
    """Which weights stand beside one another."""
    rows: list[list[int]] = [[]]
    used = 0.0
    for k, w in enumerate(widths):
        if rows[-1] and used + CHIP_GAP + w > room:
            rows.append([])
            used = 0.0
        used += w + (CHIP_GAP if rows[-1] else 0)
        rows[-1].append(k)
    return rows


def delay_latex(delay: str) -> str:
    r"""What a pill says: ``t-1``, ``all s`` with the word upright.

    >>> delay_latex("t-1"), delay_latex("all s")
    ('t-1', '\\mathrm{all}\\ s')
    """
    return r"\mathrm{all}\ " + delay.removeprefix("all ") if delay.startswith("all ") else delay


def _upright(words: str) -> str:
    return r"\mathrm{" + words.replace(" ", r"\ ") + "}"


def _entry_width(kind: str, words: str) -> float:
    if kind.startswith("weight "):
        return _chip(words) + CHIP_GAP
    if kind.startswith("mark "):
        return 20.0
    wide = extent(_upright(words), SMALL)[0]
    return wide + {"words": 8.0, "pill": 45.0}.get(kind, 39.0)


def _row_width(row: Sequence[tuple[str, str]]) -> float:
    return sum(_entry_width(kind, words) for kind, words in row)
