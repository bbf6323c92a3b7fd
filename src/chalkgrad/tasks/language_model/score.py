"""Measuring text by a trained model: the chain rule, log P(x) = Σ[s] log P(x_s | x_<s)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log

import torch

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.data import Streams
from chalkgrad.tasks.language_model.generate import CHUNK, Trained
from chalkgrad.tasks.language_model.model import States


@dataclass(frozen=True)
class Score:
    """How probable a text is: ``nats`` is -log p of all its characters together.

    What the model does not know is scored as what it is to the model, any unknown token; ``unknown`` says how
    many there were. ``tokens`` left out are as many as characters.

    >>> score = Score(nats=20 * log(2), characters=10, unknown=0)
    >>> f"{score.bits_per_character:.3f} {score.perplexity:.3f}"
    '2.000 4.000'
    """

    nats: float
    characters: int
    unknown: int
    tokens: int | None = None

    @property
    def nats_per_character(self) -> float:
        return self.nats / self.characters

    @property
    def bits_per_character(self) -> float:
        return self.nats_per_character / log(2)

    @property
    def perplexity(self) -> float:
        """As unsure as between so many equally likely tokens."""
        return exp(self.nats / (self.tokens or self.characters))


@torch.no_grad()
def token_scores(trained: Trained, text: str) -> Iterator[tuple[str, float]]:
    """Each token of a text with its ``log P(x_s | x_<s)`` in nats.

    By the chain rule they sum to the text's log-probability, ``-score(…).nats``. A text is read as it comes:
    the first of its tokens is known before the last has been looked at.
    """
    states: States | None = None
    for ids, targets in Streams.of(text, trained.vocabulary, 1).chunks(CHUNK):
        logits, states = trained.model(ids, states)
        found = logits[0].double().log_softmax(1).gather(1, targets[0, :, None])[:, 0].tolist()
        yield from zip((trained.vocabulary.decode([i]) for i in targets[0].tolist()), found, strict=True)


def score(
    trained: Trained, text: str, report: Callable[[int, int], object] = lambda _done, _of: None
) -> Score:
    """The probability of a text under the model, its state carried from the first token to the last.

    ``report`` is told now and then how many characters of how many have been read.
    """
    if not text:
        raise TaskError("there is no text to score")
    total, tokens, characters = 0.0, 0, 0
    for token, found in token_scores(trained, text):
        total += found
        tokens += 1
        characters = min(characters + len(token), len(text))
        if tokens % CHUNK == 0:
            report(characters, len(text))
    report(len(text), len(text))
    return Score(-total, len(text), len(trained.vocabulary.unknown(text)), tokens)


def shuffled(text: str, seed: int = 0) -> str:
    """The words of a text in another order, between the white space that was there.

    It has the same characters as often: what a model scores otherwise, it owes to the order.

    >>> shuffled("to be,  or not\\nto be", seed=1)
    'or not  be to\\nto be,'
    """
    parts = re.split(r"(\s+)", text)
    words = parts[::2]
    random.Random(seed).shuffle(words)
    parts[::2] = words
    return "".join(parts)


__all__ = ["Score", "score", "shuffled", "token_scores"]
