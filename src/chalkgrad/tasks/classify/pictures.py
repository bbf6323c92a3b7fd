"""Picture files as tensors of bytes, read and brought to one form and one size; and as a net takes them.

n pictures   C channels   H height   W width
"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra

LARGEST = 64  # pixels: pictures of one's own are brought to no more, unless they are asked to be larger


class Scale(Protocol):
    """The mean and the deviation of each channel of pictures in 0…1."""

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def deviation(self) -> tuple[float, ...]: ...


def opened(path: Path) -> Any:
    """A picture as Pillow has it, turned the way it was taken, grey (``L``) or coloured (``RGB``).

    What is transparent becomes white. Raises :class:`TaskError` for what cannot be read.
    """
    image, ops = extra("PIL.Image", "Pillow"), extra("PIL.ImageOps", "Pillow")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a picture of very many pixels is only warned of
            with image.open(path) as file:
                picture = ops.exif_transpose(file)
                if picture.mode.startswith(
                    ("I", "F")
                ):  # more than 8 bits: Pillow would cut off what is bright
                    values = np.asarray(picture, dtype=np.float64).clip(0)
                    brightest = max(65535.0 if picture.mode.startswith("I") else 1e-9, values.max())
                    return image.fromarray((values / brightest * 255).round().astype(np.uint8))
                if picture.has_transparency_data:
                    picture = picture.convert("RGBA")
                    paper = image.new("RGBA", picture.size, "white")
                    picture = image.alpha_composite(paper, picture)
                    grey = _is_grey(picture)
                else:
                    grey = picture.mode in ("1", "L")
                return picture.convert("L" if grey else "RGB")
    except FileNotFoundError:
        raise TaskError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise TaskError(f"{path} is a folder, not a picture") from None
    except Exception as error:  # decoders fail on damaged files in whatever way they happen to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = "not a picture" if reason.startswith("cannot identify") else reason
        raise TaskError(f"{path} cannot be read as a picture: {reason}") from None


def tensor(picture: Any, shape: tuple[int, int, int]) -> Tensor:
    """A picture as bytes of this shape (channels, height, width), stretched where it has another size."""
    channels, height, width = shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        image = extra("PIL.Image", "Pillow")
        picture = picture.resize((width, height), image.Resampling.BILINEAR, reducing_gap=3.0)
    values = torch.from_numpy(np.array(picture, dtype=np.uint8))
    return values[None] if channels == 1 else values.permute(2, 0, 1).contiguous()


def kept(picture: Any, pixels: int | None) -> Any:
    """A picture on its way to its size, which may only be known when all are read: a photograph is large."""
    enough = 4 * (pixels or LARGEST)
    picture.thumbnail((enough, enough))
    return picture


def common(sizes: Counter[tuple[int, int]], pixels: int | None) -> tuple[int, int]:
    """The (width, height) that pictures are brought to: ``pixels``, or their commonest, 64 × 64 at most.

    >>> common(Counter({(100, 20): 3, (8, 8): 2}), None)
    (64, 20)
    """
    if pixels:
        return pixels, pixels
    width, height = min(sizes, key=lambda size: (-sizes[size], size))
    return min(width, LARGEST), min(height, LARGEST)


def shape(pictures: Tensor) -> tuple[int, int, int]:
    """(C, H, W) of pictures (n, C, H, W)."""
    _, c, h, w = pictures.shape
    return c, h, w


def scale(pictures: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and the deviation of each channel of pictures of bytes, taken as 0…1."""
    values = pictures / 255
    mean = values.mean((0, 2, 3))
    deviation = values.std((0, 2, 3)).clamp_min(1e-3)  # pictures of one colour have none
    return tuple(mean.tolist()), tuple(deviation.tolist())


def scaled(pictures: Tensor, scale: Scale) -> Tensor:
    """Bytes as numbers of mean 0 and deviation 1, channel by channel."""
    mean, deviation = (torch.tensor(x).view(-1, 1, 1) for x in (scale.mean, scale.deviation))
    return (pictures / 255 - mean) / deviation


def _is_grey(picture: Any) -> bool:
    red, green, blue = (np.asarray(band) for band in picture.split()[:3])
    return bool((red == green).all() and (green == blue).all())


__all__ = ["Scale", "common", "kept", "opened", "scale", "scaled", "shape", "tensor"]
