"""The settings of one training run, and the file they are kept in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

from chalkgrad.tasks import settings
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

# The optimisers, each with a step size that suits it.
OPTIMIZERS = {"rmsprop": 4e-3, "adam": 4e-3, "sgd": 2.0}


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings on one machine give the same numbers.

    ``cell`` is the name of a standard layer, a file of equations, or the equations themselves. ``truncate``
    counts the characters a gradient goes back through; ``clip`` is the largest norm of all gradients together
    (0: no limit); ``lr`` left out is the optimiser's own default; ``validation`` is the part of the text, at
    its end, that is kept for measuring. No ``text`` means the plays that come with the package.

    >>> Config(hidden=0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: hidden must be at least 1, not 0
    """

    text: tuple[str, ...] = ()
    cell: str = "lstm"
    layers: int = 1
    hidden: int = 128
    batch: int = 64
    steps: int = 2000
    truncate: int = 32
    clip: float = 1.0
    optimizer: str = "rmsprop"
    lr: float | None = None
    seed: int = 0
    evaluate_every: int = 100
    validation: float = 0.05

    def __post_init__(self) -> None:
        for name in ("layers", "hidden", "batch", "steps", "truncate", "evaluate_every"):
            if getattr(self, name) < 1:
                raise TaskError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.optimizer not in OPTIMIZERS:
            raise TaskError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.lr is None:
            object.__setattr__(self, "lr", OPTIMIZERS[self.optimizer])
        elif not 0 < self.lr < float("inf"):
            raise TaskError(f"lr must be a number above 0, not {self.lr}")
        if not 0 <= self.clip < float("inf"):
            raise TaskError(f"clip must be 0 (no limit) or a number above it, not {self.clip}")
        if not 0 < self.validation < 1:
            raise TaskError(f"validation must lie between 0 and 1, not {self.validation}")


# A run may be resumed to go on for longer; everything else would make it another run. The paths of the texts
# are not compared: their characters are.
MAY_CHANGE = frozenset({"steps", "text"})


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights to build a trained model again.

    ``equations`` is the text of the cell, so that a directory can be moved without the file it came from;
    ``characters`` are the vocabulary in order; ``digest`` is the sha256 of the training text.
    """

    config: Config
    equations: str
    characters: str
    digest: str

    def dump(self) -> str:
        return settings.dump(self)

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            given = data.pop("config")
            card = Card(Config(**{**given, "text": tuple(given["text"])}), **data)
            if not all(isinstance(value, str) for value in (card.equations, card.characters, card.digest)):
                raise TypeError("the equations, the characters and the digest are texts")
            return card

        return settings.load(path, read)


@dataclass(frozen=True)
class Metrics:
    """A line of ``metrics.jsonl``: losses in nats per character, training's over all since the last line."""

    step: int
    train: float
    validation: float

    def line(self) -> str:
        record = {
            "step": self.step,
            "train_nats": self.train,
            "train_bits": self.train / log(2),
            "validation_nats": self.validation,
            "validation_bits": self.validation / log(2),
        }
        return json.dumps(record) + "\n"

    @staticmethod
    def of(line: str) -> Metrics:
        record = json.loads(line)
        return Metrics(record["step"], record["train_nats"], record["validation_nats"])


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return Card.load(Directory(Path(path)).card_file).config


__all__ = ["MAY_CHANGE", "OPTIMIZERS", "Card", "Config", "Metrics", "saved"]
