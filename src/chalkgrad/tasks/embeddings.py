"""Vectors of words: learned by skip-gram with negative sampling, kept in word2vec's text format, compared.

W words   E numbers of a vector
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from chalkgrad.files import write_atomically
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra

WORD = re.compile(r"\w+(?:['’-]\w+)*")
END = re.compile(r"[.!?]+\s|\n\s*\n")


@dataclass(frozen=True)
class Vectors:
    """Words and their vectors: ``values`` (W, E), commonest words first."""

    words: tuple[str, ...]
    values: Tensor

    @cached_property
    def index(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @property
    def width(self) -> int:
        return self.values.shape[1]

    def of(self, word: str) -> Tensor | None:
        """(E,) the vector of a word as it is written, or else in small letters; None where there is none."""
        number = self.index.get(word, self.index.get(word.lower()))
        return None if number is None else self.values[number]

    def neighbours(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words of most alike direction, with the cosine of the angle between.

        Raises :class:`TaskError` for a word that has no vector, and for a ``count`` below 1.
        """
        if count < 1:
            raise TaskError(f"count must be at least 1, not {count}")
        vector = self.of(word)
        if vector is None:
            raise TaskError(f"{word!r} has no vector among these {len(self.words)}")
        cosines = normalize(self.values, dim=1) @ normalize(vector, dim=0)
        best = cosines.topk(min(count + 1, len(self.words)))
        found = [(self.words[i], c) for c, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
        return [pair for pair in found if pair[0] not in (word, word.lower())][:count]

    def save(self, path: Path | str) -> None:
        """Write word2vec's text format: a line of two numbers, then a line for each word.

        Raises :class:`TaskError` where the file cannot be written.
        """
        lines = [f"{len(self.words)} {self.width}"]
        rows = zip(self.words, self.values.tolist(), strict=True)
        lines += [" ".join((word, *(f"{x:.6g}" for x in row))) for word, row in rows]
        try:
            write_atomically(Path(path), "\n".join(lines) + "\n")
        except OSError as error:
            raise TaskError(f"cannot write {path}: {error.strerror or error}") from None


def load(path: Path | str) -> tuple[Vectors, list[str]]:
    """Vectors in word2vec's text format, and what is wrong with the lines that were left out.

    Raises :class:`TaskError` where the file cannot be read, or no line is right.
    """
    try:
        # Some published files hold words cut within a character.
        lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}") from None
    header = re.fullmatch(r"(\d+) (\d+)\s*", lines[0])
    if header is None or int(header[2]) == 0:
        raise TaskError(f"{path} does not begin with how many words and numbers it holds: 5000 100")
    words: dict[str, list[float]] = {}
    bad: list[str] = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        word, *rest = line.strip().rsplit(" ", int(header[2]))
        try:
            row = [float(x) for x in rest]
        except ValueError:
            row = []
        if len(row) != int(header[2]) or not torch.tensor(row).isfinite().all():
            bad.append(f"line {number}: it is not a word and {header[2]} numbers")
        elif word in words:
            bad.append(f"line {number}: {word} has a vector already")
        else:
            words[word] = row
    if not words:
        raise TaskError(f"{path} holds no word with {header[2]} numbers")
    return Vectors(tuple(words), torch.tensor(list(words.values()))), bad


def sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence, in small letters.

    >>> list(sentences("To be, or not. That's it!"))
    [['to', 'be', 'or', 'not'], ["that's", 'it']]
    """
    for sentence in END.split(text):
        if words := [word.lower() for word in WORD.findall(sentence)]:
            yield words


def learn(
    text: str,
    *,
    width: int = 100,
    window: int = 5,
    negative: int = 5,
    epochs: int = 5,
    least: int = 5,
    seed: int = 0,
    report: Callable[[int, int], object] = lambda _done, _of: None,
) -> Vectors:
    """Vectors of the words that occur at least ``least`` times: a word's predicts those within ``window``.

    Skip-gram with negative sampling (Mikolov et al., "Distributed representations of words and phrases and
    their compositionality", NeurIPS 2013), by gensim; one seed gives one result. ``report`` is told how many
    epochs of how many are done. Raises :class:`TaskError` where no word occurs often enough, and where gensim
    is not installed.
    """
    for name, value in (("width", width), ("window", window), ("negative", negative), ("epochs", epochs)):
        if value < 1:
            raise TaskError(f"{name} must be at least 1, not {value}")
    if not 0 <= seed < 2**32:
        raise TaskError(f"seed must be at least 0 and below 2^32, not {seed}")
    library: Any = extra("gensim.models.word2vec", "gensim")
    corpus = list(sentences(text))
    model = library.Word2Vec(
        vector_size=width, window=window, sg=1, hs=0, negative=negative, min_count=least, seed=seed, workers=1
    )
    model.build_vocab(corpus)
    if not len(model.wv):
        raise TaskError(f"no word occurs {least} times: give more text, or a smaller --least")
    done = 0

    class Epochs(extra("gensim.models.callbacks", "gensim").CallbackAny2Vec):
        def on_epoch_end(self, _model: Any) -> None:
            nonlocal done
            done += 1
            report(done, epochs)

    model.train(corpus, total_examples=len(corpus), epochs=epochs, callbacks=[Epochs()])
    return Vectors(tuple(model.wv.index_to_key), torch.from_numpy(model.wv.vectors.copy()))


__all__ = ["Vectors", "learn", "load", "sentences"]
