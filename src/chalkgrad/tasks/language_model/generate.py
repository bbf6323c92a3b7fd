"""Reading a trained model back: writing text with it, and measuring text by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import Card
from chalkgrad.tasks.language_model.data import BEFORE, UNKNOWN, Streams, Vocabulary
from chalkgrad.tasks.language_model.model import LanguageModel, evaluate

# Characters a call of the model reads at a time: bounds the memory that a long text needs.
CHUNK = 1024


@dataclass(frozen=True)
class Trained:
    """A model and the characters it knows."""

    model: LanguageModel
    vocabulary: Vocabulary


@dataclass(frozen=True)
class Score:
    """How probable a text is: ``nats`` is -log p of all its characters together.

    A character that the model does not know is scored as what it is to the model, any unknown character;
    ``unknown`` says how many there were.

    >>> score = Score(nats=20 * log(2), characters=10, unknown=0)
    >>> f"{score.bits_per_character:.3f} {score.perplexity:.3f}"
    '2.000 4.000'
    """

    nats: float
    characters: int
    unknown: int

    @property
    def nats_per_character(self) -> float:
        return self.nats / self.characters

    @property
    def bits_per_character(self) -> float:
        return self.nats_per_character / log(2)

    @property
    def perplexity(self) -> float:
        return exp(self.nats_per_character)


def load(path: Path | str) -> Trained:
    """The trained model in a directory that :func:`train` filled; nothing that lies there is executed."""
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    vocabulary = Vocabulary(card.characters)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        model = LanguageModel(
            card.equations, len(vocabulary), hidden=card.config.hidden, layers=card.config.layers
        )
    directory.load(lambda state: model.load_state_dict(state["model"]))
    return Trained(model, vocabulary)


def generate(
    trained: Trained, prompt: str = "", *, length: int = 500, temperature: float = 1.0, seed: int = 0
) -> Iterator[str]:
    """``length`` characters that follow the prompt, one at a time.

    Each is drawn from p^(1/temperature); at temperature 0 the most probable is taken. The unknown character
    is never drawn. One seed gives one text.
    """
    if not 0 <= temperature < float("inf"):
        raise TaskError(f"temperature must be 0 or a number above it, not {temperature}")
    if length < 0:
        raise TaskError(f"length must be at least 0, not {length}")
    random = torch.Generator().manual_seed(seed)
    ids, states = trained.vocabulary.encode(BEFORE + prompt)[None], None
    with torch.no_grad():
        for chunk in ids[:, :-1].split(CHUNK, dim=1):
            if chunk.numel():
                _, states = trained.model(chunk, states)
        last = ids[:, -1:]
        for _ in range(length):
            logits, states = trained.model(last, states)
            last = draw(logits[0, -1], temperature, random).view(1, 1)
            yield trained.vocabulary.decode([int(last)])


def draw(logits: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    """One index, distributed as softmax(logits / temperature) without the unknown character."""
    allowed = logits.double().index_fill(0, torch.tensor([UNKNOWN]), float("-inf"))
    if temperature == 0:
        return allowed.argmax()
    # The maximum is taken off first, so that a tiny temperature divides numbers of which the best stays 0.
    return torch.multinomial(((allowed - allowed.max()) / temperature).softmax(0), 1, generator=random)


def score(
    trained: Trained, text: str, report: Callable[[int, int], object] = lambda _done, _of: None
) -> Score:
    """The probability of a text under the model, its state carried from the first character to the last.

    ``report`` is told how many characters of how many have been read, after each chunk.
    """
    if not text:
        raise TaskError("there is no text to score")

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        done = 0
        for ids, targets in Streams.of(text, trained.vocabulary, 1).chunks(CHUNK):
            yield ids, targets
            done += targets.numel()
            report(done, len(text))

    loss = evaluate(trained.model, chunks())
    return Score(loss.nats, loss.characters, len(trained.vocabulary.unknown(text)))


__all__ = ["Score", "Trained", "generate", "load", "score"]
