"""The settings of one training run, and the description of what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.tasks import settings
from chalkgrad.tasks.classify.config import Part, of_pictures
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

NET = ("conv_pool:K=32", "conv_pool:K=64", "conv_relu:K=64")
"""The encoder unless another is given: 64 maps of 6×6 places from a picture of 32×32 pixels."""

DECODERS = {True: "attention_lstm", False: "picture_lstm"}
"""The decoder with and without attention, unless equations are given."""

FORMAT = 1


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings on one machine give the same numbers.

    ``net`` are the encoder's layers, as `classify` has them; what the last makes are maps. ``decoder`` is a
    standard layer's name or equations; its state and all else that it leaves open has ``hidden`` numbers, a
    word ``embedding``. ``lr`` is the largest step size of one cycle. Pictures are moved by up to ``shift``
    pixels while training; left out, as suits the data.

    >>> Config(epochs=0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: epochs must be at least 1, not 0
    """

    data: str = "emoji"
    language: str = "en"
    pixels: int | None = None
    net: tuple[str, ...] = NET
    decoder: str = DECODERS[True]
    hidden: int = 128
    embedding: int = 128
    dropout: float = 0.3
    epochs: int = 60
    batch: int = 32
    lr: float = 4e-3
    clip: float = 1.0
    shift: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        settings.possible(self)
        if not self.net:
            raise TaskError("net must have at least one layer")


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights to build a trained model again.

    ``parts`` are the encoder's layers, ``decoder`` the decoder's equations, ``vocabulary`` what
    :func:`chalkgrad.tasks.tokens.load` reads. ``shape`` (channels, height, width) is that of its pictures,
    ``mean`` and ``deviation`` are those of each channel of its training pictures in 0…1, ``longest`` is the
    number of tokens of the longest training caption, ``digest`` the sha256 of the data.
    """

    config: Config
    parts: tuple[Part, ...]
    decoder: str
    vocabulary: dict[str, Any]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    longest: int
    digest: str
    format: int = FORMAT

    def dump(self) -> str:
        return settings.dump(self, "caption")

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            given = data.pop("config")
            config = Config(**{**given, "net": tuple(given["net"])})
            return Card(config, **of_pictures(data), **data)

        return settings.load(path, read, "caption", FORMAT)


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return Card.load(Directory(Path(path)).card_file).config


__all__ = ["DECODERS", "FORMAT", "NET", "Card", "Config", "saved"]
