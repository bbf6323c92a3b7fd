"""Which characters of a note are mathematics, which are prose, and which say something with ``where``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.parse.latex import commands
from chalkgrad.language.source import EquationError, Span


@dataclass(frozen=True, slots=True)
class Region:
    """Characters ``start ≤ i < end``: mathematics, or what follows the word where."""

    kind: Literal["math", "where"]
    start: int
    end: int


_WHERE_OF_FORMULA = re.compile(r"(?<!\w)where(?=\s+\$[^$\n=:]+\$\s*:)")
_ENVIRONMENT = "|".join(map(re.escape, (*commands.ALIGNED, "array")))
_DELIMITED = re.compile(
    r"(?P<fence>^```math[^\n]*\n)|(?P<dollars>\$\$)|(?P<dollar>(?<!\\)\$)|(?P<open>\\\[)|(?P<paren>\\\()|(?P<comment>(?<!\\)%[^\n]*)"
    rf"|\\begin\{{(?P<env>(?:{_ENVIRONMENT})\*?)\}}",
    re.MULTILINE,
)
_WHERE = re.compile(r"(?<!\w)where(?=\s+[^\s:=]+(?:\s*\[[^\]\n]*\])?\s*([:=∈]|\\in\b|\\isin\b))")


def regions(source: str) -> list[Region]:
    """The regions of a text in order; prose around displayed equations belongs to none.

    Raises EquationError for a formula that is opened and not closed.
    """
    wheres = list(_wheres(_WHERE_OF_FORMULA, source, 0, len(source)))
    said = {k for w in wheres for k in range(w.start + 1, w.end)}
    blocks = [b for b in _blocks(source) if b.start not in said]
    outside = _outside(source, sorted([*blocks, *wheres], key=lambda r: r.start))
    if not any(source[b.start] in "$`" or source.startswith(("\\[", "\\("), b.start) for b in blocks) and any(
        _SAYS.search(_WHERE_LINE.sub("", source[a:b])) for a, b in outside
    ):
        # No formula is marked as one, and equations stand outside the environments: all is mathematics.
        return [r for a, b in [(0, len(source))] for r in _with_wheres(source, a, b)]
    displayed = [b for b in blocks if not _is_inline(source, b)]
    if displayed:  # the inline formulas of a note that say nothing are prose: the step $t$, the weights $W$
        blocks = [b for b in blocks if not _is_inline(source, b) or _SAYS.search(source, b.start, b.end)]
    found = [r for b in blocks for r in _with_wheres(source, b.start, b.end)]
    found += [w for a, b in outside for w in _wheres(_WHERE, source, a, b)]
    return sorted([*found, *wheres], key=lambda r: r.start)


_SAYS = re.compile(r"[=∈≔←]|\\(in|isin|coloneqq|triangleq|equiv|leftarrow|gets|approx|sim|neq|propto)\b")


def _is_inline(source: str, block: Region) -> bool:
    inline = source[block.start] == "$" and not source.startswith("$$", block.start)
    return inline or source.startswith("\\(", block.start)


_WHERE_LINE = re.compile(r"(?<!\w)where\s[^\n]*")


def _wheres(pattern: re.Pattern[str], source: str, start: int, end: int) -> Iterator[Region]:
    """Each `where` with the rest of its line, one after the other."""
    while m := pattern.search(source, start, end):
        start = max(m.end(), _where_end(source, m.end(), end))
        yield Region("where", m.start(), start)


def _with_wheres(source: str, start: int, end: int) -> list[Region]:
    """A piece of mathematics, what ``where`` says in it cut out."""
    found: list[Region] = []
    at = start
    for m in _WHERE.finditer(source, start, end):
        if m.start() < at or source[start : m.start()].rstrip().endswith("{"):
            continue  # \text{where}
        found.append(Region("math", at, m.start()))
        at = _where_end(source, m.end(), end)
        found.append(Region("where", m.start(), at))
    found.append(Region("math", at, end))
    return [r for r in found if source[r.start : r.end].strip()]


def _where_end(source: str, at: int, end: int) -> int:
    """To the end of the line; a line that ends with a comma goes on."""
    while True:
        stop = source.find("\n", at, end)
        if stop < 0:
            return end
        line = source[at:stop].split("#")[0].rstrip().rstrip("$\\")
        if not line.endswith(","):
            return stop
        at = stop + 1


def _outside(source: str, blocks: list[Region]) -> list[tuple[int, int]]:
    edges = [0, *(e for b in blocks for e in (b.start, b.end)), len(source)]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def _blocks(source: str) -> list[Region]:
    """Displayed and inline formulas, their marks included."""
    found: list[Region] = []
    at = 0
    while m := _DELIMITED.search(source, at):
        if m["comment"]:
            at = m.end()
            continue
        if m["env"]:
            close = f"\\end{{{m['env']}}}"
            stop = source.find(close, m.end())
        else:
            close = (
                "```"
                if m["fence"]
                else "$$"
                if m["dollars"]
                else "$"
                if m["dollar"]
                else "\\]"
                if m["open"]
                else "\\)"
            )
            stop = source.find(close, m.end())
        if stop < 0:
            raise EquationError(
                f"the formula that `{m[0]}` opens is not closed",
                source,
                ((Span(m.start(), m.end()), "opened here"),),
                f"add the missing `{close}`",
            )
        at = stop + len(close)
        found.append(Region("math", m.start(), at))
    return found
