"""Torch's own team of threads, for the kernels: a second one beside it would cost milliseconds a call."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import torch


@lru_cache(maxsize=1)
def team() -> tuple[int | None, int | None]:
    """The addresses of GOMP_parallel and omp_get_thread_num in torch's libgomp; (None, None) elsewhere."""
    folder = Path(torch.__file__).parent / "lib"
    for path in sorted(folder.glob("libgomp*.so*")):
        try:
            library = ctypes.CDLL(str(path))
            return tuple(
                ctypes.cast(getattr(library, name), ctypes.c_void_p).value
                for name in ("GOMP_parallel", "omp_get_thread_num")
            )  # pyright: ignore[reportReturnType]
        except (OSError, AttributeError):
            continue
    return None, None


def count() -> int:
    """How many threads torch uses, where its team can be used."""
    return torch.get_num_threads() if team()[0] else 1
