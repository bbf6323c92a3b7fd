"""``make bench``: every cell of the table, ours and the peer's in turn; written as Markdown and CSV.

python -m bench.run            the whole grid
python -m bench.run --quick    three sizes, within a minute
"""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date
from math import exp, log
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track

from bench.cells import GRID, PRODUCTS, QUICK, against_torch_mm, cells
from bench.measure import Pair, machine, pair

RESULTS = Path(__file__).parent / "results"
Row = tuple[str, str, tuple[int, int, int], Pair]


def run(
    quick: Annotated[
        bool, typer.Option("--quick", help="Three sizes, one line a peer, under a minute.")
    ] = False,
    threads: Annotated[int, typer.Option(help="Threads for torch, and so for the kernels.")] = 2,
    seconds: Annotated[float, typer.Option(help="How long each pair is measured.")] = 0.0,
    out: Annotated[Path, typer.Option(help="The folder for the tables.")] = RESULTS,
) -> None:
    """Time our layers beside their peers, and write how many times as long the peers take."""
    torch.set_num_threads(threads)
    seconds = seconds or (0.6 if quick else 3.0)
    told, rows = Console(), list[Row]()
    told.print(machine())
    todo = list(cells(QUICK if quick else GRID))
    for make in track(todo, description="measuring", console=told, transient=True):
        cell = make()
        for kind, do in (("training", cell.training), ("forward", cell.forward)):
            rows.append((cell.peer, kind, cell.size, pair(do(True), do(False), seconds)))
    for size in PRODUCTS:
        rows.append(("torch.mm of M×K by K×N", "forward", size, pair(*against_torch_mm(size), seconds)))
    for line in summary(rows):
        told.print(line, highlight=False)
    if not quick:
        write(rows, out)


def summary(rows: list[Row]) -> list[str]:
    """A line for each peer: the geometric mean of the ratios, and the worst."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for peer, kind, _, measured in rows:
        found[peer, kind].append(measured.ratio)
    return [
        f"{peer:32} {kind:9} {exp(sum(map(log, r)) / len(r)):6.2f} × as long, at worst {min(r):.2f}"
        for (peer, kind), r in found.items()
    ]


def write(rows: list[Row], out: Path) -> None:
    """The tables, each written to a temporary name and renamed."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"{date.today()}: {machine()}", "", "peer's time / ours, medians of runs in turn.", ""]
    lines += [f"    {line}" for line in summary(rows)]
    lines += [
        "",
        "| peer | | T, B, H (M, K, N) | ours, ms | theirs, ms | ratio |",
        "|---|---|---|--:|--:|--:|",
    ]
    for peer, kind, size, m in rows:
        lines.append(
            f"| {peer} | {kind} | {', '.join(map(str, size))} | {m.ours * 1e3:.2f} | {m.theirs * 1e3:.2f} "
            f"| {m.ratio:.2f} |"
        )
    _replace(out / "recurrent.md", "\n".join(lines) + "\n")
    work = out / "recurrent.csv.new"
    with work.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["peer", "kind", "T", "B", "H", "ours_s", "theirs_s", "ratio"])
        table.writerows([p, k, *s, m.ours, m.theirs, m.ratio] for p, k, s, m in rows)
    work.replace(out / "recurrent.csv")


def _replace(path: Path, text: str) -> None:
    work = path.with_suffix(".new")
    work.write_text(text, encoding="utf-8")
    work.replace(path)


if __name__ == "__main__":
    typer.run(run)
