"""Measured when asked for: how a state depends on an earlier one, how far back, how open its gates are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, Expr, Program, Read
from chalkgrad.language.source import EquationError
from chalkgrad.nn.layer import Layer

OPEN, SHUT = 0.95, 0.05
"""Beyond these a gate's slope σ(1 - σ) is under a fifth of what it is at one half."""


def memory_length(norms: Tensor, share: float = 0.01) -> int | None:
    """How many steps back from the last a row of norms (T,) first falls under a share of its last value.

    None where it never does, so that all T steps are within reach.

    >>> memory_length(torch.tensor([1e-4, 1e-3, 1e-2, 1e-1, 1.0]))
    3
    """
    under = (norms[~norms.isnan()].flip(0) < share * norms[~norms.isnan()][-1]).nonzero()
    return int(under[0]) if len(under) else None


def singular_values(layer: Layer, x: Tensor, steps: Sequence[int], *, of: str = "", by: str = "") -> Tensor:
    """The singular values of ∂h_T/∂h_t for one sequence x (T, …): (steps, H), the largest first.

    ``of`` and ``by`` name the states, the last one on the page where they are left out; the other states at
    t are held. One backward pass of H copies gives each of them. Raises EquationError for a state or step
    that is not there.

    >>> from chalkgrad import layer
    >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h)", x=3, h=4)
    >>> singular_values(net, torch.randn(10, 3), [0, 8]).shape
    torch.Size([2, 4])
    """
    names = [s.name for s in layer.program.states]
    if not names:
        raise EquationError("there is no state", help="give a layer with a recurrence, such as h[t-1]")
    at = {which: which or names[-1] for which in (of, by)}
    for name in at.values():
        if name not in names:
            raise EquationError(
                f"`{name}` is no state of these equations", help=f"states: {', '.join(names)}"
            )
    found: list[Tensor] = []
    for t in steps:
        if not 0 <= t < len(x) - 1:
            raise EquationError(
                f"there is no step {t} before the last of {len(x)}", help=f"steps from 0 to {len(x) - 2}"
            )
        with torch.no_grad():
            _, state = layer(x[None, : t + 1])
        size = state[names.index(at[of])].numel()
        copies = [s.expand(size, *s.shape[1:]).clone().requires_grad_() for s in state]
        _, last = layer(x[None, t + 1 :].expand(size, *x[t + 1 :].shape), tuple(copies))
        (rows,) = torch.autograd.grad(
            last[names.index(at[of])].flatten(1).diagonal().sum(), copies[names.index(at[by])]
        )
        found.append(torch.linalg.svdvals(rows.flatten(1)))
    return torch.stack(found)


@dataclass(frozen=True)
class Gate:
    """How often a gate's values stand open (over 0.95) and shut (under 0.05), and their mean."""

    open: float
    shut: float
    mean: float

    @property
    def saturated(self) -> float:
        """The share of values where hardly any gradient goes through the gate itself."""
        return self.open + self.shut


def gates(layer: Layer, *inputs: Tensor) -> dict[str, Tensor]:
    """The values (batch, T, …) of every gate, of every name that is σ of something, for an input.

    >>> from chalkgrad import layer
    >>> sorted(gates(layer("lstm", D=3, H=4), torch.zeros(2, 5, 3)))
    ['f', 'i', 'o']
    """
    return values(layer, gate_names(layer.program), *inputs)


def values(layer: Layer, names: tuple[str, ...], *inputs: Any, **named: Any) -> dict[str, Tensor]:
    """What a layer computes for an input, by name: (batch, T, …) each; a state with the step it begins from.

    One sequence by itself is a batch of one, and initial states are zero; what else a call may ask for, such
    as lengths, is left aside. Raises EquationError for what the layer cannot be given.

    >>> from chalkgrad import layer
    >>> values(layer("lstm", D=3, H=4), ("c",), torch.zeros(2, 5, 3))["c"].shape
    torch.Size([2, 6, 4])
    """
    own = {n: x for n, x in named.items() if n in layer._arguments.names}
    tensors, _ = layer._arguments.bound(inputs, named.get("state"), own)
    if not layer._arguments.batched(tensors, next(layer.parameters(), None)):
        tensors = {n: x[None] for n, x in tensors.items()}
    numbers = layer._arguments.solve(tensors)
    first = next(iter(tensors.values()))
    given = {**tensors, **dict(layer.named_parameters()), **layer._states.starts(None, numbers, first, True)}
    with torch.no_grad():
        return dict(zip(names, layer._system(given, numbers, names), strict=True))


def saturation(values: Mapping[str, Tensor]) -> dict[str, Gate]:
    """How far each gate is open or shut.

    >>> saturation({"f": torch.tensor([0.99, 0.5, 0.01, 0.5])})["f"].saturated
    0.5
    """
    return {
        n: Gate(float((v > OPEN).float().mean()), float((v < SHUT).float().mean()), float(v.mean()))
        for n, v in values.items()
    }


def gate_names(program: Program) -> tuple[str, ...]:
    """The names that are σ of something."""
    by_name = {e.target: e.value for e in program.equations}

    def is_gate(e: Expr) -> bool:
        match e:
            case Apply("sigmoid", _):
                return True
            case Read(name, _) if name in by_name and program[name].generated:
                return is_gate(by_name[name])
            case _:
                return False

    found = (e.target for e in program.equations if is_gate(e.value) and not program[e.target].generated)
    return tuple(dict.fromkeys(found))


__all__ = ["Gate", "gate_names", "gates", "memory_length", "saturation", "singular_values", "values"]
