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
from chalkgrad.kernels.c.prelude import prelude
from chalkgrad.kernels.c.runtime import count, runtime

LEAST = 200_000
"""Multiplications below which the library's shorter way in wins."""

LIBRARY = 2_000_000
"""Multiplications from which on the library's product is faster, on its maker's own processors."""

_ALONE = 1_000_000
"""Multiplications below which one thread is enough."""

_ENTRY = r"""
struct all { struct matrix m; struct factor f; R *room; int64_t each; const struct runtime *run; };
static void share(void *data) {
  struct all *z = data;
  const int64_t me = z->run->number();
  z->run->matrix(&z->m, &z->f, 1, z->room + me * z->each, me, z->run->count());
}
// s: the strides of o (rows), a and b, then M, K, N
int chalkgrad_mm(R *o, const R *a, const R *b, const int64_t *s, int threads, const struct runtime *run) {
  const int64_t M = s[5], K = s[6], N = s[7];
  R *w[1];
  struct all z = {{a, M, M, 0, s[1], K, K, 0, s[2]}, {b, 0, s[3], s[4], o, s[0], N, 0}, 0, 0, run};
  z.each = AROUND(matrix_room(K, AROUND_PANEL(N)));
  void *memory = run->reserve(w, 0, 0, z.each * threads);
  if (!memory) return 1;
  z.room = w[0];
  if (threads > 1) run->parallel(share, &z, (unsigned)threads, 0);
  else run->matrix(&z.m, &z.f, 1, z.room, 0, 1);
  run->release(memory);
  return 0;
}
"""


@lru_cache(maxsize=1)
def pays() -> bool:
    """Whether the library's products are slow on this processor."""
    return torch.backends.mkl.is_available() and "GenuineIntel" not in processor()


@lru_cache(maxsize=2)
def _function(double: bool) -> Callable[..., int] | None:
    try:
        function = load(prelude(double) + _ENTRY, "chalkgrad_mm")
    except CompilerError:
        return None
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int, ctypes.c_void_p]
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
    threads = count() if work >= _ALONE else 1
    if function(
        out.data_ptr(), a.data_ptr(), b.data_ptr(), strides, threads, runtime(a.dtype == torch.float64)
    ):
        raise MemoryError("a product of matrices found no memory for its panels")
    return out
