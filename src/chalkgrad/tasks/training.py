"""The loop that every task trains by: updates, measurements, checkpoints, Ctrl-C, one process or several.

A task says what a batch is, what its loss is and what is measured (a :class:`Run`); :func:`follow` does the
rest. A run that was cut goes on to the same numbers.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from chalkgrad.flowing.carry import reach
from chalkgrad.flowing.guard import trouble
from chalkgrad.flowing.record import flow
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.levels import Level
from chalkgrad.tasks.directory import Directory, Measured
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.interrupt import stop_on_interrupt
from chalkgrad.tasks.processes import ALONE, Group

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B")
M = TypeVar("M", bound=Measured)


class Loss(NamedTuple):
    """The sum of a batch's losses, over how many items (tokens, pictures), and how many were right."""

    total: Tensor
    items: int
    right: int = 0


class Means(NamedTuple):
    """The mean loss of some items, how many they are, and how many of them were right."""

    loss: float
    items: int
    right: int

    @property
    def accuracy(self) -> float:
        """The part that was right."""
        return self.right / max(1, self.items)


@dataclass(frozen=True)
class Progress(Generic[M]):
    """A step that was made: its mean loss, over how many items, how many of them right; what was measured.

    ``reach`` is what was left, when last looked at, of a gradient so many steps back.
    """

    step: int
    steps: int
    items: int
    loss: float
    right: int = 0
    measured: M | None = None
    reach: tuple[float, int] | None = None


@dataclass(frozen=True)
class Ended(Generic[M]):
    """How a run ended: the step it reached, and the last measurement, if it came to one."""

    step: int
    measured: M | None
    interrupted: bool


class Run(ABC, Generic[N, B, M]):
    """All that changes while training: :meth:`state` is a checkpoint, :meth:`restore` goes back to one.

    Of a model N, batches B and measurements M. A task derives its own: :meth:`batch`, :meth:`loss` and
    :meth:`measure`. ``KEPT`` names the attributes, numbers and tensors, that go into a checkpoint beside
    those of this class. ``random`` is for the order of the data, so that every process of ``group`` draws
    the same, whatever else it draws. ``clip`` is the largest norm of all gradients together (0: no limit).
    ``WATCHED`` = n watches every n-th step for how much gradient goes through time.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("step", "total", "seen", "right")
    KEPT: ClassVar[tuple[str, ...]] = ()
    WATCHED: ClassVar[int] = 0

    def __init__(
        self,
        model: N,
        optimizer: Optimizer,
        *,
        seed: int,
        clip: float = 0.0,
        schedule: LRScheduler | None = None,
        group: Group = ALONE,
    ) -> None:
        self.model, self.optimizer, self.schedule, self.group = model, optimizer, schedule, group
        self.net, self._joined = group.join(model, optimizer)
        self.clip = clip
        self.random = Generator().manual_seed(seed)
        self.step = 0
        self.total, self.seen, self.right = 0.0, 0, 0  # since the last measurement
        self.reach: tuple[float, int] | None = None
        states = (m.program.states if isinstance(m, Layer) else Level.of(m) for m in model.modules())
        self.watchable = any(states) and group.count == 1

    @abstractmethod
    def batch(self) -> B:
        """This process's part of the next batch; the place in the data moves on."""

    @abstractmethod
    def loss(self, batch: B) -> Loss:
        """The losses of a batch. It calls ``self.net``, the model as all processes share it, once."""

    @abstractmethod
    def measure(self) -> M:
        """What is to be known now; :meth:`means` are those of the steps since the last time."""

    def advance(self) -> Means:
        """An update on the next batch.

        Raises :class:`TaskError` that says where it began if the loss or a gradient is not finite; then no
        weight is changed.
        """
        batch = self.batch()
        due = self.WATCHED and self.step % self.WATCHED == 0
        with flow(self.model) if due and self.watchable else nullcontext() as record:
            means = self._gradients(batch)
        if record is not None:
            self.reach = reach(record)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if not isfinite(norm.item()) or not isfinite(means.loss):
            raise self._lost(means.loss, norm.item(), batch)
        if self.clip:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), self.clip, norm)
        try:
            self._joined.step()
        except RuntimeError as error:
            if "overflow" not in str(error):
                raise
            said = f"the change of the weights is too large a number at step {self.step + 1}"
            raise TaskError(f"{said}: try a smaller lr") from None
        if self.schedule:
            self.schedule.step()
        self.step += 1
        self.total += means.loss * means.items
        self.seen += means.items
        self.right += means.right
        return means

    def _gradients(self, batch: B) -> Means:
        mine = self.loss(batch)
        total, items, right = self.group.sum(mine.total.item(), mine.items, mine.right)
        self._joined.zero_grad()
        self.group.backward(mine.total / max(1, items))
        return Means(total / max(1, items), int(items), int(right))

    def _lost(self, loss: float, norm: float, batch: B) -> TaskError:
        """What to say of a step that gave no numbers: it is done again, and watched."""
        found = None
        if self.watchable:
            with flow(self.model) as record:
                self._gradients(batch)
            found = trouble(self.model, self.step + 1, record)
        what = f"the loss became {loss}" if not isfinite(loss) else f"the gradient's norm became {norm}"
        where = f" ({found})" if found else ""
        return TaskError(f"{what} at step {self.step + 1}{where}: try a smaller lr or clip")

    def means(self) -> Means:
        """Those of all steps since this was last asked."""
        means = Means(self.total / max(1, self.seen), self.seen, self.right)
        self.total, self.seen, self.right = 0.0, 0, 0
        return means

    def state(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in (*Run.NUMBERS, *self.KEPT)}
        parts = {name: getattr(self, name).state_dict() for name in self._parts}
        return {**own, **parts, "random": torch.get_rng_state(), "data_random": self.random.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        self.random.set_state(state["data_random"])
        for name in (*Run.NUMBERS, *self.KEPT):
            setattr(self, name, state[name])

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("model", "optimizer", "schedule") if self.schedule else ("model", "optimizer")


R = TypeVar("R", bound=Run[Any, Any, Any])


def follow(
    begin: Callable[[], R],
    directory: Directory,
    card: Callable[[R], str],
    read: Callable[[str], M],
    *,
    seed: int,
    steps: int,
    every: int,
    resume: bool = False,
    report: Callable[[Progress[M]], object] | None = None,
    seconds: float = inf,
    group: Group = ALONE,
    beside: Callable[[R], object] | None = None,
    end: Callable[[R], object] | None = None,
) -> Ended[M]:
    """Make the run that ``begin`` gives, up to ``steps`` updates, measured and saved after each ``every``.

    ``card`` is the description that makes the directory one of a run, ``read`` reads a line of
    ``metrics.jsonl``. With ``resume`` it goes on from the checkpoint that is there, and the description is
    written anew: it may say more steps than before. Ctrl-C ends it after the
    step it is in, with everything saved. After ``seconds`` it is measured, saved and left where it is.
    ``report`` is called after each step; ``beside`` writes what else belongs to a checkpoint; ``end`` is
    called when the run has come to its last step. Of several processes the first alone writes and calls
    these. Random numbers outside are left as they were.

    Raises :class:`TaskError` for what the user can put right.
    """
    writes = group.rank == 0

    def save(run: R) -> None:
        state = run.state()  # by all processes together: each has a part of it
        if writes:
            directory.save(state)
            if beside:
                beside(run)

    with torch.random.fork_rng(devices=[]), stop_on_interrupt() as interrupted:
        torch.manual_seed(seed)
        run = begin()
        if resume:
            directory.load(run.restore)
            if run.step > steps:
                raise TaskError(
                    f"the run in {directory.path} has come to step {run.step}, and {steps} are asked for: "
                    f"give more steps"
                )
            if writes:
                directory.write(directory.card_file.name, card(run))  # it may go on for longer than before
        else:
            directory.free()
            group.wait()  # until every process has seen that it is free
            state = run.state()
            if writes:
                directory.create(card(run), state)
        measured = directory.metrics(read, up_to=run.step)[-1:] if writes else []
        until = time.monotonic() + seconds
        over = run.step >= steps
        while not over and not agreed(group, interrupted.is_set()):
            try:
                loss, items, right = run.advance()
            except TaskError as e:
                raise TaskError(f"{e}; what was saved last is still in {directory.path}") from None
            over = run.step >= steps or agreed(group, time.monotonic() >= until)
            due = over or run.step % every == 0
            if due:
                measured = [run.measure()]
                if writes:
                    directory.add(measured[0])
                save(run)
            if report and writes:
                now = measured[0] if due else None
                report(Progress(run.step, steps, items, loss, right, now, run.reach))
        stopped = agreed(group, interrupted.is_set())
        if stopped:
            save(run)
        if end and writes and run.step >= steps:
            end(run)
    return Ended(run.step, measured[0] if measured else None, stopped)


def agreed(group: Group, flag: bool) -> bool:
    """Whether any process says so: they stop together, or would wait for each other."""
    return flag if group.count == 1 else group.sum(float(flag))[0] > 0


__all__ = ["OPTIMIZERS", "Ended", "Loss", "Means", "Progress", "Run", "agreed", "follow"]
