"""Scene 6: a cell of one's own, as a loop in Python and as equations, timed side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from time import perf_counter

import torch
from rich.console import Console
from torch import Tensor

import chalkgrad
from chalkgrad.demo.board import heading, say, show

EQUATIONS = """\
f[t] = σ(x[t] W_f + h[t-1] U_f + b_f)
g[t] = tanh(x[t] W + (f[t] ⊙ h[t-1]) U + b)
h[t] = (1 - f[t]) ⊙ h[t-1] + f[t] ⊙ g[t]"""

LOOP = """\
for t in range(steps):
    f = torch.sigmoid(x_f[:, t] + h @ U_f)
    g = torch.tanh(x_g[:, t] + (f * h) @ U)
    h = (1 - f) * h + f * g
    found.append(h)"""

SIZE = (100, 8, 128)
"""Steps, examples, units."""


def scene(console: Console, size: tuple[int, int, int] = SIZE, seconds: float = 4) -> None:
    """Compute the same by both, and train with both in turn."""
    steps, rows, units = size
    heading(console, 6, "A cell of your own: a loop in Python, and equations")
    show(console, "# equations\n" + EQUATIONS)
    show(console, "# the same as a loop, the input's products before it\n" + LOOP)
    torch.manual_seed(0)
    net = chalkgrad.layer(EQUATIONS, x=units, h=units)
    given = dict(net.named_parameters())
    x = torch.randn(rows, steps, units)
    ours, theirs = net(x)[0], by_loop(x, given)
    difference = (ours - theirs).abs().max().item()
    times = in_turn(
        lambda: torch.autograd.grad(net(x)[0].sum(), list(given.values())),
        lambda: torch.autograd.grad(by_loop(x, given).sum(), list(given.values())),
        seconds,
    )
    ratio = times[1] / times[0]
    widest = max(times)
    for name, time in zip(("equations", "loop"), times, strict=True):
        console.print(
            f"{name:>10} {time * 1e3:7.1f} ms  [cyan]{'█' * max(1, round(36 * time / widest))}[/cyan]"
        )
    console.print()
    say(
        console,
        f"Forward and backward over {steps} steps, {rows} examples, {units} units:",
        f"the loop takes {ratio:.1f} times as long. The outputs differ by {difference:.0e} at most.",
        "The loop over t is found in the equations, compiled once, and kept.",
    )


def by_loop(x: Tensor, p: Mapping[str, Tensor]) -> Tensor:
    """The cell as one writes it with torch: the input's products before the loop."""
    x_f, x_g = x @ p["W_f"] + p["b_f"], x @ p["W"] + p["b"]
    h = x.new_zeros(x.shape[0], p["U"].shape[0])
    found: list[Tensor] = []
    for t in range(x.shape[1]):
        f = torch.sigmoid(x_f[:, t] + h @ p["U_f"])
        g = torch.tanh(x_g[:, t] + (f * h) @ p["U"])
        h = (1 - f) * h + f * g
        found.append(h)
    return torch.stack(found, 1)


def in_turn(a: Callable[[], object], b: Callable[[], object], seconds: float) -> tuple[float, float]:
    """The median seconds of two things done in turn, for so long in all."""
    spent: tuple[list[float], list[float]] = ([], [])
    begun = perf_counter()
    while not spent[0] or perf_counter() - begun < seconds:
        for do, times in zip((a, b), spent, strict=True):
            at = perf_counter()
            do()
            times.append(perf_counter() - at)
    return statistics.median(spent[0]), statistics.median(spent[1])
