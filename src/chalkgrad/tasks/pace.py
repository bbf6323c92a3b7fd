"""How the step size changes during a run."""

from __future__ import annotations

from math import cos, floor, pi
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

# The part of the steps in which the step size grows; that of nets that write, word by word, is shorter.
WARM_UP = 0.25
WARM_UP_OF_WRITERS = 0.1


def pace(step: int, steps: int) -> float:
    """The part of the largest step size: it grows along a line, and then falls along half a cosine.

    >>> [round(pace(step, 10), 2) for step in (0, 5, 9)]
    [0.4, 0.5, 0.02]
    """
    return min(1.0, (step + 1) / max(1, WARM_UP * steps)) * (1 + cos(pi * step / steps)) / 2


class Cycle(OneCycleLR):
    """A step size that goes up to ``lr`` in the part ``warm_up`` (0…1) of the steps, and down in the others.

    With ``momentum`` that of the optimiser goes down and up meanwhile (Smith and Topin, arXiv 1708.07120).
    A run of few steps makes only the beginning of a cycle: of one that is just long enough to grow for a
    whole step, as a shorter one need not have any step in which it could.

    >>> from torch import nn, optim
    >>> Cycle(optim.AdamW(nn.Linear(1, 1).parameters()), 0.1, steps=9, warm_up=0.1).total_steps
    21
    """

    def __init__(
        self, optimizer: Optimizer, lr: float, steps: int, warm_up: float = WARM_UP, *, momentum: bool = False
    ) -> None:
        total = max(steps + 1, floor(2 / warm_up) + 1)
        super().__init__(optimizer, lr, total_steps=total, pct_start=warm_up, cycle_momentum=momentum)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the step that was saved, on this cycle: it may be longer than the one that was saved."""
        own = {name: vars(self)[name] for name in ("total_steps", "_schedule_phases")}
        longer = self.total_steps != state_dict["total_steps"]
        super().load_state_dict({**state_dict, **own})
        if longer and self.last_epoch > 0:  # the optimiser was saved with the other cycle's step size
            self.last_epoch -= 1
            self.step()


__all__ = ["WARM_UP_OF_WRITERS", "Cycle", "pace"]
