"""``chalkgrad zoo``: the standard layers, and the page of one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chalkgrad.cli.page import complaints


def zoo(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this layer's page.")] = None,
) -> None:
    """List the standard layers, or print the page of one: every one is a file of equations.

    Examples:

        chalkgrad zoo

        chalkgrad zoo gru > my_gru.chalk     and change it
    """
    with complaints():
        from chalkgrad.zoo import names, page

        if name is not None:
            print(page(name), end="")
            return
        table = Table("layer", "equations", "what it is, and whose", box=None, pad_edge=False)
        for n in names():
            lines = [line.strip() for line in page(n).splitlines()]
            equations = sum("=" in line and not line.startswith(("#", "where")) for line in lines)
            table.add_row(n, str(equations), " ".join(_first_comment(lines)))
        Console(highlight=False).print(table, markup=False)


def _first_comment(lines: list[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if not line.startswith("#"):
            break
        found.append(line.lstrip("# "))
    return found
