"""What a trained reader of sequences comes to on what it has not seen, in figures and in a picture.

n examples   H horizon   C channels   O classes
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from chalkgrad.tasks.classify.report import confusion_picture
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.sequence.config import Card
from chalkgrad.tasks.sequence.data import Series, windows
from chalkgrad.tasks.sequence.model import Reader, foretold, scaled

AT_ONCE = 256  # sequences that are read side by side

WAYS = ("net", "seasonal naive", "last value")
"""The forecasts that are compared: the net's, the value a season before, and the last value that was seen."""


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors (3, H, C) of :data:`WAYS`, over ``count`` forecasts, in the series' own unit."""

    absolute: Tensor
    count: int

    @property
    def mean(self) -> Tensor:
        """Over all steps that were foretold: (3, C)."""
        return self.absolute.mean(1)

    def record(self, card: Card) -> dict[str, Any]:
        return {
            "forecasts": self.count,
            "season": card.season,
            "channels": card.channels,
            "mean absolute error": {
                way: values.tolist() for way, values in zip(WAYS, self.absolute, strict=True)
            },
        }


@dataclass(frozen=True)
class Confused:
    """``counts (O, O)``: how many sequences of each class were taken for each class."""

    counts: Tensor

    @property
    def accuracy(self) -> float:
        return (self.counts.diagonal().sum() / self.counts.sum()).item()

    def record(self, card: Card) -> dict[str, Any]:
        return {"accuracy": self.accuracy, "classes": card.classes, "confusion": self.counts.tolist()}


@torch.no_grad()
def forecasts(model: Reader, card: Card, past: Tensor) -> Tensor:
    """What follows windows (n, window, C) in the series' own unit: (n, H, C)."""
    model.eval()
    parts = [foretold(model, scaled(some, card)) for some in past.split(AT_ONCE)]
    return torch.cat(parts) * torch.tensor(card.deviation) + torch.tensor(card.mean)


def seasonal(past: Tensor, season: int, horizon: int) -> Tensor:
    """The seasonal naive forecast: each step as it was a season before, or as many seasons as are needed.

    >>> seasonal(torch.tensor([[[1.0], [2.0], [3.0]]]), season=2, horizon=3).flatten().tolist()
    [2.0, 3.0, 2.0]
    """
    at = [past.shape[1] + h - season * ceil((h + 1) / season) for h in range(horizon)]
    return past[:, at]


def held_back(card: Card, series: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Windows (n, window, C) and what follows them (n, H, C), all of which lies at or after a series' cut.

    Raises :class:`TaskError` where nothing that is held back is long enough.
    """
    horizon = card.config.horizon
    pairs = [windows(values, card.window, horizon, first=cut) for values, cut in series]
    past, future = (torch.cat(some) for some in zip(*pairs, strict=True))
    if not len(past):
        raise TaskError(f"what is held back has fewer than the {horizon} steps that are to be foretold")
    return past, future


def errors(model: Reader, card: Card, series: Sequence[tuple[Tensor, int]]) -> Errors:
    """Of the forecasts from every step that what is :func:`held_back` has."""
    past, future = held_back(card, series)
    said = (
        forecasts(model, card, past),
        seasonal(past, card.season, card.config.horizon),
        past[:, -1:].expand_as(future),
    )
    return Errors(torch.stack([(one - future).abs().mean(0) for one in said]), len(past))


@torch.no_grad()
def probabilities(model: Reader, card: Card, series: Sequence[Series]) -> Tensor:
    """Of each sequence that of each class: (n, O)."""
    model.eval()
    found = []
    for k in range(0, len(series), AT_ONCE):
        some = [scaled(one.values, card) for one in series[k : k + AT_ONCE]]
        scores = model(pad_sequence(some, batch_first=True), [len(one) for one in some])
        found.append(scores.double().softmax(1))
    return torch.cat(found)


def confused(model: Reader, card: Card, series: Sequence[Series]) -> Confused:
    """What labelled sequences are taken for."""
    count = len(card.classes)
    labels = torch.tensor([card.classes.index(str(one.label)) for one in series])
    taken = probabilities(model, card, series).argmax(1)
    return Confused(torch.bincount(labels * count + taken, minlength=count * count).view(count, count))


def picture(model: Reader, card: Card, series: Series, cut: int, tested: Errors | Confused) -> bytes:
    """The confusion matrix; or the first series' held-back end with forecasts, one after another, as PNG."""
    if isinstance(tested, Confused):
        return confusion_picture(tested.counts, card.classes, "sequences")
    horizon, values = card.config.horizon, series.values
    past, _ = windows(values, card.window, horizon, first=cut)
    past = past[::horizon]
    ours, naive = forecasts(model, card, past), seasonal(past, card.season, horizon)
    begin = max(0, cut - card.window)
    shown = min(3, len(card.channels))
    figure = extra("matplotlib.figure", "matplotlib").Figure(figsize=(9, 3 * shown), layout="constrained")
    panels = figure.subplots(shown, 1, squeeze=False)[:, 0]
    times = [float(time) for time in series.times] if _numeric(series) else list(range(len(series)))
    for c, axes in enumerate(panels):
        axes.plot(times[begin:], values[begin:, c], color="black", linewidth=1, label="truth")
        for k in range(len(past)):
            at = times[cut + k * horizon : cut + (k + 1) * horizon]
            axes.plot(at, naive[k, :, c], color="tab:grey", linestyle=":", marker=".", markersize=3,
                      label="a season before" if k == 0 else None)  # fmt: skip
            axes.plot(at, ours[k, :, c], color="tab:red", marker=".", markersize=4,
                      label=f"foretold, {horizon} steps at a time" if k == 0 else None)  # fmt: skip
        axes.axvline(times[cut], color="tab:blue", linewidth=0.8)
        net, before, _ = (float(x) for x in tested.mean[:, c])
        name = card.channels[c]
        axes.set_title(f"{name}: mean error {net:.3g}, seasonal naive {before:.3g}", fontsize=10)
        axes.legend(fontsize=8, loc="upper left")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def _numeric(series: Series) -> bool:
    try:
        return all(float(time) is not None for time in series.times)
    except ValueError:
        return False


__all__ = [
    "WAYS",
    "Confused",
    "Errors",
    "confused",
    "errors",
    "forecasts",
    "held_back",
    "picture",
    "probabilities",
    "seasonal",
]
