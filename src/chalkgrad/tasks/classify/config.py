"""The settings of one training run, and the description of what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.tasks import settings
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

NET = ("conv_pool:K=32", "conv_pool:K=32", "conv_pool:K=64", "scores")
"""The net that is trained unless another is given: 32, 32 and 64 maps."""

FORMAT = 1


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings on one machine give the same numbers.

    ``net`` are layers one after another, each a standard layer's name, a file or equations, with sizes after
    a colon where it leaves some open (``conv_pool:K=32``). ``lr`` is the largest step size of one cycle.
    Pictures are moved by up to ``shift`` pixels and mirrored (``flip``) while training; left out, as suits
    the data.

    >>> Config(epochs=0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: epochs must be at least 1, not 0
    """

    data: str = "digits"
    net: tuple[str, ...] = NET
    epochs: int = 12
    batch: int = 128
    lr: float = 4e-3
    seed: int = 0
    shift: int | None = None
    flip: bool | None = None
    pixels: int | None = None

    def __post_init__(self) -> None:
        settings.possible(self)
        if not self.net:
            raise TaskError("net must have at least one layer")


@dataclass(frozen=True)
class Part:
    """One layer of a net: its equations, and the sizes they leave open."""

    equations: str
    sizes: dict[str, int]


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights to build a trained net again.

    ``shape`` (channels, height, width) is that of its pictures, ``mean`` and ``deviation`` are those of each
    channel of its training pictures in 0…1, ``digest`` is the sha256 of the data.
    """

    config: Config
    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    digest: str
    format: int = FORMAT

    def dump(self) -> str:
        return settings.dump(self, "classify")

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            given = data.pop("config")
            classes = tuple(str(name) for name in data.pop("classes"))
            if len(classes) < 2:
                raise ValueError("it has fewer than two classes")
            config = Config(**{**given, "net": tuple(given["net"])})
            return Card(config, classes=classes, **of_pictures(data), **data)

        return settings.load(path, read, "classify", FORMAT)


def of_pictures(data: dict[str, Any]) -> dict[str, Any]:
    """The layers of a net and what it knows of its pictures, taken out of a card's JSON.

    Raises :class:`ValueError` where they do not fit together.
    """
    parts = tuple(
        Part(str(p["equations"]), {str(k): int(n) for k, n in p["sizes"].items()}) for p in data.pop("parts")
    )
    c, h, w = (int(n) for n in data.pop("shape"))
    mean, deviation = (tuple(float(x) for x in data.pop(n)) for n in ("mean", "deviation"))
    if min(c, h, w) < 1 or not len(mean) == len(deviation) == c:
        raise ValueError("shape, mean and deviation do not fit together")
    return {"parts": parts, "shape": (c, h, w), "mean": mean, "deviation": deviation}


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return Card.load(Directory(Path(path)).card_file).config


__all__ = ["FORMAT", "NET", "Card", "Config", "Part", "of_pictures", "saved"]
