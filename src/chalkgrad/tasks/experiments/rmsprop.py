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
    """The same net, the same starts (a seed each), the same examples; gradients of both clipped."""

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
    seeds: tuple[int, ...] = (0, 1, 2)

    def draw(self, n: int, drawn: Generator) -> tuple[Tensor, Tensor]:
        return data.adding(n, self.length, drawn)


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """The adding problem's error on unseen examples, after the same number of steps from several starts."""
    s = settings
    step = counted(tick, sum(len(rates) for _, rates in s.rates) * len(s.seeds) * s.steps)
    rows: list[tuple[str, ...]] = []
    best = dict.fromkeys(OPTIMIZERS, inf)
    for name, rates in s.rates:
        for rate in rates:
            errors: list[float] = []
            for seed in s.seeds:
                net = made(s.cell, seed, D=2, H=s.units, y=1)
                learn(
                    net,
                    s.draw,
                    mse_loss,
                    OPTIMIZERS[name](net.parameters(), lr=rate),  # pyright: ignore[reportCallIssue]
                    steps=s.steps,
                    batch=s.batch,
                    seed=seed,
                    clip=s.clip,
                    tick=step,
                )
                errors.append(error(net, s.draw, seed + 1000))
            rows.append((name, f"{rate:g}", *(f"{e:.4f}" for e in errors)))
            best[name] = min(best[name], max(e if isfinite(e) else inf for e in errors))
    return Outcome(
        f"RMSprop and SGD on the adding problem over {s.length} steps: unseen mean squared error "
        f"(saying 1: {data.BASELINE:.4f})",
        "Gradients of early steps are small beside those of late ones. RMSprop divides each by its own size, "
        "so weights with small gradients learn as fast as others.",
        ("optimiser", "step size", *(f"start {k}" for k, _ in enumerate(s.seeds, 1))),
        tuple(rows),
        (
            Finding(
                f"RMSprop, with its best step size, comes to {best['RMSprop']:.4f} or less from every start",
                best["RMSprop"] < 0.02,
            ),
            Finding(
                f"SGD, with its best and in as many steps, is left at {best['SGD']:.4f} from one of them",
                best["SGD"] > 5 * best["RMSprop"],
            ),
        ),
    )


__all__ = ["Settings", "run"]
