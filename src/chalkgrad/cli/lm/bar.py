"""The progress bar of ``chalkgrad lm train``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import log
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from chalkgrad.tasks import language_model


@contextmanager
def bar(steps: int) -> Iterator[Any]:
    """A progress bar: loss, bits per character, tokens (here characters) per second, time left.

    And how much gradient goes back through time: ``∂ 1e-3 at t-31`` is what is left of it that many steps
    back. A narrow terminal is shown less: first the loss in nats goes, then the speed.
    """
    console = Console(stderr=True, highlight=False)
    room = console.width - 2 * len(str(steps)) - 49  # beside steps, bits per character, gradient, time left
    with_rate = room >= 18 + 4
    room -= 18 * with_rate
    with_loss = room >= 12 + 4
    columns = (
        BarColumn(max(4, min(30, room - 12 * with_loss))),
        MofNCompleteColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=steps, shown="")
    begun: float | None = None
    characters = 0
    smooth = 0.0

    def report(now: language_model.Progress) -> None:
        nonlocal begun, characters, smooth
        if begun is None:  # the first step also warms up, so the clocks start after it
            progress.start()
            progress.reset(task, completed=now.step)
            begun, smooth = time.perf_counter(), now.loss
            rate = ""
        else:
            characters += now.characters
            rate = f", {characters / (time.perf_counter() - begun):,.0f} tokens/s"
        smooth += (now.loss - smooth) / 20
        shown = f"{f'loss {smooth:.3f}, ' * with_loss}{smooth / log(2):.3f} bits/character{rate * with_rate}"
        if now.reach:
            left, back = now.reach
            shown += f", ∂ {left:.0e} at t-{back}".replace("e-0", "e-").replace("e+0", "e+")
        progress.update(task, completed=now.step, shown=shown)
        if now.measured:
            seen, unseen = now.measured.train, now.measured.validation
            console.print(
                f"step {now.step:>6}: {seen / log(2):.3f} bits/character, "
                f"{unseen / log(2):.3f} on unseen text{rate}",
                soft_wrap=True,
            )

    try:
        yield report
    finally:
        progress.stop()


__all__ = ["bar"]
