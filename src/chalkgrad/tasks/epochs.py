"""Training by epochs: every item is shown once, in another order each time, in steps of so many."""

from __future__ import annotations

from math import ceil
from typing import Protocol

import torch
from torch import Tensor

from chalkgrad.tasks import training
from chalkgrad.tasks.metrics import Epoch
from chalkgrad.tasks.pace import Cycle
from chalkgrad.tasks.processes import ALONE, Group
from chalkgrad.tasks.training import B, N

WEIGHT_DECAY = 0.01


class Settings(Protocol):
    """What such a run is told: ``batch`` items in a step, ``lr`` the largest step size."""

    @property
    def epochs(self) -> int: ...

    @property
    def batch(self) -> int: ...

    @property
    def lr(self) -> float: ...

    @property
    def seed(self) -> int: ...


class Epochs(training.Run[N, B, Epoch]):
    """Epochs over so many items, each in its own order; the step size goes up and down once."""

    KEPT = ("order",)

    def __init__(
        self, settings: Settings, model: N, items: int, *, clip: float = 0.0, group: Group = ALONE
    ) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=WEIGHT_DECAY)
        self.items, self.size = items, settings.batch
        self.an_epoch = an_epoch(settings, items)
        cycle = Cycle(optimizer, settings.lr, settings.epochs * self.an_epoch, momentum=True)
        super().__init__(model, optimizer, seed=settings.seed, clip=clip, schedule=cycle, group=group)
        self.order = torch.empty(0, dtype=torch.long)  # the items of this epoch, as they are shown

    def drawn(self) -> Tensor:
        """The numbers of the next batch's items, for all processes together."""
        place = self.step % self.an_epoch
        if place == 0:
            self.order = torch.randperm(self.items, generator=self.random)
        return self.order[place * self.size : (place + 1) * self.size]

    def measure(self) -> Epoch:
        means = self.means()
        return Epoch(self.step, self.step // self.an_epoch, means.loss, means.accuracy)


def an_epoch(settings: Settings, items: int) -> int:
    """The steps of an epoch; the last of them may have fewer items."""
    return ceil(items / settings.batch)


__all__ = ["Epochs", "an_epoch"]
