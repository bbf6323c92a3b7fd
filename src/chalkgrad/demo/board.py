"""How the tour looks: headings, equations in colour, grids of numbers. All of it reads without colour too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from time import sleep

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

WIDTH = 80

_INK = (
    (re.compile(r"#.*"), "green"),
    (re.compile(r"∂\w+'?"), "bold cyan"),
    (re.compile(r"[Σ⊙ᵀ]"), "magenta"),
)


def heading(console: Console, number: int, title: str) -> None:
    console.print()
    console.print(Rule(Text(f" {number}  {title} ", "bold"), characters="━", style="blue"))
    console.print()


def say(console: Console, *sentences: str) -> None:
    """A paragraph of plain text."""
    console.print(Text(" ".join(sentences) + "\n"))


def equations(page: str) -> Text:
    """Equations, or Python around them, with adjoints and sums in colour.

    >>> equations("∂b = Σ[t] ∂a[t]").plain
    '∂b = Σ[t] ∂a[t]'
    """
    text = Text(page, no_wrap=True)
    for pattern, style in _INK:
        text.highlight_regex(pattern, style)
    return text


def show(console: Console, page: str, indent: int = 4) -> None:
    """Equations set off from the text around them."""
    console.print(Padding(equations(page), (0, 0, 1, indent), expand=False))


def broken(line: str, width: int) -> str:
    """A long equation on several lines, cut between terms, and inside a term only where it must be.

    >>> print(broken("∂h = ȳ + ∂a W + ∂b U", 14))
    ∂h = ȳ + ∂a W
         + ∂b U
    """
    start = line.find(" = ") + 3
    lines = [line[:start]]
    for term in _pieces(line[start:], " + ", width - start):
        parts = _pieces(term, " ⊙ ", 0) if len(term) > width - start else [term]
        for k, part in enumerate(parts):
            first = len(lines) == 1 and len(lines[0]) == start
            joined = lines[-1] + part if first else f"{lines[-1]} {part}"
            if first or (len(joined) <= width and (k or len(parts) == 1)):
                lines[-1] = joined
            else:
                lines.append(" " * start + part)
    return "\n".join(lines)


def _pieces(sum_: str, sign: str, width: int) -> list[str]:
    """What the sign joins outside all brackets; inside the outermost ones where there is nothing outside."""
    if len(sum_) <= width:
        return [sum_]
    depths = [sum_[:k].count("(") - sum_[:k].count(")") for k in range(len(sum_))]
    cuts = [k for k in range(len(sum_)) if sum_.startswith(sign, k)]
    lowest = min((depths[k] for k in cuts), default=0)
    ends = [k for k in cuts if depths[k] == lowest]
    return [sum_[a:b].strip() for a, b in pairwise([0, *ends, len(sum_)])]


class Grid:
    """A picture of numbers (None: not yet known), the part ``marked`` (rows, columns) from ``at`` framed."""

    def __init__(
        self,
        name: str,
        rows: Sequence[Sequence[float | None]],
        marked: tuple[int, int] = (0, 0),
        at: tuple[int, int] = (0, 0),
    ) -> None:
        self.name, self.marked, self.at = name, marked, at
        self.rows = [["·" if x is None else f"{x:.0f}" for x in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        (top, left), (high, wide) = self.at, self.marked
        cell = max(len(x) for row in self.rows for x in row) + 1
        edge = " " * (cell + 1) * left
        frame = "─" * ((cell + 1) * wide - 1)
        yield Text(self.name, "bold")
        for i, row in enumerate(self.rows):
            if high and i == top:
                yield Text(f"{edge}┌{frame}┐", "yellow")
            line = Text()
            for j, x in enumerate(row):
                inside = top <= i < top + high and left <= j < left + wide
                side = top <= i < top + high and j in (left, left + wide)
                line.append("│" if side else " ", "yellow")
                line.append(f"{x:>{cell}}", "bold yellow" if inside else "default")
            line.append("│" if top <= i < top + high and len(row) == left + wide else " ", "yellow")
            yield line
            if high and i == top + high - 1:
                yield Text(f"{edge}└{frame}┘", "yellow")


def play(console: Console, frames: Iterable[RenderableType], seconds: float) -> None:
    """Show one after the other in the same place, each for so long, and leave nothing behind.

    Only in a terminal, which can go back; elsewhere nothing is shown.
    """
    if not console.is_terminal:
        return
    with Live(console=console, transient=True, auto_refresh=False) as screen:
        for frame in frames:
            screen.update(frame, refresh=True)
            sleep(seconds)
