"""What a layer computes for one sequence at a training step: its gates and its states, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from chalkgrad.flowing.measures import Gate, gate_names, saturation, values
from chalkgrad.nn.layer import Layer


@dataclass(frozen=True)
class Look:
    """Gates and states (T, units) of a sequence, after so many backward passes; how far gates are open."""

    step: int
    gates: Mapping[str, Tensor]
    states: Mapping[str, Tensor]
    saturation: Mapping[str, Gate]


def looked(layer: Layer, inputs: Sequence[Tensor], step: int, prefix: str = "") -> Look:
    """Look at the first sequence of a batch; names are called by a prefix. Nothing here has a gradient."""
    along = {s.name: s for s in layer.program.states}
    names = gate_names(layer.program)
    found = values(layer, (*names, *along), *inputs)
    whole = {n: found[n] for n in names}
    # A state's values begin, or end, with those that the sequence starts from.
    states = {
        n: found[n].narrow(
            1 + s.position, s.depth if s.forward else 0, found[n].shape[1 + s.position] - s.depth
        )
        for n, s in along.items()
    }
    first = [{prefix + n: v[0].detach().flatten(1) for n, v in of.items()} for of in (whole, states)]
    return Look(step, first[0], first[1], {prefix + n: g for n, g in saturation(whole).items()})


__all__ = ["Look", "looked"]
