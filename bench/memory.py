"""Peak memory of a training step, beside torch.nn's.

Taken from the system, as a kernel's own memory and a library's are not in torch's books: the most that the
process held during three steps, less what it held before them with weights and input in place. A process
each. Blocks of two pages or more go back to the system when freed, so that holes in the allocator's reserve
are not counted for either.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

import chalkgrad
from bench.cells import Size, side
from bench.fresh import fresh
from bench.measure import Do
from bench.tables import Job, Kind, MissingError, Plan, Row
from bench.torch_nn import PEERS

SIZES: tuple[Size, ...] = ((100, 32, 256), (50, 64, 512), (100, 128, 128))
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "8192", "MALLOC_TRIM_THRESHOLD_": "8192"}


def jobs(plan: Plan) -> list[Job]:
    def job(name: str, size: Size) -> Iterator[Row]:
        T, B, H = size
        ours, theirs = (peak_of(own, name, size, plan.threads) for own in (True, False))
        floats = 4 * T * B * H
        yield (
            f"torch.nn.{PEERS[name].__name__}", *size, ours / 2**20, theirs / 2**20,
            ours / floats, theirs / floats, ours / theirs,
        )  # fmt: skip

    names, sizes = (("lstm",), SIZES[:1]) if plan.quick else (PEERS, SIZES)
    return [lambda name=name, size=size: job(name, size) for name in names for size in sizes]


def peak_of(own: bool, name: str, size: Size, threads: int, chunks: bool = False) -> int:
    """Bytes at the peak of a training step, ours in chunks that are computed again if asked.

    Raises MissingError where the system does not tell.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise MissingError("peak memory: read from /proc, which Linux has")
    return fresh(training_peak, own, name, size, threads, chunks, env=GIVE_BACK)


def training_peak(own: bool, name: str, size: Size, threads: int, chunks: bool) -> int:
    """In this process: bytes above what is held before, with weights and input in place."""
    torch.set_num_threads(threads)
    T, B, H = size
    net = chalkgrad.layer(name, D=H, H=H) if own else PEERS[name](H, H, batch_first=True)
    parameters = [*net.parameters()]
    call = partial(chalkgrad.recompute, net) if chunks else net
    side(call, parameters, torch.randn(1, 2, H)).training()  # loads libraries, kernels and threads
    step = side(call, parameters, torch.randn(B, T, H)).training

    def steps() -> None:
        for _ in range(3):
            step()

    return peak_while(steps)


def peak_while(do: Do) -> int:
    """The most bytes that this process held at once while something was done, less those from before."""
    gc.collect()
    before = _held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    do()
    return _held("VmHWM") - before


def _held(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


KIND = Kind(
    name="memory",
    says="Peak memory of a training step above weights and input (so with all gradients), as the system sees "
    "it; also in arrays of T × B × H floats.",
    columns=("peer", "T", "B", "H", "ours (MiB)", "theirs (MiB)", "ours (TBH)", "theirs (TBH)", "share"),
    named=1,
    figure="share",
    unit="of theirs",
    worst=max,
    jobs=jobs,
    left_out="memory but for an LSTM at one size",
)
