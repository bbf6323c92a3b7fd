"""Scene 9: a captioner names emoji, and shows where it looked for each word."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text
from torch import Tensor

from chalkgrad.demo.board import heading, say, show
from chalkgrad.demo.language import one_thread
from chalkgrad.demo.shades import RAMP
from chalkgrad.tasks import caption
from chalkgrad.tasks.caption.data import of_emoji
from chalkgrad.tasks.caption.emoji import Emoji, shipped

SETTINGS = caption.Config(
    net=("conv_pool:K=16", "conv_pool:K=32"), hidden=64, embedding=64, epochs=100, dropout=0.0, batch=16
)
FEW = ("running", "swimming", "judge", "astronaut", "teacher", "farmer")
"""Sports and trades, which women, men and persons have in every skin tone."""

PAGE = """e[t,j] = Σ[m] v[m] tanh(q[t,m] + k[j,m])
α[t,j] = softmax[j](e[t,j])
z[t,d] = β[t] Σ[j] α[t,j] a[j,d]"""


def scene(console: Console, seconds: float = 11, settings: caption.Config = SETTINGS) -> None:
    """Train for some seconds, then name a picture. The model is thrown away."""
    heading(console, 9, "A captioner: for each word it looks at places of the picture")
    data = of_emoji(few(), "en")
    say(
        console,
        f"{len(data.training)} emoji of 32×32 pixels with their names. Convolutions find what is at each of",
        "8×8 places, and an LSTM says the name; for each word it weighs the places anew:",
    )
    show(console, PAGE)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        with one_thread(), _bar(console, seconds) as report:
            caption.train(settings, out, report=report, data=data, seconds=seconds)
        tell = caption.teller(out)
    test = data.tests["combinations"]
    said = tell.of(test.pictures, beam=1)
    right = [each.text in own for each, own in zip(said, test.captions, strict=True)]
    chosen = right.index(True) if any(right) else 0
    draw(console, said[chosen], test.captions[chosen][0])
    words = "women with medium-dark and men with light skin: words never seen together in training"
    console.print(f"{sum(right)} of {len(right)} named to the letter ({words}).")
    console.print("All 1,440, and kept: chalkgrad caption train")


def few() -> list[Emoji]:
    """The emoji of a few sports and trades that are not held out as a whole."""
    return [e for e in shipped() if e.part != "bases" and any(word in e.names["en"] for word in FEW)]


def draw(console: Console, said: caption.Caption, name: str) -> None:
    """A picture in shades beside where each of two words was looked for, and what was said."""
    if said.attention is None:
        raise ValueError("the scene shows attention: its decoder has it")
    first = [k for k, word in enumerate(said.words) if word.isalpha()][:1]
    tone = [k for k, word in enumerate(said.words) if word in ("light", "dark") or "-" in word][:1]
    dark = 255 - said.picture.float().mean(0)
    panels = [(name.split()[0], shades(dark[::2, ::2]))]
    for k in (*first, *tone):
        weights = said.attention[k]
        panels.append((said.words[k], shades(255 * weights / weights.max())))
    titles = ["the picture", *(f"“{word}”" for word, _ in panels[1:])]
    wide = [len(rows[0]) for _, rows in panels]
    console.print(Text("    ".join(title.ljust(n) for title, n in zip(titles, wide, strict=True))))
    high = max(len(rows) for _, rows in panels)
    for line in range(high):
        row = [rows[line] if line < len(rows) else " " * len(rows[0]) for _, rows in panels]
        console.print(Text("    ".join(row)))
    console.print()
    console.print(Text.assemble("its name: ", (name, "bold")))
    console.print(Text.assemble("it says:  ", (said.text, "bold yellow"), f"  ({said.probability:.0%})"))


def shades(values: Tensor) -> list[str]:
    """Rows of numbers in 0…255 as characters, two for each number, dark where they are large."""
    steps = (values / 256 * len(RAMP)).long().clamp(0, len(RAMP) - 1)
    return ["".join(RAMP[n] * 2 for n in row) for row in steps.tolist()]


@contextmanager
def _bar(console: Console, seconds: float) -> Iterator[Callable[[caption.Progress], None]]:
    """A bar that fills with time."""
    columns = (TextColumn("{task.fields[shown]}"), BarColumn(30))
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=seconds, shown="")
    begun = time.monotonic()

    def report(now: caption.Progress) -> None:
        shown = f"step {now.step}, {now.loss:.2f} nats per token"
        progress.update(task, completed=time.monotonic() - begun, shown=shown)

    with progress:
        yield report


__all__ = ["SETTINGS", "scene"]
