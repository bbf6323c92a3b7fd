"""How good translations are: BLEU and chrF by sacrebleu, each with the signature that says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.translate.data import Pair
from chalkgrad.tasks.translate.translate import Trained, Translation, translate

TOKENIZERS = {"zh-cn": "zh", "zh-tw": "zh", "ja": "char"}
"""sacrebleu's way to cut a language that writes no blanks into words; all others: 13a."""


@dataclass(frozen=True)
class Scores:
    """BLEU and chrF, from 0 to 100, with sacrebleu's signatures (Post, "A call for clarity", WMT 2018)."""

    bleu: float
    chrf: float
    signatures: tuple[str, str]

    def lines(self) -> list[str]:
        return [
            f"BLEU {self.bleu:5.1f}   {self.signatures[0]}",
            f"chrF {self.chrf:5.1f}   {self.signatures[1]}",
        ]


@dataclass(frozen=True)
class Evaluation:
    """What became of some pairs, and how good that is."""

    pairs: tuple[Pair, ...]
    translations: tuple[Translation, ...]
    scores: Scores

    def table(self) -> str:
        """Source, reference and translation, as tab-separated lines."""
        rows = zip(self.pairs, self.translations, strict=True)
        return "".join(f"{pair.source}\t{pair.target}\t{found.text}\n" for pair, found in rows)

    def lists(self) -> tuple[str, str]:
        """All candidates (number, score, text) and the references (number, text): what `lm rescore` reads."""
        found = (
            f"{number}\t{one.score:.4f}\t{one.text}\n"
            for number, best in enumerate(self.translations, 1)
            for one in (best, *best.others)
            if one.text
        )
        right = (f"{number}\t{pair.target}\n" for number, pair in enumerate(self.pairs, 1))
        return "".join(found), "".join(right)


def scores(found: Sequence[str], references: Sequence[str], language: str = "") -> Scores:
    """BLEU and chrF of translations, each beside its one reference.

    >>> perfect = scores(["the cat sat on the mat"], ["the cat sat on the mat"])
    >>> round(perfect.bleu, 6), round(perfect.chrf, 6)
    (100.0, 100.0)
    """
    metrics = extra("sacrebleu.metrics", "sacrebleu")
    bleu, chrf = metrics.BLEU(tokenize=TOKENIZERS.get(language, "13a")), metrics.CHRF()
    values = [m.corpus_score(list(found), [list(references)]).score for m in (bleu, chrf)]
    return Scores(values[0], values[1], (str(bleu.get_signature()), str(chrf.get_signature())))


def evaluate(
    trained: Trained,
    pairs: Sequence[Pair],
    *,
    beam: int = 5,
    normalise: float = 1.0,
    report: Callable[[int, int], object] = lambda _done, _of: None,
) -> Evaluation:
    """Translate the sources of some pairs and compare with their targets.

    Raises :class:`TaskError` where there is no pair.
    """
    if not pairs:
        raise TaskError("there is no pair to measure on: lines of a sentence, a tab and its translation")
    extra("sacrebleu.metrics", "sacrebleu")  # what is needed at the end is asked for at the beginning
    found = translate(trained, [p.source for p in pairs], beam=beam, normalise=normalise, report=report)
    measured = scores([f.text for f in found], [p.target for p in pairs], trained.card.config.target)
    return Evaluation(tuple(pairs), tuple(found), measured)


__all__ = ["Evaluation", "Scores", "evaluate", "scores"]
