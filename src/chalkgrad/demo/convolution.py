"""Scene 1: a convolution, by hand, by its equation, and backwards."""

from __future__ import annotations

import torch
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table

import chalkgrad
from chalkgrad.demo.board import Grid, equations, heading, play, say, show

EQUATION = "y[i,j] = Σ[p,q] w[p,q] x[i+p,j+q] where x: input M×N, w: P×Q"

# The worked example of Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
PICTURE = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
KERNEL = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]


def scene(console: Console, seconds: float = 0.8) -> None:
    """Slide the kernel over the picture, at each place for so long, and derive the equation."""
    heading(console, 1, "A convolution: every point is defined by its neighbours")
    show(console, EQUATION)
    net = chalkgrad.layer(EQUATION, P=3, Q=3, init={"w": torch.tensor(KERNEL)})
    x = torch.tensor(PICTURE, dtype=torch.float32)
    y: list[list[float]] = net(x).tolist()
    lines = steps()
    play(console, (place(y, k, line) for k, line in enumerate(lines)), seconds)
    console.print(place(y, len(lines) - 1, "\n".join(lines)))
    rows, columns = net.program["y"].ranges
    say(
        console,
        "Nothing was said about the size of y. It is as large as it can be with every read inside x:",
        f"({rows.size}) × ({columns.size}), here {len(y)} × {len(y[0])}.",
    )
    say(console, "Backwards, the equation becomes two others, and both are convolutions again:")
    show(console, str(chalkgrad.derive(EQUATION)))
    say(console, "Compared with torch's automatic differentiation and with differences, in float64:")
    console.print(
        Padding(equations(str(chalkgrad.check(EQUATION, M=5, N=5, P=3, Q=3))), (0, 0, 0, 4), expand=False)
    )


def place(y: list[list[float]], k: int, said: str) -> RenderableType:
    """The kernel at its k-th place: where it lies on the picture, what has been computed by then, how."""
    wide = len(y[0])
    known = [[v if wide * i + j <= k else None for j, v in enumerate(row)] for i, row in enumerate(y)]
    grids = Table.grid(padding=(0, 6, 0, 0))
    grids.add_row(
        Grid("x", PICTURE, (3, 3), divmod(k, wide)),
        Grid("w", KERNEL),
        Grid("y", known, (1, 1), divmod(k, wide)),
    )
    return Padding(Group(grids, "", equations(said), ""), (0, 0, 0, 4), expand=False)


def steps() -> list[str]:
    """A line for each place of the kernel: its products and what they come to."""
    lines = str(chalkgrad.trace(EQUATION, {"x": PICTURE, "w": KERNEL})).splitlines()
    return [line.strip() for line in lines if line.strip()[:2] == "y[" and line.strip()[2].isdigit()]
