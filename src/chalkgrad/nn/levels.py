"""The layers inside of chalkgrad.RNN, LSTM and GRU, each as an equation page of its own: seen and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from chalkgrad.nn.function import Watch
from chalkgrad.nn.gates import REVERSE, STACKS
from chalkgrad.nn.page import Written
from chalkgrad.nn.recurrence import Asked, Recurrence, Stacks, recurrence
from chalkgrad.nn.recurrent import _Layers


class Level(Written):
    """One layer of several in a module, as :func:`chalkgrad.flow` follows it."""

    def __init__(self, module: _Layers, number: int, path: str = "") -> None:
        self.module, self.number, self.path = module, number, path

    @staticmethod
    def of(module: nn.Module, path: str = "") -> dict[str, Level]:
        """The layers of a module, by what goes before their states: ``l0.``, ``l1.``, or nothing for one.

        ``path`` is where the module is in another one, for what it is called.
        """
        if not isinstance(module, _Layers):
            return {}
        several = module.num_layers > 1
        return {f"l{k}." if several else "": Level(module, k, path) for k in range(module.num_layers)}

    @property
    def equations(self) -> str:
        """The page that every layer of the module computes."""
        return self.module.equations

    @property
    def watch(self) -> Watch | None:
        """Is told of the gradients of this layer."""
        return self.module.watches.get(self.number)

    @watch.setter
    def watch(self, watch: Watch | None) -> None:
        others = {k: w for k, w in self.module.watches.items() if k != self.number}
        if others or watch is not None:
            self.module.watches = others if watch is None else {**others, self.number: watch}
        else:
            vars(self.module).pop("watches", None)  # as it was made: its graph is that of before

    def place(self, name: str) -> tuple[str, int, int]:
        """Where a parameter of the page is in the module: in which of its own, as which part of how many.

        >>> from chalkgrad import LSTM
        >>> Level(LSTM(3, 4), 0).place("b_if")
        ('bias_ih_l0', 1, 4)
        """
        gates, way = self.module.gates, f"_l{self.number}"
        if name.endswith(REVERSE):
            name, way = name.removesuffix(REVERSE), way + REVERSE
        stacks = [(stack, [part + gate for gate in gates]) for stack, part in STACKS]
        extras = [(extra.name, list(extra.parts)) for extra in self.module.extras]
        for stack, parts in (*stacks, ("weight_hr", ["W_hr"]), *extras):
            if name in parts:
                return stack + way, parts.index(name), len(parts)
        raise KeyError(name)


def values_of(module: _Layers, names: Sequence[str], *inputs: Any) -> list[dict[str, Tensor]]:
    """What each layer of a module computes for an input, by name: (batch, T, …), no dropout anywhere.

    A state has the step that it begins from; the initial states are zero.

    >>> from chalkgrad import GRU
    >>> [found["z"].shape for found in values_of(GRU(3, 4, num_layers=2), ["z"], torch.zeros(5, 2, 3))]
    [torch.Size([2, 5, 4]), torch.Size([2, 5, 4])]
    """
    x = inputs[0]
    listening = _Listening(recurrence(module.equations), names)
    was = module.training
    module.training = False
    try:
        with torch.no_grad():
            if isinstance(x, PackedSequence):
                module._packed(listening, x, None, None)
            else:
                module._padded(listening, x, None, None)
    finally:
        module.training = was
    return listening.found


class _Listening(Recurrence):
    """A recurrence that keeps what each of its calls computes by some names."""

    def __init__(self, own: Recurrence, names: Sequence[str]) -> None:
        self.own: Recurrence
        self.heard: tuple[str, ...]
        self.found: list[dict[str, Tensor]]
        self.__dict__ = own.__dict__ | {"own": own, "heard": tuple(names), "found": []}

    def run(
        self,
        x: Tensor,
        stacks: Stacks,
        starts: Mapping[str, Tensor],
        asked: Asked | None = None,
        batched: bool = True,
        watch: Watch | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
        parameters = stacks.apart()
        given, numbers = self._bound(x, [parameters[n.name] for n in self.parameters])
        given |= {**(masks or {}), **self._states.starts(None, numbers, x, batched=True)}
        self.found.append(dict(zip(self.heard, self.system(given, numbers, self.heard), strict=True)))
        return self.own.run(x, stacks, starts, asked, batched, masks=masks)


__all__ = ["Level", "values_of"]
