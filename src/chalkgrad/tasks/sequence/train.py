"""Training to foretell or to tell apart; a run can be cut and goes on to the same numbers.

B batch   T time   C channels
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from chalkgrad.tasks import training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.metrics import Recent
from chalkgrad.tasks.pace import pace
from chalkgrad.tasks.processes import ALONE, Group, part, sharable
from chalkgrad.tasks.sequence.config import Card, Config
from chalkgrad.tasks.sequence.data import Series, Table, load, named, parted, season, windows
from chalkgrad.tasks.sequence.model import Reader, foretold, reader, scaled
from chalkgrad.tasks.sequence.report import Confused, Errors, confused, errors, held_back, picture
from chalkgrad.tasks.settings import resumable
from chalkgrad.zoo import source_of

WEIGHT_DECAY = 0.1
EVERY = 50  # steps to a line of metrics
SEASONS = 2  # in a window, unless another is given

Progress = training.Progress[Recent]


@dataclass(frozen=True)
class Data:
    """What to train on and to test on; a series to be foretold is cut in two at the steps of ``cuts``."""

    table: Table
    training: tuple[Series, ...]
    test: tuple[Series, ...]
    digest: str
    cuts: tuple[int, ...] = ()

    @property
    def cut(self) -> list[tuple[Tensor, int]]:
        """The values of each series to be foretold, and its cut."""
        return [(one.values, cut) for one, cut in zip(self.test, self.cuts, strict=True)]


@dataclass(frozen=True)
class Result:
    """How a run ended; ``tested`` is what it came to on what it had not seen, once it is at its end."""

    out: Path
    step: int
    tested: Errors | Confused | None


class Batch(NamedTuple):
    """Sequences (B, T, C), how many steps are theirs (None: all), and the labels (B,) or futures (B, …)."""

    values: Tensor
    lengths: list[int] | None
    wanted: Tensor


class Run(training.Run[Reader, Batch, Recent]):
    """Examples drawn at random; the step size goes up and down once."""

    def __init__(self, card: Card, model: Reader, data: Data, group: Group = ALONE) -> None:
        config = card.config
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=WEIGHT_DECAY)
        cycle = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(pace, steps=_steps(config)))
        super().__init__(model, optimizer, seed=config.seed, clip=1.0, schedule=cycle, group=group)
        self.card, self.config = card, config
        if config.task == "forecast":
            pairs = [
                windows(scaled(one.values[:cut], card), card.window, config.horizon)
                for one, cut in zip(data.training, data.cuts, strict=True)
            ]
            past, future = (torch.cat(some) for some in zip(*pairs, strict=True))
            self.examples, self.wanted = list(past), future
        else:
            self.examples = [scaled(one.values, card) for one in data.training]
            self.wanted = torch.tensor([card.classes.index(str(one.label)) for one in data.training])

    def batch(self) -> Batch:
        drawn = torch.randint(len(self.examples), (self.config.batch,), generator=self.random)
        values, lengths = padded([self.examples[k] for k in drawn.tolist()])
        values = values + self.config.noise * torch.randn(values.shape, generator=self.random)
        mine = part(torch.arange(len(drawn)), self.group).tolist()
        own = [lengths[k] for k in mine]
        return Batch(values[mine], own if len(set(lengths)) > 1 else None, self.wanted[drawn][mine])

    def loss(self, batch: Batch) -> training.Loss:
        count = len(batch.wanted)
        if self.config.task == "forecast":
            error = foretold(self.net, batch.values) - batch.wanted
            return training.Loss(error.abs().mean((1, 2)).sum(), count)  # as it is measured
        scores = self.net(batch.values, batch.lengths)
        right = int((scores.argmax(1) == batch.wanted).sum())
        return training.Loss(cross_entropy(scores, batch.wanted, reduction="sum"), count, right)

    def measure(self) -> Recent:
        means = self.means()
        return Recent(self.step, means.loss, means.accuracy)


def padded(sequences: list[Tensor]) -> tuple[Tensor, list[int]]:
    """Sequences (T, C) as one (B, longest T, C), zeros at the end, and the T of each."""
    return pad_sequence(sequences, batch_first=True), [len(one) for one in sequences]


def prepared(config: Config) -> Data:
    """The data of a run. Raises :class:`TaskError` where they do not suit the task."""
    first, second = named(str(config.data))
    table = load(first)
    other = config.test or second
    if config.task == "forecast":
        if other:
            raise TaskError("a forecast is tested on the end of what it is given (--held): leave --test out")
        cuts = tuple(len(one) - max(1, round(len(one) * config.held)) for one in table.series)
        return Data(table, table.series, table.series, table.digest, cuts)
    if any(one.label is None for one in table.series):
        raise TaskError(f"{first} has no column label, and there is nothing to tell apart")
    tested = load(other) if other else None
    if tested and tested.channels != table.channels:
        raise TaskError(f"{other} has the channels {', '.join(tested.channels)}, {first} other ones")
    if tested and any(one.label is None for one in tested.series):
        raise TaskError(f"{other} has no column label, and there is nothing to test by")
    learned, test = (table.series, tested.series) if tested else parted(table.series, config.held)
    digest = sha256((table.digest + (tested.digest if tested else "")).encode()).hexdigest()
    if not learned:
        raise TaskError(f"of {len(table.series)} sequences none is left to train on: hold less back (--held)")
    bad = table.bad + tuple(f"{other}: {line}" for line in (tested.bad if tested else ()))
    return Data(Table(table.series, table.channels, bad), tuple(learned), tuple(test), digest)


def described(config: Config, data: Data) -> Card:
    """The description of a new run. Raises :class:`TaskError` where there is too little to train on."""
    cuts = data.cuts or tuple(len(one) for one in data.training)
    learned = [one.values[:cut] for one, cut in zip(data.training, cuts, strict=True)]
    every = torch.cat(learned)
    mean = every.mean(0)
    deviation = every.std(0, correction=0).clamp_min(1e-6)  # a channel that never changes has none
    repeats, window = 1, 0
    classes: tuple[str, ...] = ()
    if config.task == "forecast":
        longest = max(learned, key=len)
        repeats = config.season or season((longest - mean) / deviation)
        window = config.window or max(8, SEASONS * repeats)
        if window < repeats:
            raise TaskError(f"a window of {window} steps does not hold a season of {repeats}")
        if len(longest) < window + config.horizon:
            raise TaskError(
                f"the longest series has {len(longest)} steps to train on, and a window of {window} with "
                f"{config.horizon} to foretell needs {window + config.horizon}: give more, or a smaller "
                f"window"
            )
    else:
        classes = tuple(sorted({str(one.label) for one in data.training}))
        if len(classes) < 2:
            raise TaskError(
                f"all sequences have the label {''.join(classes)}: there is nothing to tell apart"
            )
        if unknown := sorted({str(one.label) for one in data.test} - set(classes)):
            raise TaskError(f"the test has labels that are not trained on: {', '.join(unknown)}")
    equations = source_of(config.cell)
    scale = tuple(mean.tolist()), tuple(deviation.tolist())
    return Card(config, equations, data.table.channels, classes, *scale, repeats, window, data.digest)


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    data: Data | None = None,
    seconds: float = inf,
    group: Group = ALONE,
) -> Result:
    """Train on sequences into the directory ``out``, or go on with the run that is there; then test it.

    Ctrl-C ends the run after the step it is in, with everything saved; ``resume=True`` goes on to the same
    numbers as a run that was never cut. ``data`` is what ``config`` names where it was :func:`prepared`
    before. What is held back is looked at once, at the end.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError` for
    equations that cannot be read.
    """
    extra("matplotlib.figure", "matplotlib")  # what is needed at the end is asked for at the beginning
    directory = Directory(Path(out))
    saved = Card.load(directory.card_file) if resume else None
    data = data or prepared(config)
    if saved:
        other = [] if data.digest == saved.digest else ["the sequences are not the same"]
        resumable(directory, config, saved.config, other, frozenset({"data", "test"}))
    sharable(config.batch, "sequences", group)
    card = saved or described(config, data)
    if config.task == "forecast":
        held_back(card, data.cut)  # what is missing at the end is said at the beginning
    tested: list[Errors | Confused] = []

    def end(run: Run) -> None:
        tested.append(reached(run.model, card, data))
        conclude(directory, card, data, run.model, tested[0])

    ended = training.follow(
        lambda: Run(card, reader(card), data, group),
        directory,
        lambda _: card.dump(),
        Recent.of,
        seed=config.seed,
        steps=_steps(config),
        every=EVERY,
        resume=resume,
        report=report,
        seconds=seconds,
        group=group,
        end=end,
    )
    return Result(directory.path, ended.step, tested[0] if tested else None)


def _steps(config: Config) -> int:
    return int(config.steps or 0)


@torch.no_grad()
def reached(model: Reader, card: Card, data: Data) -> Errors | Confused:
    """What a trained net comes to on what it has not seen."""
    model.eval()
    if card.config.task == "classify":
        return confused(model, card, data.test)
    return errors(model, card, data.cut)


def conclude(directory: Directory, card: Card, data: Data, model: Reader, tested: Errors | Confused) -> None:
    """Write what was reached: ``test.json``, and ``forecast.png`` or ``confusion.png``."""
    name = "forecast.png" if isinstance(tested, Errors) else "confusion.png"
    shown = picture(model, card, data.test[0], data.cuts[0] if data.cuts else 0, tested)
    directory.write("test.json", json.dumps(tested.record(card)) + "\n")
    directory.write(name, shown)


__all__ = ["Data", "Progress", "Result", "Run", "described", "padded", "prepared", "reached", "train"]
