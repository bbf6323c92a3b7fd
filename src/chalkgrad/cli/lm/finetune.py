"""``chalkgrad lm finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.labels import Batch, Held, Most, Rate, Steps, compared
from chalkgrad.cli.lm.words import Directory
from chalkgrad.cli.training import Resume, Seed, settled


def finetune(
    directory: Directory,
    data: Annotated[
        str,
        typer.Option(
            metavar="TSV", help="To classify: label, tab, text. To tag: words, tab, a tag for each word."
        ),
    ],
    task: Annotated[str, typer.Option(metavar="WHAT", help="classify or tag.")] = "classify",
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
) -> None:
    """Teach a net that has read texts labels, beside the same net that has read none.

    The net of DIR keeps its weights, receives a head, and all of it learns on; another one of the same form
    learns the same labels from scratch. Lines that are not right are counted and skipped. Ctrl-C saves.

    Examples:

        chalkgrad lm train --tokens words --objective bidirectional --out runs/elmo

        chalkgrad lm finetune runs/elmo --task classify --data lines.tsv --most 200

        chalkgrad lm finetune runs/elmo --task tag --data tagged.tsv --out runs/tagged
    """
    with page.task_complaints():
        from chalkgrad.tasks import labels

        start = labels.pretrained(directory)
        given = {
            "task": task,
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
        found = labels.load(task, data, test, config.held)
        ways = {"from scratch": start.scratch, "pretrained": start}
        compared(ways, config, found, out, f"lm finetune {directory} --task {task} --data {data}", resume)


__all__ = ["finetune"]
