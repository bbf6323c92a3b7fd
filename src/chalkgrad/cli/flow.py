"""``chalkgrad flow``: gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalkgrad.cli import page

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from rich.console import Console

    from chalkgrad.tasks.experiments import Outcome

app = typer.Typer(help="Gradients through time, seen.", no_args_is_help=True)

EXPERIMENTS = ("vanishing", "counting", "clipping", "truncated", "adding", "rmsprop")


@app.callback()
def flow() -> None:
    """Gradients through time, seen."""


@app.command()
def demo(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help=f"{', '.join(EXPERIMENTS)}.", show_default="all"),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Receives pictures.")] = Path("runs/flow"),
) -> None:
    """Do the classic experiments: gradients that vanish and explode, and what helps.

    Each takes a minute at most on two cores, and ends with a table of what was seen. The code is 1 if what
    the theory says was not seen.

    Examples:

        chalkgrad flow demo

        chalkgrad flow demo counting clipping --out runs/flow
    """
    with page.task_complaints():
        from rich.console import Console

        from chalkgrad.files import write
        from chalkgrad.tasks import experiments
        from chalkgrad.tasks.errors import TaskError

        runs = experiments.EXPERIMENTS
        chosen = dict.fromkeys(names or runs)
        if unknown := [name for name in chosen if name not in runs]:
            raise TaskError(f"there is no experiment {unknown[0]!r}: {', '.join(runs)}")
        console = Console(highlight=False)
        whole = True
        for name in chosen:
            with running(name) as tick:
                outcome = runs[name](tick=tick)
            told(console, outcome)
            for file, content in outcome.pictures.items():
                out.mkdir(parents=True, exist_ok=True)
                write(out / file, content)
                print(f"See {out / file}\n")
            whole = whole and outcome.seen
    if not whole:
        raise typer.Exit(1)


def told(console: Console, outcome: Outcome) -> None:
    """The table, and below it what was seen of the theory and what was not."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(outcome.title, "bold"))
    console.print(Text(outcome.theory))
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for k, column in enumerate(outcome.columns):
        table.add_column(column, justify="right" if k else "left")
    for row in outcome.rows:
        table.add_row(*row)
    console.print(table)
    console.print()
    findings = Table.grid(padding=(0, 1, 0, 0))
    for finding in outcome.findings:
        mark = Text("seen:", "green") if finding.seen else Text("NOT SEEN:", "bold red")
        findings.add_row(mark, Text(finding.says))
    console.print(findings)
    console.print()


@contextmanager
def running(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that is gone when the experiment is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(20), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task(name, total=None)

    def tick(done: int, of: int) -> None:
        progress.update(task, completed=done, total=of)

    with progress:
        yield tick


__all__ = ["app"]
