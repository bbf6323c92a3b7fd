"""Scene 4: the LSTM and the GRU side by side, forwards and backwards."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

import chalkgrad
from chalkgrad import zoo
from chalkgrad.demo.board import broken, equations, heading, say

CELLS = {"lstm": 40, "gru": 38}
"""How many characters each may use of a line of 80."""


def scene(console: Console) -> None:
    heading(console, 4, "Gates: LSTM and GRU, side by side")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(*(equations(_column(_page(cell), width)) for cell, width in CELLS.items()))
    table.add_row("")
    table.add_row(*(equations(_column(_through_time(cell), width)) for cell, width in CELLS.items()))
    console.print(table)
    console.print()
    say(
        console,
        "∂c[t+1] reaches ∂c[t] through ⊙ f[t+1] alone: no matrix, no slope of a tanh.",
        "While the forget gate is open, the gradient of an LSTM arrives along c undiminished.",
    )
    for cell in CELLS:
        outcome = chalkgrad.check(cell, D=2, H=3)
        worst = max(max(r.autograd, r.differences) for r in outcome.rows)
        verdict = "all right" if outcome else "WRONG"
        console.print(
            f"{cell:>4}: {len(outcome.rows)} gradients checked: {verdict}, largest error {worst:.0e}"
        )


def _page(cell: str) -> list[str]:
    """The equations of a standard layer, without its comments and sizes."""
    lines = zoo.page(cell).splitlines()
    return [f"# {cell}.chalk", *(line for line in lines if line[:1] != "#" and line[:5] != "where")]


def _through_time(cell: str) -> list[str]:
    """The adjoints that have a time, and one of the weights', which are sums of those over t."""
    lines = [line.split("  # ")[0] for line in str(chalkgrad.derive(cell)).splitlines()]
    sides = [tuple(side.strip() for side in line.split("=", 1)) for line in lines]
    timed = [f"{left} = {right}" for left, right in sides if left.endswith("[t]")]
    left, right = next(side for side in sides if not side[0].endswith("[t]"))
    rest = len(sides) - len(timed) - 1
    return ["# derived", *timed, f"{left} = {right}", f"# and {rest} more sums over t"]


def _column(lines: list[str], width: int) -> str:
    return "\n".join(broken(line, width) for line in lines)
