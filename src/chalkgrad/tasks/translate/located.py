"""Where the pairs lie that a name stands for."""

from __future__ import annotations

from pathlib import Path

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.packages import MANIFEST
from chalkgrad.tasks.sets import SETS


def located(name: str, source: str, target: str) -> Path:
    """The file of pairs that a name stands for: a file's own, or that of a data set that was fetched.

    Raises :class:`TaskError` for a data set that is not there, or not in these languages.
    """
    wanted = SETS.get(name)
    if wanted is None or wanted.make is None or Path(name).exists():
        return Path(name)
    folder = wanted.file(MANIFEST).parent
    if not (folder / f"{source}-{target}.tsv").is_file():
        there = ", ".join(" to ".join(path.stem.split("-")) for path in sorted(folder.glob("*-*.tsv")))
        raise TaskError(f"{name} has no pairs from {source} to {target}, but from {there}")
    return folder / f"{source}-{target}.tsv"


__all__ = ["located"]
