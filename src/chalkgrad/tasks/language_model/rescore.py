"""Choosing among the candidates of a recogniser or translator again, with a language model's help.

A candidate's score is what its system gave it, a log-probability or anything that is higher the better, plus
``weight`` times its ``log P(text)`` in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.language_model.data import read

WEIGHTS = (0.0, *(10 ** (k / 10) for k in range(-30, 11)))
"""The weights that are tried: none, and 0.001 to 10 in 40 steps of a quarter more."""

METRICS = ("wer", "cer", "bleu")


@dataclass(frozen=True)
class Candidate:
    """One text of a list, with its system's score; ``nats`` is its log-probability once it is known."""

    text: str
    score: float
    nats: float = 0.0

    def combined(self, weight: float) -> float:
        return self.score + weight * self.nats


Lists = dict[str, list[Candidate]]


def read_lists(path: Path | str) -> tuple[Lists, list[str]]:
    """Candidates by id from a file of ``id <tab> score <tab> text`` lines, and what is wrong with the others.

    Raises :class:`TaskError` where no line is right.
    """
    lists: Lists = {}
    bad: list[str] = []
    for number, line in _lines(path):
        fields = line.split("\t", 2)
        try:
            name, score, text = fields[0].strip(), float(fields[1]), fields[2].strip()
            if not (name and text and isfinite(score)):
                raise ValueError
        except (ValueError, IndexError):
            bad.append(f"line {number}: it is not id, score, text with tabs between")
            continue
        lists.setdefault(name, []).append(Candidate(text, score))
    if not lists:
        raise TaskError(f"{path} has no line of id, score, text with tabs between")
    return lists, bad


def read_references(path: Path | str) -> tuple[dict[str, str], list[str]]:
    """The right text by id from a file of ``id <tab> text`` lines, and what is wrong with the others."""
    found: dict[str, str] = {}
    bad: list[str] = []
    for number, line in _lines(path):
        name, _, text = (part.strip() for part in line.partition("\t"))
        if not (name and text):
            bad.append(f"line {number}: it is not id, text with a tab between")
        elif name in found:
            bad.append(f"line {number}: {name} has a reference already")
        else:
            found[name] = text
    if not found:
        raise TaskError(f"{path} has no line of id, text with a tab between")
    return found, bad


def _lines(path: Path | str) -> list[tuple[int, str]]:
    return [(n, line) for n, line in enumerate(read([path]).split("\n"), 1) if line.strip()]


def scored(lists: Lists, nats: Callable[[str], float], report: Callable[[int, int], object]) -> Lists:
    """The same lists with every candidate's log-probability; a text is looked at once, wherever it stands."""
    texts = list(dict.fromkeys(c.text for candidates in lists.values() for c in candidates))
    known: dict[str, float] = {}
    for done, text in enumerate(texts, 1):
        known[text] = nats(text)
        report(done, len(texts))
    return {
        name: [Candidate(c.text, c.score, known[c.text]) for c in candidates]
        for name, candidates in lists.items()
    }


def picked(lists: Lists, weight: float) -> dict[str, Candidate]:
    """The best candidate of each list; of equals the first."""
    return {name: max(candidates, key=lambda c: c.combined(weight)) for name, candidates in lists.items()}


def edits(said: Sequence[str], right: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other (Levenshtein 1966).

    >>> edits("kitten", "sitting")
    3
    """
    row = list(range(len(right) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def units(text: str, metric: str) -> Sequence[str]:
    """What an error is counted over: words, or characters without white space."""
    return "".join(text.split()) if metric == "cer" else text.split()


def measure(texts: Sequence[str], references: Sequence[str], metric: str) -> float:
    """Word or character error rate (0 is best, edits over the references' length), or BLEU (100 is best)."""
    if metric == "bleu":
        return extra("sacrebleu", "sacrebleu").corpus_bleu(list(texts), [list(references)]).score
    wrong = sum(edits(units(a, metric), units(b, metric)) for a, b in zip(texts, references, strict=True))
    return wrong / sum(len(units(b, metric)) for b in references)


def tuned(lists: Lists, references: dict[str, str], metric: str) -> float:
    """The weight of :data:`WEIGHTS` that measures best on these lists; of equals the smallest."""
    names = list(lists)
    right = [references[name] for name in names]

    def cost(weight: float) -> float:
        best = picked(lists, weight)
        value = measure([best[name].text for name in names], right, metric)
        return -value if metric == "bleu" else value

    return min(WEIGHTS, key=cost)


def closest(candidates: list[Candidate], reference: str, metric: str) -> Candidate:
    """The candidate that the fewest edits make the reference."""
    return min(candidates, key=lambda c: edits(units(c.text, metric), units(reference, metric)))


@dataclass(frozen=True)
class Rescored:
    """What was picked with which weight; measured before and after where references say what is right.

    ``oracle`` is the measure of the candidates nearest to the references: no picking does better in errors.
    """

    picks: dict[str, Candidate]
    weight: float
    tuned_on: int = 0
    measured_on: int = 0
    before: float | None = None
    after: float | None = None
    oracle: float | None = None


def rescore(
    lists: Lists,
    references: dict[str, str] | None = None,
    *,
    weight: float | None = None,
    metric: str = "wer",
    development: float = 0.5,
) -> Rescored:
    """Pick from lists whose candidates have been :func:`scored`.

    Without a ``weight`` the first part (``development``) of the lists that have references tunes it, and the
    rest of them measures what is reached; with one, all of them measure.
    """
    if weight is not None and not isfinite(weight):
        raise TaskError(f"the weight must be a number, not {weight}")
    if metric not in METRICS:
        raise TaskError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    names = [name for name in lists if references and name in references]
    if references is not None and not names:
        raise TaskError("no id of the candidates has a reference")
    chosen = weight
    tuning = 0
    if chosen is None:
        if references is None:
            raise TaskError("give a weight, or references to tune it on")
        tuning = round(len(names) * development)
        if not 0 < tuning < len(names):
            raise TaskError(
                f"{len(names)} lists with references cannot be parted into some to tune the weight on and "
                f"some to measure on: give more, or a weight"
            )
        chosen = tuned({name: lists[name] for name in names[:tuning]}, references, metric)
    picks = picked(lists, chosen)
    if references is None:
        return Rescored(picks, chosen)
    held = {name: lists[name] for name in names[tuning:]}
    right = [references[name] for name in held]
    nearest = [closest(held[name], text, metric) for name, text in zip(held, right, strict=True)]
    before, after, oracle = (
        measure([c.text for c in some], right, metric)
        for some in (picked(held, 0.0).values(), picked(held, chosen).values(), nearest)
    )
    return Rescored(picks, chosen, tuning, len(held), before, after, oracle)


__all__ = [
    "METRICS",
    "WEIGHTS",
    "Candidate",
    "Lists",
    "Rescored",
    "edits",
    "measure",
    "picked",
    "read_lists",
    "read_references",
    "rescore",
    "scored",
    "tuned",
]
