"""Pictures of what was learned: which class is taken for which, and the kernels."""

from __future__ import annotations

import io
from math import ceil, sqrt
from typing import Any

import numpy as np
from torch import Tensor, nn

from chalkgrad.tasks.extra import extra

FEW = 4  # maps: of a picture with no more channels, all tiles are laid side by side


def confusion_picture(confusion: Tensor, classes: tuple[str, ...], of: str = "pictures") -> bytes:
    """A confusion matrix as PNG: a row is what a picture is, a column what it was taken for."""
    share = (confusion / confusion.sum(1, keepdim=True).clamp_min(1)).numpy()
    n = len(classes)
    side = 2.5 + 0.5 * n
    figure = _figure(side, side)
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= 30:
        for i, row in enumerate(confusion.tolist()):
            for j, count in enumerate(row):
                if count:
                    colour = "white" if share[i, j] > 0.5 else "black"
                    axes.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=8)
    names = [name if len(name) <= 18 else name[:17] + "…" for name in classes]
    axes.set_xticks(range(n), names, rotation=90)
    axes.set_yticks(range(n), names)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    right = confusion.diagonal().sum().item() / confusion.sum().clamp_min(1).item()
    axes.set_title(f"{right:.2%} of {int(confusion.sum())} test {of} recognised", fontsize=10)
    return _png(figure)


def kernels_picture(model: nn.Module) -> bytes:
    """The weights of each layer as PNG: one tile for each kernel and each map it reads.

    Red weighs for, blue against, white not at all; every layer has its own scale. Where a kernel reads many
    maps, those are the rows and the kernels the columns, or the other way round, as makes the picture wide.
    """
    found = [(name, p.detach().numpy()) for name, p in model.named_parameters() if p.dim() >= 2]
    images = [mosaic(*laid_out(value)) for _, value in found] or [np.zeros((1, 1))]
    heights = [min(8.0, 8 * h / w) + 0.4 for h, w in (image.shape for image in images)]
    figure = _figure(8, sum(heights))
    panels = figure.subplots(len(images), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, image, (name, value) in zip(panels, images, found, strict=False):
        most = float(np.abs(value).max()) or 1.0
        axes.imshow(image, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        layer, _, parameter = name.removeprefix("layers.").partition(".")
        form = "×".join(map(str, value.shape))
        axes.set_title(f"layer {int(layer) + 1}, {parameter}: {form}" if parameter else name, fontsize=9)
    for axes in panels:
        axes.axis("off")
    return _png(figure)


def laid_out(weights: np.ndarray) -> tuple[np.ndarray, int | None]:
    """The last two axes of weights as tiles (n, h, w), and how many rows to lay them in (None: as fits)."""
    if weights.ndim == 4 and weights.shape[1] > FEW:
        if weights.shape[0] > weights.shape[1]:
            weights = weights.swapaxes(0, 1)
        return weights.reshape(-1, *weights.shape[2:]), weights.shape[0]
    return weights.reshape(-1, *weights.shape[-2:]), None


def mosaic(tiles: np.ndarray, rows: int | None = None) -> np.ndarray:
    """Tiles (n, h, w) in rows side by side, one pixel of nothing (not a number) between them."""
    n, h, w = tiles.shape
    rows = rows or max(1, round(sqrt(n * w / h / 3)))
    columns = ceil(n / rows)
    image = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1), np.nan)
    for k, tile in enumerate(tiles):
        i, j = divmod(k, columns)
        image[i * (h + 1) : i * (h + 1) + h, j * (w + 1) : j * (w + 1) + w] = tile
    return image


def _figure(width: float, height: float) -> Any:
    """A figure of matplotlib that belongs to no window."""
    return extra("matplotlib.figure", "matplotlib").Figure(figsize=(width, height), layout="constrained")


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


__all__ = ["confusion_picture", "kernels_picture", "mosaic"]
