"""Times beside torch.nn, loops in torch, torch.compile and JAX: the peer's divided by ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.cells import GRID, QUICK, Cell, Size
from bench.compiled import compiled_jobs
from bench.jax_scan import against_jax
from bench.loops import LOOPS, against_loop
from bench.measure import Pair, pair
from bench.products import PRODUCTS, against_torch_mm
from bench.tables import Job, Kind, Plan, Row
from bench.torch_nn import PEERS, against_torch_nn


def row(peer: str, kind: str, size: Size, m: Pair) -> Row:
    return (peer, kind, *size, m.ours * 1e3, m.theirs * 1e3, m.ratio)


def jobs(plan: Plan) -> list[Job]:
    sizes = QUICK if plan.quick else GRID

    def cell(make: Callable[[str, Size], Cell], name: str, size: Size, *, forward: bool) -> Job:
        def job() -> Iterator[Row]:
            c = make(name, size)
            m = pair(c.ours.training, c.theirs.training, plan.seconds, c.settle)
            yield row(c.peer, "training", size, m)
            if forward:
                m = pair(c.ours.forward, c.theirs.forward, plan.seconds, c.settle)
                yield row(c.peer, "forward", size, m)

        return job

    def product(size: Size) -> Job:
        return lambda: [
            row("torch.mm of M×K by K×N", "forward", size, pair(*against_torch_mm(size), plan.seconds))
        ]

    found = [cell(against_torch_nn, name, size, forward=True) for name in PEERS for size in sizes]
    found += [cell(against_loop, name, size, forward=True) for name in LOOPS for size in sizes]
    found += [
        cell(against_jax, name, size, forward=False)
        for name in (["lstm"] if plan.quick else PEERS)
        for size in (sizes[1:2] if plan.quick else sizes)
    ]
    found += [] if plan.quick else compiled_jobs(plan, row)
    return found + [product(size) for size in PRODUCTS]


KIND = Kind(
    name="recurrent",
    says="Time of the peer / ours, medians of runs in turn, float32. Training is forward and all gradients, "
    "the input's too. Under torch.compile a loop has 20 steps, as a long one takes minutes to compile; "
    "`first step` is from a cell's definition to its first gradient, all caches empty, in a process that has "
    "torch loaded.",
    columns=("peer", "kind", "T (M)", "B (K)", "H (N)", "ours (ms)", "theirs (ms)", "ratio"),
    named=2,
    figure="ratio",
    unit="× as long",
    worst=min,
    jobs=jobs,
    left_out="loops under torch.compile, and jax.lax.scan but for an LSTM at one size",
)
