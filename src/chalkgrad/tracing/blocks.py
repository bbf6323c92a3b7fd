"""Numbers and formulas laid out in characters: a block is lines that can stand beside others."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import assert_never

from torch import Tensor

from chalkgrad.equations.formula import (
    Big,
    Call,
    Concatenation,
    Facts,
    Formula,
    Hadamard,
    Negative,
    Number,
    Place,
    Position,
    Power,
    Product,
    Quotient,
    Relation,
    Sum,
    Symbol,
    Transposed,
    bracketed,
    shown_name,
    text,
)

MOST_COLUMNS, MOST_ROWS = 12, 16
"""How much of an array is printed; the rest is an ellipsis."""

Block = tuple[str, ...]


class NoBlock(Exception):  # noqa: N818  (what it says, not that it is an error)
    """A formula whose numbers do not stand beside one another as its symbols do."""


@dataclass(frozen=True)
class Style:
    """How numbers are printed: to how many digits, and how wide an array may be.

    ``elementwise`` says that arrays side by side are multiplied element by element, as in index form.
    """

    digits: int = 4
    width: int = 80
    elementwise: bool = False

    def number(self, x: float) -> str:
        shown = f"{x:.{self.digits}g}"
        return "0" if shown == "-0" else shown


def columns(shown: str) -> int:
    """How many columns a text takes: a combining mark takes none, a wide letter two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown
    )


def wide(b: Block) -> int:
    return max(map(columns, b), default=0)


def padded(shown: str, width: int, right: bool = False) -> str:
    gap = " " * (width - columns(shown))
    return gap + shown if right else shown + gap


def beside(*blocks: Block) -> Block:
    """Blocks in one row, their first lines on one line.

    >>> print("\\n".join(beside(("[1 2]", "[3 4]"), (" + ",), ("[5 6]", "[7 8]"))))
    [1 2] + [5 6]
    [3 4]   [7 8]
    """
    lines = [""] * max(map(len, blocks), default=0)
    for b in blocks:
        width = wide(b)
        lines = [line + padded(b[k] if k < len(b) else "", width) for k, line in enumerate(lines)]
    return tuple(lines)


def array(x: Tensor, style: Style) -> Block:
    """A number, a vector in brackets, or a matrix a row per line; large ones with … for what is left out.

    >>> import torch
    >>> print("\\n".join(array(torch.tensor([[1.0, -0.25], [0.5, 2.0]]), Style())))
    [  1 -0.25]
    [0.5     2]
    """
    if x.dim() == 0:
        return (style.number(x.item()),)
    if x.dim() == 1:
        return _rows([x], style)
    if x.dim() > 2:
        raise NoBlock
    few = len(x) <= MOST_ROWS
    lines = _rows(list(x) if few else [*x[: MOST_ROWS - 2], x[-1]], style)
    return lines if few else (*lines[:-1], padded(" ⋮", wide(lines)), lines[-1])


def _rows(rows: list[Tensor], style: Style) -> Block:
    shown = [[style.number(v) for v in row.tolist()] for row in rows]
    count = len(shown[0]) if shown else 0
    keep = count if count <= MOST_COLUMNS else MOST_COLUMNS - 1
    while True:
        cells = shown if keep == count else [[*r[: keep - 1], "…", r[-1]] for r in shown]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        if sum(widths) + len(widths) + 1 <= style.width or keep <= 2:
            break
        keep = min(keep, count - 1) - 1 if keep == count else keep - 1
    return tuple(
        "[" + " ".join(padded(c, w, True) for c, w in zip(row, widths, strict=True)) + "]" for row in cells
    )


def slices(name: str, before: Sequence[int | str], x: Tensor, style: Style) -> Block:
    """An array of more than two axes as its matrices, each with its place: ``w[0,1,·,·] = …``.

    ``before`` are indices that stand first in every place.
    """
    lines: list[str] = []
    places = list(_places(x.shape[:-2]))
    for place in places[:MOST_ROWS]:
        head = f"{name}[{','.join(map(str, (*before, *place)))},·,·] = "
        lines += beside((head,), array(x[place], replace(style, width=style.width - columns(head))))
    if len(places) > MOST_ROWS:
        lines.append(f"⋮  {len(places) - MOST_ROWS} more of these")
    return tuple(lines)


def _places(shape: Sequence[int]) -> list[tuple[int, ...]]:
    places: list[tuple[int, ...]] = [()]
    for size in shape:
        places = [(*p, k) for p in places for k in range(size)]
    return places


# --- formulas ------------------------------------------------------------------------------------------

Numbers = Callable[[Symbol | Position], Tensor]
"""The numbers of a symbol or of an index. Raises NoBlock where they cannot stand in its place."""


def block(f: Formula, numbers: Numbers, style: Style) -> Block:
    """A formula with numbers for its symbols. Raises NoBlock where that would not say what it means."""

    def inner(g: Formula) -> Block:
        return block(g, numbers, style)

    def within(g: Formula, place: Place) -> Block:
        made = inner(g)
        minus = made[0].startswith("-") and len(made) == 1 and isinstance(g, Symbol) and place != "term"
        return brackets(made) if bracketed(g, place) or minus else made

    match f:
        case Number():
            return (text(f),)
        case Symbol() | Position():
            return array(numbers(f), style)
        case Transposed(body):
            made = within(body, "base")
            return (made[0] + "ᵀ", *made[1:])
        case Power(base, exponent):
            made = within(base, "base")
            raised = text(Power(Number(0), exponent))[1:]
            return (made[0] + raised, *made[1:])
        case Quotient(top, bottom):
            return beside(within(top, "top"), (" / ",), within(bottom, "element"))
        case Product(factors):
            made = [within(g, "last" if g is factors[-1] else "factor") for g in factors]
            return _multiplied(made, style.elementwise)
        case Hadamard(factors):
            return _joined([within(g, "element") for g in factors], " ⊙ ")
        case Negative(body):
            return beside(("-",), within(body, "signed"))
        case Sum(terms):
            made = inner(terms[0])
            for sign, term in signed(terms[1:]):
                made = beside(made, (f" {sign} ",), within(term, "signed" if sign == "-" else "term"))
            return made
        case Call(function, args):
            parts = _joined([inner(a) for a in args], ", ")
            return _enclosed(f"{'Σ' if function == 'sum' else shown_name(function)}(", parts, ")")
        case Relation(left, sign, right):
            return _enclosed("[", beside(inner(left), (f" {sign} ",), inner(right)), "]")
        case Concatenation(parts):
            return _enclosed("[", _joined([inner(p) for p in parts], "; "), "]")
        case Big() | Facts():
            raise NoBlock
        case _:
            assert_never(f)


def signed(terms: Sequence[Formula]) -> list[tuple[str, Formula]]:
    """Terms after the first with the sign before each."""
    return [("-", t.body) if isinstance(t, Negative) else ("+", t) for t in terms]


def brackets(b: Block) -> Block:
    """The block in round brackets."""
    return _enclosed("(", b, ")")


def _enclosed(opening: str, b: Block, closing: str) -> Block:
    """The block with a bracket before its first line and one after its last."""
    *others, last = beside((opening,), b)
    return (*others, last + closing)


def _multiplied(factors: list[Block], elementwise: bool) -> Block:
    made = factors[0]
    for last, b in pairwise(factors):
        both = elementwise and "[" in last[0] and "[" in b[0]
        made = beside(made, (" ⊙ " if both else " · ",), b)
    return made


def _joined(blocks: list[Block], sign: str) -> Block:
    made = blocks[0]
    for b in blocks[1:]:
        made = beside(made, (sign,), b)
    return made
