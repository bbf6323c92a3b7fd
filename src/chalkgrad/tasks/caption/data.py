"""Pictures with captions: emoji with their names, or a folder with a table of one's own.

n pictures   C channels   H height   W width
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chalkgrad.tasks.caption import emoji
from chalkgrad.tasks.classify.pictures import common, kept, opened, shape, tensor
from chalkgrad.tasks.errors import TaskError

NAMES = ("emoji", "emoji-all")
TABLE = "captions.tsv"
TRAINING, TEST = "training", "test"
TEST_SHARE = 0.1  # of the pictures in a folder whose table does not say which are for testing

Report = Callable[[int, int], object]


@dataclass(frozen=True)
class Part:
    """``pictures (n, C, H, W)`` of bytes, and for each what it is called: one caption or several."""

    pictures: Tensor
    captions: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.captions)


@dataclass(frozen=True)
class Data:
    """What to train on, what to test on by name; ``notes`` is what the user ought to know about the files."""

    training: Part
    tests: dict[str, Part]
    shift: int = 0
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return shape(self.training.pictures)

    @property
    def digest(self) -> str:
        """The sha256 of all pictures and captions."""
        hashed = hashlib.sha256(repr(self.shape).encode())
        for name, part in ((TRAINING, self.training), *self.tests.items()):
            hashed.update(repr((name, part.captions)).encode())
            hashed.update(part.pictures.numpy().tobytes())
        return hashed.hexdigest()


def load(
    name: str,
    language: str = "en",
    pixels: int | None = None,
    report: Report = lambda _done, _of: None,
) -> Data:
    """``emoji``, ``emoji-all``, or a folder of pictures with a ``captions.tsv``. Raises :class:`TaskError`.

    ``language`` is that of the emoji's names; ``pixels`` brings pictures to pixels × pixels; ``report`` is
    told how many files of how many were read.
    """
    if name in NAMES:  # a folder of that name is ./emoji
        if language not in emoji.LANGUAGES:
            raise TaskError(f"the names of emoji are in {', '.join(emoji.LANGUAGES)}, not in {language!r}")
        if name == "emoji" and pixels not in (None, emoji.PIXELS):
            raise TaskError(f"the emoji that ship are of {emoji.PIXELS} pixels; emoji-all come in any size")
        found = emoji.shipped() if name == "emoji" else emoji.fetched(None, pixels or emoji.PIXELS, report)
        return of_emoji(found, language)
    if Path(name).is_dir():
        return folder(Path(name), pixels, report)
    raise TaskError(f"no data {name!r}: {', '.join(NAMES)}, or a folder of pictures with a {TABLE}")


def of_emoji(found: Iterable[emoji.Emoji], language: str) -> Data:
    """The emoji in their parts (:attr:`chalkgrad.tasks.caption.emoji.Emoji.part`)."""
    rows = [(each.part, each.picture, (each.names[language],)) for each in found]
    parts = {name: _part([row for row in rows if row[0] == name]) for name in emoji.PARTS}
    return Data(parts.pop(TRAINING), parts, shift=2)


def folder(path: Path, pixels: int | None, report: Report) -> Data:
    """Pictures and ``captions.tsv``: in each line a file's name, a caption and, if wanted, its part.

    The fields stand between tabs; a picture with several captions has several lines; lines that begin with
    ``#`` are left out. The part is ``training`` or the name of a test; where no line has one, a tenth of the
    pictures, drawn by their names, is the test. Lines that are no such thing and pictures that cannot be
    read are left out, and said. The commonest size, at most 64 × 64, where ``pixels`` says nothing.
    """
    table, bad = _table(path)
    read: list[tuple[str, Any, tuple[str, ...]]] = []
    sizes: Counter[tuple[int, int]] = Counter()
    parted = any(part for part, _ in table.values())
    for done, (file, (part, captions)) in enumerate(table.items(), 1):
        try:
            picture = opened(path / file)
        except TaskError as error:
            bad.append(str(error))
        else:
            sizes[picture.size] += 1
            drawn = TEST if emoji.drawn(file) < TEST_SHARE else TRAINING
            read.append(((part or TRAINING) if parted else drawn, kept(picture, pixels), tuple(captions)))
        report(done, len(table))
    said = f" (of {len(bad)} lines and files that cannot be read: {bad[0]})" if bad else ""
    if not any(part == TRAINING for part, *_ in read):
        raise TaskError(f"{path} holds no pictures to train on{said}")
    size = common(sizes, pixels)
    notes: list[str] = []
    if bad:
        more = f" and {len(bad) - 3} others" if len(bad) > 3 else ""
        notes.append(f"{len(bad)} lines and files are left out: {'; '.join(bad[:3])}{more}")
    if other := sum(count for of, count in sizes.items() if of != size):
        notes.append(f"{other} of {len(read)} pictures were brought to {size[0]}×{size[1]} pixels")
    names = dict.fromkeys(part for part, *_ in read)
    parts = {name: _part([row for row in read if row[0] == name], (size[1], size[0])) for name in names}
    return Data(parts.pop(TRAINING), parts, notes=tuple(notes))


def _table(path: Path) -> tuple[dict[str, tuple[str, list[str]]], list[str]]:
    """For each file its part and its captions, and what was wrong with other lines."""
    file = path / TABLE
    try:
        lines = file.read_bytes().decode("utf-8-sig", "replace").splitlines()
    except FileNotFoundError:
        raise TaskError(
            f"{path} has no {TABLE}: a line for each caption, with the file, a tab and the caption"
        ) from None
    except OSError as error:
        raise TaskError(f"cannot read {file}: {error.strerror or error}") from None
    table: dict[str, tuple[str, list[str]]] = {}
    bad: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [unicodedata.normalize("NFC", field.strip()) for field in line.split("\t")]
        if len(fields) not in (2, 3) or not fields[0] or not fields[1] or "�" in line:
            bad.append(f"{TABLE}, line {number}: a file, a tab and a caption in UTF-8 are needed")
            continue
        part, captions = table.setdefault(fields[0], (fields[2] if len(fields) == 3 else "", []))
        if len(fields) == 3 and fields[2] != part:
            bad.append(f"{TABLE}, line {number}: {fields[0]} is in {part or 'no part'} already")
            continue
        captions.append(fields[1])
    return table, bad


def _part(rows: list[tuple[str, Any, tuple[str, ...]]], size: tuple[int, int] | None = None) -> Part:
    """Rows of (part, picture, captions), brought to (height, width)."""
    high, wide = size or (rows[0][1].size[::-1] if rows else (emoji.PIXELS, emoji.PIXELS))
    pictures = [tensor(picture, (3, high, wide)) for _, picture, _ in rows]
    empty = torch.empty(0, 3, high, wide, dtype=torch.uint8)
    return Part(torch.stack(pictures) if rows else empty, tuple(captions for *_, captions in rows))


__all__ = ["NAMES", "TABLE", "TEST", "TRAINING", "Data", "Part", "load"]
