"""Copying digits: what attention and a reversed source are for, learned in a minute each.

A model that has to put a sequence into one vector forgets the more the longer it is; one with attention
copies sequences longer than any it has seen. And a fixed vector holds ten digits sooner where they are read
backwards: the last one read is then the first one to be written (Sutskever, Vinyals and Le, NIPS 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from chalkgrad.tasks.decoding import beam_search
from chalkgrad.tasks.pace import WARM_UP_OF_WRITERS, Cycle
from chalkgrad.tasks.translate.data import Batch
from chalkgrad.tasks.translate.model import Attending, Fixed, Translator

PAD, BEGIN, END, FIRST = 0, 1, 2, 3
DIGITS = 10
BATCH = 64
TESTED = 300
"""Sequences of each length that are copied in the end."""


@dataclass(frozen=True)
class Copying:
    """What is learned, and how: sequences of ``low`` to ``high`` digits, by a model of a width."""

    name: str
    model: Callable[[], Translator]
    low: int
    high: int
    steps: int
    tests: tuple[int, ...]
    lr: float = 5e-3


@dataclass(frozen=True)
class Claim:
    """What is to be found: a number, and the bound that it keeps."""

    said: str
    value: float
    bound: float
    least: bool

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.least else self.value <= self.bound


WORDS = FIRST + DIGITS

COPYINGS = {
    c.name: c
    for c in (
        Copying("attention", lambda: Attending(WORDS, WORDS, 96, dropout=0.1), 5, 20, 1200, (5, 10, 20, 30)),
        Copying("one vector", lambda: Fixed(WORDS, WORDS, 96, dropout=0.1), 5, 20, 1200, (5, 10, 20, 30)),
        Copying("ten digits", lambda: Fixed(WORDS, WORDS, 48), 10, 10, 800, (10,)),
        Copying("ten digits reversed", lambda: Fixed(WORDS, WORDS, 48, reverse=True), 10, 10, 800, (10,)),
    )
}


def learn(
    task: Copying,
    *,
    seed: int = 0,
    steps: int | None = None,
    report: Callable[[int, int], object] = lambda _n, _of: None,
) -> dict[int, float]:
    """Train on sequences drawn anew for each step; by length, the part of the digits that are copied right.

    ``report`` is told (steps so far, in all).
    """
    steps = steps or task.steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = task.model()
    drawn = Generator().manual_seed(seed)
    optimizer = AdamW(model.parameters(), lr=task.lr, weight_decay=0.0)
    cycle = Cycle(optimizer, task.lr, steps, WARM_UP_OF_WRITERS)
    for step in range(steps):
        length = int(torch.randint(task.low, task.high + 1, (1,), generator=drawn))
        batch = sequences(BATCH, length, drawn)
        scores = model(batch.source, batch.lengths, batch.target[:, :-1])
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores.flatten(0, 1), batch.target[:, 1:].flatten()).backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        cycle.step()
        report(step + 1, steps)
    model.eval()
    tested = Generator().manual_seed(seed + 1)
    return {n: accuracy(model, sequences(TESTED, n, tested)) for n in task.tests}


def sequences(count: int, length: int, generator: Generator) -> Batch:
    """Random digits, each sequence to be copied: every source ends with its end too."""
    digits = torch.randint(FIRST, WORDS, (count, length), generator=generator)
    begin, end = torch.full((count, 1), BEGIN), torch.full((count, 1), END)
    source = torch.cat([digits, end], 1)
    return Batch(source, torch.full((count,), length + 1), torch.cat([begin, digits, end], 1))


def accuracy(model: Translator, batch: Batch) -> float:
    """The part of the digits that stand where they should in what the model writes by itself."""
    digits: Tensor = batch.target[:, 1:-1]
    count, length = digits.shape
    with torch.no_grad():
        state = model.read(batch.source, batch.lengths)
    rows = beam_search(model.step, state, count, begin=BEGIN, end=END, most=length + 1)
    right = sum(
        int(a == b)
        for row, true in zip(rows, digits.tolist(), strict=True)
        for a, b in zip(row[0].tokens, true, strict=False)
    )
    return right / (count * length)


def claims(found: Mapping[str, Mapping[int, float]]) -> list[Claim]:
    """What copying is to show, of what :func:`learn` found for each of the tasks."""
    looking, vector = found["attention"], found["one vector"]
    gain = found["ten digits reversed"][10] - found["ten digits"][10]
    return [
        Claim("attention, 20 digits as in training", looking[20], 0.90, True),
        Claim("attention, 30 digits, longer than in training", looking[30], 0.65, True),
        Claim("one vector, 20 digits", vector[20], 0.65, False),
        Claim("gained by reading ten digits backwards", gain, 0.10, True),
    ]


__all__ = ["COPYINGS", "Claim", "Copying", "accuracy", "claims", "learn", "sequences"]
