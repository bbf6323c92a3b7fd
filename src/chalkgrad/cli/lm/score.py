"""``chalkgrad lm score``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.lm.words import Directory, listed


def score(
    directory: Directory,
    text: Annotated[Path, typer.Option(metavar="FILE", help="UTF-8 text to measure.")],
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Print log P(x_s | x_<s), token by token; they sum to the total.")
    ] = False,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Measure the same words in another order too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Which other order.")] = 0,
) -> None:
    """Measure how well a trained model predicts a text.

    The lower the bits per character, the better; a perplexity of p means: as unsure as between p equally
    likely tokens, which are characters unless the model was trained on others.

    Examples:

        chalkgrad lm score runs/lm --text chapter.txt

        chalkgrad lm score runs/lm --text line.txt --tokens --shuffle
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm

        trained = lm.load(directory)
        content = lm.read([text])
        if tokens:
            by_token(lm.token_scores(trained, content))
        with page.waiting("characters") as report:
            result = lm.score(trained, content, report)
            other = lm.score(trained, lm.shuffled(content, seed), report) if shuffle else None
    print(f"characters        {result.characters}")
    unit = "character"
    if trained.vocabulary.name != "characters":
        print(f"tokens            {result.tokens}, {trained.vocabulary.name}")
        unit = "token"
    if unknown := trained.vocabulary.unknown(content):
        print(f"unknown           {result.unknown}, scored as one unknown {unit}: {listed(unknown)}")
    print(f"log-probability   {-result.nats:.3f} nats")
    print(f"per character     {result.nats_per_character:.4f} nats, {result.bits_per_character:.4f} bits")
    print(f"perplexity        {result.perplexity:.4f}{' per token' * (unit == 'token')}")
    if other:
        lost = other.nats - result.nats
        change = f"{abs(lost):.3f} nats {'lost' if lost > 0 else 'gained'}"
        print(f"words shuffled    {-other.nats:.3f} nats, perplexity {other.perplexity:.4f}: {change}")


def by_token(scores: Iterator[tuple[str, float]]) -> None:
    """The chain rule as a table: a token, what it adds, the sum so far."""
    print(f"{'s':>5}  {'log P(x_s | x_<s)':>17}  {'sum':>11}  x_s")
    total = 0.0
    for s, (token, found) in enumerate(scores, 1):
        total += found
        print(f"{s:>5}  {found:>17.4f}  {total:>11.4f}  {token!r}")


__all__ = ["score"]
