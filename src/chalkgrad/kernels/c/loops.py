"""A compiled loop in a plan of the eager backend: tables are made, the kernel called, the rest let go."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from chalkgrad.equations.ir import Range
from chalkgrad.kernels.c.build import CompilerError, load
from chalkgrad.kernels.c.emit import ENTRY, Kernel, emit
from chalkgrad.kernels.c.lower import lower
from chalkgrad.kernels.c.threads import count, team
from chalkgrad.kernels.schedule import Loop

_given_up: list[str] = []


def kernels_wanted() -> bool:
    """Whether loops are to be compiled: not with ``CHALKGRAD_KERNELS=off``, nor after a compiler failed."""
    return not _given_up and os.environ.get("CHALKGRAD_KERNELS", "") != "off"


def give_up(error: CompilerError) -> None:
    """From now on every loop runs eagerly; said once, with the compiler's own words."""
    _given_up.append(str(error))
    warnings.warn(f"loops run step by step in Python, which is slow: {error}", CompilerWarning, stacklevel=2)


class CompilerWarning(UserWarning):
    """No kernel could be compiled, so that loops run step by step."""


Call = Callable[[Mapping[str, Tensor], Mapping[str, Mapping[int, Tensor]]], dict[str, Tensor]]
"""Given tensors and the steps that are there already → the tables that the loop fills."""


def compiled(
    loop: Loop,
    names: Mapping[str, tuple[Range, ...]],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    dtype: torch.dtype,
    together: Mapping[str, tuple[str, ...]],
) -> Call | None:
    """A loop as one call, None where it cannot be lowered. Raises CompilerError.

    ``names`` gives the axes of all that the loop reads and makes; ``wanted`` is what is read after it.
    ``together`` names buffers in which tables of one shape lie side by side; they are given back too.
    """
    made = _made(
        loop,
        tuple(sorted(names.items())),
        frozenset(wanted),
        dtype == torch.float64,
        tuple(together.values()),
    )
    return None if made is None else _bound(*made, names, numbers, dtype, together)


@lru_cache(maxsize=256)
def _made(
    loop: Loop,
    names: tuple[tuple[str, tuple[Range, ...]], ...],
    wanted: frozenset[str],
    double: bool,
    together: tuple[tuple[str, ...], ...],
) -> tuple[Kernel, Callable[..., int]] | None:
    lowered = lower(loop, wanted)
    if lowered is None:
        return None
    kernel = emit(lowered, dict(names), double, together)
    function = load(kernel.source, ENTRY)
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int] + [ctypes.c_void_p] * 2
    return kernel, function


def _bound(
    kernel: Kernel,
    function: Callable[..., int],
    names: Mapping[str, tuple[Range, ...]],
    numbers: Mapping[str, int],
    dtype: torch.dtype,
    together: Mapping[str, tuple[str, ...]],
) -> Call:
    sizes = (ctypes.c_int64 * max(1, len(kernel.numbers)))(*(s.value(numbers) for s in kernel.numbers))
    shapes: list[tuple[str, list[int], tuple[int, ...], int, int]] = []
    for name, order, steps in kernel.tables:  # the loop's axis is the first in memory
        ranges = names[name]
        shape = [ranges[j].size.value(numbers) for j in order]
        back = tuple(order.index(j) for j in range(len(order)))
        first = ranges[order[0]].low.value(numbers)
        shapes.append((name, shape, back, first, -1 if steps is None else steps.value(numbers)))
    pointers = ctypes.c_void_p * max(1, len(kernel.given) + len(shapes))
    by_name = {name: (shape, back) for name, shape, back, _, _ in shapes}
    filled = {name: (steps, shape[0]) for name, shape, _, _, steps in shapes}
    parallel, number = team()

    def whole(name: str, steps: Mapping[str, Mapping[int, Tensor]]) -> bool:
        """Whether the loop and the start fill a table; what they leave out reads as zero."""
        by_loop, long = filled[name]
        return by_loop + len(steps.get(name, {})) == long

    def call(given: Mapping[str, Tensor], steps: Mapping[str, Mapping[int, Tensor]]) -> dict[str, Tensor]:
        held: list[Tensor] = []
        strides: list[int] = []
        for name in kernel.given:
            x = given[name]
            if x.dim() and x.stride(-1) != 1 and x.shape[-1] > 1:
                x = x.contiguous()
            held.append(x)
            strides += x.stride()[:-1]
        tables: dict[str, Tensor] = {}
        places: dict[str, Tensor] = {}
        for buffer, parts in together.items():
            shape, back = by_name[parts[0]]
            made = torch.zeros if any(not whole(n, steps) for n in parts) else torch.empty
            joint = made((*shape[:-1], len(parts) * shape[-1]), dtype=dtype)
            places.update(zip(parts, joint.split(shape[-1], -1), strict=True))
            tables[buffer] = joint.permute(back)
        for name, shape, back, low, _ in shapes:
            table = places.get(name)
            if table is None:
                table = (torch.empty if whole(name, steps) else torch.zeros)(shape, dtype=dtype)
            for t, part in steps.get(name, {}).items():
                table[t - low] = part
            held.append(table)
            tables[name] = table.permute(back)
        failed = function(
            sizes,
            pointers(*(x.data_ptr() for x in held)),
            (ctypes.c_int64 * max(1, len(strides)))(*strides),
            count() if kernel.rows else 1,
            parallel,
            number,
        )
        if failed:
            raise MemoryError("a kernel found no memory for what it keeps during a step")
        return tables

    return call
