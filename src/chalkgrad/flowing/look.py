"""What layers compute for one sequence at a training step: their gates and their states, step by step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.equations.ir import State
from chalkgrad.flowing.measures import Gate, gate_names, saturation, values
from chalkgrad.language.source import EquationError
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.levels import Level, values_of


@dataclass(frozen=True)
class Look:
    """Gates and states (T, units) of a sequence, after so many backward passes; how far gates are open."""

    step: int
    gates: Mapping[str, Tensor]
    states: Mapping[str, Tensor]
    saturation: Mapping[str, Gate]


def looked(
    module: nn.Module, inputs: tuple[Any, ...], layers: Mapping[str, Layer | Level], step: int
) -> Look:
    """Look at the first sequence of a batch, in those of these layers that a call of the module calls.

    What they are called by here comes before the names. Nothing has a gradient, and nothing is dropped.
    Raises EquationError where none of them is called.
    """
    holders = {layer.module if isinstance(layer, Level) else layer for layer in layers.values()}
    given = {module: (inputs, {})} if module in holders else _calls(module, inputs, holders)
    if not given:
        raise EquationError(
            "none of the layers that are watched is in what is looked at",
            help="look at what the record follows, or at a module that calls it",
        )
    gates: dict[str, Tensor] = {}
    states: dict[str, Tensor] = {}
    stand: dict[str, Gate] = {}
    for prefix, layer in layers.items():
        holder = layer.module if isinstance(layer, Level) else layer
        if holder not in given:
            continue
        args, named = given[holder]
        names, own = gate_names(layer.program), layer.program.states
        wanted = (*names, *dict.fromkeys(s.name for s in own))
        if isinstance(layer, Level):
            found = values_of(layer.module, wanted, *args)[layer.number]
        else:
            found = values(layer, wanted, *args, **named)
        gates |= {prefix + n: _first(found[n]) for n in names}
        states |= {prefix + s.name: _first(_after_start(found[s.name], s)) for s in own}
        stand |= {prefix + n: gate for n, gate in saturation({n: found[n] for n in names}).items()}
    return Look(step, gates, states, stand)


def _calls(
    module: nn.Module, inputs: tuple[Any, ...], holders: Collection[nn.Module]
) -> dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]:
    """What each of these is called with, the first time, in a call of a module that holds them."""
    found: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def called(holder: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.setdefault(holder, (args, named))

    training = [m for m in module.modules() if m.training]
    with ExitStack() as after, torch.no_grad():
        for holder in holders:
            after.callback(holder.register_forward_pre_hook(called, with_kwargs=True).remove)
        for m in training:
            after.callback(setattr, m, "training", True)
        module.eval()
        module(*inputs)
    return found


def _after_start(values: Tensor, s: State) -> Tensor:
    """A state without the steps that the sequence starts from, which its values begin or end with."""
    axis = 1 + s.position
    return values.narrow(axis, s.depth if s.forward else 0, values.shape[axis] - s.depth)


def _first(values: Tensor) -> Tensor:
    """Those of the first sequence, (T, units)."""
    return values[0].detach().flatten(1)


__all__ = ["Look", "looked"]
