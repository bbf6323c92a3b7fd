"""What the commands of ``chalkgrad lm`` share: their first argument, and how characters are listed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where `lm train` saved the model.")]


def listed(characters: list[str], most: int = 8) -> str:
    """The commonest of some characters, counted: ``'é' (3 times), 'ß'``."""
    counted = Counter(characters).most_common()
    shown = [f"{c!r}" + (f" ({n} times)" if n > 1 else "") for c, n in counted[:most]]
    return ", ".join(shown) + (f" and {len(counted) - most} others" if len(counted) > most else "")


__all__ = ["Directory", "listed"]
