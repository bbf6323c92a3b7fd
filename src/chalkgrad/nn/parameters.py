"""The parameters of a layer: the shape of each, and what it begins as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import Name, Program
from chalkgrad.language.source import EquationError
from chalkgrad.nn.initial import initialise
from chalkgrad.nn.sizes import Numbers

Init = Mapping[str, float | Tensor | Callable[[Tensor], Any]]
"""Initial values by parameter: a number, a tensor, or a function that fills one."""


def shape_of(name: Name, numbers: Numbers) -> list[int]:
    """The shape of a parameter. Raises EquationError where a size is not fixed, or none is left."""
    shape: list[int] = []
    for r in name.ranges:
        size = numbers.value(r.size)
        if size is None:
            free = list(numbers.unknowns.reduce(r.size).symbols)
            plain = [s for s in free if s.isidentifier()]
            raise numbers.fail(
                f"the size {r.size} of the parameter `{name.name}` is not fixed",
                name.name,
                help="give it: " + (f"{plain[0]}=64" if plain else f"{free[0].split('|')[1]}=64"),
            )
        if size < 1:
            raise numbers.fail(
                f"the parameter `{name.name}` would have size {size} along {r.axis}", name.name
            )
        shape.append(size)
    return shape


def begin(parameters: Mapping[str, Any], program: Program, chosen: Init, numbers: Numbers) -> None:
    """Fill all parameters, and those that are ``chosen`` with what is said. Raises EquationError."""
    for name in program.given("parameter"):
        initialise(parameters[name.name], name, program)
    for name, value in chosen.items():
        if name not in parameters:
            raise EquationError(
                f"init: `{name}` is no parameter of these equations",
                help="parameters: " + ", ".join(parameters),
            )
        parameter = parameters[name]
        with torch.no_grad():
            if callable(value):
                value(parameter)
            elif isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise numbers.fail(
                    f"init: `{name}` is {tuple(parameter.shape)} and is given {tuple(value.shape)}",
                    name,
                    help="give a tensor of that shape, or a number",
                )
            elif isinstance(value, Tensor):
                parameter.copy_(value)
            elif not isinstance(value, int | float):
                raise EquationError(
                    f"init: `{name}` is given {type(value).__name__}",
                    help=f'init={{"{name}": 1.0}}, a tensor, or a function such as torch.nn.init.ones_',
                )
            else:
                parameter.fill_(value)  # not by way of a tensor, which would round it to float32
