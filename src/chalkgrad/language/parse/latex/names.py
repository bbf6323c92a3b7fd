"""Names → tokens: labels joined to the name, indices in brackets, powers and transposes behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn

from chalkgrad.language.parse.latex.indices import LIKELY, Page, indices_of
from chalkgrad.language.parse.latex.scripts import (
    Piece,
    Slot,
    is_affine,
    is_number,
    is_word,
    label,
    letters,
    lone,
    slots,
)
from chalkgrad.language.parse.latex.segments import mark_of
from chalkgrad.language.parse.latex.tree import Digits, Item, Name, Scripted, Sign, name_of
from chalkgrad.language.parse.text import Kind, Token
from chalkgrad.language.source import EquationError, Span


class NameWriter(ABC):
    """Writes names; what else there is, :class:`~chalkgrad.language.parse.latex.write.Writer` writes.

    ``tokens`` is what has been written, ``own`` the index letters of the equation at hand, ``where`` whether
    a `where` is written.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.tokens: list[Token] = []
        self.own: frozenset[str] = frozenset()  # the index letters of the equation at hand
        self.where = False
        self.opened = 0  # how many tokens there were when a sum or a function began

    @abstractmethod
    def items(self, found: tuple[Item, ...]) -> None:
        """Write a sequence of items."""

    @abstractmethod
    def one(self, item: Item) -> None:
        """Write one item."""

    def fail(self, problem: str, span: Span, note: str, help: str) -> NoReturn:
        raise EquationError(problem, self.page.source, ((span, note),), help)

    def put(self, kind: Kind, text: str, span: Span, gap: bool = False) -> None:
        self.tokens.append(Token(kind, text, span, gap))

    def mark(self, text: str, span: Span, gap: bool = False) -> None:
        self.put("mark", text, span, gap)

    def written(self, span: Span) -> str:
        return self.page.source[span.start : span.end]

    def factor_follows(self) -> None:
        """A product sign where a number or a bracket of ours would stand right behind an operand."""
        last = self.tokens[-1] if len(self.tokens) > self.opened else None
        if last is not None and (last.kind in ("name", "number") or last.text in (")", "]", "ᵀ", "²", "³")):
            self.mark("·", Span(last.span.end, last.span.end))

    def wrapped(self, inside: tuple[Item, ...], span: Span) -> None:
        opened, closed = ends(span)
        self.mark("(", opened)
        self.items(inside)
        self.mark(")", closed)

    # --- names -----------------------------------------------------------------------------------------

    def name(self, item: Name | Scripted, prefix: str = "", span: Span | None = None) -> None:
        """A name with its labels, its indices in brackets, and what is done to it: a power, a transpose."""
        whole = item.span if span is None else span.to(item.span)
        if isinstance(item, Name):
            self.put("name", prefix + item.text, whole, item.gap)
            return
        assert isinstance(item.base, Name)
        text = prefix + item.base.text
        if text == "e" and item.sup and "e" not in self.page.defined and self.is_power(item):
            self.factor_follows()
            self.put("name", "exp", item.base.span)
            self.wrapped(item.sup, item.span)
            return
        labels: list[str] = []
        found: dict[str, list[Piece]] = {"sub": [], "sup": []}
        power: Piece = ()
        for slot in slots(item):
            if slot.where == "sup" and not slot.round and self.kind_of_power(item, slot):
                power = slot.pieces[0]
                continue
            for piece in slot.pieces:
                indices = self.indices(item.base.text, slot, piece)
                if indices is None:
                    self.refuse_unbound(item, slot, piece)
                    labels.append(label(piece))
                else:
                    found[slot.where] += indices
        name = text + "".join(f"_{x}" for x in labels if x)
        self.put("name", name, whole, item.gap)
        if any(found.values()):
            self.brackets(found, item)
        if power:
            self.exponent(Scripted(item.base, None, power, item.span))

    def brackets(self, found: dict[str, list[Piece]], item: Scripted) -> None:
        """The indices in brackets, time first where it stands above: h_j^{(t)} is h[t,j]."""
        timed = {w: any(set(letters(p)) & self.page.time for p in pieces) for w, pieces in found.items()}
        order = ("sup", "sub") if timed["sup"] and not timed["sub"] else ("sub", "sup")
        pieces = [p for where in order for p in found[where]]
        end = Span(item.span.end - 1, item.span.end)
        self.mark("[", pieces[0][0].span)
        for n, piece in enumerate(pieces):
            if n:
                self.mark(",", piece[0].span)
            self.items(piece)
        self.mark("]", end)

    def indices(self, base: str, slot: Slot, piece: Piece) -> list[Piece] | None:
        """The indices that a piece of a script is, None where it is a label of the name."""
        known = (base, slot.where) in self.page.indexed
        if self.where and not known:
            return None
        if is_number(piece) and known:
            return [piece]
        capital = {a.upper() for a in self.page.time}
        if (
            known
            and set(letters(piece)) & capital
            and (lone(piece) or is_affine(piece))
            and not is_label(piece)
        ):
            return [piece]
        found = indices_of(piece, self.own)
        if found is not None:
            return list(found)
        signed = is_affine(piece) and any(mark_of(i) for i in piece)
        return [piece] if signed and not self.where else None

    def refuse_unbound(self, item: Scripted, slot: Slot, piece: Piece) -> None:
        """Raise EquationError for a label that looks like an index: the j of A_{ij} x_j without its sum."""
        if self.where or is_label(piece):
            return
        base = name_of(item)
        known = (base, slot.where) in self.page.indexed
        found = letters(piece)
        if known and lone(piece) and found[0] in LIKELY:
            loose = found[0]
        elif (
            is_word(piece)
            and len(set(found)) > 1
            and (set(found) & (self.own - self.page.time) or known)
            and set(found) <= LIKELY | self.own
        ):
            loose = next(a for a in found if a not in self.own)
        elif known and any(isinstance(i, Scripted) and name_of(i) in self.own for i in piece):
            self.fail(
                f"`{self.written(item.span)}` is an index with a script of its own",
                slot.span,
                "here",
                f"write a neighbouring step as {base}_{{t-1}}, a name as {base}_{{\\text{{…}}}}",
            )
        else:
            return
        self.fail(
            f"nothing says what `{loose}` is in `{self.written(item.span)}`",
            slot.span,
            "an index, or a part of the name?",
            f"write \\sum_{loose} to sum over it, {base}_{{\\text{{{label(piece)}}}}} for a name",
        )

    def kind_of_power(self, item: Scripted, slot: Slot) -> str:
        """What a superscript without round brackets is: "transpose", "power", "" for a label or an index."""
        (first, *more) = slot.pieces
        if more:
            return ""
        if len(first) == 1 and (mark_of(first[0]) == "ᵀ" or (name_of(first[0]) == "T" and not self.where)):
            base = name_of(item)
            if lone(first) and (base, "sup") in self.page.indexed:
                self.fail(
                    f"`{self.written(item.span)}` could be a transpose, or the last step",
                    item.span,
                    "which of the two?",
                    f"write {base}^\\top for the transpose, {base}^{{(T)}} for the last step",
                )
            return "transpose"
        if is_number(first):
            if label(first) == "1":
                name = self.written(item.base.span)
                self.fail(
                    f"`{self.written(item.span)}` is no power",
                    first[0].span,
                    "a power of 1",
                    f"write {name}^{{(1)}} for a name (and {name}^{{(2)}} for another)",
                )
            return "power"
        if indices_of(first, self.own) is not None:
            return ""
        if len(first) == 1 and mark_of(first[0]):
            return ""  # a star
        if is_word(first):
            return ""
        return "power"

    def is_power(self, item: Scripted) -> bool:
        found = [s for s in slots(item) if s.where == "sup"]
        return bool(found) and not found[0].round and indices_of(found[0].pieces[0], self.own) is None

    def exponent(self, item: Scripted) -> None:
        """What stands above a bracket, a number or a fraction, or makes a power of a name."""
        if item.sub and isinstance(item.base, Sign) and item.base.text not in (")", "]"):
            self.fail(
                f"a script stands below the sign `{self.written(item.base.span)}`",
                item.span,
                "here",
                "leave it out, and say what it means where it matters: x_{s-2i} for a dilation of 2",
            )
        if item.sub and not isinstance(item.base, Name):
            self.fail(
                "a script stands below what is no name",
                item.span,
                "an index of what?",
                "give it a name and an equation of its own, and write the index there",
            )
        if not item.sup:
            return
        span = item.sup[0].span.to(item.sup[-1].span)
        if (
            len(item.sup) == 1
            and (mark_of(item.sup[0]) == "ᵀ" or name_of(item.sup[0]) == "T")
            and mark_of(item) != "ℤ"
        ):
            self.mark("ᵀ", span)
            return
        self.mark("^", span)
        if len(item.sup) == 1 and isinstance(item.sup[0], Digits | Name):
            self.one(item.sup[0])
        else:
            self.wrapped(item.sup, span)


def is_label(piece: Piece) -> bool:
    """Whether a piece is a word, as in h_{\\mathrm{T}}."""
    return any(isinstance(i, Name) and i.word for i in piece)


def ends(span: Span) -> tuple[Span, Span]:
    """The first and the last character."""
    return Span(span.start, span.start + 1), Span(max(span.start, span.end - 1), span.end)
