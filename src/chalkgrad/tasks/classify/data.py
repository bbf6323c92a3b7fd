"""Pictures with their classes: the digits of scikit-learn, Fashion-MNIST, or folders of one's own.

n pictures   C channels   H height   W width
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chalkgrad.tasks.classify import fashion_mnist
from chalkgrad.tasks.classify.pictures import common, kept, opened, shape, tensor
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra

NAMES = ("digits", "fashion-mnist")
TEST = 0.2  # the part of each class that is kept for testing, where the data do not say it themselves


@dataclass(frozen=True)
class Part:
    """``pictures (n, C, H, W)`` of bytes, ``labels (n,)``."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """What to train on, what to test on. ``shift`` and ``flip`` are what may be done to such a picture
    without it becoming another thing; ``notes`` is what the user ought to know about the files."""

    training: Part
    test: Part
    classes: tuple[str, ...]
    shift: int = 0
    flip: bool = False
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return shape(self.training.pictures)

    @property
    def digest(self) -> str:
        """The sha256 of all pictures, labels and names."""
        hashed = hashlib.sha256(repr((self.shape, self.classes)).encode())
        for part in (self.training, self.test):
            hashed.update(part.pictures.numpy().tobytes())
            hashed.update(part.labels.numpy().tobytes())
        return hashed.hexdigest()


def load(
    name: str, pixels: int | None = None, report: Callable[[int, int], object] = lambda _done, _of: None
) -> Data:
    """``digits``, ``fashion-mnist``, or a folder of folders of pictures. Raises :class:`TaskError`.

    ``pixels`` brings pictures from folders to pixels × pixels; ``report`` is told how many files of how many
    were read.
    """
    if name in NAMES:  # a folder of that name is ./digits
        if pixels is not None:
            raise TaskError(f"pixels is for folders of pictures; {name} has a size of its own")
        return digits() if name == "digits" else fashion()
    if Path(name).is_dir():
        return folders(Path(name), pixels, report)
    raise TaskError(f"no data {name!r}: {', '.join(NAMES)}, or a folder with a folder for each class")


def digits() -> Data:
    """1,797 handwritten digits of 8×8 pixels, of which a fifth is for testing."""
    bunch = extra("sklearn.datasets", "scikit-learn").load_digits()
    pictures = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(bunch.target).long()
    training, test = split(labels)
    return Data(
        Part(pictures[training], labels[training]),
        Part(pictures[test], labels[test]),
        tuple("0123456789"),
        shift=1,
    )


def fashion() -> Data:
    """60,000 pictures of clothes of 28×28 pixels to train on, 10,000 to test."""
    training, test = fashion_mnist.load()
    return Data(Part(*training), Part(*test), fashion_mnist.CLASSES, flip=True)


def split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Positions to train on and to test on: of every class the same part, drawn once and for all."""
    drawing = torch.Generator().manual_seed(0)
    training: list[Tensor] = []
    test: list[Tensor] = []
    for label in labels.unique().tolist():
        places = (labels == label).nonzero()[:, 0]
        places = places[torch.randperm(len(places), generator=drawing)]
        cut = max(1, round(len(places) * TEST))
        test.append(places[:cut])
        training.append(places[cut:])
    return torch.cat(training).sort().values, torch.cat(test).sort().values


def folders(path: Path, pixels: int | None, report: Callable[[int, int], object]) -> Data:
    """Pictures in a folder for each class; or ``train`` and ``test``, with a folder for each class in both.

    Files that are no picture are left out, and said. Grey where all are grey; the commonest size, at most
    64 × 64, where ``pixels`` says nothing.
    """
    parted = _inside(path) == ["test", "train"]
    roots = [path / "train", path / "test"] if parted else [path]
    classes = _inside(roots[0])
    if parted and _inside(roots[1]) != classes:
        raise TaskError(f"{roots[0]} and {roots[1]} do not have the same classes")
    if not classes:
        raise TaskError(f"{path} holds no folders: put the pictures of each class in a folder of its name")
    if len(classes) == 1:
        raise TaskError(f"{path} has one class only ({classes[0]}): there is nothing to tell apart")
    files = [
        (file, label, part)
        for part, root in enumerate(roots)
        for label, name in enumerate(classes)
        for file in sorted((root / name).rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    ]
    read: list[tuple[Any, tuple[int, int], int, int]] = []
    bad: list[str] = []
    for done, (file, label, part) in enumerate(files, 1):
        try:
            picture = opened(file)
            size = picture.size
            read.append((kept(picture, pixels), size, label, part))
        except TaskError as error:
            bad.append(str(error))
        report(done, len(files))
    needed = 1 if parted else 2
    for part, root in enumerate(roots):
        for label, name in enumerate(classes):
            count = sum((at, of) == (label, part) for *_, at, of in read)
            if count < needed:
                said = f" (of {len(bad)} that cannot be read: {bad[0]})" if bad else ""
                raise TaskError(f"{root / name} holds {count} pictures and needs {needed} or more{said}")
    sizes = Counter(size for _, size, _, _ in read)
    wide, high = common(sizes, pixels)
    grey = all(picture.mode == "L" for picture, *_ in read)
    form = (1 if grey else 3, high, wide)
    pictures = torch.stack([tensor(picture, form) for picture, *_ in read])
    labels = torch.tensor([label for *_, label, _ in read])
    parts = torch.tensor([part for *_, part in read])
    notes: list[str] = []
    if bad:
        more = f" and {len(bad) - 3} others" if len(bad) > 3 else ""
        notes.append(f"{len(bad)} of {len(files)} files are left out: {'; '.join(bad[:3])}{more}")
    if other := sum(count for size, count in sizes.items() if size != (wide, high)):
        notes.append(f"{other} of {len(read)} pictures were brought to {wide}×{high} pixels")
    training, test = ((parts == k).nonzero()[:, 0] for k in (0, 1)) if parted else split(labels)
    return Data(
        Part(pictures[training], labels[training]),
        Part(pictures[test], labels[test]),
        tuple(classes),
        notes=tuple(notes),
    )


def _inside(path: Path) -> list[str]:
    """The folders in a folder, in alphabetical order."""
    try:
        return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}") from None


__all__ = ["NAMES", "Data", "Part", "load"]
