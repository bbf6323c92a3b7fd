"""Texts with a label, or with a label for each word: TSV files, and the Brown corpus.

To classify, a line is ``label <tab> text``; to tag, ``words <tab> tags``, with spaces between and as many
tags as words.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.data import read
from chalkgrad.tasks.sets import BROWN

TASKS = ("classify", "tag")
TEST_EVERY = 10  # of the Brown corpus, one document in so many is kept to test


@dataclass(frozen=True)
class Example:
    """A text as its words, with one label, or with one for each word."""

    words: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """What to train on and what to test on; ``bad`` says of each line that was skipped what is wrong."""

    training: tuple[Example, ...]
    test: tuple[Example, ...]
    bad: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr((self.training, self.test)).encode()).hexdigest()

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({label for one in self.training for label in one.labels}))

    def baseline(self) -> float:
        """The part of the test labels that are the commonest one of their word, or of all (no net at all)."""
        every: Counter[str] = Counter()
        of_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for one in self.training:
            every.update(one.labels)
            if len(one.labels) == len(one.words):
                for word, label in zip(one.words, one.labels, strict=True):
                    of_word[word][label] += 1
        tagged = all(len(one.labels) == len(one.words) for one in self.training)
        right = count = 0
        for one in self.test:
            for k, label in enumerate(one.labels):
                known = of_word.get(one.words[k]) if tagged else None
                right += (known or every).most_common(1)[0][0] == label
                count += 1
        return right / count


def load(task: str, data: str, test: str | None = None, held: float = 0.2) -> Data:
    """The examples of a file, or of the Brown corpus (``brown``), in two parts.

    Without a file to ``test`` on the last part ``held`` of the examples is kept for it. Raises
    :class:`TaskError` where there are too few.
    """
    if data == "brown":
        if task != "tag":
            raise TaskError("the Brown corpus has a tag for each word: --task tag")
        return brown()
    learned, bad = read_tsv(task, data)
    if test:
        tested, worse = read_tsv(task, test)
        bad += [f"{test}: {line}" for line in worse]
    else:
        cut = len(learned) - max(1, round(len(learned) * held))
        learned, tested = learned[:cut], learned[cut:]
    found = Data(tuple(learned), tuple(tested), tuple(bad))
    if len(found.classes) < 2:
        labels = "1 label" if len(found.classes) == 1 else "no labels"
        raise TaskError(f"{data} has {labels} to train on, and two at least are needed")
    return found


def read_tsv(task: str, path: Path | str) -> tuple[list[Example], list[str]]:
    """The examples of a file, and what is wrong with the other lines."""
    if task not in TASKS:
        raise TaskError(f"task must be one of {', '.join(TASKS)}, not {task!r}")
    found: list[Example] = []
    bad: list[str] = []
    for number, line in enumerate(read([path]).split("\n"), 1):
        if not line.strip():
            continue
        first, _, rest = line.partition("\t")
        if task == "classify":
            words, labels = tuple(rest.split()), (first.strip(),)
            if words and labels[0]:
                found.append(Example(words, labels))
            else:
                bad.append(f"line {number}: it is not label, text with a tab between")
        else:
            words, labels = tuple(first.split()), tuple(rest.split())
            if words and len(words) == len(labels):
                found.append(Example(words, labels))
            else:
                bad.append(f"line {number}: {len(words)} words and {len(labels)} tags")
    if not found:
        raise TaskError(f"{path} holds no example" + (f": {bad[0]}" if bad else ""))
    return found, bad


def brown(folder: Path | None = None) -> Data:
    """The Brown corpus (Francis and Kučera, 1964), every tenth document kept to test.

    Of a tag the marks of headlines, titles, cited words (-hl, -tl, -nc) and foreign ones (fw-) are left out.
    """
    names = [file.name for file in BROWN.file("README", folder).parent.iterdir()]
    documents = sorted(name for name in names if re.fullmatch(r"c[a-r]\d\d", name))
    if len(documents) < 2:
        raise TaskError("the Brown corpus is not whole: run `chalkgrad data fetch brown`")
    parts: tuple[list[Example], list[Example]] = ([], [])
    bad: list[str] = []
    for k, name in enumerate(documents):
        for line in BROWN.file(name, folder).read_text(encoding="utf-8").split("\n"):
            pairs = [token.rpartition("/") for token in line.split()]
            if any(not (word and tag) for word, _, tag in pairs):
                bad.append(f"{name}: {line.strip()[:40]}")
            elif pairs:
                words, tags = tuple(w for w, _, _ in pairs), tuple(base(t) for _, _, t in pairs)
                parts[k % TEST_EVERY == TEST_EVERY - 1].append(Example(words, tags))
    return Data(tuple(parts[0]), tuple(parts[1]), tuple(bad))


def base(tag: str) -> str:
    """A tag of the Brown corpus without its marks.

    >>> base("nn-tl"), base("fw-in+at-tl"), base("--"), base("bez*")
    ('nn', 'in+at', '--', 'bez*')
    """
    return re.sub(r"(?<=.)(-tl|-hl|-nc)+$", "", tag.removeprefix("fw-"))


def fewer(examples: Sequence[Example], most: int | None) -> tuple[Example, ...]:
    """The first so many, or all."""
    return tuple(examples[:most])


__all__ = ["TASKS", "Data", "Example", "base", "brown", "fewer", "load", "read_tsv"]
