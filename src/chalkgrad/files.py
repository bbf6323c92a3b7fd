"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from chalkgrad.language.source import EquationError


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file by way of a temporary one beside it, so that nobody ever sees a part of it.

    Raises EquationError where it cannot be written.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.is_dir():
        raise EquationError(f"{path} is a folder", help="name a file")
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
        # A temporary file is the owner's alone; this one is to be as any new file.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as e:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise EquationError(
            f"{path} cannot be written: {e.strerror}", help="name a file in a folder of yours"
        ) from None
