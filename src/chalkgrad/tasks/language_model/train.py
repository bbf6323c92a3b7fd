"""Training by truncated back-propagation through time; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.flowing.carry import reach
from chalkgrad.flowing.guard import trouble
from chalkgrad.flowing.record import flow
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.interrupt import stop_on_interrupt
from chalkgrad.tasks.language_model.config import MAY_CHANGE, Card, Config, Metrics
from chalkgrad.tasks.language_model.data import Streams, Vocabulary, plays, read, split
from chalkgrad.tasks.language_model.model import LanguageModel, States, detach, evaluate, nats
from chalkgrad.tasks.settings import differences

# The validation text is read as streams of at least this many characters side by side: fast, and long enough
# that the empty state each begins with hardly shows.
VALIDATION_STREAM = 512

WATCHED = 20
"""One step in so many is watched for how much gradient goes through time."""


@dataclass(frozen=True)
class Progress:
    """A step that was made: its loss in nats per character, and what was measured after it, if anything.

    ``reach`` is what was left, when last looked at, of a gradient so many steps back.
    """

    step: int
    steps: int
    characters: int
    loss: float
    measured: Metrics | None = None
    reach: tuple[float, int] | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended: the step it reached, and the last measurement, if it came to one."""

    out: Path
    step: int
    metrics: Metrics | None
    interrupted: bool


class Run:
    """All that changes while training: :meth:`state` is a checkpoint, :meth:`restore` goes back to one."""

    def __init__(self, config: Config, model: nn.Module, streams: Streams) -> None:
        kinds = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
        self.config, self.model, self.streams = config, model, streams
        self.optimizer = kinds[config.optimizer](model.parameters(), lr=config.lr)
        self.step = self.position = 0
        self.carried: States | None = None
        self.total, self.seen = 0.0, 0  # nats and characters since the last measurement
        self.reach: tuple[float, int] | None = None

    def advance(self) -> tuple[float, int]:
        """A step on the next chunk of the streams: its mean loss in nats, and over how many characters.

        Raises :class:`TaskError` that says where it began if the loss or a gradient is not finite; then
        nothing is changed.
        """
        if self.position >= self.streams.length:  # read to the end: begin again, remembering nothing
            self.position, self.carried = 0, None
        ids, targets = self.streams.chunk(self.position, self.config.truncate)
        if self.step % WATCHED:
            loss, states = self._gradients(ids, targets)
        else:
            with flow(self.model) as record:
                loss, states = self._gradients(ids, targets)
            self.reach = reach(record)
        norm = nn.utils.get_total_norm(p.grad for p in self.model.parameters() if p.grad is not None)
        if not isfinite(norm.item()) or not isfinite(loss.item()):
            raise self._lost(loss.item(), norm.item(), ids, targets)
        if self.config.clip:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), self.config.clip, norm)
        self.optimizer.step()
        self.carried = detach(states)
        self.position += self.config.truncate
        self.step += 1
        self.total += loss.item() * targets.numel()
        self.seen += targets.numel()
        return loss.item(), targets.numel()

    def _gradients(self, ids: Tensor, targets: Tensor) -> tuple[Tensor, States]:
        logits, states = self.model(ids, self.carried)
        loss = nats(logits, targets)
        self.optimizer.zero_grad()
        loss.backward()
        return loss, states

    def _lost(self, loss: float, norm: float, ids: Tensor, targets: Tensor) -> TaskError:
        """What to say of a step that gave no numbers: it is done again, and watched."""
        with flow(self.model) as record:
            self._gradients(ids, targets)
        found = trouble(self.model, self.step + 1, record)
        what = f"the loss became {loss}" if not isfinite(loss) else f"the gradient's norm became {norm}"
        where = f" ({found})" if found else ""
        return TaskError(f"{what} at step {self.step + 1}{where}: try a smaller lr or clip")

    def measure(self, held_out: Streams) -> Metrics:
        validation = evaluate(self.model, held_out.chunks(self.config.truncate)).mean
        metrics = Metrics(self.step, self.total / self.seen, validation)
        self.total, self.seen = 0.0, 0
        return metrics

    def state(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("step", "position", "carried", "total", "seen")}
        modules = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        return {**own, **modules, "random": torch.get_rng_state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        for name in ("step", "position", "carried", "total", "seen"):
            setattr(self, name, state[name])


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    seconds: float = inf,
) -> Result:
    """Train a character language model into the directory ``out``, or go on with the one that is there.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last measurement. Both come to the same numbers as a run that was never cut. ``report``
    is called after each step; after ``seconds`` the run is measured, saved and left where it is.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError`
    for equations that cannot be read.
    """
    directory = Directory(Path(out))
    text = read(config.text or plays())
    training, held_out = split(text, config.validation)
    if len(training) < config.batch * config.truncate:
        raise TaskError(
            f"the text is too short: {len(training)} characters to train on, but {config.batch} streams "
            f"of {config.truncate} need {config.batch * config.truncate}: give more text, or a smaller batch "
            f"or truncate"
        )
    vocabulary = Vocabulary.of(training)
    digest = hashlib.sha256(text.encode()).hexdigest()
    saved = resumable(directory, config, digest) if resume else None
    with torch.random.fork_rng(devices=[]), stop_on_interrupt() as interrupted:
        torch.manual_seed(config.seed)
        cell = saved.equations if saved else config.cell
        model = LanguageModel(cell, len(vocabulary), hidden=config.hidden, layers=config.layers)
        run = Run(config, model, Streams.of(training, vocabulary, config.batch))
        if saved:
            directory.load(run.restore)
        else:
            directory.create(Card(config, model.equations, vocabulary.characters, digest).dump(), run.state())
        measured = directory.metrics(Metrics.of, up_to=run.step)[-1:]
        validation = Streams.of(held_out, vocabulary, max(1, len(held_out) // VALIDATION_STREAM))
        end = time.monotonic() + seconds
        ended = run.step >= config.steps
        while not ended and not interrupted.is_set():
            try:
                loss, characters = run.advance()
            except TaskError as e:
                raise TaskError(f"{e}; what was saved last is still in {out}") from None
            ended = run.step >= config.steps or time.monotonic() >= end
            due = ended or run.step % config.evaluate_every == 0
            if due:
                measured = [run.measure(validation)]
                directory.add(measured[0])
                directory.save(run.state())
            if report:
                now = measured[0] if due else None
                report(Progress(run.step, config.steps, characters, loss, now, run.reach))
        if interrupted.is_set():
            directory.save(run.state())
    return Result(directory.path, run.step, measured[0] if measured else None, interrupted.is_set())


def resumable(directory: Directory, config: Config, digest: str) -> Card:
    """The description of the run that is there; an error naming what differs where it is not the same run."""
    card = Card.load(directory.card_file)
    differ = differences(config, card.config, MAY_CHANGE) + ["the text is not the same"] * (
        digest != card.digest
    )
    if differ:
        raise TaskError(
            f"cannot resume {directory.path} with other settings: {'; '.join(differ)}. "
            f"Leave them out, or start anew in another directory (--out)"
        )
    return card


__all__ = ["Progress", "Result", "Run", "train"]
