"""What the settings of any task need: two runs compared, a description read from its file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

Card = TypeVar("Card")


class Rule(NamedTuple):
    """What a number must be: whether it is, and in words what ``must`` is said before."""

    holds: Callable[[float], bool]
    words: str


def least(n: int) -> Rule:
    return Rule(lambda value: value >= n, f"be at least {n}")


PART = Rule(lambda value: 0 <= value < 1, "be at least 0 and below 1")
BETWEEN = Rule(lambda value: 0 < value < 1, "lie between 0 and 1")

COUNTS = (
    "batch embedding epochs evaluate_every heads hidden horizon layers most pixels season steps truncate "
    "vocabulary width window"
)
RULES = {
    **dict.fromkeys(COUNTS.split(), least(1)),
    **dict.fromkeys(("dropout", "smoothing", "held"), PART),
    "clip": Rule(lambda value: 0 <= value < inf, "be 0 (no limit) or a number above it"),
    "lr": Rule(lambda value: 0 < value < inf, "be a number above 0"),
    "noise": Rule(lambda value: 0 <= value < inf, "be 0 or a number above it"),
    "seed": Rule(lambda value: -(2**63) <= value < 2**63, "be a whole number of 64 bits"),
    "shift": least(0),
    "validation": BETWEEN,
}
"""What the settings of these names must be, in every task."""


def possible(config: Any, **others: Rule) -> None:
    """Raise :class:`TaskError` for a setting that cannot be; ``others`` go before :data:`RULES`.

    >>> from chalkgrad.tasks.language_model import Config
    >>> Config(dropout=1.0)
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: dropout must be at least 0 and below 1, not 1.0
    """
    rules = RULES | others
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is not None and field.name in rules and not rules[field.name].holds(value):
            raise TaskError(f"{field.name} must {rules[field.name].words}, not {value}")


def differences(now: Any, saved: Any, may_change: frozenset[str] = frozenset()) -> list[str]:
    """What two settings (dataclasses of one kind) disagree in, ready to be shown.

    >>> from chalkgrad.tasks.language_model import Config
    >>> differences(Config(hidden=64, steps=9), Config(), frozenset({"steps"}))
    ['hidden is 64, was 128']
    """
    return [
        f"{field.name} is {getattr(now, field.name)}, was {getattr(saved, field.name)}"
        for field in dataclasses.fields(now)
        if field.name not in may_change and getattr(now, field.name) != getattr(saved, field.name)
    ]


def resumable(
    directory: Directory,
    now: Any,
    saved: Any,
    other: Sequence[str] = (),
    may_change: frozenset[str] = frozenset(),
) -> None:
    """Raise :class:`TaskError` where the run there was another; ``other`` are differences beside settings."""
    if differ := [*differences(now, saved, may_change), *other]:
        raise TaskError(
            f"cannot resume {directory.path} with other settings: {'; '.join(differ)}. "
            f"Leave them out, or start anew in another directory (--out)"
        )


def dump(card: Any, task: str) -> str:
    """A dataclass as JSON, with the ``task`` (the command) that it is of."""
    return json.dumps({"task": task, **dataclasses.asdict(card)}, ensure_ascii=False, indent=2) + "\n"


def load(path: Path, read: Callable[[dict[str, Any]], Card], task: str, version: int) -> Card:
    """What ``read`` makes of a JSON file; what is wrong with it is a :class:`TaskError` that names it.

    A file of another ``task`` or of another ``version`` of its format is not given to ``read``.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise TypeError("it is a list or a value")
        if (other := data.pop("task", task)) != task:  # the first cards did not say it
            raise TaskError(
                f"{path.parent} holds a model of `chalkgrad {other}`, and one of `chalkgrad {task}` is needed"
            )
        # Language models of the first version had no number, but their characters.
        if (found := 1 if "characters" in data else data["format"]) != version:
            raise TaskError(
                f"{path} is of another version of chalkgrad: its format is {found}, and this version reads "
                f"{version}: train the model anew"
            )
        return read(data)
    except (FileNotFoundError, NotADirectoryError):
        inside = sorted(str(file.parent) for file in path.parent.glob(f"*/{path.name}"))
        there = f", but there is one in {' and in '.join(inside[:2])}" if inside else ""
        raise TaskError(f"{path.parent} holds no model ({path.name} is missing){there}") from None
    except TaskError:
        raise
    except KeyError as error:
        raise TaskError(f"{path} is not the description of a model: {error} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise TaskError(f"{path} is not the description of a model: {error}") from None


__all__ = ["BETWEEN", "RULES", "Rule", "differences", "dump", "least", "load", "possible", "resumable"]
