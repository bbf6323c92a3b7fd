"""``chalkgrad lm generate``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.lm.words import Directory, listed


def generate(
    directory: Directory,
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "",
    length: Annotated[int, typer.Option(help="Tokens to write: characters, or what the model knows.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="0: always the likeliest token; 1: as learned; above: wilder.")
    ] = 0.8,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", metavar="K", help="Draw from the K likeliest only.", show_default="all"),
    ] = None,
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p", metavar="P", help="Draw from the fewest that have the probability P together."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Same seed, same text.", callback=page.seed)] = 0,
) -> None:
    """Write text with a trained model.

    Examples:

        chalkgrad lm generate runs/lm --prompt "HAMLET." --length 300 --temperature 0.7

        chalkgrad lm generate runs/lm --temperature 1 --top-p 0.9 --seed 3
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm

        trained = lm.load(directory)
        if unknown := trained.vocabulary.unknown(prompt):
            print(f"note: the model does not know {listed(unknown)}", file=sys.stderr)
        characters = lm.generate(
            trained, prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        # A prompt from a terminal may hold bytes that are no characters; they are shown as question marks.
        print(prompt.encode("utf-8", "replace").decode("utf-8"), end="")
        for character in characters:
            print(character, end="", flush=True)
        print()


__all__ = ["generate"]
