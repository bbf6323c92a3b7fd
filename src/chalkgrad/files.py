"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from chalkgrad.language.source import EquationError


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file that the user named. Raises EquationError where it cannot be written."""
    path = Path(path)
    if path.is_dir():
        raise EquationError(f"{path} is a folder", help="name a file")
    try:
        write_atomically(path, content)
    except OSError as e:
        raise EquationError(
            f"{path} cannot be written: {e.strerror}", help="name a file in a folder of yours"
        ) from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Fill a temporary file beside ``path``, flush it to the disk, and rename it into place.

    Where that is cut short at any point, ``path`` still is what it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the rename itself reaches the disk with its directory
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
