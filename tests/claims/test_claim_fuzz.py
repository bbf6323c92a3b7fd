"""Whatever is claimed: a verdict or an EquationError, and no name in it that the user did not write."""

from __future__ import annotations

import random

import pytest
from tests.claims.test_claims import lines
from tests.pages import PAGES

from chalkgrad.claims.elaborate import CLAIMED
from chalkgrad.claims.grade import grade
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError

PIECES = [
    "∂",
    "δ",
    "Σ[t]",
    "Σ[j]",
    "[t]",
    "[t+1]",
    "[T]",
    "[0]",
    "[j,k]",
    "ᵀ",
    "²",
    "(",
    ")",
    "+",
    "-",
    "/",
    "⊙",
    "∂L/∂",
    "h",
    "x",
    "W",
    "ȳ",
    "∂h",
    "δ[t]",
    "=",
    "T",
    "1",
    "2",
    "diag(",
    "tanh'(",
    "softmax(",
    "[t-1]",
    ";",
    ",",
    "D(",
    "^",
    "max[j]",
    "δ_h",
    "∂J[T]/",
    "σ",
    "∂h[t]/∂h[t-1]",
]


def mutated(text: str, draw: random.Random) -> str:
    """The text with one to three small pieces taken out or put in."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(text) + 1)
        if draw.random() < 0.4:
            text = text[:at] + text[at + draw.randint(1, 3) :]
        else:
            text = text[:at] + draw.choice(PIECES) + text[at:]
    return text


@pytest.mark.parametrize("count", [60, pytest.param(1200, marks=pytest.mark.slow)])
def test_a_claim_gets_a_verdict_or_an_error_that_points(count: int) -> None:
    draw = random.Random(count)
    pages = [(read(p.text), found) for p in PAGES.values() if (found := lines(p.text, indexed=False))]
    for _ in range(count):
        resolved, printed = draw.choice(pages)
        claim = mutated(draw.choice(printed), draw)
        try:
            said = str(grade(resolved, claim))
        except EquationError as error:
            said = str(error)
        assert CLAIMED not in said, claim
