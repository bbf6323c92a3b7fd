"""Sums of products that no library call covers well, each one call of a generated loop nest."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from chalkgrad.equations.ir import Equation, Guard, Reduce
from chalkgrad.kernels.c.build import load
from chalkgrad.kernels.c.nest import ENTRY, Nest, Source
from chalkgrad.kernels.c.nests import source
from chalkgrad.kernels.c.runtime import count, runtime
from chalkgrad.kernels.eager.forms import Form, form
from chalkgrad.kernels.eager.lanes import Plan, best
from chalkgrad.kernels.eager.recognition import library_calls
from chalkgrad.kernels.eager.views import Interval

_ALONE = 200_000
"""Points below which one thread is enough."""

Call = Callable[[Mapping[str, Tensor]], Tensor]
"""Tensors by name → the equation's value."""


def nest_of(
    e: Equation, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]], bytes: int
) -> Plan | None:
    """How an equation runs as a loop nest; None where it is better left to the library."""
    value = e.value.body if isinstance(e.value, Guard) else e.value
    if not isinstance(value, Reduce) or value.op != "sum":
        return None
    found = form(e, numbers, intervals)
    if found is None or len(found.operands) < 2 or not _has_window(found):
        return None
    if library_calls(e, numbers, intervals):
        return None
    return best(found, bytes)


def _has_window(form: Form) -> bool:
    """Whether anything is read at more than an axis by itself: all else a library multiplies as it lies."""
    return any(
        len(i.terms) > 1 or i.divisor > 1 or any(abs(k) > 1 for _, k in i.terms)
        for o in form.operands
        for i in o.at
    )


@lru_cache(maxsize=256)
def _made(nest: Nest) -> tuple[Source, Callable[..., int]]:
    text = source(nest)
    function = load(text.text, ENTRY)
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_int, ctypes.c_void_p]
    return text, function


def called(plan: Plan, dtype: torch.dtype) -> Call:
    """The nest as a function of tensors. Raises CompilerError."""
    double = dtype == torch.float64
    text, function = _made(plan.nest(double))
    run, form = runtime(double), plan.form
    names = [o.name for o in form.operands]
    lying = [
        plan.lanes in o.axes and copy is None for o, copy in zip(form.operands, plan.copies, strict=True)
    ]
    shape = [form.sizes[a] for a in form.outs]
    pointers = ctypes.c_void_p * (len(names) + 1)
    known: dict[tuple[tuple[int, ...], ...], ctypes.Array[ctypes.c_int64]] = {}
    small = form.points < _ALONE

    def call(given: Mapping[str, Tensor]) -> Tensor:
        held = [given[name] for name in names]
        strides = tuple([x.stride() for x in held])
        if any(direct and s[-1] != 1 for direct, s in zip(lying, strides, strict=True)):
            held = [x.contiguous() if direct else x for x, direct in zip(held, lying, strict=True)]
            strides = tuple([x.stride() for x in held])
        n = known.get(strides)
        if n is None:
            values = plan.numbers(strides, text.keys)
            n = known[strides] = (ctypes.c_int64 * max(1, len(values)))(*values)
        out = torch.empty(shape, dtype=dtype)
        places = pointers(out.data_ptr(), *[x.data_ptr() for x in held])
        if function(n, places, 1 if small else count(), run):
            raise MemoryError("a loop nest found no memory for its copies")
        return out

    return call
