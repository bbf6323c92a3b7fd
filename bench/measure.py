"""Two ways of doing one thing, timed in turn: A B A B …, and how much of the machine they use."""

from __future__ import annotations

import ctypes
import platform
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter

import torch

from chalkgrad.kernels.c.build import CompilerError, load, processor_name

Do = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Median seconds of ours and of theirs, measured side by side."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """How many times as long theirs takes."""
        return self.theirs / self.ours


def pair(ours: Do, theirs: Do, seconds: float, settle: float = 0.0) -> Pair:
    """Both in turn for about ``seconds``, three rounds at least, after one that warms up.

    Threads wait for more work with the processor held, for some milliseconds. Where the two have threads of
    their own, each turn begins with ``settle`` seconds of the same work that are not counted.
    """
    ours()
    theirs()
    spent: tuple[list[float], list[float]] = ([], [])
    begun = perf_counter()
    while len(spent[0]) < 3 or perf_counter() - begun < seconds:
        for do, times in zip((ours, theirs), spent, strict=True):
            at = turn = perf_counter()
            while at - turn < settle:
                do()
                at = perf_counter()
            do()
            times.append(perf_counter() - at)
    return Pair(statistics.median(spent[0]), statistics.median(spent[1]))


def median(do: Do, seconds: float) -> float:
    """Median seconds of one call, three at least, after one that warms up."""
    return pair(do, lambda: None, seconds).ours


# --- the machine ---------------------------------------------------------------------------------------

_PEAK = r"""
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef float V __attribute__((vector_size(BYTES)));
float multiply_add(long long n, float x) {
  V c[12], a, b;
  for (int k = 0; k < 12; k++) for (int j = 0; j < BYTES / 4; j++) c[k][j] = k + j;
  for (int j = 0; j < BYTES / 4; j++) { a[j] = x; b[j] = x * 0.5f; }
  for (long long i = 0; i < n; i++)
    for (int k = 0; k < 12; k++) { c[k] = c[k] * a + b; }
  float s = 0;
  for (int k = 0; k < 12; k++) for (int j = 0; j < BYTES / 4; j++) s += c[k][j];
  return s;
}
int width(void) { return BYTES / 4; }
"""


def peak(threads: int) -> float:
    """GFLOP/s of multiply-adds, float32, on so many threads at once; 0 where there is no compiler.

    All at once, as two threads of one core share what multiplies.
    """
    try:
        function, width = load(_PEAK, "multiply_add"), load(_PEAK, "width")()
    except CompilerError:
        return 0.0
    function.argtypes, function.restype = [ctypes.c_longlong, ctypes.c_float], ctypes.c_float
    rounds, best = 2_000_000, float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            at = perf_counter()
            list(pool.map(lambda _: function(rounds, 0.999), range(threads)))
            best = min(best, perf_counter() - at)
    return threads * 2 * 12 * width * rounds / best / 1e9


@lru_cache(maxsize=1)
def library() -> float:
    """GFLOP/s of torch's own product of two matrices of 1024 × 1024 on the threads it uses, float32."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = float("inf")
    for _ in range(7):
        at = perf_counter()
        torch.mm(a, b)
        best = min(best, perf_counter() - at)
    return 2 * 1024**3 / best / 1e9


def machine() -> str:
    """What was measured on, in one line."""
    return (
        f"{processor_name()} ({platform.machine()}), {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, python {platform.python_version()}; "
        f"multiply-adds {peak(torch.get_num_threads()):.0f} GFLOP/s, "
        f"torch.mm {library():.0f} GFLOP/s"
    )
