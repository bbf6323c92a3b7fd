"""The loops under torch.compile: how long they take, and how long until the first step.

Each in a process of its own, with empty caches of compiled kernels, its and ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

import chalkgrad
from bench.cells import Cell, Size, agree, side
from bench.fresh import fresh
from bench.loops import LOOPS, Loop, twins
from bench.measure import Pair, pair
from bench.tables import Job, MissingError, Plan, Row

SIZE: Size = (20, 32, 128)


def compiled_jobs(plan: Plan, row: Callable[[str, str, Size, Pair], Row]) -> list[Job]:
    def job(cell: str) -> Iterator[Row]:
        peer = f"{cell} as a loop under torch.compile"
        with TemporaryDirectory(prefix="chalkgrad-bench-") as empty:
            env = {"XDG_CACHE_HOME": f"{empty}/ours", "TORCHINDUCTOR_CACHE_DIR": f"{empty}/theirs"}
            try:
                first, later = fresh(steps, cell, SIZE, plan.threads, plan.seconds, env=env)
            except RuntimeError as error:  # torch.compile needs a C++ compiler, and is not everywhere
                raise MissingError(f"{peer}: {str(error).splitlines()[-1]}") from None
        yield row(peer, "first step", SIZE, Pair(*first))
        yield row(peer, "training", SIZE, Pair(*later))

    return [lambda cell=cell: job(cell) for cell in LOOPS]


def steps(cell: str, size: Size, threads: int, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds to the first gradient, and of one step after that: ours and the compiled loop's."""
    torch.set_num_threads(threads)
    T, B, H = size
    x = torch.randn(B, T, H)
    at = perf_counter()
    first = chalkgrad.layer(LOOPS[cell][0], D=H, H=H)
    side(first, [*first.parameters()], x).training()
    ours_first, at = perf_counter() - at, perf_counter()
    loop = Loop(cell, H)
    side(torch.compile(loop), [*loop.parameters()], x).training()
    theirs_first = perf_counter() - at
    ours, twin = twins(cell, H)
    loop.load_state_dict(twin.state_dict())
    mine = side(ours, [*ours.parameters()], x)
    theirs = side(torch.compile(loop), [*loop.parameters()], x)
    c = agree(Cell(cell, size, mine, theirs))
    m = pair(c.ours.training, c.theirs.training, seconds)
    return [ours_first, theirs_first], [m.ours, m.theirs]
