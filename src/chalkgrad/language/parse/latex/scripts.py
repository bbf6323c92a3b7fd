"""What a script says: a label that belongs to the name, an index, a transpose, a power.

``W_{xi}`` is the name W_xi, ``h_{t-1}`` the name h at the index t-1, ``b^{(1)}`` the name b_1, ``W^T`` a
transpose, ``x^2`` a power. A script is an index only if it holds an index letter of its equation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chalkgrad.language.parse.latex.segments import mark_of
from chalkgrad.language.parse.latex.tree import Digits, Fraction, Item, Matrix, Name, Root, Scripted, Sign
from chalkgrad.language.source import Span

_STARS = {
    "*": "star",
    "⊙": "odot",
    "+": "plus",
    "-": "minus",
    "ᵀ": "top",
    "∞": "inf",
    "…": "dots",
    "/": "over",
}

_ROUND = {"()", "[]", "⟨⟩", "<>"}
"""What stands around a step or a layer: h^{(t)}, a^{[1]}, a^{\\langle t \\rangle}, a^{<t>}."""

Piece = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A sub- or superscript, cut at its commas; ``round``: it stood in round brackets, ``^{(t)}``."""

    where: str  # "sub" or "sup"
    pieces: tuple[Piece, ...]
    round: bool

    @property
    def span(self) -> Span:
        return self.pieces[0][0].span.to(self.pieces[-1][-1].span)


def slots(name: Scripted) -> Iterator[Slot]:
    """The scripts of a name, the lower one first; empty ones left out."""
    for where, inside in (("sub", name.sub), ("sup", name.sup)):
        if not inside:
            continue
        end = next((k for k, i in enumerate(inside) if mark_of(inside[0]) + mark_of(i) in _ROUND), 0)
        for part, round_ in (
            ((inside[1:end], True), (inside[end + 1 :], False)) if end > 1 else ((inside, False),)
        ):
            if pieces := _cut(part):  # W^{(1)\top} has both
                yield Slot(where, pieces, round_)


def _cut(inside: tuple[Item, ...]) -> tuple[Piece, ...]:
    pieces: list[list[Item]] = [[]]
    for item in inside:
        if mark_of(item) in (",", ";", "|", "∣"):
            pieces.append([])
        else:
            pieces[-1].append(item)
    return tuple(tuple(p) for p in pieces if p)


def letters(piece: Piece) -> tuple[str, ...]:
    """The letters of a piece that could be indices: h_{\\mathrm{t}} has none."""
    return tuple(i.text for i in piece if isinstance(i, Name) and not i.word)


def lone(piece: Piece) -> str:
    """The letter that the piece is, "" where it is more or anything else."""
    found = letters(piece)
    return found[0] if len(piece) == len(found) == 1 else ""


def is_word(piece: Piece) -> bool:
    """Letters side by side, no sign between them: xi, ij, rec."""
    return all(isinstance(i, Name) for i in piece)


def is_affine(piece: Piece) -> bool:
    """A sum of letters and whole numbers, with at least one letter: t-1, i+j-1, 2i+p."""
    marks = [i for i in piece if isinstance(i, Sign)]
    plain = all(isinstance(i, Name | Digits) or i in marks for i in piece)
    return plain and bool(letters(piece)) and all(m.text in "+-·" for m in marks)


def is_number(piece: Piece) -> bool:
    return len(piece) == 1 and isinstance(piece[0], Digits)


def label(piece: Piece) -> str:
    """A piece as a part of the name: ``xi``, ``1``, ``rec``."""
    return "".join(map(_spelled, piece))


def _spelled(item: Item) -> str:
    match item:
        case Name(text) | Digits(text):
            return text
        case Sign(text):
            return _STARS.get(text, "")
        case Scripted(base, sub, sup):
            return _spelled(base) + "".join(label(s) for s in (sub, sup) if s)
        case Fraction(above, below):
            return f"{label(above)}over{label(below)}"
        case Root(body):
            return label(body)
        case Matrix():
            return ""
        case _:
            return ""


def inside(item: Item) -> Iterator[tuple[Item, ...]]:
    """The sequences of items directly inside this one."""
    match item:
        case Scripted(base, sub, sup):
            if not isinstance(base, Name | Digits | Sign):
                yield from inside(base)
            yield from (s for s in (sub, sup) if s)
        case Fraction(above, below):
            yield above
            yield below
        case Root(body, degree):
            yield body
            yield degree
        case Matrix(rows):
            for row in rows:
                yield from row
        case _:
            return


def scripted(found: tuple[Item, ...], nested: bool = False) -> Iterator[Scripted]:
    """Every name with scripts, from left to right; ``nested``: those that stand in scripts too."""
    for item in found:
        if isinstance(item, Scripted):
            yield item
            if not nested:
                if not isinstance(item.base, Name | Digits | Sign):
                    yield from scripted((item.base,))
                if item.sup and not isinstance(item.base, Sign) and _is_exponent(item.sup):
                    yield from scripted(item.sup)
                continue
        for part in inside(item):
            yield from scripted(part, nested)


def _is_exponent(sup: tuple[Item, ...]) -> bool:
    """Whether a superscript is an expression of its own, as in e^{-x_t}."""
    return any(isinstance(i, Scripted | Fraction | Root) for i in sup)
