"""Whatever is typed, the answer is a program or an EquationError, and it comes at once."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError
from pages import PAGES

WORDS = (
    "( ) [ ] { } , ; : = + - / * @ · ⊙ ^ ² ᵀ ' < ≤ ± ∈ ℤ ∞ Σ × | # . .. _ t i j T 0 1 2 0.5 -1 h x W b "
    "h[t] h[t-1] x[t] x[i+j] W[i,j] h[T] h[0] x[2i+p] Σ[j] Σ[j=1..k] Σ[s<t] Σ[a∈ℤ] max[p<2] tanh σ log( "
    "softmax[j] where input parameter output scalar zero outside ±1 init : D D×H = = + where"
)
TOKENS = [*WORDS.split(), "\n", "\n"]
TEXTS = [p.text for p in PAGES.values()]


def answer(text: str) -> Resolved | None:
    """What the text means; None where an EquationError says that it means nothing."""
    try:
        return read(text)
    except EquationError as wrong:
        error = wrong
    assert error.problem
    assert error.help
    assert str(error).startswith("error: ")
    return None


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A page with up to four places deleted, doubled, swapped or typed over."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        end = draw(st.integers(at, min(len(text), at + 6)))
        match draw(st.sampled_from(["delete", "double", "insert", "replace", "line"])):
            case "delete":
                text = text[:at] + text[end:]
            case "double":
                text = text[:end] + text[at:]
            case "insert":
                text = text[:at] + draw(st.sampled_from(TOKENS)) + text[at:]
            case "replace":
                text = text[:at] + draw(st.sampled_from(TOKENS)) + text[end:]
            case _:
                lines = text.split("\n")
                lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(lines)))
                text = "\n".join(lines)
    return text


tokens = st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join)
quiet = {"suppress_health_check": list(HealthCheck), "deadline": None}


@settings(max_examples=250, **quiet)
@given(mutated())
def test_a_damaged_page_has_an_answer(text: str) -> None:
    resolved = answer(text)
    if resolved is not None:
        derive(normalise(batch(resolved.program)))


@settings(max_examples=250, **quiet)
@given(tokens)
def test_random_tokens_have_an_answer(text: str) -> None:
    answer(text)


@settings(max_examples=100, **quiet)
@given(st.text(max_size=40))
def test_random_letters_have_an_answer(text: str) -> None:
    answer(text)


@pytest.mark.slow
@settings(max_examples=20_000, **quiet)
@given(st.one_of(mutated(), tokens, st.text(max_size=60)))
def test_anything_at_all_has_an_answer(text: str) -> None:
    answer(text)


@pytest.mark.parametrize(
    "text",
    [
        "y = " + "(" * 10_000,
        "y = " + "(" * 10_000 + "x" + ")" * 10_000,
        "y = " + "[" * 10_000,
        "y = " + "x[" * 10_000,
        "y = " + "tanh(" * 9_000,
        "y = " + "-" * 10_000 + "x",
        "y = x" + "ᵀ" * 10_000,
        "y = x" + "^2" * 10_000,
        "y = " + "Σ[i]" * 10_000 + "x[i]",
        "y = " + " + ".join("x" * 10_000),
        "y = " + "W " * 20_000 + "x where x: input",
        "y = x" + "\n" * 40_000 + "= x x[",
        "y = x where x: " + "(" * 10_000,
        "y = x where x: " + "×".join("D" * 10_000),
        "y = x[" + ",".join("i" * 10_000) + "]",
        "y = Σ[" + ",".join("i" * 10_000) + "] x",
        "".join(f"a{n} = x b{n}\n" for n in range(2_000)),
        "x" * 1_000_000,
        "y = x + " * 125_000,
        "h[t] = tanh(x[t] W)\n" * 50_000,
        "h[t] = tanh(x[t] W)\n" * 2_000,
    ],
    ids=lambda text: f"{text[:12]!r}, {len(text)} characters",
)
def test_a_very_long_text_is_refused(text: str) -> None:
    assert answer(text) is None
