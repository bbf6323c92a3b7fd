"""``chalkgrad lm``: train a character language model, write with it, measure texts by it."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chalkgrad.cli import page

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from chalkgrad.tasks import language_model

app = typer.Typer(
    help="Train a character language model with any recurrent cell, write with it, measure texts by it.",
    no_args_is_help=True,
)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where `lm train` saved the model.")]


@app.command()
def train(
    text: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE...", help="UTF-8 text to learn, in any script.", show_default="nine plays"
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", hidden=True)] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="The recurrence: a standard cell (rnn, lstm, lstm_peephole, gru, gru_after), "
            "a file of equations, or the equations themselves.",
            show_default="lstm",
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Cells on top of one another.", show_default="1")] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of every layer.", show_default="128")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Places of the text that are read side by side.", show_default="64")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.", show_default="2000")] = None,
    truncate: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Characters that a gradient goes back through (truncated BPTT).",
            show_default="32",
        ),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(metavar="C", help="Largest norm of the gradient; 0: no limit.", show_default="1.0"),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="rmsprop, adam or sgd.", show_default="rmsprop")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(metavar="X", help="Step size.", show_default="rmsprop 0.004, adam 0.004, sgd 2.0"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same numbers.", show_default="0")] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives config.json, checkpoint.pt and metrics.jsonl.")
    ] = Path("runs/lm"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out; its settings are kept.")
    ] = False,
) -> None:
    r"""Train a character language model.

    Embedding, recurrent layers, readout: it learns to predict each next character, by truncated
    back-propagation through time with the state carried from chunk to chunk. The last 5 % of the text are
    kept to measure on. Ctrl-C saves.

    Examples:

        chalkgrad lm train                                  an LSTM on nine plays of Shakespeare

        chalkgrad lm train --text mine.txt --cell gru --hidden 256 --out runs/mine

        chalkgrad lm train --text *.txt --cell "h\[t] = tanh(x\[t] W + h\[t-1] U + b)"

        chalkgrad lm train --resume --steps 4000            go on, for longer
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm

        given = {
            "text": tuple(str(path.resolve()) for path in [*(text or []), *(more or [])]) or None,
            "cell": cell,
            "layers": layers,
            "hidden": hidden,
            "batch": batch,
            "steps": steps,
            "truncate": truncate,
            "clip": clip,
            "optimizer": optimizer,
            "lr": lr,
            "seed": seed,
        }
        settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        config = dataclasses.replace(lm.saved(out), **settings) if resume else lm.Config(**settings)
        with bar(config.steps) as report:
            result = lm.train(config, out, resume=resume, report=report)
    if result.interrupted:
        print(f"Stopped at step {result.step}; everything is saved. Go on with:")
        print(f"  chalkgrad lm train --resume --out {out}")
        raise typer.Exit(130)
    if result.metrics:
        bits = result.metrics.validation / log(2)
        print(f"{out}: step {result.step}, {bits:.3f} bits per character on text it has not seen")
    print(f"Write with it:  chalkgrad lm generate {out}")
    print(f"Train on:       chalkgrad lm train --resume --out {out} --steps {2 * result.step}")


@app.command()
def generate(
    directory: Directory,
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "",
    length: Annotated[int, typer.Option(help="Characters to write.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="0: always the likeliest character; 1: as learned; above: wilder.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(help="Same seed, same text.")] = 0,
) -> None:
    """Write text with a trained model.

    Example:

        chalkgrad lm generate runs/lm --prompt "HAMLET." --length 300 --temperature 0.7
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm

        trained = lm.load(directory)
        if unknown := trained.vocabulary.unknown(prompt):
            print(f"note: the model does not know {listed(unknown)}", file=sys.stderr)
        characters = lm.generate(trained, prompt, length=length, temperature=temperature, seed=seed)
        # A prompt from a terminal may hold bytes that are no characters; they are shown as question marks.
        print(prompt.encode("utf-8", "replace").decode("utf-8"), end="")
        for character in characters:
            print(character, end="", flush=True)
        print()


@app.command()
def score(
    directory: Directory,
    text: Annotated[Path, typer.Option(metavar="FILE", help="UTF-8 text to measure.")],
) -> None:
    """Measure how well a trained model predicts a text.

    The lower the bits per character, the better; a perplexity of p means: as unsure as between p equally
    likely characters.

    Example:

        chalkgrad lm score runs/lm --text chapter.txt
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm

        trained = lm.load(directory)
        content = lm.read([text])
        with page.waiting("characters") as report:
            result = lm.score(trained, content, report)
    print(f"characters        {result.characters}")
    if unknown := trained.vocabulary.unknown(content):
        print(f"unknown           {result.unknown}, scored as one unknown character: {listed(unknown)}")
    print(f"log-probability   {-result.nats:.3f} nats")
    print(f"per character     {result.nats_per_character:.4f} nats, {result.bits_per_character:.4f} bits")
    print(f"perplexity        {result.perplexity:.4f}")


def listed(characters: list[str], most: int = 8) -> str:
    """The commonest of some characters, counted: ``'é' (3 times), 'ß'``."""
    counted = Counter(characters).most_common()
    shown = [f"{c!r}" + (f" ({n} times)" if n > 1 else "") for c, n in counted[:most]]
    return ", ".join(shown) + (f" and {len(counted) - most} others" if len(counted) > most else "")


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


__all__ = ["app"]
