"""``chalkgrad draw``: the computation graph as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli.page import Function, Inputs, What, complaints, pairs, waiting, warn


def draw(
    what: What,
    unroll: Annotated[
        int | None,
        typer.Option(metavar="T", help="Draw T steps in time, or T places of a convolution, 1 to 8."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="FILE.svg or FILE.png; without an ending, both.",
            show_default="the layer's name, both",
        ),
    ] = None,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Draw the computation graph, as SVG and PNG.

    A box for each equation, with its weights, and a wire for each read. Folded, a recurrence is a loop that
    says at which step it reads; unrolled, every step (of a convolution, every place) has its own boxes and
    the same weights.

    Needs matplotlib: pip install "chalkgrad\[report]".

    Examples:

        chalkgrad draw lstm                      writes lstm.svg and lstm.png

        chalkgrad draw gru --unroll 3 -o gru.svg

        chalkgrad draw "h\[t] = tanh(x\[t] W + h\[t-1] U)" -o slide
    """
    with complaints():
        from chalkgrad.drawing.draw import SUFFIXES, needs_matplotlib
        from chalkgrad.drawing.draw import draw as drawn

        needs_matplotlib()
        drawing = drawn(what, unroll=unroll, inputs=inputs, functions=pairs(function, "--function", "τ=tanh"))
        warn(drawing.warnings)
        base = output or Path(_name(what))
        paths = [base] if base.suffix else [base.with_name(base.name + s) for s in SUFFIXES]
        with waiting("pictures") as progress:
            progress(0, len(paths))
            for done, path in enumerate(paths, 1):
                drawing.save(path)
                progress(done, len(paths))
    for path in paths:
        print(path)


def _name(what: str) -> str:
    """What a picture is called: a standard layer or a file by its name, a page in quotes `picture`."""
    from chalkgrad.zoo import names

    word = what.strip()
    if word in names():
        return word
    return "picture" if "=" in word or "\n" in word else Path(word).stem
