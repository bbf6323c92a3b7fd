"""``chalkgrad translate run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.translate.words import Beam, Directory, Normalise


def run(
    directory: Directory,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Sentences; none: the lines of the standard input."),
    ] = None,
    beam: Beam = 5,
    normalise: Normalise = 1.0,
    attention: Annotated[
        bool, typer.Option("--attention", help="Show what was read for each word, and the probability.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the attention of the first sentence."),
    ] = None,
) -> None:
    """Translate sentences, a line for each.

    Examples:

        chalkgrad translate run runs/translate "Cannot find module '{0}'."

        chalkgrad translate run runs/translate "Cannot find module '{0}'." --attention --picture looks.png

        chalkgrad translate run runs/translate < messages.txt
    """
    with page.task_complaints():
        from math import exp

        from chalkgrad.files import write
        from chalkgrad.tasks import translate as task
        from chalkgrad.tasks.translate.picture import in_terminal
        from chalkgrad.tasks.translate.picture import picture as drawn

        trained = task.load(directory)
        # A terminal may give bytes that are no characters; they are shown as question marks.
        given = (
            [t.encode("utf-8", "replace").decode() for t in text] if text else sys.stdin.read().splitlines()
        )
        sentences = given if text else [line for line in given if line.strip()]
        with page.waiting("sentences") as report:
            found = task.translate(trained, sentences, beam=beam, normalise=normalise, report=report)
        for sentence, one in zip(sentences, found, strict=True):
            print(one.text)
            if not one.finished:
                print("note: this came to no end, and was cut", file=sys.stderr)
            if attention:
                print(
                    f"log-probability {one.log_probability:.3f}, probability {exp(one.log_probability):.3g}"
                )
                print(in_terminal(task.looks(trained, sentence, one)), end="\n\n")
        if picture and found:
            content, note = drawn(task.looks(trained, sentences[0], found[0]))
            write(picture, content)
            print(f"{picture}: what was read for each word", file=sys.stderr)
            if note:
                print(f"note: {note}", file=sys.stderr)


__all__ = ["run"]
