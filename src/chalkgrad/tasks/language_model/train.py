"""Training by truncated back-propagation through time; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from chalkgrad.tasks import training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import MAY_CHANGE, Card, Config, Metrics
from chalkgrad.tasks.language_model.data import Streams, Vocabulary, plays, read, split
from chalkgrad.tasks.language_model.model import LanguageModel, States, detach, evaluate, nats
from chalkgrad.tasks.processes import ALONE, Group, part
from chalkgrad.tasks.settings import resumable
from chalkgrad.zoo import source_of

# The validation text is read as streams of at least this many characters side by side: fast, and long enough
# that the empty state each begins with hardly shows.
VALIDATION_STREAM = 512

Progress = training.Progress[Metrics]


@dataclass(frozen=True)
class Result:
    """How a run ended: the step it reached, and the last measurement, if it came to one."""

    out: Path
    step: int
    metrics: Metrics | None
    interrupted: bool


@dataclass(frozen=True)
class Chunk:
    """The next characters of the streams, what follows each, and the states that were carried to them."""

    ids: Tensor
    targets: Tensor
    carried: States | None


class Run(training.Run[nn.Module, Chunk, Metrics]):
    """A pass over the streams, chunk after chunk, the states carried along."""

    KEPT = ("position",)
    WATCHED = 20

    def __init__(
        self, config: Config, model: nn.Module, streams: Streams, held_out: Streams, group: Group = ALONE
    ) -> None:
        optimizer = training.OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr)
        super().__init__(model, optimizer, seed=config.seed, clip=config.clip, group=group)
        self.size, self.held_out = config.truncate, held_out
        self.streams = Streams(part(streams.inputs, group), part(streams.targets, group))
        self.position = 0
        self.carried: States | None = None

    def batch(self) -> Chunk:
        if self.position >= self.streams.length:  # read to the end: begin again, remembering nothing
            self.position, self.carried = 0, None
        chunk = Chunk(*self.streams.chunk(self.position, self.size), self.carried)
        self.position += self.size
        return chunk

    def loss(self, batch: Chunk) -> training.Loss:
        logits, states = self.net(batch.ids, batch.carried)
        self.carried = detach(states)
        count = batch.targets.numel()
        return training.Loss(nats(logits, batch.targets) * count, count)

    def measure(self) -> Metrics:
        validation = evaluate(self.model, self.held_out.chunks(self.size)).mean
        return Metrics(self.step, self.means().loss, validation)

    def state(self) -> dict[str, Any]:
        every = self.carried and tuple(tuple(self.group.gather(s) for s in layer) for layer in self.carried)
        return {**super().state(), "carried": every}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        every = state["carried"]
        self.carried = every and tuple(tuple(part(s, self.group) for s in layer) for layer in every)


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    seconds: float = inf,
    group: Group = ALONE,
) -> Result:
    """Train a character language model into the directory ``out``, or go on with the one that is there.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last measurement. Both come to the same numbers as a run that was never cut. ``report``
    is called after each step; after ``seconds`` the run is measured, saved and left where it is. The
    processes of ``group`` share the streams of each batch.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError`
    for equations that cannot be read.
    """
    directory = Directory(Path(out))
    text = read(config.text or plays())
    learned, held_out = split(text, config.validation)
    if len(learned) < config.batch * config.truncate:
        raise TaskError(
            f"the text is too short: {len(learned)} characters to train on, but {config.batch} streams "
            f"of {config.truncate} need {config.batch * config.truncate}: give more text, or a smaller batch "
            f"or truncate"
        )
    if config.batch % group.count:
        raise TaskError(
            f"a batch of {config.batch} streams cannot be shared equally by {group.count} processes"
        )
    vocabulary = Vocabulary.of(learned)
    digest = hashlib.sha256(text.encode()).hexdigest()
    cell = config.cell
    if resume:
        card = Card.load(directory.card_file)
        other = ["the text is not the same"] if digest != card.digest else []
        resumable(directory, config, card.config, other, MAY_CHANGE)
        cell = card.equations

    def begin() -> Run:
        model = LanguageModel(cell, len(vocabulary), hidden=config.hidden, layers=config.layers)
        validation = Streams.of(held_out, vocabulary, max(1, len(held_out) // VALIDATION_STREAM))
        return Run(config, model, Streams.of(learned, vocabulary, config.batch), validation, group)

    ended = training.follow(
        begin,
        directory,
        lambda _: Card(config, source_of(cell), vocabulary.characters, digest).dump(),
        Metrics.of,
        seed=config.seed,
        steps=config.steps,
        every=config.evaluate_every,
        resume=resume,
        report=report,
        seconds=seconds,
        group=group,
    )
    return Result(directory.path, ended.step, ended.measured, ended.interrupted)


__all__ = ["Progress", "Result", "Run", "train"]
