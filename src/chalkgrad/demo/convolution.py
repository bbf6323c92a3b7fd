"""Scene 1: a convolution, by hand, by its equation, and backwards."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

import chalkgrad
from chalkgrad.demo.board import Grid, equations, heading, say, show

EQUATION = "y[i,j] = Σ[p,q] w[p,q] x[i+p,j+q] where x: input M×N, w: P×Q"

# The worked example of Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
PICTURE = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
KERNEL = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]


def scene(console: Console) -> None:
    heading(console, 1, "A convolution: every point is defined by its neighbours")
    show(console, EQUATION)
    net = chalkgrad.layer(EQUATION, P=3, Q=3, init={"w": torch.tensor(KERNEL)})
    x = torch.tensor(PICTURE, dtype=torch.float32)
    y: list[list[float]] = net(x).tolist()
    grids = [Grid("x", PICTURE, (3, 3)), Grid("w", KERNEL, (3, 3)), Grid("y", y, (1, 1))]
    pictures = Table.grid(padding=(0, 6, 0, 0))
    pictures.add_row(*grids)
    console.print(Padding(pictures, (0, 0, 1, 4), expand=False))
    pairs = [(PICTURE[p][q], KERNEL[p][q]) for p in range(3) for q in range(3)]
    say(
        console,
        "The corner of y:",
        " + ".join(f"{a}·{b}" for a, b in pairs),
        f"= {sum(a * b for a, b in pairs)};",
        f"the layer computes {y[0][0]:.0f}.",
    )
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
