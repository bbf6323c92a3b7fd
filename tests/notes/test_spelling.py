"""Text form of a syntax tree: what is spelled is read as the same program."""

from __future__ import annotations

import pytest

from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.resolve import read
from chalkgrad.notes.spelling import spelled_declaration, spelled_line
from chalkgrad.zoo import names, page
from latex_pages import LATEX
from pages import PAGES

TEXTS = {
    **{name: (p.text, {}) for name, p in PAGES.items()},
    **{f"zoo {name}": (page(name), {}) for name in names()},
    **{
        f"LaTeX {name}": (p.text, {k: v for k, v in p.keywords.items() if k in ("inputs", "functions")})
        for name, p in LATEX.items()
    },
}


def spelled(text: str) -> str:
    tree = parse(text)
    said = [f"where {spelled_declaration(d)}" for d in tree.declarations]
    return "\n".join([*map(spelled_line, tree.lines), *said])


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_spelled_is_read_as_the_same_program(name: str) -> None:
    text, given = TEXTS[name]
    assert read(spelled(text), **given).program == read(text, **given).program


@pytest.mark.parametrize(
    "text",
    [
        "y = (a + b) ⊙ c - -d",
        "y = a/(b c) + (a/b) · (c + d)",
        "y = 2 · (3x) + x · 2",
        "y = (x²)^3 + x^-1 + (a + b)²",
        "y[i] = Σ[1≤j≤k] (a[j] + b[i]) c[2i+3j-1]",
        "y = [[0, 1], [-2, 2.5]] x",
        "y = -(a + b) ᵀ",
        "y = max[p<2] x[p] + min(a, b)",
        "y[i] = x[2(i+1)]",
        "y = ∞ x",
        "r[i,j] = r[i-1,j]\nwhere r[-1,·] = ∞, r[-1,-1] = 0",
        "b: c = d\nwhere x: input C×(H+D) zero outside ±p, W: parameter init 0.5, τ = tanh, d = 2"[3:],
    ],
)
def test_what_is_spelled_once_is_spelled_the_same_again(text: str) -> None:
    once = spelled(text)
    assert spelled(once) == once


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"$h_t = \frac{1}{2} (W x_t + b)$", "h[t] = (1/2) · (W x[t] + b)"),
        (r"$h_t = U (r_t \odot h_{t-1})$", "h[t] = U (r[t] ⊙ h[t-1])"),
        (r"$f_t = \sigma(W_f \cdot [h_{t-1}, x_t])$", "f[t] = σ(W_f · [h[t-1]; x[t]])"),
        (r"$[f * g](i) = \sum_{a \in \mathbb{Z}^{d}} f(a) g(i-a)$", "[f * g](i) = Σ[a∈ℤ^d] f(a) g(i-a)"),
        (r"$e_{t,s} = v^\top \tanh(W s_{t-1} + U h_s)$", "e[t,s] = vᵀ tanh(W s[t-1] + U h[s])"),
    ],
)
def test_a_formula_is_spelled_as_one_would_type_it(latex: str, text: str) -> None:
    assert spelled(latex) == text
