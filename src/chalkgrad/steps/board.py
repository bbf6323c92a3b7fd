"""A lesson written out: text for a terminal, LaTeX for lecture notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chalkgrad.calculus.explain import Remark
from chalkgrad.calculus.latex import latex
from chalkgrad.calculus.notation import Spelling, respelled, spelling
from chalkgrad.equations.formula import Formula, text
from chalkgrad.steps.lesson import Lesson, Row, Section

WIDTH = 100
"""How wide a board is where nothing else is said."""

_FORWARD = "Forward, with every function in a line of its own:"

Emphasis = Callable[[str, str], str]
"""Marks a piece of text as a ``name``, a ``rule`` or a ``result``, for a terminal with colours."""


def board(
    lesson: Lesson, notation: str = "short", width: int = WIDTH, mark: Emphasis = lambda s, _: s
) -> str:
    """The lesson as text no wider than ``width``, where a formula is not wider itself.

    Raises EquationError for an unknown notation.
    """
    spell = spelling(notation, lesson.derivation.forward, lesson.derivation.derived)
    plain = _rows(lesson.forward, spell, width, lambda shown, _: shown)
    parts = ["\n".join([mark(_FORWARD, "name"), *plain])]
    for section in lesson.sections:
        parts.append("\n".join(_section(section, spell, width, mark)))
    parts.append(held(lesson.lines, lesson.worst, lesson.sizes, width))
    return "\n\n".join(parts)


def held(lines: int, worst: float, sizes: Mapping[str, int], width: int) -> str:
    """What every line above has been held against."""
    at = f" ({', '.join(f'{s}={n}' for s, n in sizes.items())})" if sizes else ""
    said = (
        f"Each of these {lines} lines was held against torch's autograd in float64{at}: "
        f"largest relative error {worst:.0e}."
    )
    return "\n".join(wrapped(said.split(), width, ""))


def _section(section: Section, spell: Spelling, width: int, mark: Emphasis) -> list[str]:
    name = text(respelled(section.name, spell))
    about = f"{name}: {words(section.about, spell)}".split(" ")
    head, *more = wrapped(about, width, "  ")
    marked = mark(name, "name") + head[len(name) :] if head.startswith(name) else head
    return [marked, *more, *_rows(section.rows, spell, width, mark)]


def _rows(rows: tuple[Row, ...], spell: Spelling, width: int, mark: Emphasis) -> list[str]:
    """The rows, with the rules beside them in one column, or below where there is no room for that."""
    found = [(row, "  " * row.depth + _equation(row, spell), words(row.words, spell)) for row in rows]
    fitting = [columns(s) for _, s, w in found if w and columns(s) + 3 + columns(w) <= width]
    edge = max((n for n in fitting if n <= width // 2), default=0) + 3
    lines: list[str] = []
    for row, equation, said in found:
        # What a section comes to stands out.
        result = row.depth == 1 and row.sign == "=" and not row.before
        *first, last = broken(equation, width, "  " * (row.depth + 2))
        first, shown = (
            [mark(x, "result") if result else x for x in first],
            mark(last, "result") if result else last,
        )
        room = width - max(edge, columns(last) + 3)
        lines += first
        if not said:
            lines.append(shown)
        elif columns(said) <= room:
            gap = " " * (max(edge, columns(last) + 3) - columns(last))
            lines.append(shown + gap + mark(said, "rule"))
        else:
            indent = "  " * (row.depth + 2)
            lines += [shown, *(mark(w, "rule") for w in wrapped(said.split(" "), width, indent, indent))]
    return lines


def _equation(row: Row, spell: Spelling) -> str:
    left, right = (text(respelled(f, spell)) if f is not None else "" for f in (row.left, row.right))
    return row.before + (f"{left} {row.sign} {right}" if row.sign else right)


def words(remark: Remark, spell: Spelling) -> str:
    """Words and formulas in one line of text."""
    return "".join(r if isinstance(r, str) else text(respelled(r, spell)) for r in remark)


def columns(shown: str) -> int:
    """How many columns a text takes: a combining macron takes none."""
    return sum(c != "\u0304" for c in shown)


def broken(line: str, width: int, indent: str) -> list[str]:
    """An equation in lines no longer than ``width``, broken before a plus or minus outside brackets.

    >>> broken("a = b + f(c + d) + e", 16, "  ")
    ['a = b + f(c + d)', '  + e']
    """
    if columns(line) <= width:
        return [line]
    depth, cuts = 0, [0]
    for k, c in enumerate(line):
        depth += (c in "([") - (c in ")]")
        if depth == 0 and line[k : k + 3] in (" + ", " - "):
            cuts.append(k)
    pieces = [line[a:b] for a, b in zip(cuts, [*cuts[1:], len(line)], strict=True)]
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if columns(lines[-1]) + columns(piece) > width:
            lines.append(indent + piece.lstrip())
        else:
            lines[-1] += piece
    return lines


def wrapped(pieces: list[str], width: int, indent: str, first: str = "") -> list[str]:
    """Words in lines no longer than ``width``, the later ones indented."""
    lines = [first]
    for piece in pieces:
        empty = lines[-1] in (first, indent)
        if not empty and columns(lines[-1]) + 1 + columns(piece) > width:
            lines.append(indent)
            empty = True
        lines[-1] += piece if empty else f" {piece}"
    return lines


# --- LaTeX ---------------------------------------------------------------------------------------------


def latex_board(lesson: Lesson, notation: str = "short") -> str:
    r"""The lesson as LaTeX: a line of text for each name and an ``aligned`` block below it."""
    spell = spelling(notation, lesson.derivation.forward, lesson.derivation.derived)

    def maths(f: Formula | None) -> str:
        return latex(respelled(f, spell)) if f is not None else ""

    def block(rows: tuple[Row, ...]) -> str:
        lines: list[str] = []
        for row in rows:
            sign = r"\mathrel{\text{gets}}" if row.sign == "gets" else row.sign
            said = _said(row.words, maths)
            beside = rf" && \text{{({said})}}" if said else ""
            lines.append(f"{maths(row.left)} &{sign} {maths(row.right)}{beside}")
        return "\\[\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\\]"

    parts = [f"{_FORWARD}\n{block(lesson.forward)}"]
    for section in lesson.sections:
        head = f"${maths(section.name)}$: {_said(section.about, maths)}"
        parts.append(f"{head}\n{block(section.rows)}" if section.rows else head)
    return "\n\n".join(parts)


def _said(remark: Remark, maths: Callable[[Formula], str]) -> str:
    return "".join(r if isinstance(r, str) else f"${maths(r)}$" for r in remark)
