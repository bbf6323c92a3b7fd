"""A note as a page: its headings, and the formulas between the prose; code, comments and money left out.

Positions are those of the note itself: what is left out is overwritten with blanks, never cut away.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.parse.latex import commands
from chalkgrad.language.parse.text import LONGEST
from chalkgrad.language.source import Span

Form = Literal["latex", "text"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and how far its part of the note goes: to the next heading of its level or above.

    ``level`` 0 is the whole note; ``own`` where the first heading inside it begins.
    """

    title: str
    level: int
    start: int
    own: int
    end: int


@dataclass(frozen=True, slots=True)
class Formula:
    """Characters ``start ≤ i < end`` between the marks of a formula.

    ``form`` is how it is written, ``display`` whether it stands on its own, ``whole`` whether it is one
    layer as it stands (a fence marked chalk), ``open`` the mark that nothing closes ("" where it is closed).
    """

    start: int
    end: int
    form: Form
    display: bool
    whole: bool = False
    open: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """``text`` is the note without comments and marks of quotation, ``prose`` what is neither code nor
    formula: all else is blank, so that positions are those of the note."""

    headings: tuple[Heading, ...]
    formulas: tuple[Formula, ...]
    text: str
    prose: str


def page(note: str) -> Page:
    """The headings and formulas of a note in Markdown, LaTeX or plain text.

    >>> found = page("# RNN\\n\\n그래서 $$h_t = f(x_t)$$ 이다.")
    >>> found.headings[1].title, [(f.start, f.end) for f in found.formulas]
    ('RNN', [(13, 25)])
    """
    plain = _plain(note)
    text, fences = _fences(plain)
    text = _without_code(text)
    formulas = [*fences, *_formulas(text)]
    prose = list(text)
    for f in formulas:
        prose[f.start : f.end] = [c if c == "\n" else " " for c in text[f.start : f.end]]
    written = "".join(prose)
    formulas.sort(key=lambda f: f.start)
    return Page(tuple(_headings(written, note)), tuple(formulas), plain, written)


# --- what is no prose and no formula -------------------------------------------------------------------

_FRONT = re.compile(r"\A ?---[ \t]*\n(?:(?!(?:---|\.\.\.)[ \t]*\n).*\n){0,200}(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_QUOTE = re.compile(r"^[ \t]*>[ \t>]*", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TEX_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_VERBATIM = re.compile(
    r"\\begin\{(verbatim|lstlisting|minted|comment)\*?\}.*?(?:\\end\{\1\*?\}|\Z)", re.DOTALL
)
_PREAMBLE = re.compile(r"\A.*?\\begin\{document\}", re.DOTALL)
_FENCE = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?P<word>[\w-]*)[^\n`]*\n"
    r"(?P<inside>.*?)(?:^[ \t]*(?P=mark)[`~]*[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_MATH_FENCES = {"math", "latex", "tex", "katex"}


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _blanked(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda m: _blank(m[0]), text)


def _plain(note: str) -> str:
    text = note.replace("\r", " ").replace("\ufeff", " ")
    text = _blanked(_blanked(text, _FRONT), _COMMENT)
    text = _QUOTE.sub(lambda m: _blank(m[0]), text)
    if "\\documentclass" in text or "\\begin{document}" in text or "\\section" in text:
        text = _blanked(_blanked(text, _TEX_COMMENT), _VERBATIM)
        text = _blanked(text, _PREAMBLE)
    return text


def _fences(text: str) -> tuple[str, list[Formula]]:
    """The text without its fenced code; the fences that are marked as mathematics."""
    found: list[Formula] = []

    def blank(m: re.Match[str]) -> str:
        word = m["word"].lower()
        if word in _MATH_FENCES or word == "chalk":
            form: Form = "text" if word == "chalk" else "latex"
            found.append(Formula(m.start("inside"), m.end("inside"), form, True, whole=word == "chalk"))
        return _blank(m[0])

    return _FENCE.sub(blank, text), [_inner(text, f) for f in found]


def _inner(text: str, f: Formula) -> Formula:
    """A fence without marks of its own: ``$$`` inside a fence marked latex."""
    inside = text[f.start : f.end]
    if f.form == "latex" and (m := re.match(r"\s*(\$\$|\\\[)(.*?)(\$\$|\\\])\s*\Z", inside, re.DOTALL)):
        return Formula(f.start + m.start(2), f.start + m.end(2), "latex", True)
    return f


_TICKS = re.compile(r"`+")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def _without_code(text: str) -> str:
    """The text without code between backticks: a run of them closes with one as long, in the same paragraph.

    A ``$`` inside is code; $`…`$ is GitHub's mathematics.
    """
    runs = [m.span() for m in _TICKS.finditer(text)]
    if not runs:
        return text
    ends = [m.start() for m in _PARAGRAPH.finditer(text)]
    ahead: dict[int, int] = {}  # the next run of each length, seen from behind
    closing = [-1] * len(runs)
    for k in range(len(runs) - 1, -1, -1):
        length = runs[k][1] - runs[k][0]
        closing[k] = ahead.get(length, -1)
        ahead[length] = k
    shown, at, k = list[str](), 0, 0
    while k < len(runs):
        start, other = runs[k][0], closing[k]
        stop = runs[other][1] if other >= 0 else 0
        p = bisect_right(ends, start)
        mathematics = start > 0 and text[start - 1] == "$" and text[stop : stop + 1] == "$"
        if other < 0 or (p < len(ends) and ends[p] < stop):
            k += 1
            continue
        if not mathematics:
            shown += [text[at:start], _blank(text[start:stop])]
            at = stop
        k = other + 1
    return "".join([*shown, text[at:]])


# --- formulas ------------------------------------------------------------------------------------------

_ENVIRONMENTS = "|".join(map(re.escape, commands.ALIGNED))
_OPENS = re.compile(
    r"(?P<github>\$`)|(?P<two>\$\$)|(?P<escaped>\\[\\$](?![\[(]))|(?P<one>\$)"
    r"|(?P<square>\\{1,2}\[)|(?P<round>\\{1,2}\()"
    rf"|\\begin\{{(?P<env>(?:{_ENVIRONMENTS})\*?)\}}"
)
_NEW_PART = re.compile(r"^ {0,3}#{1,6}[ \t]|\n[ \t]*\n[ \t]*\n", re.MULTILINE)
_MOST_UNCLOSED = 100  # by then it is no note
_MATHEMATICAL = re.compile(r"[\\=_^]")


def _formulas(text: str) -> Iterator[Formula]:
    at = unclosed = 0
    while (m := _OPENS.search(text, at)) and unclosed < _MOST_UNCLOSED:
        at = m.end()
        if m["escaped"]:
            continue
        close, display = _close(m)
        end = text.find(close, at, at + LONGEST)
        if m["one"]:
            end = _inline_end(text, at)
            if end < 0:
                continue  # a dollar
        elif end < 0 or (display and _NEW_PART.search(text, at, end)):
            stop = text.find("\n", at, at + LONGEST)
            at, unclosed = at if stop < 0 else stop, unclosed + 1
            yield Formula(m.start(), at, "latex", display, open=m[0])
            continue
        after = end + len(close)
        if text[at:end].strip():
            yield Formula(m.start() if m["env"] else at, after if m["env"] else end, "latex", display)
        at = after


def _close(m: re.Match[str]) -> tuple[str, bool]:
    """What closes the formula that a mark opens, and whether it stands on its own."""
    if m["env"]:
        return f"\\end{{{m['env']}}}", m["env"] != "math"
    if m["two"]:
        return "$$", True
    if m["github"]:
        return "`$", False
    return m[0].replace("[", "]").replace("(", ")"), bool(m["square"])


def _inline_end(text: str, start: int) -> int:
    """Where an inline formula that begins at ``start`` ends; -1 where the dollar is one of money."""
    end = start
    while True:
        end = text.find("$", end, start + LONGEST)
        if end < 0 or not text.startswith("\\", end - 1):
            break
        end += 1
    inside = text[start:end] if end > start else ""
    if not inside.strip() or re.search(r"\n[ \t]*\n", inside):
        return -1
    loose = inside != inside.strip() or text[end + 1 : end + 2].isdigit()
    return -1 if loose and not _MATHEMATICAL.search(inside) else end


# --- headings ------------------------------------------------------------------------------------------

_HEADING = re.compile(
    r"^ {0,3}(?P<marks>#{1,6})[ \t]+(?P<atx>[^\n]*?)[ \t]*#*[ \t]*$"
    r"|^(?P<under>[^\n\S]*\S[^\n]*)\n {0,3}(?P<line>=+|-{2,})[ \t]*$"
    r"|\\(?P<tex>part|chapter|section|subsection|subsubsection|paragraph)\*?\{(?P<title>[^{}\n]*)\}",
    re.MULTILINE,
)
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}


def _headings(prose: str, note: str) -> Iterator[Heading]:
    """Level 0, the whole note, and then the headings in order."""
    found: list[tuple[str, int, int]] = []
    for m in _HEADING.finditer(prose):
        group = "atx" if m["marks"] else "under" if m["under"] else "title"
        level = len(m["marks"]) if m["marks"] else _TEX_LEVELS.get(m["tex"] or "", 1 if m["line"] else 0)
        if m["line"]:
            level = 1 if m["line"][0] == "=" else 2
        found.append((_title(note[m.start(group) : m.end(group)]), level, m.start()))
    yield Heading("", 0, 0, found[0][2] if found else len(prose), len(prose))
    ends = [len(prose)] * len(found)
    open_: list[int] = []
    for k, (_, level, start) in enumerate(found):
        while open_ and found[open_[-1]][1] >= level:
            ends[open_.pop()] = start
        open_.append(k)
    for k, (title, level, start) in enumerate(found):
        own = found[k + 1][2] if k + 1 < len(found) else len(prose)
        yield Heading(title, level, start, own, ends[k])


def _title(text: str) -> str:
    """A heading without its marks: no emphasis, links by their text."""
    text = text if len(text) <= 100 else text[:99] + "…"
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[*`]+|(?<!\w)_+|_+(?!\w)", "", text).split())


def lines_of(note: str) -> list[int]:
    """Where each line of the note begins."""
    return [0, *(m.end() for m in re.finditer("\n", note))]


def trimmed(note: str, start: int, end: int) -> Span:
    """The span without the blanks at its ends."""
    inside = note[start:end]
    lead = len(inside) - len(inside.lstrip())
    return Span(start + lead, start + max(lead, len(inside.rstrip())))
