"""An unrolled layer written out: text for a terminal, LaTeX for lecture notes."""

from __future__ import annotations

from chalkgrad.calculus.latex import latex
from chalkgrad.calculus.notation import Spelling, respelled, spelling
from chalkgrad.equations.formula import Formula, text
from chalkgrad.steps.board import WIDTH, Emphasis, broken, columns, held, words, wrapped
from chalkgrad.steps.expansion import Block
from chalkgrad.steps.unrolling import Unrolling


def sheet(
    unrolling: Unrolling, notation: str = "short", width: int = WIDTH, mark: Emphasis = lambda shown, _: shown
) -> str:
    """The steps as text, remarks no wider than ``width``. Raises EquationError for an unknown notation."""
    spell = spelling(notation, unrolling.derivation.forward, unrolling.derivation.derived)
    parts = ["\n".join(_block(b, spell if b.gradients else _as_it_is, width, mark)) for b in unrolling.blocks]
    return "\n\n".join([*parts, held(unrolling.lines, unrolling.worst, unrolling.sizes, width)])


def _as_it_is(s: Formula) -> Formula:
    return s


def _block(block: Block, spell: Spelling, width: int, mark: Emphasis) -> list[str]:
    lefts = [text(respelled(row.left, spell)) if row.left is not None else "" for row in block.rows]
    wide = max(map(columns, lefts), default=0)
    lines = [mark(line, "name") for line in wrapped(words(block.title, spell).split(" "), width, "  ")]
    for row, left in zip(block.rows, lefts, strict=True):
        if not row.sign:
            lines.append("")
            continue
        right = text(respelled(row.right, spell)) if row.right is not None else ""
        start = f"  {left}{' ' * (wide - columns(left))} {row.sign} "
        *first, last = broken(start + right, width, " " * (wide + 3))
        lines += first
        said = words(row.words, spell)
        if said and columns(last) + 3 + columns(said) <= width:
            lines.append(last + "   " + mark(said, "rule"))
        else:
            indent = " " * (wide + 5)
            more = wrapped(said.split(" "), width, indent, indent) if said else []
            lines += [last, *(mark(w, "rule") for w in more)]
    return lines


def latex_sheet(unrolling: Unrolling, notation: str = "short") -> str:
    r"""The steps as LaTeX: a line of text above each ``aligned`` block."""
    spelled = spelling(notation, unrolling.derivation.forward, unrolling.derivation.derived)
    parts: list[str] = []
    for block in unrolling.blocks:
        spell = spelled if block.gradients else _as_it_is

        def maths(f: Formula | None, spell: Spelling = spell) -> str:
            return latex(respelled(f, spell)) if f is not None else ""

        rows: list[str] = []
        for row in (r for r in block.rows if r.sign):
            said = "".join(r if isinstance(r, str) else f"${maths(r)}$" for r in row.words)
            beside = rf" && \text{{({said})}}" if said else ""
            sign = row.sign if row.sign == "=" else rf"\quad {row.sign}"
            rows.append(f"{maths(row.left)} &{sign} {maths(row.right)}{beside}")
        title = "".join(r if isinstance(r, str) else f"${maths(r)}$" for r in block.title)
        body = " \\\\\n".join(rows)
        parts.append(f"{title}\n\\[\\begin{{aligned}}\n{body}\n\\end{{aligned}}\\]")
    return "\n\n".join(parts)
