"""How the weights of a net go down: the optimiser, and what becomes of its step size."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from chalkgrad.tasks.language_model.config import Config
from chalkgrad.tasks.pace import WARM_UP_OF_WRITERS, Cycle
from chalkgrad.tasks.training import OPTIMIZERS


def descent(config: Config, model: nn.Module) -> tuple[Optimizer, Cycle | None]:
    """The optimiser that the settings name, and the cycle that its step size goes through; None: constant."""
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr)
    if config.schedule == "constant":
        return optimizer, None
    return optimizer, Cycle(optimizer, config.lr or 0.0, config.steps, WARM_UP_OF_WRITERS)


__all__ = ["descent"]
