"""The settings of one training run on labels, and the description of what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.tasks import settings
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.labels.data import TASKS
from chalkgrad.tasks.language_model.config import Config as NetConfig

FORMAT = 1


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings and the same net to begin with give the same numbers.

    ``task`` is classify (a label for a text) or tag (one for each word); ``most`` is how many examples are
    trained on at most; the part ``held`` is kept to test where no ``test`` is given.

    >>> Config("tag", "x.tsv", steps=0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: steps must be at least 1, not 0
    """

    task: str
    data: str
    test: str | None = None
    most: int | None = None
    held: float = 0.2
    steps: int = 400
    batch: int = 32
    lr: float = 6e-3
    dropout: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise TaskError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")
        settings.possible(self)


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights: what the net below is (``net``, ``equations``, ``vocabulary``
    as in a language model's card), the labels, and the sha256 of the data."""

    config: Config
    net: NetConfig
    equations: str
    vocabulary: dict[str, Any]
    classes: tuple[str, ...]
    digest: str
    format: int = FORMAT

    def dump(self) -> str:
        return settings.dump(self, "tag")

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            net = data.pop("net")
            net = NetConfig(**{**net, "text": tuple(net["text"])})
            classes = tuple(str(name) for name in data.pop("classes"))
            return Card(Config(**data.pop("config")), net, classes=classes, **data)

        return settings.load(path, read, "tag", FORMAT)


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return card(path).config


def card(path: Path | str) -> Card:
    """The description of the run in a directory. Raises :class:`TaskError` where there is none."""
    return Card.load(Directory(Path(path)).card_file)


__all__ = ["FORMAT", "Card", "Config", "card", "saved"]
