"""How much gradient reaches the first step of a tanh network, for recurrent weights of every scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from chalkgrad.nn.layer import layer
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, silent

CELL = "h[t] = tanh(x[t] W + h[t-1] U)"


@dataclass(frozen=True)
class Settings:
    """``scales`` are what all singular values of U are set to."""

    scales: tuple[float, ...] = (0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0)
    lengths: tuple[int, ...] = (10, 20, 50, 100)
    units: int = 64
    examples: int = 32
    seed: int = 0


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """∂L/∂h₀ for a ∂L/∂h_T of norm 1, mean over examples; U is a rotation times the scale."""
    s = settings
    found: dict[float, list[float]] = {}
    for done, scale in enumerate(s.scales, 1):
        found[scale] = [reaches(scale, length, s) for length in s.lengths]
        tick(done, len(s.scales))
    small = {scale: norms for scale, norms in found.items() if scale <= 1}
    under = all(
        norm <= scale**length * (1 + 1e-9)
        for scale, norms in small.items()
        for length, norm in zip(s.lengths, norms, strict=True)
    )
    least, most = min(s.scales), max(s.scales)
    longest = s.lengths[-1]
    return Outcome(
        "How much of a gradient at the last step reaches the first",
        "Each step back multiplies by diag(1 - h²) Uᵀ. Its norm is at most the scale of U: up to 1 the "
        "gradient vanishes with the length; above 1 it may explode.",
        ("scale of U", *(f"T = {length}" for length in s.lengths)),
        tuple((f"{scale:g}", *(f"{norm:.1e}" for norm in norms)) for scale, norms in found.items()),
        (
            Finding("up to scale 1 nothing is larger than scale^T, which the theory says is the most", under),
            Finding(
                f"scale {least:g} vanishes: {found[least][0]:.0e} at T = {s.lengths[0]}, "
                f"{found[least][-1]:.0e} at T = {longest}",
                falls(found[least]) and found[least][-1] < 1e-6,
            ),
            Finding(
                f"scale {most:g} explodes: {found[most][0]:.0e} at T = {s.lengths[0]}, "
                f"{found[most][-1]:.0e} at T = {longest}",
                falls(found[most][::-1]) and found[most][-1] > 1e6,
            ),
        ),
    )


def reaches(scale: float, length: int, settings: Settings) -> float:
    """The norm of ∂L/∂h₀, where L is the last state in a direction drawn for each example."""
    drawn = torch.Generator().manual_seed(settings.seed)
    n, units = settings.examples, settings.units

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=torch.float64)

    rotation, _ = torch.linalg.qr(normal(units, units))
    start = {"U": scale * rotation, "W": normal(8, units) / 10}
    net = layer(CELL, x=8, h=units, init=start, dtype=torch.float64)
    h0 = torch.zeros(n, units, dtype=torch.float64, requires_grad=True)
    direction = torch.nn.functional.normalize(normal(n, units), dim=1)
    _, state = net(normal(n, length, 8), (h0,))
    (gradient,) = torch.autograd.grad((state.h * direction).sum(), h0)
    return gradient.norm(dim=1).mean().item()


def falls(numbers: Sequence[float]) -> bool:
    """Whether each is less than the one before."""
    return all(b < a for a, b in pairwise(numbers))


__all__ = ["Settings", "run"]
