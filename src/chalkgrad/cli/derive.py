"""``chalkgrad derive``: the backward equations of a page, at once, step by step, or written out in time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from chalkgrad.cli.page import Function, Inputs, What, complaints, pairs, waiting, warn

if TYPE_CHECKING:
    from chalkgrad.language.resolve import Resolved


def derive(
    what: What,
    steps: Annotated[bool, typer.Option("--steps", help="Rule by rule, as on a blackboard.")] = False,
    unroll: Annotated[
        int | None, typer.Option(metavar="T", help="Write out the first T steps, forward and backward.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --unroll: the parameter whose paths through time are shown."),
    ] = None,
    notation: Annotated[
        str,
        typer.Option(
            metavar="short|leibniz|adjoint",
            help="∂h\\[t]; ∂L/∂h\\[t]; or h̄\\[t], with δ for a pre-activation.",
        ),
    ] = "short",
    latex: Annotated[bool, typer.Option("--latex", help="As LaTeX, to paste into a paper.")] = False,
    index: Annotated[bool, typer.Option("--index", help="Every index written out.")] = False,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Derive the backward equations: what the gradient of every name is.

    ∂h\[t] is the gradient of the loss by h\[t]; ȳ\[t] is what arrives from the loss at the output. Where the
    page ends in its loss (an output L, J, E or loss, one number or one a step), its own gradient is 1.

    Examples:

        chalkgrad derive rnn

        chalkgrad derive rnn --steps

        chalkgrad derive lstm --unroll 3

        chalkgrad derive "h\[i] = Σ\[j] V\[j] x\[i+j] where x: input"

        chalkgrad derive my_cell.chalk --latex --notation leibniz
    """
    with complaints():
        from chalkgrad.calculus.notation import notation_called
        from chalkgrad.language.resolve import read
        from chalkgrad.language.source import EquationError
        from chalkgrad.pipeline import derivation_of
        from chalkgrad.zoo import source_of

        notation_called(notation)
        if steps and unroll is not None:
            raise EquationError("--steps and --unroll are two different pages", help="ask for one of them")
        if index and (steps or unroll is not None):
            raise EquationError("--index goes with neither --steps nor --unroll", help="leave it out")
        if by is not None and unroll is None:
            raise EquationError("--by is the parameter of --unroll", help=f"--unroll 3 --by {by}")
        functions = pairs(function, "--function", "τ=tanh")
        resolved = read(source_of(what), inputs, functions)
        warn(resolved.warnings)
        if steps:
            print(_in_steps(resolved, notation, latex))
        elif unroll is not None:
            print(_unrolled(resolved, unroll, by, notation, latex))
        else:
            d = derivation_of(resolved.program)
            shown = (
                d.latex(notation) if latex else d.index_form(notation=notation) if index else d.text(notation)
            )
            print(shown)


def _in_steps(resolved: Resolved, notation: str, latex: bool) -> str:
    from chalkgrad.steps.board import board, latex_board
    from chalkgrad.steps.lesson import lesson

    with waiting("holding every line to numbers") as report:
        found = lesson(resolved, report)
    return latex_board(found, notation) if latex else board(found, notation, *_terminal())


def _unrolled(resolved: Resolved, steps: int, by: str | None, notation: str, latex: bool) -> str:
    from chalkgrad.steps.sheet import latex_sheet, sheet
    from chalkgrad.steps.unrolling import unrolling

    with waiting("holding every line to numbers") as report:
        found = unrolling(resolved, steps, by, report)
    return latex_sheet(found, notation) if latex else sheet(found, notation, *_terminal())


def _terminal() -> tuple[int, Callable[[str, str], str]]:
    """The width to write in, and what makes a name stand out and a rule step back."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal or os.environ.get("TERM") == "dumb":
        return (console.width if console.is_terminal else 100), lambda shown, _: shown
    marks = {"name": "\x1b[1m", "result": "\x1b[1m", "rule": "\x1b[2m"}
    return console.width, lambda shown, kind: f"{marks[kind]}{shown}\x1b[0m"
