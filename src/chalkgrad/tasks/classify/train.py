"""Training with one cycle of step sizes; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chalkgrad.tasks.classify.config import Card, Config, Metrics
from chalkgrad.tasks.classify.data import Data, Part, load
from chalkgrad.tasks.classify.model import Network, part
from chalkgrad.tasks.classify.report import confusion_picture, kernels_picture
from chalkgrad.tasks.directory import Directory, write_atomically
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.interrupt import stop_on_interrupt
from chalkgrad.tasks.settings import differences

WARM_UP = 0.25  # the part of the steps in which the step size grows
WEIGHT_DECAY = 0.01
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Progress:
    """A step that was made, on so many pictures, of which so many were right; at an epoch's end its means."""

    step: int
    steps: int
    pictures: int
    loss: float
    right: int
    measured: Metrics | None = None


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


class Run:
    """All that changes while training: :meth:`state` is a checkpoint, :meth:`restore` goes back to one."""

    NUMBERS = ("step", "order", "total", "right", "seen")

    def __init__(self, config: Config, model: Network, data: Data, card: Card) -> None:
        self.config, self.model, self.data, self.card = config, model, data, card
        self.shift = data.shift if config.shift is None else config.shift
        self.flip = data.flip if config.flip is None else config.flip
        self.an_epoch = ceil(len(data.training) / config.batch)
        self.steps = config.epochs * self.an_epoch
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=WEIGHT_DECAY)
        self.cycle = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=config.lr, total_steps=self.steps + 1, pct_start=WARM_UP
        )
        self.step = 0
        self.order = torch.empty(0, dtype=torch.long)  # the pictures of this epoch, as they are shown
        self.total, self.right, self.seen = 0.0, 0, 0  # since the epoch began

    def advance(self) -> tuple[float, int, int]:
        """A step on the next pictures: their mean loss, how many were right, how many they are."""
        place = self.step % self.an_epoch
        if place == 0:
            self.order = torch.randperm(len(self.data.training))
            self.total, self.right, self.seen = 0.0, 0, 0
        chosen = self.order[place * self.config.batch : (place + 1) * self.config.batch]
        pictures = moved(self.data.training.pictures[chosen], self.shift, self.flip)
        labels = self.data.training.labels[chosen]
        scores = self.model(scaled(pictures, self.card))
        loss = cross_entropy(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.cycle.step()
        self.step += 1
        right = int((scores.argmax(1) == labels).sum())
        self.total += loss.item() * len(labels)
        self.right += right
        self.seen += len(labels)
        return loss.item(), right, len(labels)

    @property
    def metrics(self) -> Metrics:
        return Metrics(self.step, self.step // self.an_epoch, self.total / self.seen, self.right / self.seen)

    def state(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.NUMBERS}
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "cycle")}
        return {**own, **parts, "random": torch.get_rng_state()}

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("model", "optimizer", "cycle"):
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        for name in self.NUMBERS:
            setattr(self, name, state[name])


def scaled(pictures: Tensor, card: Card) -> Tensor:
    """Bytes as numbers of mean 0 and deviation 1, channel by channel."""
    mean, deviation = (torch.tensor(x).view(-1, 1, 1) for x in (card.mean, card.deviation))
    return (pictures / 255 - mean) / deviation


def moved(pictures: Tensor, shift: int, flip: bool) -> Tensor:
    """Pictures moved by up to ``shift`` pixels, their edges going on, half of them mirrored (``flip``)."""
    n, _, high, wide = pictures.shape
    rows, columns = torch.arange(high).expand(n, high), torch.arange(wide).expand(n, wide)
    if flip:
        columns = torch.where(torch.rand(n, 1) < 0.5, wide - 1 - columns, columns)
    if shift:
        down, right = torch.randint(-shift, shift + 1, (2, n, 1))
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
) -> Result:
    """Train a classifier into the directory ``out``, or go on with the run that is there; then test it.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last epoch. Both come to the same numbers as a run that was never cut. ``data`` is what
    ``config.data`` names where it has been loaded before. The test pictures are looked at once, at the end.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError` for
    equations that cannot be read.
    """
    for module, library in (("safetensors.torch", "safetensors"), ("matplotlib.figure", "matplotlib")):
        extra(module, library)  # what is needed at the end is asked for at the beginning
    directory = Directory(Path(out))
    if resume:
        Card.load(directory.card_file)  # what is not there is said before data are read
    data = data or load(config.data, config.pixels)
    with torch.random.fork_rng(devices=[]), stop_on_interrupt() as interrupted:
        torch.manual_seed(config.seed)
        card = resumable(directory, config, data) if resume else described(config, data)
        model = Network(card.parts, card.shape, len(card.classes))
        run = Run(config, model, data, card)
        if resume:
            directory.load(run.restore)
            directory.metrics(Metrics.of, up_to=run.step)
        else:
            directory.create(card.dump(), run.state())
        while run.step < run.steps and not interrupted.is_set():
            loss, right, pictures = run.advance()
            if not isfinite(loss):
                raise TaskError(
                    f"the loss became {loss} at step {run.step}: try a smaller lr; "
                    f"what was saved last is still in {out}"
                )
            due = run.step % run.an_epoch == 0
            if due:
                directory.add(run.metrics)
            if due or interrupted.is_set():
                save(directory, run)
            if report:
                report(Progress(run.step, run.steps, pictures, loss, right, run.metrics if due else None))
        if run.step < run.steps:
            save(directory, run)
            return Result(directory.path, run.step, card.classes, None, True)
        confusion = confused(model, data.test, card)
        result = Result(directory.path, run.step, card.classes, confusion, False)
        conclude(directory, result, model)
    return result


def described(config: Config, data: Data) -> Card:
    """The description of a new run."""
    values = data.training.pictures / 255
    mean = values.mean((0, 2, 3))
    deviation = values.std((0, 2, 3)).clamp_min(1e-3)  # pictures of one colour have none
    parts = tuple(part(what) for what in config.net)
    return Card(
        config,
        parts,
        data.classes,
        data.shape,
        tuple(mean.tolist()),
        tuple(deviation.tolist()),
        data.digest,
    )


def resumable(directory: Directory, config: Config, data: Data) -> Card:
    """The description of the run that is there; an error naming what differs where it is not the same run."""
    card = Card.load(directory.card_file)
    differ = differences(config, card.config, frozenset({"data"}))
    if data.digest != card.digest:
        differ.append("the pictures are not the same")
    if differ:
        raise TaskError(
            f"cannot resume {directory.path} with other settings: {'; '.join(differ)}. "
            f"Leave them out, or start anew in another directory (--out)"
        )
    return card


def save(directory: Directory, run: Run) -> None:
    """The checkpoint to go on from, and the weights by themselves to recognise with."""
    directory.save(run.state())
    content = extra("safetensors.torch", "safetensors").save(run.model.state_dict())
    with directory.writing():
        write_atomically(directory.path / WEIGHTS, content)


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
    with directory.writing():
        write_atomically(
            directory.path / "test.json", (json.dumps(record, ensure_ascii=False) + "\n").encode()
        )
        write_atomically(
            directory.path / "confusion.png", confusion_picture(result.confusion, result.classes)
        )
        write_atomically(directory.path / "kernels.png", kernels_picture(model))


__all__ = ["Progress", "Result", "Run", "confused", "moved", "scaled", "train"]
