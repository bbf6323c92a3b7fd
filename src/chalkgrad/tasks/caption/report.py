"""Pictures of captions: where each word was looked for, and sheets of truth beside what was said."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from chalkgrad.tasks.caption.teller import Caption
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.fonts import lettering

TILE = 0.95  # inches
WORDS = 10  # tiles beside a picture on a sheet, at most


def attention_picture(caption: Caption) -> tuple[bytes, str]:
    """A picture as PNG, and again for each word, light where the decoder looked; a note on missing letters.

    Without attention, the picture and its caption alone.
    """
    tiles = [(caption.picture, None, "")] + [
        (caption.picture, weights, word) for word, weights in _looked(caption)
    ]
    columns = min(len(tiles), 6)
    rows = -(-len(tiles) // columns)
    with lettering([caption.text]) as note:
        width = max(columns * 1.5, 0.105 * len(caption.text) + 0.6)
        figure = _figure(width, rows * 1.75 + 0.4)
        figure.suptitle(f"{caption.text}  ({caption.probability:.1%})", fontsize=11)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.axis("off")
        for axes, (picture, weights, word) in zip(panels, tiles, strict=False):
            _draw(axes, picture, weights)
            axes.set_title(word, fontsize=10)
        return _png(figure), note


def sheet(rows: Sequence[tuple[Caption, Sequence[str]]], columns: int = 2) -> tuple[bytes, str]:
    """Captions beside the true ones as PNG, each with where its words were looked for; a note as above.

    What was said is green where it is a true caption to the letter, and red where not.
    """
    texts = [text for caption, own in rows for text in (caption.text, *own)]
    looked = [_looked(caption)[:WORDS] for caption, _ in rows]
    down = -(-len(rows) // columns)
    wide, high = (1 + max(5, *map(len, looked))) * TILE, TILE + 0.55
    with lettering(texts) as note:
        figure = _figure(columns * wide, down * high, layout=None)
        for number, (caption, own) in enumerate(rows):
            left, top = number // down * wide, (down - number % down) * high
            tiles = [("", None), *looked[number]]
            for column, (word, weights) in enumerate(tiles):
                box = (left + (column + 0.06) * TILE, top - high + 0.08, 0.94 * TILE, 0.94 * TILE)
                axes = figure.add_axes(_share(box, columns * wide, down * high))
                axes.axis("off")
                _draw(axes, caption.picture, weights)
                axes.set_title(word, fontsize=6.5, pad=1.5)
            right = caption.text in own
            said = f"{'✓' if right else '✗'} {caption.text}  ({caption.probability:.0%})"
            for line, (text, colour) in enumerate(
                ((" / ".join(own), "black"), (said, "#1a7f37" if right else "#b42318"))
            ):
                x, y, *_ = _share((left + 0.06, top - 0.03 - 0.15 * line, 0, 0), columns * wide, down * high)
                figure.text(x, y, text, fontsize=8, va="top", color=colour)
        return _png(figure), note


def _share(box: tuple[float, float, float, float], width: float, height: float) -> tuple[float, ...]:
    """A box (left, bottom, width, height) in inches as shares of a figure."""
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _looked(caption: Caption) -> list[tuple[str, Tensor | None]]:
    """The words that were looked for, each with its weights (M, N)."""
    if caption.attention is None:
        return []
    return [(word, weights) for word, weights in zip(caption.words, caption.attention, strict=True) if word]


def _draw(axes: Any, picture: Tensor, weights: Tensor | None) -> None:
    """A picture; with weights (M, N), laid over all of it, the darker the smaller they are."""
    pixels = picture.permute(1, 2, 0).numpy()
    if weights is not None:
        shares = (weights / weights.max().clamp_min(1e-9)).numpy()
        rows = np.arange(pixels.shape[0]) * shares.shape[0] // pixels.shape[0]
        columns = np.arange(pixels.shape[1]) * shares.shape[1] // pixels.shape[1]
        light = 0.15 + 0.85 * shares[rows][:, columns]
        pixels = (pixels * light[..., None]).astype(np.uint8)
    axes.imshow(pixels, interpolation="nearest")


def _figure(width: float, height: float, layout: str | None = "constrained") -> Any:
    """A figure of matplotlib that belongs to no window."""
    return extra("matplotlib.figure", "matplotlib").Figure(figsize=(width, height), layout=layout)


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


__all__ = ["attention_picture", "sheet"]
