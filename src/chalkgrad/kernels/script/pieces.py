"""A piece of code with the axes of its value, and how pieces are put together.

Axes are named, and lie in an order; two pieces meet point by point as NumPy broadcasts: the one that lacks an
axis gets a ``None`` in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

SUM, MATMUL, PRODUCT, POWER, ATOM = range(1, 6)
"""How tightly a piece of code is bound. A matrix product stands in brackets beside ``*``, so that no reader
needs to know which of the two Python takes first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Code, the axes of its value in the order they lie in, and how tightly it is bound.

    ``subscripts`` of a plain read hold the text and the axis (if it has one) of each place in its brackets;
    ``lead`` is what stands before the brackets. ``terms`` are a sum's parts, where a long line may be broken;
    ``counted`` is what is true or false as 1 and 0.
    """

    code: str
    axes: tuple[str, ...] = ()
    level: int = ATOM
    lead: str = ""
    subscripts: tuple[tuple[str, str], ...] = ()
    terms: tuple[str, ...] = ()
    counted: str = ""
    number: bool = False

    def at(self, level: int) -> str:
        """The code, in brackets where a neighbour of that level would tear it apart."""
        return self.code if self.level >= level else f"({self.code})"


def read(lead: str, subscripts: Sequence[tuple[str, str]]) -> Piece:
    """``lead[…]``; subscripts that take a whole axis need not be written at the end."""
    axes = tuple(axis for _, axis in subscripts if axis)
    shown = [text for text, _ in subscripts]
    while shown and shown[-1] == ":":
        shown.pop()
    code = f"{lead}[{', '.join(shown)}]" if shown else lead
    return Piece(code, axes, ATOM, lead, tuple(subscripts))


def permuted(p: Piece, order: Sequence[str]) -> Piece:
    """The piece with its axes lying in the order that ``order`` has them."""
    wanted = tuple(a for a in order if a in p.axes)
    if wanted == p.axes:
        return p
    if len(wanted) == 2:
        return Piece(f"{p.at(ATOM)}.T", wanted)
    code, lying = p.at(ATOM), list(p.axes)
    for k, axis in enumerate(wanted):  # NumPy and torch both know swapaxes, and no other way alike
        if (j := lying.index(axis)) != k:
            code += f".swapaxes({k}, {j})"
            lying[k], lying[j] = lying[j], lying[k]
    return Piece(code, wanted)


def laid(p: Piece, order: Sequence[str]) -> Piece:
    """The piece ready to meet others over the axes ``order``: permuted, with ``None`` for what it lacks."""
    p = permuted(p, order)
    if not p.axes:
        return p
    after = list(order[order.index(p.axes[0]) :])
    if tuple(after) == p.axes:
        return p
    if p.lead:
        places: list[tuple[str, str]] = []
        waiting = list(after)
        for text, axis in p.subscripts:
            while axis and waiting[0] != axis:
                waiting.pop(0)
                places.append(("None", ""))
            if axis:
                waiting.pop(0)
            places.append((text, axis))
        places += [("None", "")] * len(waiting)
        return replace(read(p.lead, places), axes=p.axes)
    shown = [":" if a in p.axes else "None" for a in after]
    while shown[-1] == ":":
        shown.pop()
    return Piece(f"{p.at(ATOM)}[{', '.join(shown)}]", p.axes)


def together(pieces: Sequence[Piece], order: Sequence[str]) -> tuple[list[Piece], tuple[str, ...]]:
    """Pieces laid to meet each other, and the axes that they span."""
    spanned = tuple(a for a in order if any(a in p.axes for p in pieces))
    return [laid(p, spanned) for p in pieces], spanned


def added(parts: Sequence[tuple[bool, Piece]], order: Sequence[str]) -> Piece:
    """The sum of pieces, those marked True with a minus sign; one without goes first."""
    parts = sorted(parts, key=lambda part: part[0])
    if len(parts) == 1 and not parts[0][0]:
        return parts[0][1]
    pieces, axes = together([as_number(p) for _, p in parts], order)
    terms: list[str] = []
    for (minus, _), p in zip(parts, pieces, strict=True):
        if not terms:
            terms.append(f"-{p.at(PRODUCT)}" if minus else p.at(SUM))
        else:
            terms.append(f"- {p.at(MATMUL)}" if minus else f"+ {p.at(SUM)}")
    level = SUM if len(terms) > 1 else PRODUCT
    number = all(p.number for p in pieces)
    return Piece(" ".join(terms), axes, level, terms=tuple(terms), number=number)


def multiplied(above: Sequence[Piece], below: Sequence[Piece], order: Sequence[str]) -> Piece:
    """The product of pieces over the product of others."""
    # What is true or false goes last, `dh * (h > 0)`; with numbers alone it must be a number itself.
    above = sorted(above, key=lambda p: p.counted != "")
    if any(p.counted for p in above) and all(p.counted or p.number for p in above):
        k = next(k for k, p in enumerate(above) if p.counted)
        above[k] = as_number(above[k])
    if len(above) == 1 and not below:
        return above[0]
    pieces, axes = together([*above, *below], order)
    top, bottom = pieces[: len(above)], pieces[len(above) :]
    code = " * ".join(p.at(PRODUCT if k == 0 else POWER) for k, p in enumerate(top)) or "1"
    if bottom:
        under = " * ".join(p.at(PRODUCT if k == 0 else POWER) for k, p in enumerate(bottom))
        code += f" / ({under})" if len(bottom) > 1 else f" / {bottom[0].at(POWER)}"
    return Piece(code, axes, PRODUCT, number=all(p.number for p in pieces))


def as_number(p: Piece) -> Piece:
    """True and false as 1 and 0: Python refuses to subtract them."""
    return Piece(p.counted, p.axes) if p.counted else p


def raised(p: Piece, exponent: str) -> Piece:
    """A power, its operator close to a name and apart from anything longer."""
    gap = "" if p.code.isidentifier() else " "
    return Piece(f"{p.at(ATOM)}{gap}**{gap}{exponent}", p.axes, POWER, number=p.number)
