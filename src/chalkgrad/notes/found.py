"""Formulas → equations: row by row, so that what cannot be read takes nothing else with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.parse.text import LONGEST, is_latex
from chalkgrad.language.source import EquationError, Span
from chalkgrad.language.words import STRUCTURED
from chalkgrad.notes import names
from chalkgrad.notes.kinds import alias_of, kind_of, kind_of_error, unread
from chalkgrad.notes.page import Form, Formula, Page, trimmed
from chalkgrad.notes.pieces import Equation, Piece, Said
from chalkgrad.notes.rows import Row, rows
from chalkgrad.notes.said import HANGUL, IN_SPACE, WHERE, beside, shapes, wheres


def equations(page: Page) -> Iterator[Equation | Said]:
    """Everything that the formulas of a page say, in order."""
    for block, formula in enumerate(page.formulas):
        if formula.open:
            yield _unclosed(page.text, formula, block)
        elif formula.end - formula.start > LONGEST:
            yield _endless(page.text, formula, block)
        elif formula.whole:
            piece = Piece(page.text[formula.start : formula.end], formula.start, block, "text", True, True)
            yield from _read(piece)
        else:
            for row in rows(page.text[formula.start : formula.end], formula.start):
                yield from _row(row, block, formula)
    for m in WHERE.finditer(page.prose):
        yield from wheres(page.prose, m.start(), m.end())


def _unclosed(text: str, f: Formula, block: int) -> Equation:
    close = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}.get(
        f.open, f.open.replace("begin", "end").replace("[", "]").replace("(", ")")
    )
    span = Span(f.start, f.start + len(f.open))
    error = EquationError(
        f"the formula that `{f.open}` opens is not closed"
        + (f" within {LONGEST:,} characters" if len(text) - f.start > LONGEST else ""),
        "",
        ((span, "opened here"),),
        f"add the missing `{close}`",
    )
    piece = Piece(text[f.start : f.end], f.start, block, "latex", True)
    return Equation(piece, trimmed(text, f.start, f.end), "not read", None, error)


def _endless(text: str, f: Formula, block: int) -> Equation:
    start = trimmed(text, f.start, f.start + 200).start
    span = Span(start, start + 1)
    error = EquationError(
        f"this formula has {f.end - f.start:,} characters, and at most {LONGEST:,} are read",
        "",
        ((span, "it begins here"),),
        "write each equation as a formula of its own",
    )
    return Equation(
        Piece(text[start : start + 80] + " …", start, block, "latex", True), span, "not read", None, error
    )


# --- rows ----------------------------------------------------------------------------------------------


def _row(row: Row, block: int, f: Formula) -> Iterator[Equation | Said]:
    text = row.source
    if IN_SPACE.search(text) and row.equal < 0:
        yield from shapes(row)
        return
    if row.equal < 0 and not f.display:
        return  # $x_t$, $n \times n$
    if text.lstrip().startswith("where"):
        yield from wheres(text, 0, len(text), row.start)
        return
    if (
        row.equal >= 0
        and not f.display
        and not _plausible(text[: row.equal - row.start], text[row.equal - row.start :])
    ):
        return
    if m := _ALIAS.fullmatch(text):
        function = m[2].lower().replace("_", "")
        if function in FUNCTIONS or function in STRUCTURED:
            yield from beside(f"where {m[1]} = {function}", Span(row.start, row.end))
            return
    piece = Piece(text, row.start, block, f.form, f.display)
    whole = list(_read(piece))
    if row.cuts and (len(whole) > 1 or any(isinstance(e, Equation) and e.line is None for e in whole)):
        parts = [Piece(p.source, p.start, block, f.form, f.display) for p in row.parts()]
        apart = [e for p in parts for e in _read(p)]
        lines = sum(isinstance(e, Equation) and e.line is not None for e in whole)
        understood = sum(isinstance(e, Equation) and e.line is not None for e in apart)
        if len(parts) > 1 and (len(apart) == len(whole) == understood if lines else understood):
            yield from apart
            return
    yield from whole


_ALIAS = re.compile(r"\s*(\\?\w+)\s*=\s*([A-Za-z]{3,})[\s.,]*")


def _plausible(left: str, right: str) -> bool:
    """Whether an inline formula defines something: `$= 3$` and `$x =$` do not."""
    return bool(re.search(r"\w", left)) and bool(re.search(r"[\w\\]", right[1:]))


def _read(piece: Piece) -> Iterator[Equation | Said]:
    """The equations in a piece, and what a ``where`` inside it says."""
    inside = trimmed(piece.text, 0, len(piece.text))
    outer = Span(inside.start + piece.start, inside.end + piece.start)
    beyond = unread(piece, outer)
    if beyond is not None:
        yield beyond
        return
    try:
        text = parse(piece.source)
    except EquationError as e:
        error = moved(e, piece.start - piece.lead)
        if error.problem.startswith("there is no equation"):
            said = list(beside(piece.source, outer))
            yield from said
            if said or not piece.display:
                return  # τ = tanh; t = 1, …, T
        yield Equation(piece, outer, kind_of_error(piece, error), None, error)
        return
    for line in text.lines:
        shift = piece.start - piece.lead
        span = Span(line.span.start + shift, line.span.end + shift) if len(text.lines) > 1 else outer
        alias = alias_of(line)
        if alias:
            source = f"where {names.defined(line)} = {alias}"
            yield Said(names.defined(line), source, span, alias)
        else:
            kind, reason = kind_of(line, piece.display)
            error = EquationError(reason[0], "", ((span, "this equation"),), reason[1]) if reason else None
            yield Equation(piece, span, kind, line, error)


def moved(error: EquationError, by: int) -> EquationError:
    """The error with its places ``by`` characters on (the text is put in where the note is known)."""
    labels = tuple((Span(s.start + by, s.end + by), note) for s, note in error.labels)
    return EquationError(error.problem, "", labels, error.help)


# --- a note without marks --------------------------------------------------------------------------------


def bare_lines(note: str, prose: str) -> Iterator[Equation | Said]:
    """The equations of a note that marks none: the lines that are read as one and are no sentence."""
    at = 0
    for block, line in enumerate(prose.split("\n")):
        start, at = at, at + len(line) + 1
        if "=" not in line or _SENTENCE.search(re.sub(r"#.*", "", line)) or HANGUL.search(line):
            continue
        text = note[start : start + len(line)]
        cut = len(text.split("where")[0]) if WHERE.search(text) else len(text)
        form: Form = "latex" if is_latex(text) else "text"
        for found in _read(Piece(text[:cut], start, block, form, True)):
            if isinstance(found, Said) or (found.line is not None and names.defined(found.line)):
                yield found
    for m in WHERE.finditer(prose):
        yield from wheres(prose, m.start(), m.end())


_SENTENCE = re.compile(r"(?<![\\\w])[A-Za-z]{2,}\s+[A-Za-z]{2,}(?![\w(\[])")
