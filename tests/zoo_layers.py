"""Every layer of the zoo with sizes that suit it, and its input; those with several apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import chalkgrad
from chalkgrad.language.resolve import read
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.zoo import names, source_of

NAMES = tuple(n for n in names() if len(read(source_of(n)).program.given("input")) == 1)
SEVERAL = tuple(n for n in names() if n not in NAMES)
"""Those that are given more than one: masks, or what is attended to."""


def drawn(
    name: str, *, batch: int = 2, dtype: torch.dtype = torch.float64, backend: str = "c"
) -> tuple[chalkgrad.Layer, Tensor]:
    """The layer with every parameter drawn, so that no bias is zero, and an input that is no view."""
    net, given = drawn_with_all(name, batch=batch, dtype=dtype, backend=backend)
    (x,) = given.values()
    return net, x


def drawn_with_all(
    name: str, *, batch: int = 2, dtype: torch.dtype = torch.float64, backend: str = "c"
) -> tuple[chalkgrad.Layer, dict[str, Tensor]]:
    """The same with all inputs by name, however many there are."""
    resolved = read(source_of(name))
    numbers = small_numbers(resolved, {})
    parameters = resolved.program.given("parameter")
    symbols = {s for n in parameters for r in n.ranges for s in r.size.symbols}
    sizes = {s: n for s, n in numbers.items() if s in symbols and s.isidentifier()}
    net = chalkgrad.layer(name, dtype=dtype, backend=backend, **sizes)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=dtype) / 2)
    shapes = {
        x.name: (batch, *(r.size.value(numbers) for r in x.ranges)) for x in resolved.program.given("input")
    }
    return net, {n: torch.randn(shape, generator=generator, dtype=dtype) for n, shape in shapes.items()}


def flat(found: Any) -> list[Tensor]:
    """All tensors that a call gives: outputs, then states."""
    return [y for part in found for y in flat(part)] if isinstance(found, tuple) else [found]
