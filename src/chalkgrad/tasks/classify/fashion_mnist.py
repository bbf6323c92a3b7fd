"""Fashion-MNIST: 70,000 grey pictures of clothes, 28×28, ten classes.

Xiao, Rasul and Vollgraf, arXiv 1708.07747, 2017.
The four files are kept in the user's data folder as they are published: IDX, packed with gzip.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chalkgrad.tasks import sets
from chalkgrad.tasks.errors import TaskError

CLASSES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def load(folder: Path | None = None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Pictures (n, 1, H, W) of bytes and labels (n,), to train on and to test. Raises :class:`TaskError`."""
    training, test = (_part(folder, which) for which in ("train", "t10k"))
    return training, test


def _part(folder: Path | None, which: str) -> tuple[Tensor, Tensor]:
    images, labels = (
        sets.FASHION_MNIST.file(f"{which}-{name}-ubyte.gz", folder) for name in ("images-idx3", "labels-idx1")
    )
    pictures, classes = idx(images, 3), idx(labels, 1)
    if len(pictures) != len(classes):
        raise TaskError(f"{images} has {len(pictures)} pictures and {labels} {len(classes)} labels")
    if len(classes) and int(classes.max()) >= len(CLASSES):
        raise TaskError(f"{labels} has a class {int(classes.max())}; the last is {len(CLASSES) - 1}")
    return pictures[:, None], classes.long()


def idx(path: Path, axes: int) -> Tensor:
    """An IDX file of bytes with so many axes, packed with gzip. Raises :class:`TaskError` naming the file."""
    again = "remove it and run `chalkgrad data fetch fashion-mnist` again"
    packed = _bytes(path)
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError(f"{path} is damaged ({error}): {again}") from None
    start = 4 * (axes + 1)
    if len(content) < start or content[:4] != bytes((0, 0, 8, axes)):
        raise TaskError(f"{path} is no IDX file of bytes with {axes} axes: {again}")
    shape = struct.unpack(f">{axes}I", content[4:start])
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod([int(n) for n in shape], dtype=object):
        raise TaskError(
            f"{path} should hold {'×'.join(map(str, shape))} bytes and holds {values.size}: {again}"
        )
    return torch.from_numpy(values.reshape(shape).copy())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}") from None


__all__ = ["CLASSES", "idx", "load"]
