"""Words as vectors in four ways, side by side: one-hot, bags of words, learned by a language model, word2vec.

W words   E numbers of a vector
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from chalkgrad.drawing.draw import needs_matplotlib
from chalkgrad.tasks.embeddings import Vectors, sentences
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.generate import Trained
from chalkgrad.tasks.language_model.model import Net


@dataclass(frozen=True)
class Representation:
    """What some words (W,) are by one way of representing them; ``vectors`` is (W, E)."""

    name: str
    words: tuple[str, ...]
    vectors: Tensor

    @property
    def alike(self) -> Tensor:
        """(W, W) cosines of the angles between the vectors: 1 where they point the same way."""
        unit = normalize(self.vectors.double(), dim=1)
        return unit @ unit.T

    def nearest(self, word: str) -> tuple[str, float] | None:
        """The other word of most alike direction; None where none is more alike than another."""
        row = self.alike[self.words.index(word)].clone()
        row[self.words.index(word)] = -torch.inf
        best = row.max()
        return None if (row == best).sum() > 1 else (self.words[int(row.argmax())], best.item())


def one_hot(words: Sequence[str], vocabulary: Sequence[str]) -> Representation:
    """A number for each word of a vocabulary, 1 for the word itself: any two are equally unlike.

    >>> one_hot(["b", "a"], ["a", "b", "c"]).vectors.tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    rows = torch.zeros(len(words), len(vocabulary))
    for row, word in zip(rows, words, strict=True):
        row[_found(word, vocabulary)] = 1
    return Representation("one-hot", tuple(words), rows)


def bag(words: Iterable[str], vocabulary: Sequence[str]) -> Tensor:
    """(V,) how often each word of the vocabulary occurs: all that is left of a text without its order.

    >>> a, b = (bag(text.split(), ["bites", "dog", "man"]) for text in ("dog bites man", "man bites dog"))
    >>> a.equal(b)
    True
    """
    index = {word: number for number, word in enumerate(vocabulary)}
    found = [index[word] for word in words if word in index]
    return torch.bincount(torch.tensor(found, dtype=torch.long), minlength=len(index)).float()


def bags(words: Sequence[str], vocabulary: Sequence[str], text: str, window: int = 5) -> Representation:
    """Each word by the bag of words that stand around it, ``window`` on either side: logs of 1 + counts."""
    around: dict[str, list[str]] = {word: [] for word in words}
    for sentence in sentences(text):
        for place, word in enumerate(sentence):
            if word in around:
                around[word] += sentence[max(0, place - window) : place] + sentence[place + 1 :][:window]
    rows = torch.stack([bag(around[word], vocabulary) for word in words])
    return Representation("bag of words around it", tuple(words), rows.log1p())


def learned(words: Sequence[str], trained: Trained) -> Representation:
    """The rows of a language model's embedding: that of a word with the space before it, or of its own.

    Raises :class:`TaskError` for a model that has none, or does not know a word whole.
    """
    if not isinstance(trained.model, Net) or trained.vocabulary.name != "words":
        raise TaskError("this language model has no vectors of words: train one with --tokens words")
    rows: list[Tensor] = []
    for word in words:
        forms = (f" {word}", word, f" {word.capitalize()}", word.capitalize())
        whole = (ids[0] for form in forms if len(ids := trained.vocabulary.ids(form)) == 1 and ids[0])
        number = next(whole, None)
        if number is None:
            raise TaskError(f"the language model does not know {word!r} as a word")
        rows.append(trained.model.embedding.weight[number].detach())
    return Representation("learned by a language model", tuple(words), torch.stack(rows))


def word2vec(words: Sequence[str], vectors: Vectors) -> Representation:
    """The words' vectors of word2vec. Raises :class:`TaskError` for a word that has none."""
    rows = [vectors.values[_found(word, vectors.index)] for word in words]
    return Representation("word2vec", tuple(words), torch.stack(rows))


def _found(word: str, known: Any) -> int:
    try:
        return known[word] if isinstance(known, dict) else known.index(word)
    except (KeyError, ValueError):
        raise TaskError(f"{word!r} has no vector among these {len(known)}") from None


def picture(ways: Sequence[Representation]) -> bytes:
    """A PNG: for each way the cosines between all words, in one scale."""
    needs_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3 * len(ways) + 0.6, 4.1), layout="constrained")
    panels = figure.subplots(1, len(ways), squeeze=False)[0]
    images: list[Any] = []
    for panel, way in zip(panels, ways, strict=True):
        images.append(panel.imshow(way.alike.numpy(), cmap="RdBu_r", vmin=-1, vmax=1))
        panel.set_title(f"{way.name}\n{way.vectors.shape[1]:,} numbers", fontsize=11)
        panel.set_xticks(range(len(way.words)), way.words, rotation=90)
        panel.set_yticks(range(len(way.words)), way.words if panel is panels[0] else [""] * len(way.words))
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    figure.colorbar(images[0], ax=panels, label="cosine", shrink=0.7)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, facecolor="white", metadata={"Software": "chalkgrad"})
    return content.getvalue()


__all__ = ["Representation", "bag", "bags", "learned", "one_hot", "picture", "word2vec"]
