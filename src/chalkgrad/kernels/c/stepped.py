"""One step of a loop as a compiled call: what is pointwise between the calls of a library.

The library makes something at each step; all else that a step computes lies in tables with the loop's axis
first, which the caller owns. A call is about one step, whose number comes in.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from torch import Tensor

from chalkgrad.equations.ir import Equation, Range, range_of
from chalkgrad.equations.size import Size
from chalkgrad.kernels.c import loops
from chalkgrad.kernels.c.build import QUICKLY, load
from chalkgrad.kernels.c.emit import ENTRY, Kernel, emit
from chalkgrad.kernels.c.loops import operations, side_by_side
from chalkgrad.kernels.c.runtime import count, runtime
from chalkgrad.kernels.c.segment import Within, segment
from chalkgrad.kernels.schedule import Block, Loop

_STEP = "·step"
"""The number of the step that a call is about."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be compiled: equations of a loop over ``axis``.

    ``tables`` are the names that lie in tables, read or made, each with the position of the loop's axis;
    ``names`` gives every name's axes, without the loop's of what is there for one step only. ``within`` are
    names that lie in others.
    """

    axis: str
    reverse: bool
    equations: tuple[Equation, ...]
    names: tuple[tuple[str, tuple[Range, ...]], ...]
    tables: tuple[tuple[str, int], ...]
    within: tuple[tuple[str, Within], ...]
    double: bool


@lru_cache(maxsize=256)
def _made(asked: Asked) -> tuple[Kernel, Callable[..., int]]:
    loop = Loop(asked.axis, asked.reverse, tuple(map(Block, asked.equations)))
    within, tables = dict(asked.within), dict(asked.tables)
    kept = [*tables, *(name for name, part in within.items() if part.whole in tables)]
    found = segment((loop,), kept, dict(asked.names))
    if found.tables:
        raise AssertionError(f"read at another step, and in no table: {', '.join(found.tables)}")
    given = [within[n].whole if n in within else n for n in found.given]
    whole = replace(
        found,
        given=tuple(dict.fromkeys(n for n in given if n not in tables)),
        kept=tuple(tables),
        position={**found.position, **tables},
        within=within,
        step=Size.symbol(_STEP),
    )
    kernel = emit(whole, asked.double)
    function = load(kernel.source, ENTRY, QUICKLY)
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int, ctypes.c_void_p]
    return kernel, function


class Stepped:
    """Compiled equations of a step at some sizes; raises CompilerError.

    ``given`` and ``tables`` are the names of what a run of it needs, in order.
    """

    def __init__(self, asked: Asked, numbers: Mapping[str, int]) -> None:
        kernel, self._function = _made(asked)
        self.given, self.tables = kernel.given, tuple(name for name, _ in kernel.kept)
        self._values = [s.value({**numbers, _STEP: 0}) for s in kernel.numbers]
        self._step = kernel.numbers.index(Size.symbol(_STEP))
        self._sizes = ctypes.c_int64 * len(self._values)
        self._pointers = ctypes.c_void_p * max(1, len(self.given) + len(self.tables))
        names = dict(asked.names)
        self._widths = [max(0, len(names[name]) - 1) for name in self.given]
        self._strides = ctypes.c_int64 * max(1, sum(self._widths))
        steps = max(range_of(e.domain, asked.axis).size.value(numbers) for e in asked.equations)
        self._alone = operations(asked.equations, numbers) < loops.ALONE * steps
        self._runtime = runtime(asked.double)

    def run(self, tables: Sequence[Tensor]) -> Running:
        """One run of the loop, over these tables."""
        return Running(self, tables)


class Running:
    """The steps of one run: what each is given, then the call."""

    def __init__(self, of: Stepped, tables: Sequence[Tensor]) -> None:
        first = len(of.given)
        self._sizes, self._pointers, self._strides = of._sizes(*of._values), of._pointers(), of._strides()
        self._function, self._at, self._runtime = of._function, of._step, of._runtime
        self._threads = 1 if of._alone else count()
        self._held: list[Tensor | None] = [None] * first
        self._known: list[tuple[int, ...]] = [()] * first
        self._places = [sum(of._widths[:k]) for k in range(first)]
        for k, x in enumerate(tables, start=first):
            self._pointers[k] = x.data_ptr()

    def give(self, k: int, x: Tensor) -> None:
        """Something given, from this step on."""
        along = x.stride()
        if along and along[-1] != 1 and x.shape[-1] > 1:
            x = side_by_side(x)
            along = x.stride()
        self._held[k], self._pointers[k] = x, x.data_ptr()
        if along != self._known[k]:
            self._known[k], at = along, self._places[k]
            for j, step in enumerate(along[:-1], start=at):
                self._strides[j] = step

    def __call__(self, step: int) -> None:
        """Compute a step."""
        self._sizes[self._at] = step
        if self._function(self._sizes, self._pointers, self._strides, self._threads, self._runtime):
            raise MemoryError("a kernel found no memory for what it keeps during a call")
