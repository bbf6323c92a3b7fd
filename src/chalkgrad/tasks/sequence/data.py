"""Sequences of numbers with a label or a future: CSV files, and the .ts files of the UCR and UEA archives.

A CSV file has a header and a row for each step: ``id`` (which sequence), ``time``, one column for each
channel, ``label``. ``id`` may be left out where there is one sequence, ``time`` where rows are in order, and
``label`` where nothing is to be told apart.

T steps   C channels
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.data import read
from chalkgrad.tasks.sets import JAPANESE_VOWELS

OWN = ("id", "time", "label")
"""The columns that are no channels."""


@dataclass(frozen=True, eq=False)
class Series:
    """One sequence: ``values (T, C)``, what its time column says of each step, and its label, if any."""

    id: str
    times: tuple[str, ...]
    values: Tensor
    label: str | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Table:
    """What a file holds. ``bad`` says of each line that was skipped what is wrong with it."""

    series: tuple[Series, ...]
    channels: tuple[str, ...]
    bad: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The sha256 of everything that training sees."""
        found = hashlib.sha256(repr(self.channels).encode())
        for one in self.series:
            found.update(repr((one.id, one.label, one.times)).encode() + one.values.numpy().tobytes())
        return found.hexdigest()


@dataclass
class _Rows:
    """The rows of one sequence as they are read."""

    label: str | None
    at: dict[float, tuple[str, list[float]]] = field(default_factory=dict[float, tuple[str, list[float]]])


def load(path: Path | str) -> Table:
    """The sequences in a file, CSV or ``.ts``, or those of the name ``sunspots``.

    Raises :class:`TaskError` for a file that cannot be read or holds no sequence.
    """
    if str(path) == "sunspots":
        path = Path(__file__).parent / "sunspots.csv"
    return read_ts(path) if str(path).endswith(".ts") else read_csv(path)


def named(name: str) -> tuple[Path | str, Path | None]:
    """The files that a name stands for, to train on and, where there is one, to test on."""
    if name == "japanese-vowels":
        return JAPANESE_VOWELS.file("train.ts"), JAPANESE_VOWELS.file("test.ts")
    return name, None


def read_csv(path: Path | str) -> Table:
    """A CSV file as this module describes it. A line that is not right is skipped, and said in ``bad``."""
    lines = csv.reader(io.StringIO(read([path])))
    header = [name.strip() for name in next(lines, [])]
    channels = tuple(name for name in header if name not in OWN)
    if not channels or len(set(header)) < len(header) or not all(header):
        raise TaskError(
            f"{path} must begin with a line of different names: id, time, the channels, label; it begins "
            f"with {', '.join(header) or 'nothing'}"
        )
    found: dict[str, _Rows] = {}
    bad: list[str] = []
    for row in lines:
        if not any(cell.strip() for cell in row):
            continue
        try:
            _add(found, dict(zip(header, row, strict=True)), channels)
        except ValueError as error:
            said = "it has not as many fields as the first line" if len(row) != len(header) else str(error)
            bad.append(f"line {lines.line_num}: {said}")
    series = []
    for name, rows in found.items():
        ordered = [rows.at[time] for time in sorted(rows.at)]
        values = torch.tensor([numbers for _, numbers in ordered])
        series.append(Series(name, tuple(time for time, _ in ordered), values, rows.label))
    return _table(path, series, channels, bad)


def _add(found: dict[str, _Rows], row: dict[str, str], channels: Sequence[str]) -> None:
    """Put a row where it belongs. Raises ValueError that says why it cannot be used."""
    name = row.get("id", "").strip()
    if "id" in row and not name:
        raise ValueError("id is empty")
    label = row["label"].strip() if "label" in row else None
    if label == "":
        raise ValueError("label is empty")
    numbers = [_number(channel, row[channel]) for channel in channels]
    rows = found.get(name) or _Rows(label)
    if rows.label != label:
        raise ValueError(f"{name} has the label {rows.label} already")
    time = row["time"].strip() if "time" in row else str(len(rows.at))
    place = _place(time)
    if place in rows.at:
        raise ValueError(f"the time {time} has come before")
    rows.at[place] = (time, numbers)
    found[name] = rows


def _number(name: str, text: str) -> float:
    number = _finite(text)
    if number is None:
        raise ValueError(f"{name} is {text.strip()!r}, no number")
    return number


def _place(time: str) -> float:
    """A time as a number: itself, or the seconds of a date such as 2024-03-01T12:00."""
    number = _finite(time)
    if number is not None:
        return number
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        raise ValueError(f"time is {time!r}, no number and no date such as 2024-03-01") from None


def _finite(text: str) -> float | None:
    """A number that is one; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def read_ts(path: Path | str) -> Table:
    """A ``.ts`` file with labels: a line for each sequence, a list for each channel, the label last."""
    head, mark, body = read([path]).partition("@data")
    if not mark:
        raise TaskError(f"{path} has no line @data")
    series: list[Series] = []
    bad: list[str] = []
    for number, line in enumerate(body.split("\n"), head.count("\n") + 1):
        if not line.strip():
            continue
        *columns, label = line.strip().split(":")
        try:
            values = torch.tensor([[float(x) for x in column.split(",")] for column in columns]).T
            if not label or not values.isfinite().all() or (series and values.shape[1] != _width(series)):
                raise ValueError
        except (ValueError, IndexError):
            bad.append(f"line {number}: it is not a list of numbers for each channel and a label")
            continue
        times = tuple(map(str, range(len(values))))
        series.append(Series(str(len(series)), times, values.contiguous(), label))
    return _table(path, series, tuple(f"c{k + 1}" for k in range(_width(series))), bad)


def _width(series: Sequence[Series]) -> int:
    return series[0].values.shape[1] if series else 0


def _table(path: Path | str, series: list[Series], names: tuple[str, ...], bad: list[str]) -> Table:
    if not series:
        raise TaskError(f"{path} holds no sequence" + (f": {bad[0]}" if bad else ""))
    return Table(tuple(series), names, tuple(bad))


def parted(series: Iterable[Series], held: float) -> tuple[list[Series], list[Series]]:
    """Sequences to train on and to test on: of each label the last part, one at least, is held back."""
    by_label: dict[str | None, list[Series]] = {}
    for one in series:
        by_label.setdefault(one.label, []).append(one)
    for label, some in by_label.items():
        if len(some) < 2:
            raise TaskError(
                f"of {label} there is one sequence: two at least are needed, to train and to test"
            )
    cuts = {label: len(some) - max(1, round(len(some) * held)) for label, some in by_label.items()}
    return (
        [one for label, some in by_label.items() for one in some[: cuts[label]]],
        [one for label, some in by_label.items() for one in some[cuts[label] :]],
    )


ALIKE = 0.9
"""Of the places where a series looks like itself, one that does so by this part of the best is as good."""


def season(values: Tensor) -> int:
    """The number of steps after which a series (T, C) looks like itself: the first peak of its
    autocorrelation, once a straight line is taken off, that is near the highest. Without a peak, 1.

    >>> season(torch.sin(torch.arange(100) * 2 * torch.pi / 12)[:, None])
    12
    """
    steps = len(values)
    line = torch.stack([torch.ones(steps), torch.linspace(-1, 1, steps)], 1)
    level = values - line @ torch.linalg.lstsq(line, values).solution
    alike = [float((level[lag:] * level[: steps - lag]).sum() / (steps - lag)) for lag in range(steps // 2)]
    below = next((lag for lag, a in enumerate(alike) if a < 0), steps)
    peaks = [
        lag
        for lag in range(below + 1, len(alike) - 1)
        if alike[lag - 1] <= alike[lag] >= alike[lag + 1] and alike[lag] > 0
    ]
    highest = max((alike[lag] for lag in peaks), default=0.0)
    return next((lag for lag in peaks if alike[lag] >= ALIKE * highest), 1)


def windows(values: Tensor, window: int, horizon: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Every stretch of a series (T, C) and what follows it: (n, window, C) and (n, horizon, C).

    ``first`` is the first step that may have to be foretold.
    """
    begin = max(0, first - window)
    if len(values) - begin < window + horizon:
        shape = values.shape[1]
        return values.new_empty(0, window, shape), values.new_empty(0, horizon, shape)
    both = values[begin:].unfold(0, window + horizon, 1).transpose(1, 2)
    return both[:, :window], both[:, window:]


__all__ = [
    "Series",
    "Table",
    "load",
    "named",
    "parted",
    "read_csv",
    "read_ts",
    "season",
    "windows",
]
