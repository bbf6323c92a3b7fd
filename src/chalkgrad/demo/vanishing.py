"""Scene 5: how much gradient reaches each step, in a tanh network and in an LSTM, as bars."""

from __future__ import annotations

import math

import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor

import chalkgrad
from chalkgrad.demo.board import heading, say, show
from chalkgrad.flowing.verdict import verdict

STEPS, UNITS = 60, 32
CELL = "h[t] = tanh(x[t] W + h[t-1] U)"
PARTS = " ▁▂▃▄▅▆▇█"
ROWS = 3
"""How many lines a row of bars is high."""
LOW, HIGH = -8, 8
"""The powers of ten between which bars are drawn."""


def scene(console: Console) -> None:
    heading(console, 5, "Gradients through time: they vanish, explode, or are kept")
    show(console, CELL)
    say(
        console,
        f"The loss looks at the last of {STEPS} steps alone. Bars: the norm of ∂h[t] at each step, 1 at",
        "the last, by powers of ten. Below, the verdict on what `with chalkgrad.flow(net) as record` saw.",
    )
    for name, net in nets():
        norms, said = reaches(net)
        console.print(Text(name, "bold"))
        for line in bars(norms):
            console.print(line)
        console.print(Text(f"{said}\n"))


def nets() -> list[tuple[str, chalkgrad.Layer]]:
    """Two starts of the tanh network and an LSTM as it begins, its forget bias 1."""
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(UNITS, UNITS))[0]
    found = [
        (
            f"tanh, U a rotation times {scale:g}",
            chalkgrad.layer(CELL, x=8, h=UNITS, init={"U": scale * rotation}),
        )
        for scale in (0.8, 3.0)
    ]
    return [*found, ("LSTM, its forget bias 1", chalkgrad.layer("lstm", D=8, H=UNITS))]


def reaches(net: chalkgrad.Layer) -> tuple[Tensor, str]:
    """The norm at each step over that at the last (T,), and what the verdict says of it."""
    x = torch.randn(16, STEPS, 8, generator=torch.Generator().manual_seed(1)) / 10
    with chalkgrad.flow(net) as record:
        y, _ = net(x)
        y[:, -1].sum().backward()
    first = verdict(record).findings[0]
    norms = record.norm["h"][0]
    return norms / norms[-1], f"{first.kind}: {first.words}"


def bars(norms: Tensor) -> list[Text]:
    """Bars of the logarithm, a column for each step, high as many lines; the scale beside them.

    >>> for line in bars(torch.tensor([1e-8, 1.0, 1e8])):
    ...     print(line.plain.rstrip())
      1e+08   █
      1      ▄█
      1e-08 ▁██
    """
    full = 8 * ROWS
    share = [(math.log10(max(norm, 1e-300)) - LOW) / (HIGH - LOW) for norm in norms.tolist()]
    eighths = [max(1, min(full, round(s * full))) for s in share]
    labels = [f"1e+{HIGH:02d}", *([""] * (ROWS - 2)), f"1e{LOW:+03d}"]
    labels[ROWS // 2] = "1"
    lines: list[Text] = []
    for row in range(ROWS - 1, -1, -1):
        line = Text(f"  {labels[ROWS - 1 - row]:<6}", "dim")
        for n in eighths:
            line.append(PARTS[max(0, min(8, n - 8 * row))], "cyan")
        lines.append(line)
    return lines
