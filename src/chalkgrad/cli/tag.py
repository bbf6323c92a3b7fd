"""``chalkgrad tag``: a tag for each word, from one side of it and from both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.labels import Batch, Held, Most, Rate, Steps, compared, label
from chalkgrad.cli.training import Resume, Seed, settled

app = typer.Typer(
    help="Learn a tag for each word of sentences, from what stands before it and from both sides.",
    no_args_is_help=True,
)


@app.command()
def train(
    data: Annotated[
        str, typer.Option(metavar="FILE", help="brown, or TSV: the words, a tab, a tag for each word.")
    ] = "brown",
    test: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="TSV to test on.", show_default="a part of the other"),
    ] = None,
    cell: Annotated[
        str, typer.Option(metavar="WHAT", help="A standard cell, a file of equations, or equations.")
    ] = "lstm",
    hidden: Annotated[int, typer.Option(help="Width of every layer.")] = 96,
    layers: Annotated[int, typer.Option(help="Cells on top of one another.")] = 1,
    most: Most = None,
    held: Held = None,
    steps: Steps = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Receives a folder for each tagger.")] = Path(
        "runs/tag"
    ),
    resume: Resume = False,
) -> None:
    r"""Train two taggers on the same sentences, and compare them.

    One knows of a word what stands before it, the other what stands on both sides: the same cell and its
    mirror. Rare words are spelled. Lines that are not right are counted and skipped. Ctrl-C saves.

    Examples:

        chalkgrad data fetch brown

        chalkgrad tag train --steps 1500

        chalkgrad tag train --data mine.tsv --cell gru --out runs/mine
    """
    with page.task_complaints():
        from chalkgrad.tasks import labels

        given = {
            "task": "tag",
            "data": data,
            "test": test,
            "most": most,
            "held": held,
            "steps": steps,
            "batch": batch,
            "lr": lr,
            "seed": seed,
        }
        config = settled(labels.Config, given, None)
        found = labels.load("tag", data, test, config.held)
        ways = {
            name: labels.fresh(found.training[:most], cell, hidden, both=both, layers=layers)
            for name, both in (("one side", False), ("both sides", True))
        }
        compared(ways, config, found, out, "tag train", resume)


app.command("run")(label)

__all__ = ["app"]
