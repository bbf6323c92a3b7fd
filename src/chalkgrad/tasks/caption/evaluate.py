"""How well a captioner does on pictures that it has not seen: captions that are right, BLEU, chrF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chalkgrad.tasks.caption.data import Data, Part
from chalkgrad.tasks.caption.teller import Caption, Teller
from chalkgrad.tasks.caption.train import spaced
from chalkgrad.tasks.extra import extra

TOGETHER = 64  # pictures that are looked at in one call


@dataclass(frozen=True)
class Score:
    """What was measured on the pictures of one test.

    ``exact`` counts captions that are one of the picture's own, to the letter, ``sayable`` pictures that
    have a caption all of whose words occurred in training: no others can be exact. ``bleu`` and ``chrf``
    are sacrebleu's, in 0…100, with their ``signatures``; ``captions`` is what was said.
    """

    count: int
    exact: int
    sayable: int
    bleu: float
    chrf: float
    signatures: tuple[str, str]
    captions: tuple[Caption, ...]


def evaluate(
    teller: Teller,
    data: Data,
    *,
    beam: int = 3,
    report: Callable[[int, int], object] = lambda _done, _of: None,
) -> dict[str, Score]:
    """The scores of each test of the data that has pictures, by its name."""
    extra("sacrebleu", "sacrebleu")
    tests = {name: part for name, part in data.tests.items() if len(part)}
    total, done = sum(map(len, tests.values())), 0
    scores: dict[str, Score] = {}
    for name, part in tests.items():
        said: list[Caption] = []
        for pictures in part.pictures.split(TOGETHER):
            said += teller.of(pictures, beam)
            done += len(pictures)
            report(done, total)
        scores[name] = score(teller, part, said)
    return scores


def score(teller: Teller, part: Part, said: Sequence[Caption]) -> Score:
    """What captions of a part's pictures are worth."""
    texts = [caption.text for caption in said]
    exact = sum(text in own for text, own in zip(texts, part.captions, strict=True))
    sayable = sum(any(not teller.vocabulary.unknown(spaced(c)) for c in own) for own in part.captions)
    (bleu, chrf), signatures = compared(texts, part.captions)
    return Score(len(texts), exact, sayable, bleu, chrf, signatures, tuple(said))


def compared(
    texts: Sequence[str], own: Sequence[Sequence[str]]
) -> tuple[tuple[float, float], tuple[str, str]]:
    """BLEU and chrF of texts against one or several true ones each, and the metrics' signatures.

    (Papineni et al., ACL 2002; Popović, WMT 2015; by sacrebleu, Post, WMT 2018.)
    """
    library: Any = extra("sacrebleu.metrics", "sacrebleu")
    most = max(map(len, own))
    references = [[true[k] if k < len(true) else None for true in own] for k in range(most)]
    metrics = (library.BLEU(), library.CHRF())
    values = [metric.corpus_score(list(texts), references).score for metric in metrics]
    return (values[0], values[1]), (str(metrics[0].get_signature()), str(metrics[1].get_signature()))


__all__ = ["Score", "compared", "evaluate"]
