"""``chalkgrad code``: a layer as a script that runs alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli.page import Function, Inputs, What, complaints, pairs, sizes, warn


def code(
    what: What,
    numpy: Annotated[bool, typer.Option("--numpy", help="In NumPy (the default).")] = False,
    torch: Annotated[bool, typer.Option("--torch", help="In PyTorch.")] = False,
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="D=3", help="A size for the script's check, by symbol or by name; may be repeated."
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="D=3 …", hidden=True)] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write it there instead of printing it."),
    ] = None,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Write forward and backward as a short script that needs nothing but NumPy, or PyTorch.

    Above each line stands its equation: the page's in forward, the derivation's in backward. Run as it is,
    the script checks its own gradients, prints a line for each, and ends with code 1 where one is wrong. Its
    functions take arrays of any size; --size is for the check.

    Examples:

        chalkgrad code rnn

        chalkgrad code lstm --torch -o lstm.py

        chalkgrad code "y\[i] = Σ\[p] w\[p] x\[i+p] where x: input" -o conv.py
    """
    with complaints():
        from chalkgrad.files import write
        from chalkgrad.kernels.script import script
        from chalkgrad.language.resolve import read
        from chalkgrad.language.source import EquationError
        from chalkgrad.nn.claims import hold_claims
        from chalkgrad.nn.sizes import small_numbers
        from chalkgrad.zoo import source_of

        if numpy and torch:
            raise EquationError("--numpy and --torch: a script is in one of them", help="leave one out")
        functions = pairs(function, "--function", "τ=tanh")
        given = sizes([*(size or []), *(more or [])])
        counts = {n: k for n, k in given.items() if isinstance(k, int)}
        resolved = read(source_of(what), inputs, functions, counts)
        hold_claims(resolved)
        warn(resolved.warnings)
        # How many axes an index of ℤ^d has is no size any more.
        numbers = small_numbers(resolved, {n: k for n, k in given.items() if n not in resolved.axes})
        text = script(resolved.program, "torch" if torch else "numpy", numbers, resolved.source)
        if out is None:
            print(text, end="")
            return
        write(out, text)
    print(f"{out}: check it with  python {out}")
