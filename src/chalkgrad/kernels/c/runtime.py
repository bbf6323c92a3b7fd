"""What kernels call: torch's own team of threads, and the library of products and memory, compiled once."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import torch

from chalkgrad.kernels.c.build import load
from chalkgrad.kernels.c.prelude import library

_TEAM = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "GOMP_barrier")
_LENGTH = len(_TEAM) + 5
"""How many functions ``struct runtime`` has: the team's, then the library's."""


@lru_cache(maxsize=1)
def team() -> tuple[ctypes.c_void_p, ...] | None:
    """The functions of torch's libgomp; None where torch has another one.

    A second team beside torch's would cost milliseconds a call.
    """
    folder = Path(torch.__file__).parent / "lib"
    for path in sorted(folder.glob("libgomp*.so*")):
        try:
            found = ctypes.CDLL(str(path))
            return tuple(ctypes.cast(getattr(found, name), ctypes.c_void_p) for name in _TEAM)
        except (OSError, AttributeError):
            continue
    return None


@lru_cache(maxsize=2)
def runtime(double: bool) -> ctypes.Array[ctypes.c_void_p]:
    """The functions of ``struct runtime``, in order. Raises CompilerError."""
    functions = (ctypes.c_void_p * _LENGTH)(*(team() or ()))
    fill = load(library(double), "chalkgrad_fill")
    fill.restype, fill.argtypes = None, [ctypes.c_void_p]
    fill(functions)
    return functions


def count() -> int:
    """How many threads torch uses, where its team can be used."""
    return torch.get_num_threads() if team() is not None else 1
