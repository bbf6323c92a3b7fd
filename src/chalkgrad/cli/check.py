"""``chalkgrad check``: are the derived gradients right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chalkgrad.cli.page import Function, Inputs, Seed, What, complaints, pairs, sizes, waiting, warn


def check(
    what: What,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="D=3", help="A size, by symbol (D=3) or by name (h=4, W=3,4); may be repeated."),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="D=3 …", hidden=True)] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EQUATION",
            help="A gradient derived by hand, to be graded: an equation, several lines, or a file of them; "
            "may be repeated.",
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="FILE:function",
            help="A backward function in NumPy, to be graded: the file is run, the function called.",
        ),
    ] = None,
    at: Annotated[
        Literal["every", "last"] | None,
        typer.Option(
            help="With --python: whether a gradient arrives at every step of the output or at the last one, "
            "where the function leaves it open.",
        ),
    ] = None,
    seed: Seed = 0,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Check every derived gradient in float64, one line each.

    The gradient is compared with torch's automatic differentiation of the forward equations and with central
    differences; the figures are relative errors. Ends with code 1 where one is wrong. Sizes that are not
    given are small ones.

    With --claim, gradients derived by hand are graded instead; with --python, a function's.

    Examples:

        chalkgrad check lstm --size D=3 H=4

        chalkgrad check "c\[t] = f\[t] ⊙ c\[t-1] + x\[t]" --size x=2

        chalkgrad check rnn --claim "∂W_h = Σ\[t] h\[t-1]ᵀ ∂a\[t]"
    """
    with complaints():
        from chalkgrad.claims.check import check as checked
        from chalkgrad.language.resolve import read
        from chalkgrad.language.source import EquationError
        from chalkgrad.zoo import source_of

        functions = pairs(function, "--function", "τ=tanh")
        given: dict[str, Any] = {**sizes([*(size or []), *(more or [])])}
        counts = {n: k for n, k in given.items() if isinstance(k, int)}
        warn(read(source_of(what), inputs, functions, counts).warnings)
        if claim:
            claims = [_lines(c) for c in claim]
            if python:
                raise EquationError(
                    "--claim and --python: one of the two is graded at a time", help="call it twice"
                )
            with waiting("slips") as progress:
                graded = checked(
                    what,
                    inputs=inputs,
                    functions=functions,
                    claim=claims,
                    seed=seed,
                    progress=progress,
                    **given,
                )
            print(graded)
            raise typer.Exit(0 if graded else 1)
        if python:
            from chalkgrad.claims.function import grade_function

            resolved = read(source_of(what), inputs, functions, counts)
            graded = grade_function(resolved, python, functions=functions, at=at, sizes=given, seed=seed)
            print(graded)
            raise typer.Exit(0 if graded else 1)
        with waiting("differences") as progress:
            outcome = checked(what, inputs=inputs, functions=functions, seed=seed, progress=progress, **given)
    print(outcome)
    chosen = ", ".join(f"{s}={n}" for s, n in outcome.sizes.items())
    wrong = [r.name for r in outcome.rows if not r.right]
    verdict = "every gradient is right" if not wrong else "wrong: " + ", ".join(f"∂{n}" for n in wrong)
    print(f"{verdict} ({chosen})" if chosen else verdict)
    raise typer.Exit(0 if outcome else 1)


def _lines(claim: str) -> str:
    """The claims in a file of that name, or the text itself."""
    from chalkgrad.zoo import source_of

    name = claim.strip()
    path = Path(name)
    named = 0 < len(name) < 200 and not any(c in name for c in "=\n") and (path.suffix or path.exists())
    return source_of(path) if named else claim
