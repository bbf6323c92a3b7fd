"""The directory of a run: its description, its checkpoint, its metrics; each file whole at any moment.

config.json      the settings, the equations, what the data was
checkpoint.pt    tensors and numbers: weights, optimiser, place in the data
metrics.jsonl    a line per measurement
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from chalkgrad.files import write_atomically
from chalkgrad.tasks.errors import TaskError


def reason(error: Exception) -> str:
    """What torch found wrong with saved weights, in a line.

    >>> reason(EOFError()), reason(RuntimeError("Error(s) in loading:\\n    size mismatch for W"))
    ('it is not whole', 'size mismatch for W')
    """
    if isinstance(error, pickle.UnpicklingError):  # torch would advise to load it without its safeguard
        return "it is no file of tensors and numbers"
    # The first line may only announce those after it; of a file cut short nothing is said.
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line and not line.endswith(":")), "it is not whole")


class Measured(Protocol):
    """A line of ``metrics.jsonl``: what was measured after a step."""

    @property
    def step(self) -> int: ...

    def line(self) -> str: ...


M = TypeVar("M", bound=Measured)


@dataclass(frozen=True)
class Directory:
    """A run's files under ``path``. All that is wrong with them is a :class:`TaskError`."""

    path: Path

    @property
    def card_file(self) -> Path:
        return self.path / "config.json"

    @property
    def checkpoint_file(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @contextmanager
    def writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TaskError(f"cannot write to {self.path}: {error.strerror or error}") from None

    def make(self) -> None:
        """The folder itself, and those that it lies in."""
        with self.writing():
            self.path.mkdir(parents=True, exist_ok=True)

    def free(self) -> None:
        """Raise :class:`TaskError` where something is here already: it is never overwritten."""
        with self.writing():
            if self.path.exists() and any(self.path.iterdir()):
                go_on = "go on with it (--resume) or " if self.card_file.exists() else ""
                raise TaskError(f"{self.path} is not empty: {go_on}choose another directory (--out)")

    def write(self, name: str, content: str | bytes) -> None:
        """A file of the run, whole or not at all."""
        with self.writing():
            write_atomically(self.path / name, content)

    def create(self, card: str, state: dict[str, Any]) -> None:
        """A new run here, from its first weights on; what is here already is never overwritten."""
        self.free()
        self.make()
        self.save(state)
        # Last, because it is what makes the directory a run: no description without its weights.
        self.write(self.card_file.name, card)

    def save(self, state: dict[str, Any]) -> None:
        content = io.BytesIO()  # torch.save straight into a file would hide why a write failed
        torch.save(state, content)
        self.write(self.checkpoint_file.name, content.getvalue())

    def load(self, use: Callable[[dict[str, Any]], object]) -> None:
        """Give the checkpoint to ``use``. Only tensors and numbers are read: nothing in the file can run."""
        try:
            use(torch.load(self.checkpoint_file, map_location="cpu", weights_only=True))
        except FileNotFoundError:
            raise TaskError(
                f"{self.path} holds no trained model ({self.checkpoint_file.name} is missing)"
            ) from None
        except (
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
            TypeError,
            KeyError,
            pickle.UnpicklingError,
        ) as error:
            raise TaskError(
                f"{self.checkpoint_file} is not this model's checkpoint: {reason(error)}"
            ) from None

    def add(self, metrics: Measured) -> None:
        with self.writing(), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(metrics.line())

    def metrics(self, read: Callable[[str], M], up_to: int) -> list[M]:
        """The measurements up to a step; what a killed run wrote after its last checkpoint is dropped."""
        if not self.metrics_file.exists():
            return []
        kept: list[M] = []
        for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
            try:
                metrics = read(line)
            except (ValueError, KeyError, TypeError):
                break  # the last line of a killed run may be half a line
            if metrics.step <= up_to:
                kept.append(metrics)
        self.write(self.metrics_file.name, "".join(metrics.line() for metrics in kept))
        return kept


__all__ = ["Directory", "Measured", "reason"]
