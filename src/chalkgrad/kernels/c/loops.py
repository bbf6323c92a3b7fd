"""Steps of a plan as one compiled call: what they keep is made, the function called, the rest let go."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from chalkgrad.equations.ir import Equation, Range, Reduce
from chalkgrad.equations.walk import nodes
from chalkgrad.kernels.c import matrix
from chalkgrad.kernels.c.build import QUICKLY, CompilerError, load
from chalkgrad.kernels.c.emit import ENTRY, Kernel, emit
from chalkgrad.kernels.c.runtime import count, runtime
from chalkgrad.kernels.c.segment import can_stand, is_product, segment
from chalkgrad.kernels.schedule import Loop, Step, equations_of

_given_up: list[str] = []

_ALONE = 1_000_000
"""Operations below which one thread is enough."""


def kernels_wanted() -> bool:
    """Whether loops are to be compiled: not with ``CHALKGRAD_KERNELS=off``, nor after a compiler failed."""
    return not _given_up and os.environ.get("CHALKGRAD_KERNELS", "") != "off"


def give_up(error: CompilerError) -> None:
    """From now on every loop runs eagerly; said once, with the compiler's own words."""
    _given_up.append(str(error))
    warnings.warn(f"loops run step by step in Python, which is slow: {error}", CompilerWarning, stacklevel=2)


class CompilerWarning(UserWarning):
    """No kernel could be compiled, so that loops run step by step."""


def can_be_compiled(step: Step, numbers: Mapping[str, int]) -> bool:
    """Whether a step can be part of a compiled call, and is not better done by the library."""
    if not can_stand(step):
        return False
    large = not isinstance(step, Loop) and is_product(step) and not matrix.pays()
    return not (large and _operations(equations_of(step), numbers) > matrix.LIBRARY)


Call = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""Given tensors by name → what is kept, each with its axes in the order of its name's."""


def compiled(
    steps: tuple[Step, ...],
    names: Mapping[str, tuple[Range, ...]],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    dtype: torch.dtype,
) -> Call:
    """Steps as one call. Raises CompilerError.

    ``names`` gives the axes of all that the steps read and make; ``wanted`` is what is read after them.
    """
    equations = [e for step in steps for e in equations_of(step)]
    partial = frozenset(_partial(equations, names, numbers))
    kernel, function = _made(
        steps, tuple(sorted(names.items())), frozenset(wanted) | partial, dtype == torch.float64
    )
    return _bound(kernel, function, names, numbers, dtype, partial, _operations(equations, numbers))


def _partial(
    equations: Collection[Equation], names: Mapping[str, tuple[Range, ...]], numbers: Mapping[str, int]
) -> set[str]:
    """The names that are not filled everywhere; what is left out reads as zero."""
    filled: dict[str, int] = {}
    for e in equations:
        filled[e.target] = filled.get(e.target, 0) + prod(r.size.value(numbers) for r in e.domain)
    return {
        name for name, n in filled.items() if n < prod(r.size.value(numbers) for r in names.get(name, ()))
    }


def _operations(equations: Collection[Equation], numbers: Mapping[str, int]) -> int:
    """Roughly how much work there is, in points that sums go over."""
    total = 0
    for e in equations:
        sums = [n for n in nodes(e.value) if isinstance(n, Reduce)]
        inner = max((prod(r.size.value(numbers) for r in n.over) for n in sums), default=20)
        total += inner * prod(r.size.value(numbers) for r in e.domain)
    return total


@lru_cache(maxsize=256)
def _made(
    steps: tuple[Step, ...],
    names: tuple[tuple[str, tuple[Range, ...]], ...],
    wanted: frozenset[str],
    double: bool,
) -> tuple[Kernel, Callable[..., int]]:
    kernel = emit(segment(steps, wanted, dict(names)), double)
    function = load(kernel.source, ENTRY, QUICKLY)
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int, ctypes.c_void_p]
    return kernel, function


def _side_by_side(x: Tensor) -> Tensor:
    """The tensor with its last axis side by side in memory; what is repeated along others stays so."""
    short = x
    for dim, step in enumerate(x.stride()[:-1]):
        if step == 0 and x.shape[dim] > 1:
            short = short.narrow(dim, 0, 1)
    return short.contiguous().expand(x.shape)


def _bound(
    kernel: Kernel,
    function: Callable[..., int],
    names: Mapping[str, tuple[Range, ...]],
    numbers: Mapping[str, int],
    dtype: torch.dtype,
    partial: Collection[str],
    operations: int,
) -> Call:
    sizes = (ctypes.c_int64 * max(1, len(kernel.numbers)))(*(s.value(numbers) for s in kernel.numbers))
    made: list[tuple[str, tuple[int, ...], tuple[int, ...], bool]] = []
    for name, order in kernel.kept:
        shape = tuple(r.size.value(numbers) for r in names[name])
        steps = {j: prod(max(1, shape[i]) for i in order[at + 1 :]) for at, j in enumerate(order)}
        made.append((name, shape, tuple(steps[j] for j in range(len(shape))), name in partial))
    parts: list[tuple[str, str, list[tuple[int, int, int]]]] = []
    for name, of in kernel.aliases:
        cuts = [
            (dim, mine.low.value(numbers) - theirs.low.value(numbers), mine.size.value(numbers))
            for dim, (mine, theirs) in enumerate(zip(names[name], names[of], strict=True))
            if (mine.low, mine.size) != (theirs.low, theirs.size)
        ]
        parts.append((name, of, cuts))
    pointers = ctypes.c_void_p * max(1, len(kernel.given) + len(made))
    strides = ctypes.c_int64 * max(1, sum(max(0, len(names[n]) - 1) for n in kernel.given))
    run = runtime(dtype == torch.float64)
    given_names = kernel.given

    def call(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        held: list[Tensor] = []
        steps: list[int] = []
        for name in given_names:
            x = given[name]
            along = x.stride()
            if along and along[-1] != 1 and x.shape[-1] > 1:
                x = _side_by_side(x)
                along = x.stride()
            held.append(x)
            steps += along[:-1]
        kept: dict[str, Tensor] = {}
        for name, shape, along, zero in made:
            table = torch.empty_strided(shape, along, dtype=dtype)
            if zero:
                table.zero_()
            held.append(table)
            kept[name] = table
        for name, of, cuts in parts:
            part = kept[of]
            for dim, low, size in cuts:
                part = part.narrow(dim, low, size)
            kept[name] = part.detach()  # no view of a tensor that autograd knows of
        failed = function(
            sizes,
            pointers(*[x.data_ptr() for x in held]),
            strides(*steps),
            count() if operations >= _ALONE else 1,
            run,
        )
        if failed:
            raise MemoryError("a kernel found no memory for what it keeps during a call")
        return kept

    return call
