"""``chalkgrad classify``: train a classifier of pictures, and ask it what pictures show."""

from __future__ import annotations

import sys
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import Devices, Nodes, Resume, Seed, absolute, largest_step, settled, stopped

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from rich.console import Console

    from chalkgrad.tasks import classify

app = typer.Typer(
    help="Train a classifier of pictures from equations, and ask it what pictures show.",
    no_args_is_help=True,
)


@app.command()
def train(
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="digits, fashion-mnist, or a folder with a folder of pictures for each class.",
            show_default="digits",
        ),
    ] = None,
    net: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT...",
            help="Layers one after another: standard layers, files or equations, sizes that they leave open "
            "after a colon (conv_pool:K=32). The last makes a score for each class.",
            show_default="conv_pool:K=32 conv_pool:K=32 conv_pool:K=64 scores",
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="WHAT...", hidden=True)] = None,
    epochs: Annotated[
        int | None, typer.Option(help="How often every picture is shown.", show_default="12")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures in a step.", show_default="128")] = None,
    lr: Annotated[float | None, largest_step("0.004")] = None,
    seed: Seed = None,
    shift: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Move pictures by up to N pixels while training.",
            show_default="digits 1, else 0",
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Mirror half of them, left to right.", show_default="fashion-mnist"
        ),
    ] = None,
    pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Bring pictures from folders to N×N.",
            show_default="their commonest size, 64 at most",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives weights, settings, figures and pictures.")
    ] = Path("runs/classify"),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    r"""Train a classifier of pictures.

    At the end it is tested once, on pictures that it has not seen. DIR then holds weights.safetensors,
    config.json, metrics.jsonl, test.json, confusion.png and kernels.png. Ctrl-C saves.

    Needs pip install "chalkgrad\[tasks]".

    Examples:

        chalkgrad classify train                            handwritten digits, 8×8, half a minute

        chalkgrad data fetch fashion-mnist

        chalkgrad classify train --data fashion-mnist --out runs/fashion

        chalkgrad classify train --data photos/ --pixels 48 --flip --net conv_pool:K=16 mine.chalk scores

        chalkgrad classify train --resume
    """
    with page.task_complaints():
        from chalkgrad.tasks import classify
        from chalkgrad.tasks.processes import first, together

        config = settled(
            classify.Config,
            ctx.params,
            (lambda: classify.saved(out)) if resume else None,
            data=absolute(data),
            net=(*(net or ()), *(more or ())) or None,
        )
        with page.waiting("pictures") as read:
            pictures = classify.load(config.data, config.pixels, read)
        for note in pictures.notes:
            print(f"note: {note}", file=sys.stderr)
        print(
            f"{len(pictures.training):,} pictures to train on, {len(pictures.test):,} to test, "
            f"{len(pictures.classes)} classes, {'×'.join(map(str, pictures.shape))}",
            file=sys.stderr,
        )
        with bar(config, len(pictures.training)) as report:
            result = classify.train(
                config, out, resume=resume, report=report, data=pictures, group=together(devices, nodes)
            )
    if not first():
        return
    if result.confusion is None:
        stopped("classify train", result.step, out)
    table(result)
    right, tested = int(result.confusion.diagonal().sum()), int(result.confusion.sum())
    print(f"{out}: {result.accuracy:.2%} of the test pictures recognised ({right:,} of {tested:,})")
    print(f"See {out / 'confusion.png'} and {out / 'kernels.png'}")
    print(f"Ask it:  chalkgrad classify run {out} PICTURE...")


@app.command()
def run(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where `classify train` saved the net.")],
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Files to be recognised.")],
    top: Annotated[int, typer.Option(metavar="N", help="Classes to name for each.", min=1)] = 3,
) -> None:
    """Say what pictures show: the likeliest classes and how sure it is of them.

    A picture of another size than those trained on is stretched to theirs, with a note. A file that is no
    picture is complained of, and the others are still read; the code is then 2.

    Example:

        chalkgrad classify run runs/fashion boot.png bag.jpg
    """
    with page.task_complaints():
        from chalkgrad.tasks import classify

        recognise = classify.recogniser(directory)
        _, high, wide = recognise.card.shape
        bad = False
        width = max(len(str(path)) for path in pictures)
        for path in pictures:
            try:
                guess = recognise(path)
            except classify.TaskError as error:
                print(f"error: {error}", file=sys.stderr)
                bad = True
                continue
            if guess.size != (wide, high):
                size = "×".join(map(str, guess.size))
                print(f"note: {path} is {size} and was brought to {wide}×{high}", file=sys.stderr)
            said = ", ".join(f"{name} {p:.1%}" for name, p in guess.classes[:top])
            print(f"{path!s:<{width}}  {said}")
    if bad:
        raise typer.Exit(2)


def table(result: classify.Result) -> None:
    """The confusion matrix for the terminal: a row is what a picture is, a column what it was taken for."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if result.confusion is None:
        return
    console = Console(highlight=False)
    wide = max(len(str(int(result.confusion.max()))), *(len(str(k)) for k in range(len(result.classes)))) + 1
    longest = max(map(len, result.classes))
    if longest + 14 + wide * len(result.classes) > console.width and console.is_terminal:
        confused(result)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("is \\ taken for")
    for k in range(len(result.classes)):
        shown.add_column(str(k), justify="right")
    shown.add_column("right", justify="right")
    for k, (name, row) in enumerate(zip(result.classes, result.confusion.tolist(), strict=True)):
        cells = [
            Text(str(n) if n else "·", style="bold" if i == k else "" if n else "dim")
            for i, n in enumerate(row)
        ]
        shown.add_row(Text(f"{k} {name}"), *cells, f"{row[k] / max(1, sum(row)):.1%}")
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    console.print(shown)


def confused(result: classify.Result, most: int = 10) -> None:
    """Where there are too many classes for a table: the pairs that are most often confused."""
    if result.confusion is None:
        return
    pairs = [
        (count, i, j)
        for i, row in enumerate(result.confusion.tolist())
        for j, count in enumerate(row)
        if i != j and count
    ]
    for count, i, j in sorted(pairs, reverse=True)[:most]:
        print(f"{count:>5} of {result.classes[i]} taken for {result.classes[j]}")


def bar(config: classify.Config, pictures: int, console: Console | None = None) -> Any:
    """The progress bar of a training; a line for each epoch."""
    steps = ceil(pictures / config.batch)  # an epoch

    def said(m: Any) -> str:
        epoch = f"epoch {m.epoch:>{len(str(config.epochs))}} of {config.epochs}"
        return f"{epoch}: loss {m.loss:.3f}, {m.accuracy:.1%} right"

    return training_bar(
        "pictures",
        lambda loss, right: f"loss {loss:.3f}, {right:.1%} right",
        said,
        loss=False,
        pace=min(1.0, max(1 / 20, 3 / steps)),  # a mean over 20 steps, or a third of an epoch
        console=console,
    )


__all__ = ["app"]
