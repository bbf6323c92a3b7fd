"""``chalkgrad embed``: vectors of words, learned from a text, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chalkgrad.cli import page

app = typer.Typer(help="Learn vectors of words (word2vec), and ask which are alike.", no_args_is_help=True)


@app.command()
def train(
    text: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE...", help="UTF-8 text to learn from.", show_default="nine plays"),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", hidden=True)] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.vec", help="Receives word2vec's text format.")] = Path(
        "words.vec"
    ),
    width: Annotated[int, typer.Option(metavar="N", help="Numbers of a vector.")] = 100,
    window: Annotated[int, typer.Option(metavar="N", help="Words that a word predicts on either side.")] = 5,
    negative: Annotated[int, typer.Option(metavar="N", help="Drawn words that it tells from those.")] = 5,
    epochs: Annotated[int, typer.Option(metavar="N", help="How often the text is read.")] = 10,
    least: Annotated[int, typer.Option(metavar="N", help="Rarer words have no vector.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same vectors.")] = 0,
) -> None:
    """Learn vectors of words: skip-gram with negative sampling, by gensim. Words are in small letters.

    Examples:

        chalkgrad embed train --text *.txt --out words.vec

        chalkgrad lm train --tokens words --embeddings words.vec       and start a language model from them
    """
    with page.task_complaints():
        from chalkgrad.tasks import embeddings
        from chalkgrad.tasks.language_model import plays, read

        content = read([*(text or []), *(more or [])] or plays())
        with page.waiting("epochs") as report:
            vectors = embeddings.learn(
                content,
                width=width,
                window=window,
                negative=negative,
                epochs=epochs,
                least=least,
                seed=seed,
                report=report,
            )
        vectors.save(out)
    print(f"{out}: {len(vectors.words)} words of {vectors.width} numbers")
    print(f"Look at it:  chalkgrad embed neighbours {out} {' '.join(vectors.words[:2])}")


@app.command()
def neighbours(
    vectors: Annotated[Path, typer.Argument(metavar="FILE.vec", help="Vectors in word2vec's text format.")],
    words: Annotated[list[str], typer.Argument(metavar="WORD...")],
    count: Annotated[int, typer.Option(metavar="N", help="How many to show of each.")] = 8,
) -> None:
    """List the words whose vectors point most nearly the same way, with the cosine of the angle.

    Example:

        chalkgrad embed neighbours words.vec king sea
    """
    with page.task_complaints():
        from chalkgrad.tasks import embeddings

        known, bad = embeddings.load(vectors)
        page.skipped(bad, vectors)
        found = {word: known.neighbours(word, count) for word in words}
        table = Table(*found, box=None, pad_edge=False)
        for row in zip(*found.values(), strict=True):
            table.add_row(*(f"{cosine:.3f} {word}" for word, cosine in row))
        Console(highlight=False).print(table, markup=False)


__all__ = ["app"]
