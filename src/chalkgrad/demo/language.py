"""Scene 7: a character model learns to write plays."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import log
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from chalkgrad.demo.board import heading, say
from chalkgrad.tasks import language_model as lm

# Time ends the run, and nobody knows at which step: its step size stays as it is.
SETTINGS = lm.Config(
    cell="lstm", hidden=128, steps=1_000_000, lr=4e-3, schedule="constant", evaluate_every=100
)
PROMPT = "HAMLET."


def scene(console: Console, seconds: float = 80, settings: lm.Config = SETTINGS) -> None:
    """Train for some seconds, then write. The model is thrown away."""
    heading(console, 7, "A language model: the LSTM learns plays, a character at a time")
    size = len(lm.read(settings.text or lm.plays()))
    say(
        console,
        f"{size:,} characters of Shakespeare, {settings.hidden} units, back-propagation through the last",
        f"{settings.truncate} steps, {seconds:.0f} seconds on one core. Ctrl-C ends it early.",
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        first: list[float] = []
        with one_thread(), _bar(console, seconds) as bar:

            def report(now: lm.Progress) -> None:
                if not first:  # this loss, and what is saved so far, are those of the untrained model
                    first.append(now.loss / log(2))
                    _sample(console, "before", out, length=70)
                bar(now)

            result = lm.train(settings, out, report=report, seconds=seconds)
        _sample(console, f"after {result.step} steps", out, length=400)
    if result.metrics and first:
        bits = result.metrics.validation / log(2)
        console.print(
            Text.assemble(
                ("bits per character: ", "bold"),
                f"{first[0]:.2f} before, ",
                (f"{bits:.2f} after", "bold yellow"),
                ", on text it has not seen",
            )
        )
    console.print("Longer, and kept: chalkgrad lm train --out runs/plays")


def _sample(console: Console, when: str, out: Path, length: int) -> None:
    text = "".join(lm.generate(lm.load(out), PROMPT, length=length, temperature=0.7))
    console.print(Text(f"{when}:", "bold"))
    lines = [line for line in (PROMPT + text).splitlines() if line.strip()]
    console.print(Padding(Text("\n".join(lines), "italic"), (0, 0, 1, 4), expand=False))


@contextmanager
def one_thread() -> Iterator[None]:
    """Products this small gain little from a second thread, and wait long for it on a shared machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _bar(console: Console, seconds: float) -> Iterator[Any]:
    """A bar that fills with time; without a terminal, a line at each measurement."""
    columns = (
        TextColumn("{task.fields[shown]}"),
        BarColumn(30),
        TextColumn("{task.fields[left]:.0f} s left"),
    )
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=seconds, shown="", left=seconds)
    begun = time.monotonic()
    smooth = 0.0

    def report(now: lm.Progress) -> None:
        nonlocal smooth
        bits = now.loss / log(2)
        smooth = smooth + (bits - smooth) / 20 if smooth else bits
        gone = time.monotonic() - begun
        shown = f"step {now.step}, {smooth:.2f} bits per character"
        progress.update(task, completed=gone, shown=shown, left=max(0.0, seconds - gone))
        if now.measured and not console.is_terminal:
            unseen = now.measured.validation / log(2)
            console.print(f"{gone:4.0f} s  step {now.step:>5}  {unseen:.2f} bits per character")

    with progress:
        yield report
    console.print()


__all__ = ["SETTINGS", "one_thread", "scene"]
