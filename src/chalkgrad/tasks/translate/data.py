"""Pairs of sentences: read, cleaned, split by document, and put into batches of about equal length."""

from __future__ import annotations

import hashlib
import lzma
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError

LONGEST = 2000
"""Characters of a sentence, at most: what is longer is no sentence."""

DOCUMENT = 50
"""Neighbouring numbers of the compiler's messages that count as one document: they are about one thing."""

DOCUMENTS = 100
"""Parts that a file is taken for that does not name its documents."""


class Pair(NamedTuple):
    """A sentence, its translation, and the document both stand in."""

    source: str
    target: str
    document: str = ""


@dataclass(frozen=True)
class Corpus:
    """Pairs to learn from, to measure by while learning, and to be tested on; no document is in two of them.

    ``skipped`` counts what was left out, by reason.
    """

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]
    skipped: Counter[str] = field(default_factory=Counter[str])

    @property
    def digest(self) -> str:
        """The sha256 of all pairs: the same data, the same digest."""
        text = "\n".join(
            "\t".join(pair) for part in (self.train, self.validation, self.test) for pair in part
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def said(self) -> str:
        """What was left out, in a line; empty where nothing was.

        >>> Corpus((), (), (), Counter({"the same pair again": 2, "not two columns": 1})).said()
        '3 left out: 2 the same pair again, 1 not two columns'
        """
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.skipped.most_common())
        return f"{self.skipped.total()} left out: {reasons}" if reasons else ""


def clean(text: str) -> str:
    r"""A sentence as all sentences here are: composed letters (NFC), single blanks.

    >>> clean(" \u1100\u1161\u11a8  \t x ") == "\uac01 x"
    True
    """
    return unicodedata.normalize("NFC", " ".join(text.split()))


def messages(source: str, target: str) -> Corpus:
    """The messages of the TypeScript compiler that come with the package, in two of their languages.

    There are 2,086, in en, ko, de, fr, es, it, pt-br, pl, cs, ru, tr, ja, zh-cn and zh-tw; a document is a
    range of their numbers. Raises :class:`TaskError` for a language that is none of these.
    """
    path = Path(__file__).parent / "messages" / "messages.tsv.xz"
    head, *lines = (line.split("\t") for line in lzma.decompress(path.read_bytes()).decode().splitlines())
    for language in (source, target):
        if language not in head[1:]:
            raise TaskError(f"the messages are not in {language!r}, but in {', '.join(head[1:])}")
    if source == target:
        raise TaskError(f"from {source} to {target} there is nothing to translate")
    at, to = head.index(source), head.index(target)
    return split(Pair(line[at], line[to], str(int(line[0]) // DOCUMENT)) for line in lines)


def tsv(paths: Sequence[Path | str]) -> Corpus:
    """The pairs in files, as :func:`pairs_in` reads them, split by document.

    Raises :class:`TaskError` for a file that cannot be read, and for too few pairs.
    """
    pairs, skipped = pairs_in(paths)
    corpus = split(pairs, skipped)
    if not (corpus.train and corpus.validation and corpus.test):
        raise TaskError(
            f"too few pairs in {', '.join(map(str, paths))}{bracketed(corpus.said())}: ten documents at "
            f"least are needed, lines of a sentence, a tab and its translation"
        )
    return corpus


def pairs_in(paths: Sequence[Path | str]) -> tuple[list[Pair], Counter[str]]:
    """The pairs in tab-separated lines: source, target and, if there is one, the document's name.

    A line that is none is skipped, and counted by what it lacks. Without names of documents a hundredth of a
    file, in one piece, counts as one. Raises :class:`TaskError` for a file that cannot be read.
    """
    skipped: Counter[str] = Counter()
    pairs: list[Pair] = []
    for path in paths:
        try:
            rows = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
        except OSError as error:
            raise TaskError(f"cannot read {path}: {error.strerror or error}") from None
        size = max(1, len(rows) // DOCUMENTS)
        for number, row in enumerate(rows):
            try:
                columns = [clean(column) for column in row.decode().split("\t")]
            except UnicodeDecodeError:
                skipped["not UTF-8"] += 1
                continue
            if len(columns) not in (2, 3):
                skipped["not two columns"] += 1
            elif not columns[0] or not columns[1]:
                skipped["empty on one side"] += 1
            elif max(map(len, columns)) > LONGEST:
                skipped[f"longer than {LONGEST} characters"] += 1
            else:
                document = columns[2] if len(columns) == 3 else f"{Path(path).name} {number // size}"
                pairs.append(Pair(columns[0], columns[1], document))
    return pairs, skipped


def bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def split(pairs: Iterable[Pair], skipped: Counter[str] | None = None) -> Corpus:
    """Every tenth document is for the test, another tenth to measure by while learning.

    A pair that is there twice is left out once; so is, of what is not learned from, a sentence that is
    learned from but for what stands in quotation marks or braces, for numbers and for capitals.
    """
    skipped = Counter() if skipped is None else skipped
    documents: dict[str, list[Pair]] = {}
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        if pair[:2] in seen:
            skipped["the same pair again"] += 1
        else:
            seen.add(pair[:2])
            documents.setdefault(pair.document, []).append(pair)
    parts: tuple[list[Pair], ...] = ([], [], [])
    for number, document in enumerate(documents.values()):
        parts[{4: 1, 9: 2}.get(number % 10, 0)].extend(document)
    learned = {bare(pair.source) for pair in parts[0]}
    for part in parts[1:]:
        new = [pair for pair in part if bare(pair.source) not in learned]
        if len(new) < len(part):
            skipped["of the test, almost as learned from"] += len(part) - len(new)
        part[:] = new
    return Corpus(tuple(parts[0]), tuple(parts[1]), tuple(parts[2]), skipped)


def bare(sentence: str) -> str:
    """A sentence without what often alone differs: quoted words, placeholders, capitals, full stops.

    >>> bare("'{0}' expected.") == bare("'from' expected")
    True
    """
    return re.sub(r"'[^']*'|\"[^\"]*\"|\{\d+\}|\d+", "§", sentence.casefold()).strip(" .")


class Batch(NamedTuple):
    """Sentences filled up to one length, S and T: source (B, S) and how long each is (B,), target (B, T)."""

    source: Tensor
    lengths: Tensor
    target: Tensor


@dataclass(frozen=True)
class Numbered:
    """Pairs as numbers. Targets stand between ``begin`` and ``end``; sentences are filled up with ``pad``."""

    sources: tuple[tuple[int, ...], ...]
    targets: tuple[tuple[int, ...], ...]
    pads: tuple[int, int]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def lengths(self) -> Tensor:
        """What batches are sorted by: (n,) lengths of the targets, then of the sources."""
        return torch.tensor([len(t) * 4096 + len(s) for s, t in zip(self.sources, self.targets, strict=True)])

    def batch(self, chosen: Iterable[int]) -> Batch:
        chosen = list(chosen)
        sources, targets = [self.sources[i] for i in chosen], [self.targets[i] for i in chosen]
        lengths = torch.tensor([len(s) for s in sources])
        return Batch(filled(sources, self.pads[0]), lengths, filled(targets, self.pads[1]))


def filled(rows: Sequence[Sequence[int]], pad: int) -> Tensor:
    """Rows of one length, (n, longest).

    >>> filled([[5], [6, 7]], 0)
    tensor([[5, 0],
            [6, 7]])
    """
    longest = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], dtype=torch.long)


def buckets(lengths: Tensor, order: Tensor, size: int) -> list[Tensor]:
    """Batches of about equal length: numbers of pairs, ``size`` at most in each.

    ``order`` (n,) is a permutation: it says who stands beside whom among equals, and which batch comes first.

    >>> [b.tolist() for b in buckets(torch.tensor([9, 3, 8, 3]), torch.tensor([3, 0, 1, 2]), 2)]
    [[3, 1], [2, 0]]
    """
    if not len(order):
        return []
    batches = order[lengths[order].argsort(stable=True)].split(size)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return sorted(batches, key=lambda batch: int(place[batch[0]]))


def in_batches(pairs: Numbered, size: int) -> Iterator[tuple[list[int], Batch]]:
    """All pairs once, in batches of about equal length, each with the numbers of its pairs."""
    for chosen in buckets(pairs.lengths, torch.arange(len(pairs)), size):
        yield chosen.tolist(), pairs.batch(chosen.tolist())


__all__ = [
    "Batch",
    "Corpus",
    "Numbered",
    "Pair",
    "buckets",
    "clean",
    "in_batches",
    "messages",
    "pairs_in",
    "split",
    "tsv",
]
