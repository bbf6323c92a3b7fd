"""The adding problem: gates carry two numbers over a hundred steps, a plain network does not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import mse_loss

from chalkgrad.tasks.experiments import data
from chalkgrad.tasks.experiments.learn import error, learn, made
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, counted, silent


@dataclass(frozen=True)
class Settings:
    """Each cell has its step sizes for Adam: the plain network several, so that it is not for want of one."""

    rates: tuple[tuple[str, tuple[float, ...]], ...] = (
        ("rnn", (0.001, 0.003, 0.01)),
        ("lstm", (0.01,)),
        ("gru", (0.01,)),
    )
    gated: tuple[str, ...] = ("lstm", "gru")
    length: int = 100
    units: int = 64
    batch: int = 64
    steps: int = 1000
    clip: float = 1.0
    seed: int = 0

    def draw(self, n: int, drawn: Generator) -> tuple[Tensor, Tensor]:
        return data.adding(n, self.length, drawn)


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """The mean squared error while training, and on unseen examples after it."""
    s = settings
    step = counted(tick, sum(len(rates) for _, rates in s.rates) * s.steps)
    parts = range(4)
    rows: list[tuple[str, ...]] = []
    best: dict[str, float] = {}
    for cell, rates in s.rates:
        for rate in rates:
            net = made(cell, s.seed, D=2, H=s.units, y=1)
            optimizer = torch.optim.Adam(net.parameters(), lr=rate)
            course = learn(
                net,
                s.draw,
                mse_loss,
                optimizer,
                steps=s.steps,
                batch=s.batch,
                seed=s.seed,
                clip=s.clip,
                tick=step,
            )
            quarters = [course.losses[k * s.steps // 4 : (k + 1) * s.steps // 4] for k in parts]
            means = [sum(q) / len(q) if q else float("nan") for q in quarters]
            unseen = error(net, s.draw, s.seed + 1000)
            rows.append((cell, f"{rate:g}", *(f"{mean:.3f}" for mean in means), f"{unseen:.4f}"))
            best[cell] = min(best.get(cell, unseen), unseen)
    plain = {cell: e for cell, e in best.items() if cell not in s.gated}
    return Outcome(
        f"The adding problem over {s.length} steps: mean squared error (saying 1: {data.BASELINE:.4f})",
        "The gradient of a plain network vanishes before it reaches the first number. In a gated cell it "
        "goes back along the cell undiminished.",
        ("cell", "step size", *(f"quarter {k + 1}" for k in parts), "unseen"),
        tuple(rows),
        (
            *(
                Finding(f"the {cell} stays at the baseline: {e:.4f} at best", e > 0.9 * data.BASELINE)
                for cell, e in plain.items()
            ),
            *(
                Finding(f"the {cell} solves it: {best[cell]:.4f}", best[cell] < 0.01)
                for cell in s.gated
                if cell in best
            ),
        ),
    )


__all__ = ["Settings", "run"]
