"""Truncated back-propagation through time learns what lies within its window, and nothing beyond."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from chalkgrad.tasks.experiments.data import first_bit
from chalkgrad.tasks.experiments.learn import learn, made, right
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, counted, silent


@dataclass(frozen=True)
class Settings:
    """A window of None is the whole sequence; every run has each of the seeds."""

    cell: str = "lstm"
    lengths: tuple[int, ...] = (10, 30)
    windows: tuple[int | None, ...] = (10, 20, 30, None)
    units: int = 32
    batch: int = 64
    steps: int = 600
    rate: float = 0.005  # at twice that, what was learned is lost again now and then
    clip: float = 1.0
    seeds: tuple[int, ...] = (0, 1, 2)


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """Which bit stood first, asked after the last of T steps; the gradient is cut after every so many."""
    s = settings
    step = counted(tick, len(s.lengths) * len(s.windows) * len(s.seeds) * s.steps)
    found: dict[tuple[int, int | None], list[float]] = {}
    for length, window, seed in product(s.lengths, s.windows, s.seeds):

        def draw(n: int, drawn: Generator, length: int = length) -> tuple[Tensor, Tensor]:
            return first_bit(n, length, drawn)

        net = made(s.cell, seed, D=2, H=s.units, y=2)
        learn(
            net,
            draw,
            cross_entropy,
            torch.optim.Adam(net.parameters(), lr=s.rate),
            steps=s.steps,
            batch=s.batch,
            seed=seed,
            clip=s.clip,
            tick=step,
            **({} if window is None else {"truncate": window}),
        )
        found.setdefault((length, window), []).append(right(net, draw, seed + 1000))
    inside = [
        x for (length, window), shares in found.items() if window is None or length <= window for x in shares
    ]
    outside = [
        x
        for (length, window), shares in found.items()
        if window is not None and length > window
        for x in shares
    ]
    return Outcome(
        f"The first of T steps recalled at the last, by an {s.cell.upper()}, gradients cut every k steps",
        "No gradient says what was worth keeping at a step before the cut. What is further back than the "
        "window is not learned, whatever the cell.",
        ("T", *("whole" if window is None else f"k = {window}" for window in s.windows)),
        tuple(
            (str(length), *(", ".join(f"{x:.0%}" for x in found[length, window]) for window in s.windows))
            for length in s.lengths
        ),
        (
            Finding(
                f"where the window holds the sequence, at least {min(inside):.0%} are right",
                min(inside) > 0.95,
            ),
            Finding(f"where it does not, at most {max(outside):.0%} (guessing: 50%)", max(outside) < 0.65),
        ),
    )


__all__ = ["Settings", "run"]
