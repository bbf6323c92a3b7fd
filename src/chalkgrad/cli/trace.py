"""``chalkgrad trace``: every intermediate value, forward and backward, to be followed with a pencil."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli.page import Function, Inputs, Seed, What, complaints, pairs, sizes, waiting, warn


def trace(
    what: What,
    values: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help='Numbers by name: {"x": \\[\\[1, 0], \\[0, 1]], "W": …}.'),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Draw what FILE does not give: numbers with one digit.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(metavar="T", help="Length in time of what is drawn.", show_default="3")
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="D=2", help="A size, by symbol (D=2) or by name (h=4, W=3,4); may be repeated."),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="D=2 …", hidden=True)] = None,
    digits: Annotated[int, typer.Option(help="Significant digits that are printed.")] = 4,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all numbers here too, unrounded.")
    ] = None,
    seed: Seed = 0,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Compute a layer by hand: every value, forward and backward, step by step, for one example.

    Time is counted from 1; h\[0] is the start, zero unless FILE gives h0. FILE may also give ȳ, what arrives
    from the loss: one everywhere if not. The sizes follow from the numbers. `+=` adds a step's part to a sum
    over time.

    Examples:

        chalkgrad trace rnn --random --size D=2 H=3 --steps 2

        chalkgrad trace my_cell.chalk --values numbers.json

        chalkgrad trace "y\[i] = Σ\[j] V\[j] x\[i+j] where x: input" --random --json all.json
    """
    with complaints():
        from rich.console import Console

        from chalkgrad.files import write
        from chalkgrad.tracing.trace import trace as traced

        functions = pairs(function, "--function", "τ=tanh")
        given = sizes([*(size or []), *(more or [])], "D=2")
        found = traced(
            what,
            values,
            random=random,
            steps=steps,
            digits=digits,
            seed=seed,
            inputs=inputs,
            functions=functions,
            **given,
        )
        warn(found.warnings)
        if json is not None:
            write(json, found.json())
        with waiting("lines") as progress:
            page = found.text(max(40, min(Console().width, 100)), progress)
    print(page)
    if json is not None:
        print(f"\nall numbers: {json}")
