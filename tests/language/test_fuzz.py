"""Whatever is typed, the answer is a program or an EquationError, and it comes at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError
from latex_notation import NOTATION
from latex_operators import OPERATORS
from latex_pages import LATEX
from latex_papers import PAPERS
from pages import PAGES

WORDS = (
    "( ) [ ] { } , ; : = + - / * @ · ⊙ ^ ² ᵀ ' < ≤ ± ∈ ℤ ∞ Σ × | # . .. _ t i j T 0 1 2 0.5 -1 h x W b "
    "h[t] h[t-1] x[t] x[i+j] W[i,j] h[T] h[0] x[2i+p] Σ[j] Σ[j=1..k] Σ[s<t] Σ[a∈ℤ] max[p<2] tanh σ log( "
    "softmax[j] where input parameter output scalar zero outside ±1 init : D D×H = = + where"
)
TOKENS = [*WORDS.split(), "\n", "\n"]
TEXTS = [p.text for p in PAGES.values()]

LATEX_SIGNS = r"""
    \frac \frac{a}{b} \sqrt \sqrt[3] \sum \sum_{j=1}^{k} \sum_{i} \sum_{a\in\mathbb{Z}} \max_{p<2} _{t-1}
    ^{(t)} _{i,j} ^{<t>} _t _i _ ^ { } ( ) [ ] \left( \right) \left[ \right] \{ \} \begin{aligned}
    \end{aligned} \begin{bmatrix} \end{bmatrix} \begin{array}{ll} \end{array} \begin{cases} \\ & $ $$ \[ \]
    \( \) ```math ``` , ; . : = + - * / \odot \cdot \times \circ \top ^\top ^T \prime ' \tilde \hat{y}
    \overline \mathbf \mathbb{R}^{D} \mathrm \mathrm{LN} \text{where} \text \operatorname \tanh \sigma
    \sigma_g \log \exp softmax h_t x_t W_{xh} W^2 W^1 c_{t_1} A_{ij} b t i j 1 2 0.5 (3) | \| \langle
    \rangle \underbrace \partial \nabla \in \infty \ldots \quad \qquad \, \! \tag{1} \label \color
    \textcolor{red} \int \prod P( \mid % # ~ where input scalar \foo \Gamma \ell \forall h_0 ∂ ℝ ∈ σ 𝐖 é 한 ⊙
    ≤ < > \leftarrow ← \approx \langle
"""
LATEX_WORDS = LATEX_SIGNS.split()
LATEX_TEXTS = [
    *(p.text for p in LATEX.values()),
    *(w.latex for w in {**PAPERS, **OPERATORS, **NOTATION}.values()),
]


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
def mutated(draw: st.DrawFn, texts: Sequence[str] = TEXTS, words: Sequence[str] = TOKENS) -> str:
    """A page with up to four places deleted, doubled, swapped or typed over."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        end = draw(st.integers(at, min(len(text), at + 6)))
        match draw(st.sampled_from(["delete", "double", "insert", "replace", "line"])):
            case "delete":
                text = text[:at] + text[end:]
            case "double":
                text = text[:end] + text[at:]
            case "insert":
                text = text[:at] + draw(st.sampled_from(words)) + text[at:]
            case "replace":
                text = text[:at] + draw(st.sampled_from(words)) + text[end:]
            case _:
                lines = text.split("\n")
                lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(lines)))
                text = "\n".join(lines)
    return text


tokens = st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join)
latex_tokens = st.builds(
    lambda head, between, words: head + between.join(words),
    st.sampled_from(["", "h_t = ", "y_{i} = ", "$$h^{(t)} = "]),
    st.sampled_from(["", " "]),
    st.lists(st.sampled_from([*LATEX_WORDS, "\n"]), max_size=25),
)
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


@settings(max_examples=200, **quiet)
@given(mutated(LATEX_TEXTS, LATEX_WORDS))
def test_a_damaged_page_of_latex_has_an_answer(text: str) -> None:
    resolved = answer(text)
    if resolved is not None:
        derive(normalise(batch(resolved.program)))


@settings(max_examples=200, **quiet)
@given(latex_tokens)
def test_random_latex_has_an_answer(text: str) -> None:
    answer(text)


@pytest.mark.parametrize(
    "text",
    [
        r"y_t = \sqrt[x_t^2 + 1}",
        r"h_t = \partial 10^{-5}",
        r"y_t = \sum_ \left| x_t",
        r"y_t = (x_t)^{,}",
        "𝟎",
        "$y_t = 𝟏𝟎𝟎",
        r"```math y_i = \sum_{p=1}^{d} f_p",
    ],
)
def test_what_was_once_found_has_an_answer(text: str) -> None:
    assert answer(text) is None


@pytest.mark.slow
@settings(max_examples=6_000, **quiet)
@given(st.one_of(mutated(LATEX_TEXTS, LATEX_WORDS), latex_tokens, st.text(max_size=60).map("${}$".format)))
def test_any_latex_at_all_has_an_answer(text: str) -> None:
    answer(text)


@pytest.mark.slow
@settings(max_examples=6_000, **quiet)
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


@pytest.mark.parametrize(
    "text",
    [
        "$y = " + "{" * 10_000,
        "y = " + "{" * 10_000 + "x_{t}" + "}" * 10_000,
        "y_{t} = " + "(" * 10_000 + "x_{t}" + ")" * 10_000,
        "y_t = " + r"\left(" * 7_000,
        "y_t = " + r"\frac{" * 8_000,
        "y_t = " + r"\frac" * 9_000,
        "y_t = " + r"\sqrt[" * 8_000,
        "y = x" + "_{x" * 10_000 + "}" * 10_000,
        "y_{t} = x" + "^x" * 10_000,
        "y_t = " + r"\hat{" * 8_000,
        "y_t = " + r"\underbrace{" * 4_000,
        "y_t = " + r"\mathrm{" * 6_000,
        "y_t = " + r"\begin{aligned}" * 3_000,
        "y_t = " + r"\begin{bmatrix}" * 3_000,
        "y_t = " + r"\begin{array}{l}x\end{array}" * 1_700,
        "$" * 49_999,
        "$$x" * 16_000,
        "$x=y$ " * 8_000,
        r"\[x\]" * 9_000,
        "y_{t} = x\n" + "where x: input\n" * 3_000,
        "y_{t} = x " + r"where x \in \R " * 3_000,
        "y_{t} = " + r"\sum_i " * 7_000,
        r"y_{t} = \sum_{" + ",".join("i" * 20_000) + "} x",
        "y_{t} = " + "x" * 49_900,
        "y_{t} = " + "abcdefg" * 7_000 + "(x)",
        "y_{t} = " + ("ab" + " " * 3_000) * 15,
        "y_{t} = " + "=".join("x" * 20_000),
        r"\\".join(["y_{t} = x"] * 4_000),
        "\n".join("a_{i} = x_i b_{i}" for _ in range(2_500)),
        "y_t = " + "|" * 40_000,
        "y_t = " + "P(" * 20_000,
        "y_t = " + "[f*g](i) " * 5_000,
        "y_t = " + "[" * 20_000 + "W" + "]" * 20_000 + "_{i}",
        r"\frac{x}{y} " * 90_000,
    ],
    ids=lambda text: f"{text[:16]!r}, {len(text)} characters",
)
def test_very_long_latex_is_refused(text: str) -> None:
    assert answer(text) is None
