"""Places in a text, and the one error that points at them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start ≤ i < end`` of the text that was read."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """From the beginning of this one to the end of the other."""
        return Span(min(self.start, other.start), max(self.end, other.end))


_LONGEST_LINE = 200

Label = tuple[Span, str]
"""A place and what is to be said there."""


class EquationError(ValueError):
    """What is wrong with a text of equations, where, and what to write instead.

    ``str()`` is the whole report: the problem, each line concerned with carets under the exact place, and a
    ``help:`` line. ``problem``, ``labels`` and ``help`` hold its parts.

    >>> print(EquationError("`q` is not defined", "y = q", ((Span(4, 5), "read here"),), "define q"))
    error: `q` is not defined
      line 1 | y = q
             |     ^ read here
    help: define q
    """

    def __init__(self, problem: str, text: str = "", labels: tuple[Label, ...] = (), help: str = "") -> None:
        self.problem, self.text, self.labels, self.help = problem, text, labels, help
        super().__init__(problem, text, labels, help)

    def __str__(self) -> str:
        lines = [f"error: {self.problem}"]
        shown = ("", -1)
        lines_of_text = self.text.split("\n")
        digits = len(str(len(lines_of_text)))
        for span, note in sorted(self.labels, key=lambda label: label[0].start):
            number, start, end = _place(self.text, span)
            line, start, end = _excerpt(lines_of_text[number], start, end)
            if (line, number) != shown:
                lines.append(f"  line {number + 1:>{digits}} | {line}".rstrip())
                shown = (line, number)
            pad = " " * _width(line[:start])
            carets = "^" * max(1, _width(line[start:end]))
            lines.append(f"       {'':>{digits}} | {pad}{carets} {note}".rstrip())
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


class EquationWarning(UserWarning):
    """What is probably not meant in a text of equations; the layer is made all the same."""


def _place(text: str, span: Span) -> tuple[int, int, int]:
    """The line number (from 0) of a span, and its columns; a span over several lines ends with the first."""
    start = min(max(span.start, 0), len(text))
    number = text.count("\n", 0, start)
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    stop = len(text) if stop < 0 else stop
    return number, start - begin, max(min(span.end, stop) - begin, start - begin)


def _excerpt(line: str, start: int, end: int) -> tuple[str, int, int]:
    """The line as it is shown, and the columns of the span in it: tabs as blanks, a long line cut."""
    line = "".join(" " if c.isspace() else c for c in line)
    if len(line) <= _LONGEST_LINE:
        return line, start, end
    first = max(0, min(start - _LONGEST_LINE // 2, len(line) - _LONGEST_LINE))
    last = first + _LONGEST_LINE
    before, after = "…" if first else "", "…" if last < len(line) else ""
    move = len(before) - first
    return before + line[first:last] + after, start + move, min(end, last) + move


def _width(text: str) -> int:
    """Columns on a terminal: wide letters take two, combining marks none, what is invisible none."""
    return sum(map(_columns, text))


def _columns(c: str) -> int:
    if unicodedata.combining(c) or unicodedata.category(c) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
