"""Scene 2: what a kernel does to a picture, how large the result is, and what comes back."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

import chalkgrad
from chalkgrad.demo.board import Grid, equations, heading, say
from chalkgrad.demo.convolution import EQUATION, KERNEL, PICTURE
from chalkgrad.demo.filters import BLUR, EDGE, SHARPEN, SIZES, jump, maps
from chalkgrad.demo.shades import Shades, shirt

ARRIVES = [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
"""A loss that looks at one place only."""


def scene(console: Console, folder: Path | None = None) -> None:
    """Show it; pictures of it are written to ``folder``."""
    heading(console, 2, "What a kernel does: attenuate, amplify, and send back")
    x = shirt()
    blurred, sharper, edges = maps(x, BLUR, SHARPEN, EDGE)
    rows = slice(1, -1)  # two less: a line of the screen less
    inner = x[1:-1, 1:-1]
    pictures = Table.grid(padding=(0, 1, 0, 0))
    pictures.add_row(
        Shades("x", inner[rows], 255),
        Shades("blurred", blurred[rows], 255),
        Shades("upright edges", edges[rows], edges.abs().max().item()),
    )
    console.print(pictures)
    say(
        console,
        f"From one pixel to the next the picture changes by {jump(inner):.0f} on average.",
        f"The blur, a mean of 3×3, attenuates that to {jump(blurred):.0f};",
        f"5 in the middle and -1 beside it amplifies it to {jump(sharper):.0f};",
        "the third kernel answers where it is brighter on the right (orange) or on the left (blue).",
        "How large the result is follows from what is read:",
    )
    sizes = Table.grid(padding=(0, 2, 0, 0))
    for name, page in SIZES.items():
        net = chalkgrad.layer(page, P=3)
        size = str(net.program["y"].ranges[0].size)
        small = f"{x.shape[-1]} → {net(x).shape[-1]}"
        sizes.add_row(equations(page.partition(" where")[0]), name, equations(size), small)
    console.print(Padding(sizes, (0, 0, 1, 4), expand=False))
    found = chalkgrad.trace(EQUATION, {"x": PICTURE, "w": KERNEL, "∂y": ARRIVES})
    say(
        console,
        "Backwards. Let the loss look at one place of y only: ∂x is the kernel, laid where it looked, and ∂w",
        "what it saw there. Any other ∂y is a sum of such places: two convolutions again.",
    )
    grids = Table.grid(padding=(0, 3, 0, 0))
    grids.add_row(
        Grid("∂y", ARRIVES, (1, 1), (1, 1)),
        Grid("∂x", found.gradients["x"].tolist(), (3, 3), (1, 1)),
        Grid("x", PICTURE, (3, 3), (1, 1)),
        Grid("∂w", found.gradients["w"].tolist(), (3, 3)),
    )
    console.print(Padding(grids, (0, 0, 0, 4), expand=False))
    if folder is not None:
        console.print(f"\n[dim]{written(folder)}[/dim]")


def written(folder: Path) -> str:
    """Draw it with matplotlib, and say where."""
    try:
        from chalkgrad.demo.heat import draw
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        return 'Pictures of this are drawn with matplotlib: pip install "chalkgrad\\[report]"'
    paths = draw(folder)
    return f"Drawn: {', '.join(path.name for path in paths)} in {folder}"
