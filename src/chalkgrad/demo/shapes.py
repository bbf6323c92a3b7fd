"""The five shapes of nets over sequences as one picture: ``python -m chalkgrad.demo.shapes FILE.png``.

What is read is below, the states are between, what is made is above.
"""

from __future__ import annotations

import sys
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

SHAPES = (
    ("one to one", 1, {0}, {0}),
    ("one to many", 3, {0}, {0, 1, 2}),
    ("many to one", 3, {0, 1, 2}, {2}),
    ("many to many,\naligned", 3, {0, 1, 2}, {0, 1, 2}),
    ("many to many,\nnot aligned", 5, {0, 1, 2}, {2, 3, 4}),
)
"""Of each its name, how many states it has, at which something is read, and at which something is made."""


def picture() -> Figure:
    """The five side by side."""
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    widths = [steps + 0.6 for _, steps, _, _ in SHAPES]
    for axes, (name, steps, read, made) in zip(
        figure.subplots(1, len(SHAPES), width_ratios=widths), SHAPES, strict=True
    ):
        for t in range(steps):
            _box(axes, t, 1, "tab:green")
            if t:
                _arrow(axes, (t - 0.65, 1), (t - 0.35, 1))
            if t in read:
                _box(axes, t, 0, "tab:red")
                _arrow(axes, (t, 0.3), (t, 0.7))
            if t in made:
                _box(axes, t, 2, "tab:blue")
                _arrow(axes, (t, 1.3), (t, 1.7))
        axes.set_xlim(-0.8, steps - 0.2)
        axes.set_ylim(-0.4, 2.4)
        axes.axis("off")
        axes.set_title(name, fontsize=10)
    return figure


def _box(axes: Any, x: float, y: float, colour: str) -> None:
    axes.add_patch(Rectangle((x - 0.3, y - 0.3), 0.6, 0.6, facecolor=colour, alpha=0.6, edgecolor="black"))


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0))


if __name__ == "__main__":
    picture().savefig(sys.argv[1], dpi=110)

__all__ = ["SHAPES", "picture"]
