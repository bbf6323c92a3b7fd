"""``chalkgrad derive``: the backward equations of a page."""

from __future__ import annotations

from typing import Annotated

import typer

from chalkgrad.cli.page import Function, Inputs, What, complaints, pairs, warn


def derive(
    what: What,
    latex: Annotated[bool, typer.Option("--latex", help="As a LaTeX block, to paste into a paper.")] = False,
    index: Annotated[bool, typer.Option("--index", help="Every index written out.")] = False,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Derive the backward equations: what the gradient of every name is.

    ∂h\[t] is the gradient of the loss by h\[t]; ȳ\[t] is what arrives from the loss at the output.

    Examples:

        chalkgrad derive rnn

        chalkgrad derive "h\[i] = Σ\[j] V\[j] x\[i+j] where x: input"

        chalkgrad derive my_cell.chalk --latex
    """
    with complaints():
        from chalkgrad.language.resolve import read
        from chalkgrad.pipeline import derivation_of
        from chalkgrad.zoo import source_of

        functions = pairs(function, "--function", "τ=tanh")
        resolved = read(source_of(what), inputs, functions)
        warn(resolved.warnings)
        derivation = derivation_of(resolved.program)
        print(derivation.latex() if latex else derivation.index_form() if index else derivation)
