"""How many compiled kernels are kept: the longest unused go first, none that was used in the last hour."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time

KERNELS = 4096
"""How many objects may be kept."""

BYTES = 512 * 2**20
"""How much room they may take."""

RECENT = 3600
"""Seconds for which an object that was used is kept in any case: another process may be about to open it."""


@dataclass(frozen=True, slots=True)
class Object:
    """A compiled kernel in its file, when it was last used, and how many bytes it has."""

    path: Path
    used: float
    size: int


def objects(folder: Path) -> list[Object]:
    """What a folder keeps, the longest unused first; what vanishes meanwhile is left out."""
    found: list[Object] = []
    for path in folder.glob("*.so"):
        with suppress(FileNotFoundError):
            s = path.stat()
            found.append(Object(path, s.st_mtime, s.st_size))
    return sorted(found, key=lambda o: o.used)


def checksum(path: Path) -> Path:
    """The file that says what an object is to be."""
    return path.with_suffix(".sha256")


def use(path: Path) -> None:
    """Write down that an object is used now; one that was taken away meanwhile will be compiled anew."""
    with suppress(FileNotFoundError):
        os.utime(path)


def trim(folder: Path) -> None:
    """Let objects go until the folder is within its bounds. Processes may race: what is gone is gone."""
    kept = objects(folder)
    many, size, now = len(kept), sum(o.size for o in kept), time()
    for o in kept:
        if (many <= KERNELS and size <= BYTES) or now - o.used < RECENT:
            return
        # The checksum first: an object without one is compiled anew, a checksum alone would stay for ever.
        checksum(o.path).unlink(missing_ok=True)
        o.path.unlink(missing_ok=True)
        many, size = many - 1, size - o.size
