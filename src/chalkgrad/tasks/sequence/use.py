"""Reading a trained reader of sequences back, and asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.sequence.config import Card
from chalkgrad.tasks.sequence.data import Series, Table
from chalkgrad.tasks.sequence.model import Reader, reader
from chalkgrad.tasks.sequence.report import forecasts, probabilities


@dataclass(frozen=True)
class Trained:
    """A net and what it must know of its sequences."""

    model: Reader
    card: Card

    def fits(self, table: Table) -> None:
        """Raise :class:`TaskError` unless a file has the channels that were trained on."""
        if table.channels != self.card.channels:
            raise TaskError(
                f"the net was trained on the channels {', '.join(self.card.channels)}, "
                f"and this file has {', '.join(table.channels)}"
            )


def trained(path: Path | str) -> Trained:
    """The net in a directory that :func:`train` filled; nothing that lies there is executed."""
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        model = reader(card)
    directory.load(lambda state: model.load_state_dict(state["model"]))
    return Trained(model, card)


def foretell(net: Trained, series: Series) -> tuple[list[str], Tensor]:
    """The steps after a series: their times, and their values (H, C).

    Raises :class:`TaskError` for a series that is shorter than the net's window.
    """
    window, horizon = net.card.window, net.card.config.horizon
    if len(series) < window:
        raise TaskError(
            f"{series.id or 'the series'} has {len(series)} steps, and the net looks back {window}"
        )
    return following(series.times, horizon), forecasts(net.model, net.card, series.values[None, -window:])[0]


def classified(net: Trained, series: Sequence[Series]) -> list[tuple[str, float]]:
    """The likeliest label of each sequence, and its probability."""
    best = probabilities(net.model, net.card, series).max(1)
    return [
        (net.card.classes[k], p) for k, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def following(times: Sequence[str], count: int) -> list[str]:
    """Times that go on as the last two do; where those are no numbers and no dates, +1, +2, …

    >>> following(["2007", "2008"], 2), following(["2024-01-31", "2024-02-07"], 1), following(["x"], 2)
    (['2009', '2010'], ['2024-02-14'], ['+1', '+2'])
    """
    try:
        before, last = (float(time) for time in times[-2:])
        return [f"{last + k * (last - before):.10g}" for k in range(1, count + 1)]
    except ValueError:
        try:
            first, end = (datetime.fromisoformat(time) for time in times[-2:])
        except ValueError:
            return [f"+{k}" for k in range(1, count + 1)]
        later = [(end + k * (end - first)).isoformat() for k in range(1, count + 1)]
        return [time.removesuffix("T00:00:00") for time in later]


__all__ = ["Trained", "classified", "following", "foretell", "trained"]
