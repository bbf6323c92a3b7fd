"""The product of two matrices by the kernels' own tiles, where the library's is the slower one.

MKL, which torch is built with, keeps its fastest code to its maker's processors; on a Zen 5 these tiles do
about twice as much in the same time (``make bench``, the rows of torch.mm).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from chalkgrad.kernels.c.build import CompilerError, load, processor
from chalkgrad.kernels.c.prelude import matrix_source
from chalkgrad.kernels.c.threads import count, team

LEAST = 200_000
"""Multiplications below which the library's shorter way in wins."""

_ALONE = 1_000_000
"""Multiplications below which one thread is enough."""


@lru_cache(maxsize=1)
def pays() -> bool:
    """Whether the library's products are slow on this processor."""
    return torch.backends.mkl.is_available() and "GenuineIntel" not in processor()


@lru_cache(maxsize=2)
def _function(double: bool) -> Callable[..., int] | None:
    try:
        function = load(matrix_source(double), "chalkgrad_matrix")
    except CompilerError:
        return None
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int] + [ctypes.c_void_p] * 2
    return function


def mm(a: Tensor, b: Tensor) -> Tensor:
    """``a b`` for matrices of shapes (M, K) and (K, N), of any strides."""
    (m, k), n = a.shape, b.shape[1]
    work = m * k * n
    function = _function(a.dtype == torch.float64) if work >= LEAST and min(m, n) > 1 else None
    if function is None:
        return torch.mm(a, b)
    out = a.new_empty(m, n)
    strides = (ctypes.c_int64 * 8)(n, *a.stride(), *b.stride(), m, k, n)
    parallel, number = team()
    threads = min(count(), (m + 7) // 8) if work >= _ALONE else 1
    if function(out.data_ptr(), a.data_ptr(), b.data_ptr(), strides, threads, parallel, number):
        raise MemoryError("a product of matrices found no memory for its panels")
    return out
