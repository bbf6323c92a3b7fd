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
from chalkgrad.tasks.tokens import KINDS

# The optimisers, each with a step size that suits it; a Transformer takes half of it.
OPTIMIZERS = {"rmsprop": 1e-2, "adam": 1e-2, "sgd": 2.0}

# The models, each with how many tokens back it looks; what a recurrent one remembers is its state.
MODELS: dict[str, int | None] = {"ngram": 5, "mlp": 8, "recurrent": None, "transformer": 64}

SCHEDULES = ("cycle", "constant")
"""What becomes of the step size: it grows and then falls to nothing, or stays."""

OBJECTIVES = ("causal", "masked", "bidirectional")
"""What a net may learn by: the next token, hidden tokens, the next and, read backwards, the one before."""

FORMAT = 2
"""Of config.json. 1 (which had no number) knew characters and recurrent models only."""


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings on one machine give the same numbers.

    ``tokens`` are characters, words or bpe, of which ``vocabulary`` says how many. ``model`` is recurrent,
    with any ``cell`` (the name of a standard layer, a file of equations, or the equations themselves),
    transformer, mlp (Bengio's net) or ngram; the last three look ``context`` tokens back. ``embedding`` is
    how many numbers a token's vector has (left out: ``hidden``); ``tied``: the readout has the embedding's
    weights. ``truncate`` counts the tokens a gradient goes back through, or, of an ``objective`` other than
    causal, that are read at a time; ``clip`` is the largest norm of all gradients together (0: no limit);
    ``lr`` left out is the optimiser's own default, and ``schedule`` says what becomes of it: cycle (it grows
    for a tenth of the steps, then falls to nothing) or constant; ``validation`` is the part of the text, at
    its end, that is kept for measuring. No ``text`` means the plays that come with the package.

    >>> Config(hidden=0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: hidden must be at least 1, not 0
    """

    text: tuple[str, ...] = ()
    tokens: str = "characters"
    vocabulary: int | None = None
    model: str = "recurrent"
    cell: str = "lstm"
    layers: int = 1
    hidden: int = 128
    heads: int = 4
    context: int | None = None
    embedding: int | None = None
    tied: bool = False
    dropout: float = 0.0
    batch: int = 64
    steps: int = 2000
    truncate: int = 32
    objective: str = "causal"
    clip: float = 1.0
    optimizer: str = "rmsprop"
    lr: float | None = None
    schedule: str = "cycle"
    seed: int = 0
    evaluate_every: int = 100
    validation: float = 0.05

    def __post_init__(self) -> None:
        settings.possible(self, context=settings.least(0 if self.model == "ngram" else 1))
        if self.tokens not in KINDS:
            raise TaskError(f"tokens must be one of {', '.join(KINDS)}, not {self.tokens!r}")
        if self.model not in MODELS:
            raise TaskError(f"model must be one of {', '.join(MODELS)}, not {self.model!r}")
        if self.objective not in OBJECTIVES:
            raise TaskError(f"objective must be one of {', '.join(OBJECTIVES)}, not {self.objective!r}")
        if self.context is None:
            object.__setattr__(self, "context", MODELS[self.model])
        elif self.model == "recurrent":
            raise TaskError("a recurrent model has no context: what it remembers is its state")
        if self.optimizer not in OPTIMIZERS:
            raise TaskError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.schedule not in SCHEDULES:
            raise TaskError(f"schedule must be one of {', '.join(SCHEDULES)}, not {self.schedule!r}")
        if self.lr is None:
            part = 2 if self.model == "transformer" else 1
            object.__setattr__(self, "lr", OPTIMIZERS[self.optimizer] / part)


# A run may be resumed to go on for longer; everything else would make it another run. The paths of the texts
# are not compared: their characters are.
MAY_CHANGE = frozenset({"steps", "text"})


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights to build a trained model again.

    ``equations`` is the text of the cell, so that a directory can be moved without the file it came from;
    ``vocabulary`` is what :func:`chalkgrad.tasks.tokens.load` reads; ``digest`` is the sha256 of the text.
    """

    config: Config
    equations: str
    vocabulary: dict[str, Any]
    digest: str
    format: int = FORMAT

    def dump(self) -> str:
        return settings.dump(self, "lm")

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            given = data.pop("config")
            # Before there were schedules, all step sizes were constant.
            config = Config(**{"schedule": "constant", **given, "text": tuple(given["text"])})
            card = Card(config, **data)
            if not all(isinstance(value, str) for value in (card.equations, card.digest)):
                raise TypeError("the equations and the digest are texts")
            return card

        return settings.load(path, read, "lm", FORMAT)


@dataclass(frozen=True)
class Metrics:
    """A line of ``metrics.jsonl``: losses in nats per token, training's over all since the last line.

    ``length`` is how many characters of the validation text come to a token.
    """

    step: int
    train: float
    validation: float
    length: float = 1.0

    @property
    def bits_per_character(self) -> float:
        """On the validation text: comparable between models of different tokens."""
        return self.validation / log(2) / self.length

    def line(self) -> str:
        record = {
            "step": self.step,
            "train_nats": self.train,
            "train_bits": self.train / log(2),
            "validation_nats": self.validation,
            "validation_bits": self.validation / log(2),
            "characters_per_token": self.length,
            "bits_per_character": self.bits_per_character,
        }
        return json.dumps(record) + "\n"

    @staticmethod
    def of(line: str) -> Metrics:
        record = json.loads(line)
        losses = (record["train_nats"], record["validation_nats"])
        return Metrics(record["step"], *losses, record["characters_per_token"])


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return Card.load(Directory(Path(path)).card_file).config


__all__ = [
    "FORMAT",
    "MAY_CHANGE",
    "MODELS",
    "OBJECTIVES",
    "OPTIMIZERS",
    "SCHEDULES",
    "Card",
    "Config",
    "Metrics",
    "saved",
]
