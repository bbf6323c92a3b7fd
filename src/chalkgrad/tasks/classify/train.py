"""Training with one cycle of step sizes; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from chalkgrad.tasks import training, weights
from chalkgrad.tasks.classify.config import Card, Config
from chalkgrad.tasks.classify.data import Data, Part, load
from chalkgrad.tasks.classify.model import Network
from chalkgrad.tasks.classify.model import part as layer_part
from chalkgrad.tasks.classify.pictures import scale, scaled
from chalkgrad.tasks.classify.report import confusion_picture, kernels_picture
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.epochs import Epochs, an_epoch
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.metrics import Epoch
from chalkgrad.tasks.processes import ALONE, Group, part
from chalkgrad.tasks.settings import resumable

Progress = training.Progress[Epoch]


@dataclass(frozen=True)
class Result:
    """How a run ended. ``confusion[i][j]`` counts test pictures of class i that were taken for class j."""

    out: Path
    step: int
    classes: tuple[str, ...]
    confusion: Tensor | None
    interrupted: bool

    @property
    def accuracy(self) -> float:
        """The part of the test pictures that were recognised."""
        if self.confusion is None:
            raise ValueError("the run has not come to its end")
        return (self.confusion.diagonal().sum() / self.confusion.sum()).item()


class Run(Epochs[Network, tuple[Tensor, Tensor]]):
    """Epochs over the pictures."""

    def __init__(self, config: Config, model: Network, data: Data, card: Card, group: Group = ALONE) -> None:
        super().__init__(config, model, len(data.training), group=group)
        self.data, self.card = data, card
        self.shift = data.shift if config.shift is None else config.shift
        self.flip = data.flip if config.flip is None else config.flip

    def batch(self) -> tuple[Tensor, Tensor]:
        chosen = self.drawn()
        pictures = moved(self.data.training.pictures[chosen], self.shift, self.flip, self.random)
        return part(pictures, self.group), part(self.data.training.labels[chosen], self.group)

    def loss(self, batch: tuple[Tensor, Tensor]) -> training.Loss:
        pictures, labels = batch
        scores = self.net(scaled(pictures, self.card))
        right = int((scores.argmax(1) == labels).sum())
        return training.Loss(cross_entropy(scores, labels, reduction="sum"), len(labels), right)


def moved(pictures: Tensor, shift: int, flip: bool, random: Generator) -> Tensor:
    """Pictures moved by up to ``shift`` pixels, their edges going on, half of them mirrored (``flip``)."""
    n, _, high, wide = pictures.shape
    rows, columns = torch.arange(high).expand(n, high), torch.arange(wide).expand(n, wide)
    if flip:
        columns = torch.where(torch.rand(n, 1, generator=random) < 0.5, wide - 1 - columns, columns)
    if shift:
        down, right = torch.randint(-shift, shift + 1, (2, n, 1), generator=random)
        rows, columns = (rows + down).clamp(0, high - 1), (columns + right).clamp(0, wide - 1)
    if not (shift or flip):
        return pictures
    every = torch.arange(n).view(n, 1, 1)
    return pictures[every, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    data: Data | None = None,
    group: Group = ALONE,
) -> Result:
    """Train a classifier into the directory ``out``, or go on with the run that is there; then test it.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last epoch. Both come to the same numbers as a run that was never cut. ``data`` is what
    ``config.data`` names where it has been loaded before. The test pictures are looked at once, at the end.
    The processes of ``group`` share the pictures of each batch.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError` for
    equations that cannot be read.
    """
    for module, library in (("safetensors.torch", "safetensors"), ("matplotlib.figure", "matplotlib")):
        extra(module, library)  # what is needed at the end is asked for at the beginning
    directory = Directory(Path(out))
    saved = Card.load(directory.card_file) if resume else None  # what is missing is said before data are read
    data = data or load(config.data, config.pixels)
    if saved:
        other = [] if data.digest == saved.digest else ["the pictures are not the same"]
        resumable(directory, config, saved.config, other, frozenset({"data"}))
    card = saved or described(config, data)
    results: list[Result] = []

    def begin() -> Run:
        return Run(config, Network(card.parts, card.shape, len(card.classes)), data, card, group)

    def end(run: Run) -> None:
        results.append(
            Result(directory.path, run.step, card.classes, confused(run.model, data.test, card), False)
        )
        conclude(directory, results[0], run.model)

    steps = an_epoch(config, len(data.training))
    ended = training.follow(
        begin,
        directory,
        lambda _: card.dump(),
        Epoch.of,
        seed=config.seed,
        steps=config.epochs * steps,
        every=steps,
        resume=resume,
        report=report,
        group=group,
        beside=lambda run: weights.save(directory, run.model),
        end=end,
    )
    return (
        results[0] if results else Result(directory.path, ended.step, card.classes, None, ended.interrupted)
    )


def described(config: Config, data: Data) -> Card:
    """The description of a new run."""
    parts = tuple(layer_part(what) for what in config.net)
    return Card(
        config,
        parts,
        data.classes,
        data.shape,
        *scale(data.training.pictures),
        data.digest,
    )


@torch.no_grad()
def confused(model: nn.Module, part: Part, card: Card, batch: int = 500) -> Tensor:
    """``(O, O)``: how many pictures of each class were taken for each class."""
    count = len(card.classes)
    taken = [
        model(scaled(pictures, card)).argmax(1) for pictures in part.pictures.split(batch) if len(pictures)
    ]
    return torch.bincount(part.labels * count + torch.cat(taken), minlength=count * count).view(count, count)


def conclude(directory: Directory, result: Result, model: Network) -> None:
    """Write what was reached: ``test.json``, ``confusion.png`` and ``kernels.png``."""
    if result.confusion is None:
        raise ValueError("the run has not come to its end")
    record = {
        "accuracy": result.accuracy,
        "classes": result.classes,
        "confusion": result.confusion.tolist(),
    }
    directory.write("test.json", json.dumps(record, ensure_ascii=False) + "\n")
    directory.write("confusion.png", confusion_picture(result.confusion, result.classes))
    directory.write("kernels.png", kernels_picture(model))


__all__ = ["Progress", "Result", "Run", "confused", "moved", "train"]
