"""The order of two letters far apart, learned with and without a bound on the gradient's norm."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from chalkgrad.tasks.experiments.data import temporal_order
from chalkgrad.tasks.experiments.learn import learn, made, right
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, counted, silent

CELL = "h[t] = tanh(x[t] W + h[t-1] U + b)"


@dataclass(frozen=True)
class Settings:
    """``radius`` is what the largest eigenvalue of U begins at; every run has each of the seeds."""

    rates: tuple[float, ...] = (0.03, 0.1, 0.3)
    clip: float = 1.0
    seeds: tuple[int, ...] = (0, 1, 2)
    length: int = 20
    units: int = 50
    radius: float = 0.95
    batch: int = 20
    steps: int = 2000

    def draw(self, n: int, drawn: Generator) -> tuple[Tensor, Tensor]:
        return temporal_order(n, self.length, drawn)


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """Plain gradient descent, as Pascanu, Mikolov and Bengio had it."""
    s = settings
    step = counted(tick, len(s.rates) * 2 * len(s.seeds) * s.steps)
    rows: list[tuple[str, ...]] = []
    found: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for rate in s.rates:
        for clip in (inf, s.clip):
            largest = 0.0
            for seed in s.seeds:
                net = started(s, seed)
                optimizer = torch.optim.SGD(net.parameters(), lr=rate)
                course = learn(
                    net,
                    s.draw,
                    cross_entropy,
                    optimizer,
                    steps=s.steps,
                    batch=s.batch,
                    seed=seed,
                    clip=clip,
                    tick=step,
                )
                share = right(net, s.draw, seed + 1000)
                found.setdefault((rate, clip), []).append((course.last, share))
                largest = max(largest, *course.norms)
            losses, shares = zip(*found[rate, clip], strict=True)
            rows.append(
                (
                    f"{rate:g}",
                    "none" if clip == inf else f"{clip:g}",
                    ", ".join(f"{loss:.2f}" for loss in losses),
                    ", ".join(f"{share:.0%}" for share in shares),
                    f"{largest:.0f}",
                )
            )
    lost = [rate for rate in s.rates if all(loss > log(4) / 2 for loss, _ in found[rate, inf])]
    saved = [rate for rate in lost if all(share > 0.95 for _, share in found[rate, s.clip])]
    return Outcome(
        f"The order of two letters among {s.length}, by a tanh network",
        "Where the loss has cliffs, one step with a huge gradient throws away what was learned. "
        "Scaled down to a bound, it keeps its direction.",
        ("step size", "norm at most", "loss at the end", "unseen right", "largest norm"),
        tuple(rows),
        (
            Finding(
                f"without a bound, no run with step sizes of {_list(lost)} comes below a loss of "
                f"{log(4) / 2:.2f} (by chance: {log(4):.2f})",
                bool(lost),
            ),
            Finding(
                f"with gradients of norm {s.clip:g} at most, all runs do with {_list(saved)}",
                bool(lost) and saved == lost,
            ),
        ),
    )


def started(settings: Settings, seed: int) -> torch.nn.Module:
    """A net whose recurrent weights are normal, scaled to a spectral radius; small input weights, no bias."""
    s = settings
    net = made(CELL, seed, x=6, h=s.units, y=4)
    drawn = Generator().manual_seed(seed)
    u = torch.randn(s.units, s.units, generator=drawn)
    given = dict(net.named_parameters())
    with torch.no_grad():
        given["U"].copy_(s.radius * u / torch.linalg.eigvals(u).abs().max())
        given["W"].copy_(0.1 * torch.randn(6, s.units, generator=drawn))
        given["b"].zero_()
    return net


def _list(numbers: list[float]) -> str:
    return " and ".join(f"{number:g}" for number in numbers) or "none"


__all__ = ["Settings", "run"]
