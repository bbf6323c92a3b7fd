"""A guard before each step of an optimizer: gradients that are no numbers are stopped, and traced."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from chalkgrad.calculus.paths import LOSS
from chalkgrad.flowing.carry import Carry
from chalkgrad.flowing.record import Record


@dataclass(frozen=True)
class Trouble:
    """Where infinities and NaNs were in the gradients of a training step, counted from 1.

    ``parameters`` are those of the module whose gradients have some; ``state``, ``time`` and ``path`` say
    where the backward pass, which goes from the end of a sequence to its start, came upon them first. They
    are None where nobody watched, or where no state had any. A norm is infinite where its square is: in
    single precision over 1.8e19.
    """

    step: int
    parameters: tuple[str, ...]
    state: str | None = None
    time: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        shown = ", ".join(self.parameters[:4]) + (", …" if len(self.parameters) > 4 else "")
        words = f"training step {self.step}: the gradient of {shown or 'nothing'} is not finite"
        if self.state is None:
            return words
        came = "what the loss gives to it" if self.path == LOSS else f"what came through {self.path}"
        return f"{words}; it began at t = {self.time} of {self.state}, with {came}"


class NotFiniteError(RuntimeError):
    """A gradient was no number; ``trouble`` says where."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


def trouble(module: nn.Module, step: int, record: Record | None = None) -> Trouble | None:
    """Where the gradients that a module has now are not finite, if they are not.

    ``record`` is that of :func:`chalkgrad.flow`, whose last backward pass made them.
    """
    bad = tuple(n for n, p in module.named_parameters() if p.grad is not None and not p.grad.isfinite().all())
    if not bad:
        return None
    found: list[tuple[int, bool, str, int, str]] = []
    for state, paths in (record.last() if record else {}).items():
        carry = Carry.of(state, paths[""][None], {p: row[None] for p, row in paths.items() if p})
        where = carry.not_finite()
        if where is not None:
            time = where[1]
            came = next((p for p, row in paths.items() if p and not row[time].isfinite()), LOSS)
            early = time if carry.backward else -time  # for what the backward pass comes to first
            found.append((early, came == LOSS, state, time, came))
    *_, state, time, path = max(found, default=(None, None, None))
    return Trouble(step, bad, state, time, path)


@contextmanager
def guard(
    module: nn.Module, optimizer: torch.optim.Optimizer, record: Record | None = None, *, skip: bool = False
) -> Iterator[list[Trouble]]:
    """Hold back each step of the optimizer for which a gradient of the module is infinite or NaN.

    It is raised as NotFiniteError, or with ``skip=True`` the step is left out: parameters and the optimizer's
    own averages stay as they are, and what was the matter is added to the list. With the record of
    :func:`chalkgrad.flow` it is also said at which time it began. Looking costs a maximum over the gradients.

    >>> from chalkgrad import flow, layer
    >>> net = layer("h[t] = x[t] W + h[t-1] U", x=3, h=4, init={"U": 1e30, "W": 1.0})
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> with flow(net) as record, guard(net, optimizer, record, skip=True) as held:
    ...     net(torch.ones(2, 5, 3))[0][:, -1].sum().backward()
    ...     optimizer.step()
    >>> held[0].state, held[0].time
    ('h', 3)
    """
    held: list[Trouble] = []
    steps = 0

    def about_to(*_: object) -> None:
        nonlocal steps
        steps += 1
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        if not gradients or bool(nn.utils.get_total_norm(gradients, math.inf).isfinite()):
            return
        found = trouble(module, steps, record)
        assert found is not None
        if not skip:
            raise NotFiniteError(found)
        held.append(found)
        for p in module.parameters():
            p.grad = None  # what has no gradient is left as it is by every optimizer

    hook = optimizer.register_step_pre_hook(about_to)
    try:
        yield held
    finally:
        hook.remove()


__all__ = ["NotFiniteError", "Trouble", "guard", "trouble"]
