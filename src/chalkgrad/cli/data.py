"""``chalkgrad data``: bring real data sets to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page

app = typer.Typer(help="Bring real data sets to this machine.", no_args_is_help=True)

SETS = ("fashion-mnist",)


@app.callback()
def data() -> None:
    """Bring real data sets to this machine."""


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="fashion-mnist")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to put the files.",
            show_default="your data folder, where `classify train` finds them",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="The Debian package dataset-fashion-mnist as a file or URL, or a folder with its files.",
            show_default="apt-get download",
        ),
    ] = None,
) -> None:
    """Bring a data set, compare it with its sha256, and keep it.

    What is there already and whole is left as it is.

    Examples:

        chalkgrad data fetch fashion-mnist           31 MB, by apt-get

        chalkgrad data fetch fashion-mnist --from dataset-fashion-mnist.deb
    """
    with page.task_complaints():
        from chalkgrad.tasks.classify import fashion_mnist
        from chalkgrad.tasks.errors import TaskError

        if name not in SETS:
            raise TaskError(f"there is no data set {name!r} to fetch: {', '.join(SETS)}")
        folder = out or fashion_mnist.home()
        with page.waiting("bytes") as report:
            fetched = fashion_mnist.fetch(folder, source, report)
    print(f"{folder}: {'brought' if fetched else 'there already, and whole'}")


__all__ = ["app"]
