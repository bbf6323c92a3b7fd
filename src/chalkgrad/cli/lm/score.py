"""``chalkgrad lm score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.lm.words import Directory, listed


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


__all__ = ["score"]
