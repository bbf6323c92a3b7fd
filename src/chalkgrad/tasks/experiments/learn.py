"""A net that answers after the last step, and its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

import torch
from torch import Generator, Tensor, nn

from chalkgrad.nn.layer import layer
from chalkgrad.zoo import source_of

Draw = Callable[[int, Generator], tuple[Tensor, Tensor]]
"""So many fresh examples and their answers."""

UNSEEN = 1000
"""How many fresh examples a trained net is measured on."""


@dataclass(frozen=True)
class Course:
    """What was seen at each step: the loss, and the gradient's norm before it was clipped."""

    losses: tuple[float, ...]
    norms: tuple[float, ...]

    @property
    def last(self) -> float:
        """The mean loss of the last tenth of the steps; not a number where the run broke off."""
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(tail) / len(tail) if isfinite(self.losses[-1]) else nan


def answering(cell: str) -> str:
    """The page of a cell with one more equation, which reads its last step.

    >>> print(answering("h[t] = tanh(x[t] W + h[t-1] U)"))
    h[t] = tanh(x[t] W + h[t-1] U)
    y = h[T] V_y + b_y
    """
    page, where, shapes = source_of(cell).partition("\nwhere ")
    return f"{page.rstrip()}\ny = h[T] V_y + b_y" + where + shapes


def made(cell: str, seed: int, **sizes: Any) -> nn.Module:
    """The net, its start drawn from a seed; ``y`` is the size of the answer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return layer(answering(cell), **sizes)


def learn(
    net: nn.Module,
    draw: Draw,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    batch: int,
    seed: int,
    clip: float = inf,
    tick: Callable[[], object] = lambda: None,
    **call: Any,
) -> Course:
    """Train on fresh examples, each step ``batch`` of them, gradients scaled to a norm of at most ``clip``.

    It breaks off where the loss is no longer a number. What is left goes to every call of the net.
    """
    drawn = Generator().manual_seed(seed)
    losses: list[float] = []
    norms: list[float] = []
    for _ in range(steps):
        x, target = draw(batch, drawn)
        found = loss(net(x, **call)[0], target)
        optimizer.zero_grad()
        found.backward()
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), clip).item())
        losses.append(found.item())
        tick()
        if not isfinite(losses[-1]):
            break
        optimizer.step()
    return Course(tuple(losses), tuple(norms))


@torch.no_grad()
def error(net: nn.Module, draw: Draw, seed: int) -> float:
    """The mean squared error on unseen examples."""
    x, target = draw(UNSEEN, Generator().manual_seed(seed))
    return ((net(x)[0] - target) ** 2).mean().item()


@torch.no_grad()
def right(net: nn.Module, draw: Draw, seed: int) -> float:
    """The part of unseen examples that are classified rightly."""
    x, target = draw(UNSEEN, Generator().manual_seed(seed))
    return (net(x)[0].argmax(1) == target).float().mean().item()


__all__ = ["Course", "Draw", "answering", "error", "learn", "made", "right"]
