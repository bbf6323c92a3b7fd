"""``make bench``: our layers beside their peers, and what they cost; written as Markdown and CSV.

python -m bench.run                  everything
python -m bench.run --quick          a line for each peer, within a minute; nothing is written
python -m bench.run --only memory    one table; may be repeated
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress

from bench import convolution, growth, latency, limit, memory, recurrent, steps
from bench.measure import machine
from bench.tables import MissingError, Plan, Row, write

RESULTS = Path(__file__).parent / "results"
KINDS = {
    kind.name: kind
    for kind in (m.KIND for m in (recurrent, steps, convolution, limit, memory, latency, growth))
}
Name = StrEnum("Name", list(KINDS))


def run(
    quick: Annotated[bool, typer.Option("--quick", help="A line for each peer, under a minute.")] = False,
    only: Annotated[list[Name] | None, typer.Option(help="A table; may be repeated.")] = None,
    threads: Annotated[int, typer.Option(help="Threads for torch, the kernels and JAX.")] = 2,
    seconds: Annotated[float, typer.Option(help="How long each pair is measured.")] = 0.0,
    out: Annotated[Path, typer.Option(help="The folder for the tables.")] = RESULTS,
) -> None:
    """Time our layers beside their peers, and write how many times as long the peers take."""
    torch.set_num_threads(threads)
    plan = Plan(quick, threads, seconds or (0.4 if quick else 2.0))
    told = Console(soft_wrap=True, highlight=False)
    heading = machine()
    told.print(heading)
    chosen = {name: KINDS[name] for name in (only or KINDS)}
    todo = {name: kind.jobs(plan) for name, kind in chosen.items()}
    with Progress(console=told, transient=True) as progress:
        task = progress.add_task("measuring", total=sum(map(len, todo.values())))
        for name, kind in chosen.items():
            rows, notes = list[Row](), dict[str, None]()
            progress.update(task, description=name)
            for job in todo[name]:
                try:
                    rows += job()
                except MissingError as missing:
                    notes[str(missing)] = None
                progress.advance(task)
            for line in (*kind.summary(rows), *(f"not measured: {note}" for note in notes)):
                told.print(line, markup=False)
            if not quick:
                write(kind, rows, [*notes], f"{date.today()}: {heading}", out)
    if quick:
        told.print(f"left out by --quick: {'; '.join(kind.left_out for kind in chosen.values())}")


if __name__ == "__main__":
    typer.run(run)
