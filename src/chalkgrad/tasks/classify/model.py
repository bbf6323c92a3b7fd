"""A net of equations: layers one after another, from a picture to a score for each class.

n pictures   C channels   H height   W width   O classes
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from chalkgrad.nn.layer import Layer, layer
from chalkgrad.nn.sizes import still_axes
from chalkgrad.tasks.classify.config import Part
from chalkgrad.tasks.errors import TaskError
from chalkgrad.zoo import names, source_of

SIZED = re.compile(r"(?P<what>.+?):(?P<sizes>\w+=\d+(?:,\w+=\d+)*)", re.DOTALL)


def part(what: str) -> Part:
    """A layer as it is named on the command line: a standard layer, a file or equations, sizes after a colon.

    >>> part("y[o] = Σ[c] w[o,c] x[c] where x: input C:O=3").sizes
    {'O': 3}
    """
    sized = SIZED.fullmatch(what.strip())
    layer_name, colon, sizes = what.strip().partition(":")
    if colon and not sized and layer_name in names():
        raise TaskError(f"{layer_name}:{sizes}: sizes are whole numbers by name, as in conv_pool:K=32")
    sizes = sized["sizes"].split(",") if sized else []
    named = {name: int(number) for name, number in (size.split("=") for size in sizes)}
    return Part(source_of(sized["what"] if sized else what), named)


class Network(nn.Module):
    """Scores of classes for pictures: ``(n, C, H, W) → (n, O)``, the logarithms of odds once trained.

    Each layer takes what the one before it makes; sizes that its equations leave open come from there, from
    the number of classes, or from ``sizes`` of its part. Raises :class:`TaskError` where layers do not fit
    together and :class:`chalkgrad.EquationError` for equations that cannot be read.
    """

    def __init__(self, parts: Sequence[Part], shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.given = shape[1:] if shape[0] == 1 and _axes(parts[0], 1) == 2 else shape
        self.layers, now = chain(parts, self.given, classes)
        if now != (classes,):
            raise TaskError(
                f"the last layer of the net makes {_form(now)}, and a score for each of {classes} classes "
                f"is needed: `scores` does that with any maps"
            )

    def forward(self, pictures: Tensor) -> Tensor:
        values = pictures.reshape(-1, *self.given)
        for one in self.layers:
            values = value(one(values))
        return values


def chain(
    parts: Sequence[Part], given: tuple[int, ...], classes: int | None = None
) -> tuple[nn.ModuleList, tuple[int, ...]]:
    """Layers that take each what the one before it makes of what is ``given``, and the last one's form.

    Raises :class:`TaskError` where one of them makes nothing.
    """
    layers = nn.ModuleList()
    now = given
    for number, one in enumerate(parts, 1):
        made = fitted(one, number, now, classes if number == len(parts) else None)
        layers.append(made)
        with torch.no_grad():
            now = tuple(value(made(torch.zeros(1, *now))).shape[1:])
        if prod(now) == 0:
            raise TaskError(f"layer {number} of the net leaves nothing of a picture of {_form(given)}")
    return layers, now


def fitted(one: Part, number: int, given: tuple[int, ...], classes: int | None) -> Layer:
    """A layer that takes what is ``given``; the last one has a score for each of the ``classes``."""
    axes = _axes(one, number)
    if axes != len(given):
        raise TaskError(f"layer {number} of the net takes {axes} axes and is given {_form(given)}")
    resolved = read(one.equations)
    program = resolved.program
    taken = program.given("input")[0]
    still = still_axes(resolved, taken)
    sizes: dict[str, Any] = {
        taken.name: tuple(n for r, n in zip(taken.ranges, given, strict=True) if r in still)
    }
    output = program.outputs[0]
    if classes is not None and len(still_axes(resolved, program[output])) == 1:
        sizes[output] = classes
    sizes |= one.sizes
    try:
        return layer(one.equations, **sizes)
    except EquationError as error:
        open_size = re.search(r"give it: (\w+)=", error.help)
        if open_size is None:
            raise
        raise TaskError(
            f"layer {number} of the net leaves the size {open_size[1]} open: write it behind the layer, "
            f"as in --net conv_pool:K=32"
        ) from None


def _axes(one: Part, number: int) -> int:
    """The axes of a layer's one input. Raises :class:`TaskError` where inputs or outputs are several."""
    program = read(one.equations).program
    inputs, outputs = [name.name for name in program.given("input")], program.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise TaskError(
            f"a layer of a net has one input and one output, and layer {number} has inputs "
            f"{', '.join(inputs) or 'none'} and outputs {', '.join(outputs)}"
        )
    return len(program.given("input")[0].ranges)


def value(made: Any) -> Tensor:
    """What a layer makes; of a recurrence not the state, which ends with the picture."""
    return made if isinstance(made, Tensor) else made[0]


def _form(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


__all__ = ["Network", "chain", "part", "value"]
