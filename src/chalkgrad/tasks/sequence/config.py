"""The settings of one training run, and the description of what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.tasks import settings
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

FORMAT = 1

TASKS = ("forecast", "classify")

BY_TASK = {
    "data": {"forecast": "sunspots", "classify": "japanese-vowels"},
    "both": {"forecast": False, "classify": True},
    "steps": {"forecast": 200, "classify": 800},
}
"""The defaults that depend on the task."""


@dataclass(frozen=True)
class Config:
    """What fixes a run: two runs with the same settings on one machine give the same numbers.

    ``task`` is forecast (the next ``horizon`` steps after any ``window`` of steps) or classify (the label of
    a whole sequence). ``data`` and ``test`` are files or a name; without ``test`` the part ``held`` is held
    back: of a series its end, of each label its last sequences. ``both`` reads in both directions of time.
    While training, ``noise`` (in standard deviations) is added to what is read and the part ``dropout`` of
    what was understood is left out. ``season`` is the number of steps after which a series repeats, for the
    forecast to be compared with; left out, it is found in the training part. ``window`` left out is two
    seasons. What is None is by the task.

    >>> Config("forecast").data, Config("classify").both
    ('sunspots', True)
    >>> Config("forecast", horizon=0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: horizon must be at least 1, not 0
    """

    task: str = "forecast"
    data: str | None = None
    test: str | None = None
    cell: str = "lstm"
    layers: int = 1
    hidden: int = 32
    both: bool | None = None
    batch: int = 32
    steps: int | None = None
    lr: float = 3e-3
    dropout: float = 0.5
    noise: float = 0.2
    horizon: int = 5
    window: int | None = None
    season: int | None = None
    held: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise TaskError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")
        for name, value in BY_TASK.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value[self.task])
        settings.possible(self, held=settings.BETWEEN)


@dataclass(frozen=True)
class Card:
    """All that is needed besides the weights to build a trained net again.

    ``mean`` and ``deviation`` are those of each channel of what was trained on; ``classes`` are its labels,
    none for a forecast; ``season`` and ``window`` are what was found or given (1 and 0 where there is no
    future); ``digest`` is the sha256 of the data.
    """

    config: Config
    equations: str
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    season: int
    window: int
    digest: str
    format: int = FORMAT

    def dump(self) -> str:
        return settings.dump(self, "sequence")

    @staticmethod
    def load(path: Path) -> Card:
        """Read a card; anything that is not one raises :class:`TaskError`."""

        def read(data: dict[str, Any]) -> Card:
            config = Config(**data.pop("config"))
            names = {name: tuple(str(x) for x in data.pop(name)) for name in ("channels", "classes")}
            scale = {name: tuple(float(x) for x in data.pop(name)) for name in ("mean", "deviation")}
            if not len(names["channels"]) == len(scale["mean"]) == len(scale["deviation"]) > 0:
                raise ValueError("channels, mean and deviation do not fit together")
            return Card(config, **names, **scale, **data)

        return settings.load(path, read, "sequence", FORMAT)


def saved(path: Path | str) -> Config:
    """The settings of the run in a directory."""
    return Card.load(Directory(Path(path)).card_file).config


__all__ = ["BY_TASK", "FORMAT", "TASKS", "Card", "Config", "saved"]
