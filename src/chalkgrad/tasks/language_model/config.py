"""The settings of one training run, and the file they are kept in."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The optimisers, each with a step size that suits it.
OPTIMIZERS = {"rmsprop": 4e-3, "adam": 4e-3, "sgd": 2.0}


class LanguageModelError(ValueError):
    """Something the user can put right: a text, a setting, a directory. Its message is one line."""


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
    chalkgrad.tasks.language_model.config.LanguageModelError: hidden must be at least 1, not 0
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
                raise LanguageModelError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.optimizer not in OPTIMIZERS:
            raise LanguageModelError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}"
            )
        if self.lr is None:
            object.__setattr__(self, "lr", OPTIMIZERS[self.optimizer])
        elif not 0 < self.lr < float("inf"):
            raise LanguageModelError(f"lr must be a number above 0, not {self.lr}")
        if not 0 <= self.clip < float("inf"):
            raise LanguageModelError(f"clip must be 0 (no limit) or a number above it, not {self.clip}")
        if not 0 < self.validation < 1:
            raise LanguageModelError(f"validation must lie between 0 and 1, not {self.validation}")


# A run may be resumed to go on for longer; everything else would make it another run. The paths of the texts
# are not compared: their characters are.
MAY_CHANGE = frozenset({"steps", "text"})


def differences(now: Config, saved: Config) -> list[str]:
    """What two settings disagree in, ready to be shown.

    >>> differences(Config(hidden=64, steps=9), Config())
    ['hidden is 64, was 128']
    """
    return [
        f"{field.name} is {getattr(now, field.name)}, was {getattr(saved, field.name)}"
        for field in dataclasses.fields(Config)
        if field.name not in MAY_CHANGE and getattr(now, field.name) != getattr(saved, field.name)
    ]


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
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2) + "\n"

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`LanguageModelError`."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            settings = data.pop("config")
            card = Card(Config(**{**settings, "text": tuple(settings["text"])}), **data)
        except FileNotFoundError:
            raise LanguageModelError(f"{path.parent} holds no model ({path.name} is missing)") from None
        except LanguageModelError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise LanguageModelError(f"{path} is not the description of a model: {error}") from None
        if not all(isinstance(value, str) for value in (card.equations, card.characters, card.digest)):
            raise LanguageModelError(f"{path} is not the description of a model")
        return card


__all__ = ["OPTIMIZERS", "Card", "Config", "LanguageModelError", "differences"]
