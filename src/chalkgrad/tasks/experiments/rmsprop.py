"""RMSprop beside plain gradient descent, each with the best of several step sizes."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Generator, Tensor
from torch.nn.functional import mse_loss

from chalkgrad.tasks.experiments import data
from chalkgrad.tasks.experiments.learn import error, learn, made
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, counted, silent

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "RMSprop": torch.optim.RMSprop}


@dataclass(frozen=True)
class Settings:
    """The same net, the same start, the same examples; gradients of both clipped."""

    cell: str = "lstm"
    rates: tuple[tuple[str, tuple[float, ...]], ...] = (
        ("SGD", (0.03, 0.1, 0.3, 1.0)),
        ("RMSprop", (0.001, 0.003, 0.01)),
    )
    length: int = 30
    units: int = 32
    batch: int = 32
    steps: int = 2000
    clip: float = 1.0
    seed: int = 0

    def draw(self, n: int, drawn: Generator) -> tuple[Tensor, Tensor]:
        return data.adding(n, self.length, drawn)


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """The adding problem's error on unseen examples, after the same number of steps."""
    s = settings
    step = counted(tick, sum(len(rates) for _, rates in s.rates) * s.steps)
    rows: list[tuple[str, ...]] = []
    best = dict.fromkeys(OPTIMIZERS, inf)
    for name, rates in s.rates:
        for rate in rates:
            net = made(s.cell, s.seed, D=2, H=s.units, y=1)
            course = learn(
                net,
                s.draw,
                mse_loss,
                OPTIMIZERS[name](net.parameters(), lr=rate),  # pyright: ignore[reportCallIssue]
                steps=s.steps,
                batch=s.batch,
                seed=s.seed,
                clip=s.clip,
                tick=step,
            )
            unseen = error(net, s.draw, s.seed + 1000)
            rows.append((name, f"{rate:g}", f"{course.last:.4f}", f"{unseen:.4f}"))
            best[name] = min(best[name], unseen if isfinite(unseen) else inf)
    return Outcome(
        f"RMSprop and SGD on the adding problem over {s.length} steps (saying 1: {data.BASELINE:.4f})",
        "Gradients of early steps are small beside those of late ones. RMSprop divides each by its own size, "
        "so weights with small gradients learn as fast as others.",
        ("optimiser", "step size", "error at the end", "unseen"),
        tuple(rows),
        (
            Finding(
                f"RMSprop comes to {best['RMSprop']:.4f} with its best step size", best["RMSprop"] < 0.02
            ),
            Finding(
                f"SGD to {best['SGD']:.4f} with its own, in as many steps", best["SGD"] > 5 * best["RMSprop"]
            ),
        ),
    )


__all__ = ["Settings", "run"]
