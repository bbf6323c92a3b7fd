"""The shapes of a picture: boxes with round corners, lines that turn in a curve, heads of arrows."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from chalkgrad.drawing.layout import Box, Point


def rounded(points: Sequence[Point], radius: float = 5.0) -> Curve:
    """A line through points with its corners rounded."""
    clean = [points[0]]
    for p in points[1:]:
        if abs(p[0] - clean[-1][0]) + abs(p[1] - clean[-1][1]) > 1e-6:
            clean.append(p)
    vertices, codes = [clean[0]], [Curve.MOVETO]
    for a, b, c in zip(clean, clean[1:], clean[2:], strict=False):
        r = min(radius, _length(a, b) / 2, _length(b, c) / 2)
        vertices += [_towards(b, a, r), b, _towards(b, c, r)]
        codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
    return Curve([*vertices, clean[-1]], [*codes, Curve.LINETO])


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: Point, b: Point, by: float) -> Point:
    whole = _length(a, b)
    return a[0] + (b[0] - a[0]) * by / whole, a[1] + (b[1] - a[1]) * by / whole


def box_patch(
    b: Box, radius: float, fill: str, line: str, width: float, z: float, dashed: bool = False
) -> FancyBboxPatch:
    """A box with round corners and a line around it."""
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch(
        (b.x0, b.y0),
        b.x1 - b.x0,
        b.y1 - b.y0,
        boxstyle=style,
        facecolor=fill,
        edgecolor=line,
        linewidth=width,
        zorder=z,
        linestyle=(0, (3, 2)) if dashed else "-",
        clip_on=False,
    )


def line(points: Sequence[Point], colour: str, width: float, z: float) -> PathPatch:
    """A line through points that turns in a curve."""
    return PathPatch(
        rounded(points),
        fill=False,
        edgecolor=colour,
        linewidth=width,
        zorder=z,
        capstyle="butt",
        clip_on=False,
    )


def arrow(x: float, y: float, colour: str) -> PathPatch:
    """The head of an arrow that points up at a place."""
    head = Curve([(x, y), (x - 3, y - 6.5), (x + 3, y - 6.5), (x, y)], closed=True)
    return PathPatch(head, facecolor=colour, linewidth=0, zorder=1.2, clip_on=False)
