"""The arguments that several commands of ``chalkgrad translate`` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where `translate train` saved the model.")]
Beam = Annotated[
    int, typer.Option(metavar="K", help="Translations kept side by side while searching; 1: greedy.", min=1)
]
Normalise = Annotated[
    float,
    typer.Option(
        metavar="A", help="log p / length^A ranks them: 0 favours short ones, 1 is the mean per token."
    ),
]

__all__ = ["Beam", "Directory", "Normalise"]
