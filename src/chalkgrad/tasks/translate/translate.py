"""A trained translator: sentences in, translations out, and where each word looked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks.decoding import beam_search
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.tokens import Vocabulary
from chalkgrad.tasks.translate.config import Card
from chalkgrad.tasks.translate.data import Numbered, Pair, clean, in_batches
from chalkgrad.tasks.translate.model import Translator
from chalkgrad.tasks.translate.train import built, numbered

BATCH = 32


@dataclass(frozen=True)
class Trained:
    """A model and what it was trained as."""

    model: Translator
    card: Card


@dataclass(frozen=True)
class Translation:
    """A translation with its log-probability in nats; ``tokens`` are its numbers, without begin and end.

    ``finished`` says whether it came to its end or was cut; ``score`` is what it was ranked by, before the
    ``others`` of its sentence, the best first.
    """

    text: str
    log_probability: float
    tokens: tuple[int, ...]
    finished: bool
    score: float
    others: tuple[Translation, ...] = ()


@dataclass(frozen=True)
class Looks:
    """How much of each source word was read for each target word: ``weights`` (targets, sources)."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: Tensor


def load(path: Path | str) -> Trained:
    """The model in a directory. Raises :class:`TaskError` where there is none, or another one."""
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    model = built(card.config, card.vocabularies)
    directory.load(lambda state: model.load_state_dict(state["model"]))
    return Trained(model.eval(), card)


def translate(
    trained: Trained,
    sentences: Sequence[str],
    *,
    beam: int = 5,
    normalise: float = 1.0,
    most: int = 200,
    report: Callable[[int, int], object] = lambda _done, _of: None,
) -> list[Translation]:
    """The likeliest translation of each sentence that a beam search finds, with the others of its beam.

    A translation has at most ``most`` tokens, and at most three times as many as its source, and ten more.
    ``report`` is told (sentences so far, in all). Raises :class:`TaskError` for a sentence of nothing.
    """
    texts = [clean(s) for s in sentences]
    if empty := [number for number, text in enumerate(texts, 1) if not text]:
        raise TaskError(f"sentence {empty[0]} is empty: there is nothing to translate")
    if not isfinite(normalise):
        raise TaskError(f"normalise must be a number, not {normalise}")
    target = trained.card.vocabularies[1]
    pairs = numbered(tuple(Pair(text, "") for text in texts), trained.card.vocabularies)
    by_source = Numbered(pairs.sources, pairs.sources, pairs.pads)  # sorted by what is known of them
    found: dict[int, Translation] = {}
    for chosen, batch in in_batches(by_source, BATCH):
        with torch.no_grad():
            state = trained.model.read(batch.source, batch.lengths)
        longest = min(most, 3 * batch.source.shape[1] + 10)
        rows = beam_search(
            trained.model.step, state, len(chosen),
            begin=target.begin, end=target.end, beam=beam, most=longest, normalise=normalise,
        )  # fmt: skip
        for i, hypotheses in zip(chosen, rows, strict=True):
            best, *others = (
                Translation(clean(target.decode(h.tokens)), h.log_probability, h.tokens, h.finished, h.score)
                for h in hypotheses
            )
            found[i] = replace(best, others=tuple(others))
        report(len(found), len(texts))
    return [found[i] for i in range(len(texts))]


def looks(trained: Trained, sentence: str, translation: Translation) -> Looks:
    """Where the model looked while it wrote a translation, word by word.

    The tokens of a word are put together: what was read of them is added, and over those that were written
    the mean is taken. Raises :class:`TaskError` for a model without attention.
    """
    source, target = trained.card.vocabularies
    read = (*source.ids(clean(sentence)), source.end)
    words = (*translation.tokens, *([target.end] if translation.finished else []))
    given = torch.tensor([[target.begin, *words[:-1]]])
    with torch.no_grad():
        weights = trained.model.attention(torch.tensor([read]), torch.tensor([len(read)]), given)[0]
    sources, targets = spans(source, read), spans(target, words)
    summed = torch.stack([weights[:, a:b].sum(1) for _, a, b in sources], 1)
    return Looks(
        tuple(word for word, _, _ in sources),
        tuple(word for word, _, _ in targets),
        torch.stack([summed[a:b].mean(0) for _, a, b in targets]),
    )


END = "⏎"
"""How the end of a sentence is shown."""


def spans(vocabulary: Vocabulary, ids: Sequence[int]) -> list[tuple[str, int, int]]:
    """The words of some tokens: each with where it begins and ends.

    A word begins at a token that begins with a blank; a vocabulary of characters keeps each by itself.

    >>> from chalkgrad.tasks.tokens import Words
    >>> v = Words.of("to be", special=("pad", "begin", "end"))
    >>> spans(v, [*v.ids("to be"), v.end])
    [('to', 0, 1), ('be', 1, 2), ('⏎', 2, 3)]
    """
    found: list[tuple[str, int, int]] = []
    begins = [
        i for i, token in enumerate(ids)
        if i == 0 or token == vocabulary.end or vocabulary.name == "characters"
        or vocabulary.decode([token]).startswith(" ")
    ]  # fmt: skip
    for a, b in zip(begins, [*begins[1:], len(ids)], strict=True):
        word = END if ids[a] == vocabulary.end else vocabulary.decode(ids[a:b]).strip()
        found.append((word, a, b))
    return found


__all__ = ["Looks", "Trained", "Translation", "load", "looks", "spans", "translate"]
