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

        chalkgrad lm train --tokens words --embeddings words.vec
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
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words that have a vector.")],
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


@app.command()
def compare(
    vectors: Annotated[Path, typer.Argument(metavar="FILE.vec", help="Vectors in word2vec's text format.")],
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words to be compared, two at least.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A language model of words, whose embedding is shown beside them."),
    ] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="UTF-8 text for bags of words.", show_default="nine plays"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Receives a picture of all cosines.")
    ] = None,
) -> None:
    """Show words as one-hot vectors, bags of words, a language model's embedding and word2vec, side by side.

    For each way the table says how many numbers a word is, and which of the others is nearest to it.

    Example:

        chalkgrad embed compare words.vec king queen sea ship --model runs/lm --out alike.png
    """
    with page.task_complaints():
        from chalkgrad.files import write
        from chalkgrad.tasks import embeddings
        from chalkgrad.tasks import representations as ways
        from chalkgrad.tasks.errors import TaskError
        from chalkgrad.tasks.language_model import load, plays, read

        if len(set(words)) < 2:
            raise TaskError("give two different words at least")
        known, bad = embeddings.load(vectors)
        page.skipped(bad, vectors)
        shown = [
            ways.one_hot(words, known.words),
            ways.bags(words, known.words, read(text or plays())),
            *([ways.learned(words, load(model))] if model else []),
            ways.word2vec(words, known),
        ]
        table = Table("", *(way.name for way in shown), box=None, pad_edge=False)
        table.add_row("numbers", *(f"{way.vectors.shape[1]:,}" for way in shown))
        for word in words:
            near = (way.nearest(word) for way in shown)
            table.add_row(word, *(f"{n[1]:.3f} {n[0]}" if n else "none" for n in near))
        Console(highlight=False).print(table, markup=False)
        if out:
            write(out, ways.picture(shown))


__all__ = ["app"]
