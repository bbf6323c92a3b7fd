"""A formula cut into its rows: each one equation, with all that goes on with it.

Done on the characters, before anything is understood: a row that cannot be read must not take the others
with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from chalkgrad.language.parse.latex import commands

_ROWS = {*commands.ALIGNED, "array"}
_TOKEN = re.compile(
    r"\\(?P<edge>begin|end)\{(?P<env>[A-Za-z]+)\*?\}(?P<columns>\{[^{}\n]*\}|\[[^\]\n]*\])?"
    r"|(?P<row>\\\\\*?(?:[ \t]*\[[^\]\n]*\])?|\\newline\b|\\cr\b)"
    r"|(?P<prose>(?<![_^])\\(?:text|textrm|textit|textbf|mbox)\{(?:[^{}]|\{[^{}]*\})*\}|\\q?quad\b)"
    r"|(?P<comment>(?<!\\)%[^\n]*)"
    r"|(?P<gets>\\(?:leftarrow|gets|coloneqq|triangleq|equiv)\b)"
    r"|(?P<command>\\(?:[A-Za-z]+|.))"
    r"|(?P<sign>[{}()\[\],;=≔←\n])",
    re.DOTALL,
)
_GOES_ON = re.compile(r"[\s&{}]*(?:[=+*/⊙·]|\\(?:cdot|odot|times|circ|ast|equiv)\b)")
_MINUS = re.compile(r"[\s&{}]*[-−]")
_WAITS = re.compile(r"(?:[=+\-−*/⊙·]|\\(?:cdot|odot|times|circ|ast))[\s&]*\Z")


@dataclass(frozen=True, slots=True)
class Row:
    """``source`` stands at ``start`` of the note, what opens and closes its environment blanked.

    ``equal`` is where its first `=` stands outside braces (-1 where none does), ``cuts`` where a comma, a
    wide space or a word may separate two equations; all are positions of the note.
    """

    source: str
    start: int
    equal: int
    cuts: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.start + len(self.source)

    def parts(self) -> tuple[Row, ...]:
        """The row cut at each of its cuts, what has no `=` left with what stands before it."""
        edges = [self.start, *self.cuts, self.end]
        found: list[Row] = []
        for a, b in pairwise(edges):
            text = self.source[a - self.start : b - self.start]
            bare = text.lstrip(",; \n")
            part = rows(bare.rstrip(",; "), a + len(text) - len(bare))
            if part and part[0].equal < 0 and found:
                found[-1] = _joined(found[-1], part[0], self)
            else:
                found += part
        return tuple(found)


def rows(source: str, start: int) -> list[Row]:
    """The rows of a formula whose text is ``source``, standing at ``start`` of the note.

    >>> [r.source.strip() for r in rows(r"a &= b \\\\ &+ c \\\\ d &= e", 0)]
    ['a &= b \\\\\\\\ &+ c', 'd &= e']
    """
    cutter = _Cutter(source, start)
    cutter.run()
    return cutter.joined()


class _Cutter:
    def __init__(self, source: str, start: int) -> None:
        self.source, self.start = source, start
        self.shown = list(source)
        self.braces = self.brackets = self.opaque = self.environments = 0
        self.begun, self.equal = 0, -1
        self.cuts: list[int] = []
        self.found: list[Row] = []

    def run(self) -> None:
        for m in _TOKEN.finditer(self.source):
            if m["edge"]:
                self.environment(m)
            elif m["row"]:
                if not (self.braces or self.opaque or self.brackets):
                    self.close(m.start(), m.end())
            elif m["gets"]:
                self.relation(m.start())
            elif m["prose"]:
                self.cut(m.start())
            elif m["sign"]:
                self.sign(m["sign"], m.start())
        self.close(len(self.source), len(self.source))

    def environment(self, m: re.Match[str]) -> None:
        step = 1 if m["edge"] == "begin" else -1
        if m["env"] not in _ROWS:
            self.opaque = max(0, self.opaque + step)
            return
        self.environments = max(0, self.environments + step)
        end = m.end() if step > 0 and m["env"] in ("alignat", "alignedat", "array") else m.end("env") + 1
        while end < len(self.source) and self.source[end - 1] != "}":
            end += 1
        self.shown[m.start() : end] = [c if c == "\n" else " " for c in self.source[m.start() : end]]

    def sign(self, c: str, at: int) -> None:
        if c in "{}":
            self.braces = max(0, self.braces + (1 if c == "{" else -1))
        elif self.braces or self.opaque:
            return
        elif c in "([":
            self.brackets += 1
        elif c in ")]":
            self.brackets = max(0, self.brackets - 1)
        elif c == "\n":
            if not (self.environments or self.brackets):
                self.close(at, at + 1)
        elif c in "=≔←":
            self.relation(at)
        else:
            self.cut(at)

    def relation(self, at: int) -> None:
        if self.equal < 0 and not (self.braces or self.opaque or self.brackets):
            self.equal = at

    def cut(self, at: int) -> None:
        if not (self.braces or self.opaque or self.brackets):
            self.cuts.append(at + self.start)

    def close(self, end: int, after: int) -> None:
        text = "".join(self.shown[self.begun : end])
        equal = self.equal + self.start if self.equal >= 0 else -1
        self.found.append(Row(text, self.begun + self.start, equal, tuple(self.cuts)))
        self.begun, self.equal, self.cuts = after, -1, []

    def joined(self) -> list[Row]:
        """Rows that begin or end with an operator go on; a row without anything is none."""
        kept: list[Row] = []
        for row in self.found:
            text = row.source.strip(" \t\n&")
            if not text:
                continue
            before = kept[-1] if kept else None
            minus = before is not None and before.equal >= 0 and bool(_MINUS.match(text))
            if before and (_GOES_ON.match(text) or minus or _WAITS.search(before.source)):
                between = "".join(self.shown[before.end - self.start : row.start - self.start])
                whole = before.source + between + row.source
                equal = before.equal if before.equal >= 0 else row.equal
                kept[-1] = Row(whole, before.start, equal, (*before.cuts, *row.cuts))
            else:
                kept.append(row)
        return kept


def _joined(a: Row, b: Row, whole: Row) -> Row:
    source = whole.source[a.start - whole.start : b.end - whole.start]
    return Row(source, a.start, a.equal, ())
