"""What a note says of names beside its equations: ``where x: input``, and in which space they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.parse.syntax import Declaration
from chalkgrad.language.source import EquationError, Span
from chalkgrad.notes.pieces import Said
from chalkgrad.notes.rows import Row
from chalkgrad.notes.spelling import spelled_declaration

IN_SPACE = re.compile(r"\\in\b.*\\(?:mathbb|R\b|Bbb)|∈\s*[ℝℕ]", re.DOTALL)
"""A formula that says where names lie: ``x \\in \\mathbb{R}^D``."""

HANGUL = re.compile(r"[가-힣ㄱ-ㆎ]")
WHERE = re.compile(r"(?<!\w)where(?=\s+[^\s:=]+(?:\s*\[[^\]\n]*\])?\s*[:=])[^\n]*(?:(?<=,)\n[^\n]+)*")
_DUMMIES = ("q[i] = q[i]\n", "$$q=q$$\n")
"""An equation to stand before a ``where``, in text form and in LaTeX."""


LONGEST_WHERE = 600
"""Characters after which a ``where`` has ended: seven lines."""


def wheres(text: str, start: int, end: int, offset: int = 0) -> list[Said]:
    """What a line that begins with ``where`` says; nothing where it is prose."""
    for source in _shorter(text[start : min(end, start + LONGEST_WHERE)]):
        for dummy in _DUMMIES:
            declared, lead = _declared(dummy + source), len(dummy)
            if declared:
                move = start + offset - lead
                return [
                    Said(
                        d.name.name,
                        "where " + source[d.span.start - lead : d.span.end - lead],
                        Span(d.span.start + move, d.span.end + move),
                        d.alias.name if d.alias else "",
                    )
                    for d in declared
                ]
    return []


def beside(source: str, span: Span) -> Iterator[Said]:
    """What a formula says that defines nothing: ``\\tau = \\tanh``."""
    for d in _declared(_DUMMIES[1] + source):
        alias = d.alias.name if d.alias else ""
        yield Said(d.name.name, "where " + spelled_declaration(d), span, alias)


def _shorter(text: str) -> Iterator[str]:
    """A ``where`` as it stands, and without the prose that may follow it: to the end of the bracket or
    sentence that it is in, then comma by comma."""
    text = text.rstrip(" .;\n")
    yield text
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth < 0 or (c in ".;。" and text[k + 1 : k + 2].isspace()) or HANGUL.match(c):
            text = text[:k]
            break
    yield text
    for _ in range(8):
        text, comma, _rest = text.rpartition(",")
        if not comma:
            return
        yield text


def shapes(row: Row) -> Iterator[Said]:
    """``W, U \\in \\mathbb{R}^{H \\times D}``: one for each name."""
    waiting: list[tuple[str, int]] = []
    edges = [row.start, *row.cuts, row.end]
    for a, b in pairwise(edges):
        part = _LEAD.sub("", row.source[a - row.start : b - row.start])
        if not IN_SPACE.search(part):
            waiting.append((part, a))
            continue
        name, _, space = part.partition("\\in") if "\\in" in part else part.partition("∈")
        for each, at in [*waiting, (name, a)]:
            source = f"$${each.strip()} \\in {space.strip()}$$"
            declared = _declared(_DUMMIES[1] + source)
            if declared and not _SHIFTED.search(declared[0].name.name):
                yield Said(declared[0].name.name, source, Span(at, b))
        waiting = []


_LEAD = re.compile(r"\A(?:[,;\s]|\\q?quad\b|\\text\{[^{}]*\})+")


_SHIFTED = re.compile(r"(?:minus|plus)\d+$")  # h_{t-1} has the shape of h_t


def _declared(source: str) -> tuple[Declaration, ...]:
    try:
        return parse(source).declarations
    except EquationError:
        return ()
