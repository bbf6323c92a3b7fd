"""What a step of a training pass costs as sequences grow: seconds and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import torch

import chalkgrad
from bench.cells import Size, side
from bench.measure import median
from bench.memory import peak_of
from bench.tables import Job, Kind, Plan, Row

LENGTHS = (100, 1_000, 10_000, 100_000)
B, H = 4, 64
LAYERS = ("lstm", "gru", "rnn", "lstm, recomputed")
"""Recomputed: in √T chunks, of which only the states between them are kept."""


def jobs(plan: Plan) -> list[Job]:
    @cache
    def costs(name: str, T: int) -> tuple[float, float]:
        """Seconds and bytes of a step."""
        size: Size = (T, B, H)
        page, _, chunks = name.partition(", ")
        net = chalkgrad.layer(page, D=H, H=H)
        call = partial(chalkgrad.recompute, net) if chunks else net
        seconds = median(side(call, [*net.parameters()], torch.randn(B, T, H)).training, plan.seconds / 2)
        return seconds / T, peak_of(True, page, size, plan.threads, bool(chunks)) / T

    def job(name: str, T: int) -> Iterator[Row]:
        (seconds, held), (seconds_100, held_100) = costs(name, T), costs(name, LENGTHS[0])
        yield (name, T, B, H, seconds * 1e6, held, seconds / seconds_100, held / held_100)

    names, lengths = (("lstm",), (10_000,)) if plan.quick else (LAYERS, LENGTHS[1:])
    return [lambda name=name, T=T: job(name, T) for name in names for T in lengths]


KIND = Kind(
    name="growth",
    says="A training pass over T steps: its time and its peak of memory divided by T, and both relative to "
    "T = 100.",
    columns=("layer", "T", "B", "H", "time (µs)", "memory (bytes)", "time / T=100", "memory / T=100"),
    named=1,
    figure="time / T=100",
    unit="× the time of a step at T = 100",
    worst=max,
    jobs=jobs,
    left_out="growth but for an LSTM at T = 10,000",
)
