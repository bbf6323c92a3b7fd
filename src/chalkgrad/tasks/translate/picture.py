"""Where a translator looked: as a picture, and as characters in a terminal."""

from __future__ import annotations

import io

from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.fonts import lettering
from chalkgrad.tasks.translate.translate import Looks

SHADES = " ░▒▓█"


def picture(looks: Looks) -> tuple[bytes, str]:
    """The attention as a PNG, a row for each written word; and a note where letters could not be drawn."""
    figures = extra("matplotlib.figure", "matplotlib")
    columns, rows = len(looks.source), len(looks.target)
    with lettering((*looks.source, *looks.target)) as note:
        figure = figures.Figure()
        wide, high = 0.42 * columns, 0.34 * rows
        figure.set_size_inches(wide, high)
        axes = figure.add_axes((0, 0, 1, 1))  # words stand outside: the picture grows by what they need
        shown = axes.imshow(looks.weights.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(columns), looks.source, rotation=60, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(rows), looks.target)
        axes.xaxis.tick_top()
        axes.set_xticks([c - 0.5 for c in range(1, columns)], minor=True)
        axes.set_yticks([r - 0.5 for r in range(1, rows)], minor=True)
        axes.grid(which="minor", color="0.85", linewidth=0.6)
        axes.tick_params(which="both", length=0)
        for side in axes.spines.values():
            side.set_color("0.85")
        beside = figure.add_axes((1 + 0.2 / wide, 0, 0.14 / wide, 1))
        figure.colorbar(shown, cax=beside, label="part of what is read")
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=130, bbox_inches="tight")
    return content.getvalue(), note


def in_terminal(looks: Looks) -> str:
    """The attention in characters: a row for each written word, a column for each source word.

    Columns are as wide as their words, by what a terminal shows: a Korean letter takes two places.

    >>> import torch
    >>> print(in_terminal(Looks(("one", "⏎"), ("하나", "⏎"), torch.eye(2))))
         one ⏎
    하나 ███
    ⏎        █
    """
    wide = extra("wcwidth", "wcwidth").wcswidth
    columns = [max(1, wide(word)) for word in looks.source]
    left = max(wide(word) for word in looks.target)

    def filled(word: str, width: int) -> str:
        return word + " " * (width - wide(word))

    lines = [" " * left + " " + " ".join(map(filled, looks.source, columns))]
    for word, row in zip(looks.target, looks.weights.tolist(), strict=True):
        cells = (
            SHADES[min(4, round(4 * weight))] * width for weight, width in zip(row, columns, strict=True)
        )
        lines.append(filled(word, left) + " " + " ".join(cells))
    return "\n".join(line.rstrip() for line in lines)


__all__ = ["in_terminal", "picture"]
