"""The memory of a call: kept for the next one, never shared, let go when it is far too large for long."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalkgrad.kernels.c.build import load
from chalkgrad.kernels.c.prelude import library

MB = 1 << 18
"""Numbers of float32 in a megabyte."""


class Memory:
    """``chalkgrad_reserve`` for one room of so many numbers, and ``chalkgrad_release``; nothing idle yet."""

    def __init__(self) -> None:
        self._reserve, self._release = (
            load(library(False), f"chalkgrad_{x}") for x in ("reserve", "release")
        )
        self._reserve.restype, self._release.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        for _ in range(102):  # what other tests have left
            self.release(self.reserve(16)[0])

    def reserve(self, numbers: int) -> tuple[int, int, int]:
        """The piece, where its room begins and where what comes after it does."""
        rooms, w = (ctypes.c_int64 * 1)(numbers), (ctypes.c_void_p * 2)()
        piece = self._reserve(w, rooms, 1, ctypes.c_int64(16))
        assert all((piece, w[0], w[1]))
        return piece, w[0], w[1]

    def release(self, piece: int) -> None:
        self._release(piece)


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_a_call_gets_the_memory_of_the_one_before(memory: Memory) -> None:
    first, *_ = memory.reserve(8 * MB)
    memory.release(first)
    second, *_ = memory.reserve(5 * MB)
    assert second == first
    memory.release(second)


def test_a_call_that_needs_more_gets_more(memory: Memory) -> None:
    memory.release(memory.reserve(MB)[0])
    piece, begin, end = memory.reserve(6 * MB)
    assert end - begin == 4 * 6 * MB
    ctypes.memset(begin, 1, end - begin)
    memory.release(piece)


def test_a_call_while_another_runs_gets_memory_of_its_own(memory: Memory) -> None:
    outer, begin, end = memory.reserve(MB)
    inner, low, high = memory.reserve(MB)
    assert outer != inner
    assert end <= low or high <= begin
    memory.release(inner)
    memory.release(outer)


def test_calls_of_many_threads_never_share(memory: Memory) -> None:
    def call(mark: int) -> bool:
        alike = True
        for k in range(200):
            piece, begin, _ = memory.reserve(64 + 16 * (k % 5))
            numbers = (ctypes.c_int64 * 32).from_address(begin)
            numbers[:] = [mark] * 32
            alike = alike and all(x == mark for x in numbers)
            memory.release(piece)
        return alike

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))


def test_what_is_far_too_large_for_long_is_let_go(memory: Memory) -> None:
    memory.release(memory.reserve(64 * MB)[0])
    sizes: list[int] = []
    for _ in range(102):
        piece, *_ = memory.reserve(MB)
        sizes.append(ctypes.c_int64.from_address(piece).value)  # a piece begins with its size in bytes
        memory.release(piece)
    assert sizes[0] > 4 * 64 * MB
    assert sizes[-1] < 4 * 2 * MB
