"""Steps of a plan as one compiled call: what they keep is made, the function called, the rest let go."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
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

ALONE = 1_000_000
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
    return not (large and operations(equations_of(step), numbers) > matrix.LIBRARY)


def compiled(
    steps: tuple[Step, ...],
    names: Mapping[str, tuple[Range, ...]],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    dtype: torch.dtype,
) -> Bound:
    """Steps as one call. Raises CompilerError.

    ``names`` gives the axes of all that the steps read and make; ``wanted`` is what is read after them.
    """
    equations = [e for step in steps for e in equations_of(step)]
    partial = frozenset(_partial(equations, names, numbers))
    kernel, function = _made(
        steps, tuple(sorted(names.items())), frozenset(wanted) | partial, dtype == torch.float64
    )
    return _bound(kernel, function, names, numbers, dtype, partial, operations(equations, numbers))


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


def operations(equations: Collection[Equation], numbers: Mapping[str, int]) -> int:
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


def side_by_side(x: Tensor) -> Tensor:
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
) -> Bound:
    sizes = (ctypes.c_int64 * max(1, len(kernel.numbers)))(*(s.value(numbers) for s in kernel.numbers))
    tables: list[Table] = []
    for name, order in kernel.kept:
        shape = tuple(r.size.value(numbers) for r in names[name])
        steps = {j: prod(max(1, shape[i]) for i in order[at + 1 :]) for at, j in enumerate(order)}
        tables.append(Table(name, shape, tuple(steps[j] for j in range(len(shape))), name in partial))
    places = {t.name: Part(t.name, t.name, 0, t.shape, t.strides) for t in tables}
    for name, of in kernel.aliases:
        whole = places[of]
        first = whole.first
        for dim, (mine, theirs) in enumerate(zip(names[name], names[of], strict=True)):
            first += whole.strides[dim] * (mine.low.value(numbers) - theirs.low.value(numbers))
        shape = tuple(r.size.value(numbers) for r in names[name])
        places[name] = Part(name, whole.of, first, shape, whole.strides)
    parts = tuple(part for name, part in places.items() if name != part.of)
    width = sum(max(0, len(names[n]) - 1) for n in kernel.given)
    alone = operations < ALONE
    return Bound(function, sizes, kernel.given, tuple(tables), parts, width, dtype, alone)


@dataclass(frozen=True, slots=True)
class Table:
    """What a call keeps under a name: its shape, how its elements lie, and whether it begins as zeros."""

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    zero: bool

    def new(self, dtype: torch.dtype) -> Tensor:
        """Memory for it."""
        made = torch.empty_strided(self.shape, self.strides, dtype=dtype)
        return made.zero_() if self.zero else made


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table with a name of its own: where it begins and how it lies there."""

    name: str
    of: str
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Bound:
    """A compiled function at some sizes: called, it gives what it keeps by name, tables and parts of them."""

    def __init__(
        self,
        function: Callable[..., int],
        sizes: ctypes.Array[ctypes.c_int64],
        given: tuple[str, ...],
        tables: tuple[Table, ...],
        parts: tuple[Part, ...],
        width: int,
        dtype: torch.dtype,
        alone: bool,
    ) -> None:
        self.given, self.tables, self.parts, self.dtype = given, tables, parts, dtype
        self._function, self._sizes, self._alone = function, sizes, alone
        self._run = runtime(dtype == torch.float64)
        self._pointers = ctypes.c_void_p * max(1, len(given) + len(tables))
        self._strides = ctypes.c_int64 * max(1, width)

    def __call__(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        held: list[Tensor] = []
        steps: list[int] = []
        for name in self.given:
            x = given[name]
            along = x.stride()
            if along and along[-1] != 1 and x.shape[-1] > 1:
                x = side_by_side(x)
                along = x.stride()
            held.append(x)
            steps += along[:-1]
        kept = {table.name: table.new(self.dtype) for table in self.tables}
        held += kept.values()
        self.start([x.data_ptr() for x in held], self._strides(*steps))
        for p in self.parts:
            # no view of a tensor that autograd knows of
            kept[p.name] = kept[p.of].as_strided(p.shape, p.strides, p.first).detach()
        return kept

    def start(self, addresses: Sequence[int], strides: ctypes.Array[ctypes.c_int64]) -> None:
        """Run it on what lies at these addresses: what is given, then its tables."""
        threads = 1 if self._alone else count()
        if self._function(self._sizes, self._pointers(*addresses), strides, threads, self._run):
            raise MemoryError("a kernel found no memory for what it keeps during a call")

    def lying(self, given: Mapping[str, tuple[int, ...]]) -> ctypes.Array[ctypes.c_int64]:
        """How what is given lies, as ``start`` takes it: by name how far apart its elements are."""
        return self._strides(*[step for name in self.given for step in given[name][:-1]])
