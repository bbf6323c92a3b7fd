"""The progress bar of every training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from chalkgrad.tasks import training

NARROWEST = 4
"""Characters of the bar itself, at least."""


@contextmanager
def training_bar(
    unit: str,
    shown: Callable[[float, float], str],
    said: Callable[[Any], str],
    *,
    loss: bool = True,
    pace: float = 1 / 20,
    console: Console | None = None,
) -> Iterator[Callable[[training.Progress[Any]], None]]:
    """A progress bar to tell of each step: what is shown, ``unit``\\ s per second, time left.

    ``shown`` makes a few words of the mean loss and of the part that was right, both smoothed: a step counts
    ``pace``. ``said`` makes the line that stays of what was measured. A narrow terminal is shown less: first
    the loss itself goes, then the speed, then the number of steps, then the gradient's reach
    (``∂ 1e-3 at t-31``: what is left of it so many steps back).
    """
    console = console or Console(stderr=True, highlight=False)
    columns = (BarColumn(None), TextColumn("{task.fields[shown]}"), TimeRemainingColumn())
    progress = Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, expand=True
    )
    task = progress.add_task("", total=None, shown="")
    begun: float | None = None
    items, smooth, right = 0, 0.0, 0.0

    def report(now: training.Progress[Any]) -> None:
        nonlocal begun, items, smooth, right
        share = now.right / max(1, now.items)
        rate = ""
        if begun is None:  # the first step also warms up, so the clocks start after it
            progress.reset(task, completed=now.step, total=now.steps)
            begun, smooth, right = time.perf_counter(), now.loss, share
        else:
            items += now.items
            rate = f", {items / (time.perf_counter() - begun):,.0f} {unit}/s"
        smooth += (now.loss - smooth) * pace
        right += (share - right) * pace
        text = fitted(now, shown(smooth, right), f"loss {smooth:.3f}, " * loss, rate, console.width)
        progress.update(task, completed=now.step, shown=text)
        progress.start()  # does nothing once it has
        if now.measured:
            line = said(now.measured)
            fits = not console.is_terminal or len(line + rate) <= console.width
            console.print(line + rate * fits, soft_wrap=True)

    try:
        yield report
    finally:
        progress.stop()


def fitted(now: training.Progress[Any], shown: str, loss: str, rate: str, width: int) -> str:
    """The words beside the bar, as many as the terminal has room for."""
    steps, reach = f"{now.step}/{now.steps} ", ""
    if now.reach:
        left, back = now.reach
        reach = f", ∂ {left:.0e} at t-{back}".replace("e-0", "e-").replace("e+0", "e+")
    room = width - NARROWEST - len("  ") - len(shown) - len(" -:--:--")
    kept: set[str] = set()
    for part in (reach, steps, rate, loss):  # the most wanted first
        if len(part) <= room:
            kept.add(part)
            room -= len(part)
    return "".join(part for part in (steps, loss, shown, rate, reach) if part in kept or part is shown)


__all__ = ["training_bar"]
