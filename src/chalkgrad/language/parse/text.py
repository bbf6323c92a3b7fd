"""Text and ASCII form → tokens. (LaTeX has a reader of its own that makes the same tokens.)"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.source import EquationError, Span

Kind = Literal["name", "number", "mark", "newline", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` is canonical: ``@`` has become ``·``, ``<=`` ``≤``; ``gap``: a space stands before it."""

    kind: Kind
    text: str
    span: Span
    gap: bool = False


MARKS = {
    "...": "..", "..": "..", "…": "..", "<=": "≤", ">=": "≥", "+-": "±", "**": "^",
    "+": "+", "-": "-", "−": "-", "–": "-", "/": "/", "=": "=", "(": "(", ")": ")", "[": "[", "]": "]",
    ",": ",", ";": ";", ":": ":", "<": "<", ">": ">", "≤": "≤", "≥": "≥", "⩽": "≤", "⩾": "≥", "^": "^",
    "@": "·", "·": "·", "⋅": "·", "*": "⊙", "⊙": "⊙", "∘": "⊙", "∗": "⊙", "×": "×", "±": "±",
    "∈": "∈", "ℤ": "ℤ", "∞": "∞", "Σ": "Σ", "∑": "Σ", "ᵀ": "ᵀ", "⊤": "⊤", "²": "²", "³": "³", "|": "|",
    "{": "{", "}": "}",
}  # fmt: skip
"""What may be written → the mark it means; longer ones are tried first."""

LONGEST_FIRST = sorted(MARKS, key=len, reverse=True)

# A line that begins with one of these goes on from the line before; one that ends with them goes on too.
_CONTINUES = {"+", "-", "/", "⊙", "·", "=", ",", "^"}

_SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉"

LONGEST = 50_000
"""Characters in a text: far beyond any page of equations, and read in well under a second."""


_LATEX = re.compile(r"[\\$]|[_^]\{")
_SUBSCRIPT_T = re.compile(r"(?<=[^\W\d_])_t(?![\w'])")


def is_latex(source: str) -> bool:
    """Whether a text is LaTeX: it has a backslash, a dollar, `_{` or `^{`; or no `[` and some `_t`."""
    text = re.sub(r"#[^\n]*", "", source)
    return bool(_LATEX.search(text) or ("[" not in text and _SUBSCRIPT_T.search(text)))


def tokenize(source: str) -> list[Token]:
    """The tokens of a text, newlines inside brackets and at continued lines left out.

    Raises EquationError for a character that has no meaning here.

    >>> [t.text for t in tokenize("h[t] = σ(x[t] @ W_x)")]
    ['h', '[', 't', ']', '=', 'σ', '(', 'x', '[', 't', ']', '·', 'W_x', ')', '']
    """
    tokens: list[Token] = []
    at, depth, gap = 0, 0, False
    while at < len(source):
        c = source[at]
        if c == "\n":
            if depth == 0:
                tokens.append(Token("newline", "\n", Span(at, at + 1)))
            at, gap = at + 1, True
        elif c == "#":
            end = source.find("\n", at)
            at = len(source) if end < 0 else end
        elif c.isspace() or c in "​﻿":
            at, gap = at + 1, True
        else:
            token = _token(source, at, gap)
            depth = max(0, depth + (token.text in "([" and token.kind == "mark") - (token.text in ")]"))
            tokens.append(token)
            at, gap = token.span.end, False
    tokens.append(Token("end", "", Span(len(source), len(source))))
    return _joined(tokens)


def _token(source: str, at: int, gap: bool) -> Token:
    c = plain(source[at])
    for mark in LONGEST_FIRST:
        if source.startswith(mark, at):
            return Token("mark", MARKS[mark], Span(at, at + len(mark)), gap)
    if "0" <= c <= "9":
        end = number_end(source, at)
        if end == at:
            end = bold_number_end(source, at)
            return Token("number", "".join(map(plain, source[at:end])), Span(at, end), gap)
        number = Token("number", source[at:end], Span(at, end), gap)
        if source[end : end + 1] == "_":
            raise EquationError(
                "a number has no `_` in it", source, ((Span(at, end + 1), "here"),), "write 1000, not 1_000"
            )
        if math.isinf(float(number.text)):
            raise EquationError(
                "this number is too large", source, ((number.span, "more than 1e308"),), "write ∞ or less"
            )
        return number
    if c.isalpha() or c in "_∂":
        end = at + 1
        while end < len(source) and (_in_name(source[end]) or unicodedata.combining(source[end])):
            end += 1
        name = "".join(plain(ch) for ch in source[at:end])
        return Token("name", unicodedata.normalize("NFC", name), Span(at, end), gap)
    raise EquationError(
        f"the character `{c}` (U+{ord(c):04X}) means nothing here",
        source,
        ((Span(at, at + 1), "here"),),
        "write 0.5, not .5"
        if c == "."
        else "names are letters, digits, _ and '; operators are + - * / @ · ⊙ ^ and Σ[…]",
    )


def refuse_long(source: str) -> None:
    """Raise EquationError for a text longer than any page of equations."""
    if len(source) > LONGEST:
        raise EquationError(
            f"this text has {len(source):,} characters, and a layer at most {LONGEST:,}",
            help="name the file or text that holds the equations alone",
        )


def number_end(source: str, at: int) -> int:
    """Where the number that begins at ``at`` ends."""
    end = at
    while end < len(source) and "0" <= source[end] <= "9":
        end += 1
    # A dot belongs to the number only with a digit behind it: 1..k is a range.
    if end + 1 < len(source) and source[end] == "." and "0" <= source[end + 1] <= "9":
        end += 1
        while end < len(source) and "0" <= source[end] <= "9":
            end += 1
    if end < len(source) and source[end] in "eE":
        digits = end + 1 + (end + 1 < len(source) and source[end + 1] in "+-")
        if digits < len(source) and "0" <= source[digits] <= "9":
            end = digits
            while end < len(source) and "0" <= source[end] <= "9":
                end += 1
    return end


def bold_number_end(source: str, at: int) -> int:
    """Where the bold (or double-struck, …) digits end that begin at ``at``."""
    end = at + 1
    while end < len(source) and source[end] != plain(source[end]) and plain(source[end]).isdigit():
        end += 1
    return end


def plain(c: str) -> str:
    """A mathematical letter (bold, italic, script) as the plain one; every other character as it is."""
    return unicodedata.normalize("NFKC", c) if "\U0001d400" <= c <= "\U0001d7ff" else c


def _in_name(c: str) -> bool:
    # A ∂ only begins a name: ∂L/∂w is a quotient.
    return (c.isalpha() and c not in MARKS) or "0" <= c <= "9" or c in "_'′" or c in _SUBSCRIPTS


def _joined(tokens: list[Token]) -> list[Token]:
    """Without the newlines at which a line goes on."""
    kept: list[Token] = []
    ahead = [tokens[-1]] * len(tokens)  # for each token, the next one that is no newline
    for k in range(len(tokens) - 2, -1, -1):
        ahead[k] = ahead[k + 1] if tokens[k + 1].kind == "newline" else tokens[k + 1]
    for k, t in enumerate(tokens):
        if t.kind == "newline":
            following = ahead[k]
            before = kept[-1] if kept else t
            if any(u.kind == "mark" and u.text in _CONTINUES for u in (before, following)):
                continue
            if not kept or kept[-1].kind == "newline":
                continue
        kept.append(t)
    return kept
