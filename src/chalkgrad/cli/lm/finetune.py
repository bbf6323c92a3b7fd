"""``chalkgrad lm finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.labels import Batch, Held, Most, Rate, Steps, compared, folder
from chalkgrad.cli.lm.words import Directory
from chalkgrad.cli.training import Devices, Nodes, Resume, Seed, absolute, settled


def finetune(
    ctx: typer.Context,
    directory: Directory,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="TSV", help="To classify: label, tab, text. To tag: words, tab, a tag for each word."
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="WHAT", help="classify or tag.", show_default="classify")
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="TSV", help="Examples to test on.", show_default="a part of the others"),
    ] = None,
    most: Most = None,
    held: Held = None,
    steps: Steps = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives a folder for each of the two nets.")
    ] = Path("runs/finetune"),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    """Teach a net that has read texts labels, beside the same net that has read none.

    The net of DIR keeps its weights, receives a head, and all of it learns on; another one of the same form
    learns the same labels from scratch. Lines that are not right are counted and skipped. Ctrl-C saves.

    Examples:

        chalkgrad lm train --tokens words --objective bidirectional --out runs/elmo

        chalkgrad lm finetune runs/elmo --task classify --data lines.tsv --most 200

        chalkgrad lm finetune runs/elmo --task tag --data tagged.tsv --out runs/tagged

        chalkgrad lm finetune runs/elmo --resume --out runs/tagged
    """
    with page.task_complaints():
        from chalkgrad.tasks import labels

        if not (data or resume):
            raise labels.TaskError("there is nothing to learn: give examples with --data FILE.tsv")
        start = labels.pretrained(directory)
        ways = {"from scratch": start.scratch, "pretrained": start}
        begun = folder(out, next(iter(ways)))
        config = settled(
            labels.Config,
            ctx.params,
            (lambda: labels.saved(begun)) if resume else None,
            task=task or (None if resume else "classify"),
            data=absolute(data),
            test=absolute(test),
        )
        found = labels.load(config.task, config.data, config.test, config.held)
        compared(ways, config, found, out, f"lm finetune {directory}", resume, (devices, nodes))


__all__ = ["finetune"]
