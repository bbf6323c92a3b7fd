"""What the settings of any task need: two runs compared, a description read from its file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError

Card = TypeVar("Card")


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
        raise TaskError(f"{path.parent} holds no model ({path.name} is missing)") from None
    except TaskError:
        raise
    except KeyError as error:
        raise TaskError(f"{path} is not the description of a model: {error} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise TaskError(f"{path} is not the description of a model: {error}") from None


__all__ = ["differences", "dump", "load", "resumable"]
