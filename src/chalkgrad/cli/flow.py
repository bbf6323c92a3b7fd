"""``chalkgrad flow``: gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalkgrad.cli import page

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from rich.console import Console

    from chalkgrad.tasks.experiments import Outcome
    from chalkgrad.tasks.experiments.compare import Comparison

app = typer.Typer(help="Gradients through time, seen.", no_args_is_help=True)

TASKS = ("adding", "order", "bit")
EXPERIMENTS = ("vanishing", "counting", "clipping", "truncated", "adding", "gates", "rmsprop")


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


@app.command()
def compare(
    what: page.What = "rnn",
    task: Annotated[str, typer.Option(metavar="TASK", help=f"{', '.join(TASKS)}.")] = "adding",
    text: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Learn the next character of this text in place of a task."),
    ] = None,
    clip: Annotated[
        float | None, typer.Option(metavar="X", help="Remedy: gradients of norm X at most.")
    ] = None,
    init: Annotated[
        str | None, typer.Option(metavar="orthogonal", help="Remedy: so begins what multiplies a state.")
    ] = None,
    forget_bias: Annotated[
        float | None, typer.Option(metavar="X", help="Remedy: biases of gates that keep a state begin at X.")
    ] = None,
    cell: Annotated[
        str | None, typer.Option(metavar="WHAT", help="Remedy: another cell, such as lstm.")
    ] = None,
    truncate: Annotated[
        int | None, typer.Option(metavar="K", help="Remedy: the gradient is cut after every K steps.")
    ] = None,
    length: Annotated[
        int | None, typer.Option(metavar="T", help="Steps of a sequence.", show_default="by task")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.", show_default="by task")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adam, rmsprop or sgd.", show_default="by task")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="X", help="Step size.", show_default="by task")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.", callback=page.seed)] = 0,
) -> None:
    """Train the same net on the same examples with and without a remedy.

    Shows what became of the gradient in both, the losses side by side, and which came out better. Several
    remedies are tried together.

    Examples:

        chalkgrad flow compare rnn --task order --clip 1

        chalkgrad flow compare rnn --cell lstm

        chalkgrad flow compare lstm --text hamlet.txt --truncate 10
    """
    with page.task_complaints():
        from dataclasses import replace

        from rich.console import Console

        from chalkgrad.tasks.errors import TaskError
        from chalkgrad.tasks.experiments import compare as runs
        from chalkgrad.tasks.language_model.data import read

        if init not in (None, "orthogonal"):
            raise TaskError(f"there is no start {init!r}: --init orthogonal")
        if task not in runs.TASKS:
            raise TaskError(f"there is no task {task!r}: {', '.join(runs.TASKS)}, or --text FILE")
        if optimizer is not None and optimizer not in runs.OPTIMIZERS:
            raise TaskError(f"there is no optimizer {optimizer!r}: {', '.join(runs.OPTIMIZERS)}")
        chosen = runs.TASKS[task] if text is None else runs.of_text(read([text]))
        said = {"length": length, "steps": steps, "optimizer": optimizer, "rate": rate}
        chosen = replace(chosen, **{name: value for name, value in said.items() if value is not None})
        remedy = runs.Remedy(clip, init is not None, forget_bias, cell, truncate)
        with running("compare") as tick:
            found = runs.compare(chosen, what, remedy, seed=seed, tick=tick)
        side_by_side(Console(highlight=False), f"{what} on {chosen.title}, {chosen.length} steps", found)


def side_by_side(console: Console, title: str, found: Comparison) -> None:
    """Both verdicts, the losses of both by tenths of the training, and which was better."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(title, "bold"))
    for name, seen in (("without", found.without), (f"with {found.remedy}", found.treated)):
        console.print(Text(f"\n{name}:", "bold"))
        for finding in seen.verdict.findings:
            console.print(Text(f"{finding.kind}: {finding.words}"))
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("step", "loss without", "with"):
        table.add_column(column, justify="right")
    for step, *losses in found.rows:
        table.add_row(str(step), *(f"{x:.4f}" if isfinite(x) else "lost" for x in losses))
    console.print(table)
    console.print(Text(f"\n{found.better}"))


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
