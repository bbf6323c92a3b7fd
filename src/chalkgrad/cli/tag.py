"""``chalkgrad tag``: a tag for each word, from one side of it and from both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.labels import Batch, Held, Most, Rate, Steps, compared, folder, label
from chalkgrad.cli.training import Devices, Nodes, Resume, Seed, absolute, settled

app = typer.Typer(
    help="Learn a tag for each word of sentences, from what stands before it and from both sides.",
    no_args_is_help=True,
)


@app.command()
def train(
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="brown, or TSV: the words, a tab, a tag for each word.", show_default="brown"
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="TSV to test on.", show_default="a part of the other"),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="A standard cell, a file of equations, or equations.", show_default="lstm"
        ),
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of every layer.", show_default="96")] = None,
    layers: Annotated[int | None, typer.Option(help="Cells on top of one another.", show_default="1")] = None,
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
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    r"""Train two taggers on the same sentences, and compare them.

    One knows of a word what stands before it, the other what stands on both sides: the same cell and its
    mirror. Rare words are spelled. Lines that are not right are counted and skipped. Ctrl-C saves.

    Examples:

        chalkgrad data fetch brown

        chalkgrad tag train --steps 1500

        chalkgrad tag train --data mine.tsv --cell gru --out runs/mine

        chalkgrad tag train --resume --out runs/mine
    """
    with page.task_complaints():
        from chalkgrad.tasks import labels
        from chalkgrad.tasks.language_model import Config as NetConfig

        begun = labels.card(folder(out, "one side")) if resume else None
        config = settled(
            labels.Config,
            ctx.params,
            (lambda: begun.config) if begun else None,
            task="tag",
            data=absolute(data) or (None if resume else "brown"),
            test=absolute(test),
        )
        was = begun.net if begun else NetConfig(hidden=96)
        net = settled(NetConfig, {"cell": cell, "hidden": hidden, "layers": layers}, lambda: was)
        found = labels.load("tag", config.data, config.test, config.held)
        ways = {
            name: labels.fresh(
                found.training[: config.most], net.cell, net.hidden, both=both, layers=net.layers
            )
            for name, both in (("one side", False), ("both sides", True))
        }
        compared(ways, config, found, out, "tag train", resume, (devices, nodes))


app.command("run")(label)

__all__ = ["app"]
