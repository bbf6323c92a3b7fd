"""The same net, start and examples with and without a remedy: what comes of the advice of a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite, nan
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from chalkgrad.flowing.advice import keeping_biases, recurrent_weights
from chalkgrad.flowing.record import flow
from chalkgrad.flowing.verdict import Verdict, verdict
from chalkgrad.language.resolve import read
from chalkgrad.nn.layer import Layer
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.experiments import data
from chalkgrad.tasks.experiments.learn import UNSEEN, Course, answering, learn, made
from chalkgrad.tasks.experiments.outcome import Tick, counted, silent
from chalkgrad.tasks.language_model.data import split
from chalkgrad.tasks.tokens import Characters
from chalkgrad.zoo import source_of

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Task:
    """Sequences of ``length`` steps with ``features`` numbers each, and one answer of ``answers`` numbers.

    ``draw(n, length, generator)`` gives examples to learn from, ``unseen`` those to be measured on.
    """

    title: str
    features: int
    answers: int
    loss: Callable[[Tensor, Tensor], Tensor]
    draw: Callable[[int, int, Generator], tuple[Tensor, Tensor]]
    unseen: Callable[[int, int, Generator], tuple[Tensor, Tensor]]
    length: int
    steps: int
    optimizer: str = "adam"
    rate: float = 0.01
    units: int = 32
    batch: int = 32


TASKS = {
    "adding": Task("the sum of two marked numbers", 2, 1, mse_loss, data.adding, data.adding, 30, 1000),
    "order": Task(
        "the order of two letters", 6, 4, cross_entropy, data.temporal_order, data.temporal_order, 20, 1000,
        "sgd", 0.1,
    ),
    "bit": Task("the first of the steps", 2, 2, cross_entropy, data.first_bit, data.first_bit, 20, 400),
}  # fmt: skip
"""By name; see :mod:`chalkgrad.tasks.experiments.data`."""


def of_text(text: str) -> Task:
    """The character that comes next, of so many before it; the last tenth of the text is for measuring.

    Raises TaskError for a text that is too short.
    """
    if len(text) < 200:
        raise TaskError(f"the text has {len(text)} characters, and 200 are needed at least")
    vocabulary = Characters.of(text)

    def drawing(part: str) -> Callable[[int, int, Generator], tuple[Tensor, Tensor]]:
        ids = vocabulary.encode(part)

        def draw(n: int, length: int, drawn: Generator) -> tuple[Tensor, Tensor]:
            if length >= len(ids):
                raise TaskError(
                    f"sequences of {length} characters do not fit into a part of {len(ids)}: give --length"
                )
            at = torch.randint(0, len(ids) - length, (n,), generator=drawn)[:, None] + torch.arange(
                length + 1
            )
            return one_hot(ids[at[:, :-1]], len(vocabulary)).float(), ids[at[:, -1]]

        return draw

    learned, held = (drawing(part) for part in split(text, 0.1))
    size = len(vocabulary)
    return Task("the next character of a text", size, size, cross_entropy, learned, held, 30, 400)


@dataclass(frozen=True)
class Remedy:
    """What is done otherwise; what is None stays as it is.

    ``forget`` is the start of the biases of gates that say how much of a state stays, found by the equations.
    """

    clip: float | None = None
    orthogonal: bool = False
    forget: float | None = None
    cell: str | None = None
    truncate: int | None = None

    def __str__(self) -> str:
        said = [
            ("" if self.clip is None else f"gradients of norm {self.clip:g} at most"),
            ("an orthogonal start" if self.orthogonal else ""),
            ("" if self.forget is None else f"forget bias {self.forget:g}"),
            ("" if self.cell is None else f"cell {self.cell}"),
            ("" if self.truncate is None else f"truncated at {self.truncate}"),
        ]
        return ", ".join(s for s in said if s)


@dataclass(frozen=True)
class Seen:
    """One of the two runs: what was seen on the way, and its loss on unseen examples."""

    course: Course
    verdict: Verdict
    unseen: float


@dataclass(frozen=True)
class Comparison:
    """Both runs, and for each tenth of the training steps the mean loss of both."""

    remedy: Remedy
    without: Seen
    treated: Seen
    steps: int

    @property
    def rows(self) -> list[tuple[int, float, float]]:
        """The step at the end of each tenth, and the mean losses in it; not a number after a break."""
        ends = [self.steps * k // 10 for k in range(11)]
        spans = [(a, b) for a, b in pairwise(ends) if a < b]

        def mean(losses: Sequence[float]) -> float:
            return sum(losses) / len(losses) if losses else nan

        before, after = self.without.course.losses, self.treated.course.losses
        return [(b, mean(before[a:b]), mean(after[a:b])) for a, b in spans]

    @property
    def better(self) -> str:
        """Which came out better, by the loss on unseen examples; within 5 % neither did."""
        a, b = (x if isfinite(x) else inf for x in (self.without.unseen, self.treated.unseen))
        figures = (
            f"unseen loss {_number(self.treated.unseen)} with it, {_number(self.without.unseen)} without"
        )
        if a == b or abs(a - b) <= 0.05 * max(a, b) < inf:
            return f"no difference: {figures}"
        return f"{'better' if b < a else 'worse'} with {self.remedy}: {figures}"


def compare(task: Task, cell: str, remedy: Remedy, *, seed: int = 0, tick: Tick = silent) -> Comparison:
    """Train twice from one seed on the same examples, without the remedy and with it.

    Raises TaskError for a remedy that is none for this page, EquationError for a page that cannot be read.

    >>> from dataclasses import replace
    >>> short = replace(TASKS["bit"], steps=10, length=10)
    >>> found = compare(short, "rnn", Remedy(clip=1.0))
    >>> len(found.without.course.losses), found.without.course.losses[0] == found.treated.course.losses[0]
    (10, True)
    """
    if remedy == Remedy():
        raise TaskError("name what is to be tried: --clip, --init, --forget-bias, --cell or --truncate")
    if remedy.clip is not None and not remedy.clip > 0:
        raise TaskError(f"a gradient is clipped to a norm over 0, not {remedy.clip:g}")
    if remedy.truncate is not None and not 0 < remedy.truncate < task.length:
        raise TaskError(
            f"gradients are cut after 1 to {task.length - 1} of {task.length} steps, not {remedy.truncate}"
        )
    if task.length < 10 or task.steps < 1 or not task.rate > 0:
        raise TaskError("there are 10 steps in a sequence at least, 1 of training, and a step size over 0")
    nets = [_net(task, cell, seed), _net(task, remedy.cell or cell, seed)]
    _start(nets[1], remedy, seed)  # what is wrong with a remedy is said before anything is learned
    step = counted(tick, 2 * task.steps)
    seen = [_learned(task, net, how, seed, step) for net, how in zip(nets, (Remedy(), remedy), strict=True)]
    return Comparison(remedy, seen[0], seen[1], task.steps)


def _net(task: Task, cell: str, seed: int) -> Layer:
    """The page with an answer after its last step, of the sizes that the task has."""
    page = read(source_of(cell)).program
    inputs = page.given("input")
    if not any(s.name == "h" for s in page.states) or len(inputs) != 1:
        raise TaskError("the answer is read from the last step of `h`: a page has one input, and a state h")
    program = read(answering(cell)).program
    sizes: dict[str, Any] = {}
    for name in program.given("parameter"):
        sizes |= dict.fromkeys((symbol for r in name.ranges for symbol in r.size.symbols), task.units)
    sizes |= dict.fromkeys(program[inputs[0].name].ranges[-1].size.symbols, task.features)
    sizes |= dict.fromkeys(program["y"].ranges[-1].size.symbols, task.answers)
    net = made(cell, seed, **sizes)
    assert isinstance(net, Layer)
    return net


@torch.no_grad()
def _start(net: Layer, remedy: Remedy, seed: int) -> None:
    """Begin as the remedy says."""
    if remedy.orthogonal:
        names = recurrent_weights(net.program)
        if not names:
            raise TaskError("this page has no square matrix that multiplies a state, to begin orthogonal")
        drawn = Generator().manual_seed(seed)
        for name in names:
            nn.init.orthogonal_(net.get_parameter(name), generator=drawn)
    if remedy.forget is not None:
        biases = keeping_biases(net.program)
        if not biases:
            raise TaskError("this page has no gate with a bias that says how much of a state stays")
        for name, side in biases.items():
            net.get_parameter(name).fill_(side * remedy.forget)


def _learned(task: Task, net: Layer, how: Remedy, seed: int, tick: Callable[[], None]) -> Seen:
    optimizer = OPTIMIZERS[task.optimizer](net.parameters(), lr=task.rate)
    with flow(net) as record:
        course = learn(
            net,
            lambda n, drawn: task.draw(n, task.length, drawn),
            task.loss,
            optimizer,
            steps=task.steps,
            batch=task.batch,
            seed=seed,
            clip=inf if how.clip is None else how.clip,
            tick=tick,
            **({} if how.truncate is None else {"truncate": how.truncate}),
        )
    for norm in course.norms:  # before they were clipped
        record.note(gradient=norm)
    for _ in range(len(course.losses), task.steps):
        tick()
    x, target = task.unseen(UNSEEN, task.length, Generator().manual_seed(seed + 1000))
    with torch.no_grad():
        unseen = task.loss(net(x)[0], target).item()
    return Seen(course, verdict(record), unseen)


def _number(x: float) -> str:
    return f"{x:.4g}" if isfinite(x) else "lost"


__all__ = ["OPTIMIZERS", "TASKS", "Comparison", "Remedy", "Seen", "Task", "compare", "of_text"]
