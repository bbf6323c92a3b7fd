"""What the backward pass tells of the gradient, step by step, and what was noted beside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from chalkgrad.flowing.look import Look, looked
from chalkgrad.flowing.passes import Passes
from chalkgrad.nn.function import Watch
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.levels import Level


class Seen:
    """What was seen: for every state, a row for each backward pass, a column for each step in time.

    Sequences of several lengths may follow each other: a row is filled up with NaN at its end, and a path
    that a pass does not have is a row of NaN. A norm that is NaN itself is infinite here.
    """

    def __init__(self) -> None:
        self._passes: dict[str, Passes] = {}  # by layer
        self._scalars: dict[str, list[float]] = {}
        self._updates: dict[str, list[float]] = {}
        self._layers: dict[str, Layer | Level] = {}  # by what their states are called by
        self._numbered: dict[int, int] = {0: 1}  # rows whose training step was told
        self.looks: list[Look] = []
        """What :meth:`look` saw, in order."""

    def __len__(self) -> int:
        """How many backward passes were seen."""
        return max(map(len, self._passes.values()), default=0)

    @property
    def steps(self) -> list[int]:
        """The training step of each row: one after the other from 1, or as :meth:`at` says."""
        found: list[int] = []
        for row in range(len(self)):
            found.append(self._numbered.get(row, found[-1] + 1 if found else 1))
        return found

    def at(self, step: int) -> None:
        """Say which training step the next backward pass belongs to, where not every one is watched.

        Raises ValueError for a step that is not after the one before.

        >>> from chalkgrad import flow, layer
        >>> net = layer("rnn", D=3, H=4)
        >>> with flow(net) as record:
        ...     for step in (0, 100, 200):
        ...         record.at(step)
        ...         net(torch.randn(2, 5, 3))[0].sum().backward()
        >>> record.steps
        [0, 100, 200]
        """
        told = ((row, number) for row, number in reversed(self._numbered.items()) if row < len(self))
        before = next((number + len(self) - 1 - row for row, number in told), -1)
        if step <= before:
            raise ValueError(f"training steps go up from 0: {step} cannot come after {before}")
        self._numbered[len(self)] = step

    @property
    def norm(self) -> dict[str, Tensor]:
        """For every state, (training steps, T): the mean over the batch of each example's ‖∂L/∂h_t‖.

        The whole derivative: through what the loss reads at t, and through everything later.
        """
        return {state: table for (state, path), table in self._tables().items() if not path}

    @property
    def paths(self) -> dict[str, dict[str, Tensor]]:
        """The same by path: ``paths["h"]["f[t+1]"]`` is what came back through f, a step later.

        ``"loss"`` is what the loss gives to the step directly. Paths add up as vectors, so that the norm of
        the whole is at most the sum of theirs.
        """
        found: dict[str, dict[str, Tensor]] = {}
        for (state, path), table in self._tables().items():
            of = found.setdefault(state, {})
            if path:
                of[path] = table
        return found

    def _tables(self) -> dict[tuple[str, str], Tensor]:
        return {
            (layer + state, path): table
            for layer, passes in self._passes.items()
            for (state, path), table in passes.tables().items()
        }

    def last(self) -> dict[str, dict[str, Tensor]]:
        """The last backward pass alone, by state and path, (T,) each; ``""`` is the whole."""
        found: dict[str, dict[str, Tensor]] = {}
        for layer, passes in self._passes.items():
            for (state, path), row in passes.rows[-1].items() if len(passes) else ():
                found.setdefault(layer + state, {})[path] = row
        return found

    @property
    def scalars(self) -> dict[str, Tensor]:
        """What was noted, (training steps,) each."""
        return {name: torch.tensor(values) for name, values in self._scalars.items()}

    def note(self, **values: float | Tensor) -> None:
        """Keep numbers of the training step at hand, the loss above all, to be shown beside the gradients."""
        for name, value in values.items():
            number = value.item() if isinstance(value, Tensor) else float(value)
            self._scalars.setdefault(name, []).append(number)

    @property
    def updates(self) -> dict[str, Tensor]:
        """For every parameter ‖Δw‖/‖w‖ of each step of the optimizer, (training steps,)."""
        return {name: torch.tensor(values) for name, values in self._updates.items()}

    @property
    def layers(self) -> dict[str, Layer | Level]:
        """The layers that are watched, by name; a layer alone is called ``""``."""
        return {name.removesuffix("."): layer for name, layer in self._layers.items()}

    def look(self, module: nn.Module, *inputs: Any) -> None:
        """Keep the gates and states that a module's layers compute for inputs, at the training step at hand.

        The module is a layer that is watched, or one that calls some. Costs a forward pass; of the batch the
        first sequence is kept, and how far the gates of all stand open. The report shows it beside the
        gradients. Raises EquationError where no layer that is watched is called.

        >>> from chalkgrad import flow, layer
        >>> net = layer("lstm", D=3, H=4)
        >>> with flow(net) as record:
        ...     record.look(net, torch.zeros(2, 5, 3))
        >>> {name: tuple(seen.shape) for name, seen in record.looks[0].gates.items()}
        {'i': (5, 4), 'f': (5, 4), 'o': (5, 4)}
        """
        self.looks.append(looked(module, inputs, self._layers, len(self)))

    def _follow(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> list[RemovableHandle]:
        before: dict[str, Tensor] = {}

        def about_to(*_: object) -> None:
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            self.note(gradient=nn.utils.get_total_norm(gradients))
            before.update((n, p.detach().clone()) for n, p in module.named_parameters())

        def done(*_: object) -> None:
            for n, p in module.named_parameters():
                was = before.pop(n)
                ratio = (p.detach() - was).norm() / was.norm()
                self._updates.setdefault(n, []).append(ratio.item())

        return [
            optimizer.register_step_pre_hook(about_to),
            optimizer.register_step_post_hook(done),
        ]

    def _watch(self, layer: str) -> Watch:
        return self._passes.setdefault(layer, Passes()).add
