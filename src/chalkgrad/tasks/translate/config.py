"""The settings of one training run, and the file they are kept in."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.tasks import settings, tokens
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

FORMAT = 1
"""Of ``config.json``: raised when what it holds, or what the model's weights are, changes."""

# The models, each with a step size that suits it.
MODELS = {"fixed": 3e-3, "attention": 3e-3, "transformer": 2e-3}

SPECIAL = ("pad", "begin", "end")


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings on one machine give the same numbers.

    ``data`` are files of tab-separated pairs, or names of data sets of pairs that were fetched; none means
    the messages that come with the package. ``source`` and ``target`` name the languages. ``model`` is fixed,
    attention or transformer; ``reverse`` reads the source backwards (fixed alone). ``tokens`` says what the
    sentences are cut into, and ``vocabulary`` how many of them there are, in either language. ``smoothing``
    is the part of the probability that is to be shared by all words; ``lr`` left out is the model's own
    default.

    >>> Config(model="fxed")
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: model must be one of fixed, attention, transformer, not 'fxed'
    """

    data: tuple[str, ...] = ()
    source: str = "en"
    target: str = "ko"
    model: str = "attention"
    layers: int | None = None
    width: int = 128
    dropout: float = 0.3
    reverse: bool = False
    tokens: str = "bpe"
    vocabulary: int | None = None
    batch: int = 64
    steps: int = 1200
    lr: float | None = None
    smoothing: float = 0.1
    clip: float = 1.0
    seed: int = 0
    evaluate_every: int = 100

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise TaskError(f"model must be one of {', '.join(MODELS)}, not {self.model!r}")
        for name, value in {
            "layers": 2 if self.model == "transformer" else 1,
            "lr": MODELS[self.model],
        }.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.vocabulary is None and self.tokens != "characters":
            object.__setattr__(self, "vocabulary", 2000)
        settings.possible(self)
        if self.tokens not in tokens.KINDS:
            raise TaskError(f"tokens must be one of {', '.join(tokens.KINDS)}, not {self.tokens!r}")
        if self.reverse and self.model != "fixed":
            raise TaskError(f"reverse is for the model `fixed`: `{self.model}` sees the whole source at once")


# A run may be resumed to go on for longer. Where the data lie may change: the pairs themselves are compared.
MAY_CHANGE = frozenset({"data", "steps"})


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights to build a trained model again.

    ``vocabularies`` are the source's and the target's; ``digest`` is the sha256 of the pairs.
    """

    config: Config
    vocabularies: tuple[tokens.Vocabulary, tokens.Vocabulary]
    digest: str

    def dump(self) -> str:
        record = {
            "format": FORMAT,
            "task": "translate",
            "config": dataclasses.asdict(self.config),
            "vocabularies": [v.dump() for v in self.vocabularies],
            "digest": self.digest,
        }
        return json.dumps(record, ensure_ascii=False, indent=1) + "\n"

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            given = data["config"]
            source, target = (tokens.load(v) for v in data["vocabularies"])
            config = Config(**{**given, "data": tuple(given["data"])})
            return Card(config, (source, target), str(data["digest"]))

        return settings.load(path, read, "translate", FORMAT)


@dataclass(frozen=True)
class Metrics:
    """A line of ``metrics.jsonl``: nats per target token, training's over all since the last line.

    ``right`` is the part of the tokens kept apart that were the likeliest where they stand.
    """

    step: int
    train: float
    validation: float
    right: float

    def line(self) -> str:
        record = {
            "step": self.step,
            "train_nats": self.train,
            "validation_nats": self.validation,
            "validation_right": self.right,
        }
        return json.dumps(record) + "\n"

    @staticmethod
    def of(line: str) -> Metrics:
        record = json.loads(line)
        return Metrics(
            record["step"], record["train_nats"], record["validation_nats"], record["validation_right"]
        )


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return Card.load(Directory(Path(path)).card_file).config


__all__ = ["FORMAT", "MAY_CHANGE", "MODELS", "SPECIAL", "Card", "Config", "Metrics", "saved"]
