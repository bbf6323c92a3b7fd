"""Which letters are indices in an equation: those of sums, those of its left side, and time.

``b_i`` is the gate's bias in an LSTM and the i-th bias in ``h_i = …``. Where a letter could be both, the text
is asked, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chalkgrad.language.parse.latex.scripts import (
    Piece,
    Slot,
    inside,
    is_affine,
    is_number,
    is_word,
    label,
    letters,
    lone,
    scripted,
    slots,
)
from chalkgrad.language.parse.latex.segments import Segment, mark_of
from chalkgrad.language.parse.latex.tree import Digits, Item, Name, Scripted
from chalkgrad.language.source import EquationError, Span
from chalkgrad.language.words import STRUCTURED

LIKELY = set("ijklmnpqrstuv")
"""Letters that stand for indices where nothing else tells: y_{ij} = σ(x_{ij})."""


@dataclass
class Equation:
    """A segment: its left side, the rest, and the letters that are indices in it."""

    left: Segment
    right: Segment
    bound: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()  # of the left side

    @property
    def sides(self) -> Segment:
        return (*self.left, *self.right)


@dataclass
class Page:
    """What is known of all equations together."""

    source: str
    equations: list[Equation]
    time: frozenset[str] = frozenset({"t"})
    defined: dict[str, Span] = field(default_factory=dict[str, Span])  # bare names of left sides
    labels: frozenset[tuple[str, str]] = frozenset()  # (name, letter) that can only be a name: \\Gamma_f
    indexed: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])  # (name, where) with an index

    def indices(self, equation: Equation) -> frozenset[str]:
        """The index letters of an equation."""
        return equation.bound | equation.own | self.time


def survey(source: str, found: list[Segment]) -> Page:
    """The page of these segments. Raises EquationError for a letter that could be a name and an index."""
    page = Page(source, [_equation(s) for s in found])
    for e in page.equations:
        e.bound = frozenset(_bound(e.sides))
        for name in _heads(e.left):
            page.defined.setdefault(name.text, name.span)
    page.labels = frozenset(_labels(page))
    for e in page.equations:
        e.own = frozenset(_own(page, e))
    page.time = frozenset({"t"} | set(_shifted(page)))
    for e in page.equations:
        _note_indexed(page, e)
    _refuse_two_meanings(page)
    return page


def _equation(segment: Segment) -> Equation:
    for k, item in enumerate(segment):
        if mark_of(item) == "=":
            return Equation(segment[:k], segment[k:])
    return Equation((), segment)


def _heads(left: Segment) -> Iterator[Name]:
    """The letter that a left side begins with."""
    for item in left[:1]:
        base = item.base if isinstance(item, Scripted) else item
        if isinstance(base, Name):
            yield base


# --- letters of sums -----------------------------------------------------------------------------------


def is_big(item: Item) -> bool:
    """Σ, max or min with what they run over."""
    return isinstance(item, Scripted) and (
        mark_of(item) == "Σ" or (isinstance(item.base, Name) and item.base.text in ("max", "min"))
    )


def is_function(name: Name) -> bool:
    return name.word and name.text in STRUCTURED


def _bound(found: tuple[Item, ...]) -> Iterator[str]:
    for item in found:
        if isinstance(item, Scripted) and item.sub:
            if is_big(item):
                yield from bound_letters(item.sub)
            elif isinstance(item.base, Name) and is_function(item.base):
                yield from (a for s in slots(item) if s.where == "sub" for p in s.pieces for a in letters(p))
        for part in inside(item):
            yield from _bound(part)


def bound_letters(sub: tuple[Item, ...]) -> list[str]:
    r"""The letters that ``\sum_{p, q}``, ``\sum_{j=1}``, ``\sum_{0 \le j < k}`` bind."""
    found: list[str] = []
    fresh = True
    for k, item in enumerate(sub):
        mark = mark_of(item)
        if mark in (",", ";"):
            fresh = True
        elif isinstance(item, Name) and (fresh or _is_between(sub, k)):
            found.append(item.text)
            fresh = False
        elif isinstance(item, Digits) and fresh:
            fresh = False  # 0 ≤ j < k
    return found


def _is_between(sub: tuple[Item, ...], k: int) -> bool:
    """Whether a letter stands behind a first number and `≤`: j of 0 ≤ j < k."""
    before = sub[:k]
    return len(before) == 2 and isinstance(before[0], Digits) and mark_of(before[1]) in ("≤", "<")


# --- letters of left sides -----------------------------------------------------------------------------


def _own(page: Page, e: Equation) -> Iterator[str]:
    """The letters of a left side that are indices."""
    used = list(_script_letters(e))
    lone_use = {a for a, alone in used if alone}
    sure_use = {a for a, alone in used if not alone} | set(_read_beside(e.right, e.bound))
    for item in scripted(e.left):
        for slot in slots(item):
            beside = {lone(p) for p in slot.pieces} - {""}
            for piece in slot.pieces:
                if not (is_word(piece) or is_affine(piece)) or any(
                    isinstance(i, Name) and i.word for i in piece
                ):
                    continue
                found = letters(piece)
                if lone(piece):
                    (a,) = found
                    sure = a in sure_use or a in e.bound or (len(beside) > 1 and "t" in beside)
                    if not sure and (base_text(item), a) in page.labels:
                        continue
                    if a == "t" or sure or (a in lone_use and not a.isupper()):
                        if not sure and a != "t":
                            _ask(page, e, a, slot)
                            _ask_beside_time(page, item, a, slot)
                        yield a
                elif not is_word(piece) or _are_indices(found, sure_use | e.bound | {"t"}):
                    yield from (a for a in found if not a.isupper())
    yield from _bracket_letters(e.left)


def _labels(page: Page) -> Iterator[tuple[str, str]]:
    """Lone letters below a defined name that can be no index.

    Γ_f and Γ_u are both defined, or Γ_f is read where nothing else knows f.
    """
    heads: dict[str, set[str]] = {}
    known: list[set[str]] = []
    for e in page.equations:
        known.append({"t", *e.bound})
        for item in scripted(e.left):
            for slot in slots(item):
                known[-1] |= {a for p in slot.pieces for a in letters(p)}
                heads.setdefault(base_text(item), set()).update(
                    lone(p) for p in slot.pieces if lone(p) not in ("", "t")
                )
    for name, found in heads.items():
        if len(found) > 1 and not any(
            set(found) <= {a for s in slots(i) for p in s.pieces for a in letters(p)}
            for e in page.equations
            for i in scripted(e.left)
            if base_text(i) == name
        ):
            yield from ((name, a) for a in found)
    for e, own in zip(page.equations, known, strict=True):
        for item in scripted(e.right):
            for slot in slots(item):
                for piece in slot.pieces:
                    a = lone(piece)
                    if a and a not in own and a in heads.get(base_text(item), set()):
                        yield base_text(item), a


def _bracket_letters(left: Segment) -> Iterator[str]:
    """The letters in the brackets of a left side: of y(i, j) and of h[t]."""
    depth = 0
    for item in left:
        mark = mark_of(item)
        depth += (mark in "([") - (mark in ")]") if mark else 0
        if depth and isinstance(item, Name) and not item.text.isupper():
            yield item.text


def _read_beside(right: Segment, bound: frozenset[str]) -> Iterator[str]:
    """The letters in round brackets that hold a summed letter, and signs alone: i and p of g(i+p)."""
    inner: list[Item] = []
    opened = False
    for item in right:
        mark = mark_of(item)
        if mark == "(":
            inner, opened = [], True
        elif mark == ")" and opened:
            found = letters(tuple(inner))
            if bound & set(found):
                yield from found
            opened = False
        elif opened and (isinstance(item, Name | Digits) or mark in ("+", "-", ",")):
            inner.append(item)
        else:
            opened = False


def _are_indices(found: tuple[str, ...], known: set[str] | frozenset[str]) -> bool:
    """Whether letters side by side are an index each: the ij of A_{ij}, not the rec of w_{rec}."""
    return len(set(found)) == len(found) and (set(found) <= known or set(found) <= LIKELY)


def _script_letters(e: Equation) -> Iterator[tuple[str, bool]]:
    """The letters in scripts on the right, and whether each stands alone in its script.

    A letter that stands with a sign (i+j-1), beside another index (ij), or with time (t,s) is an index;
    one alone (b_i) may be a part of the name.
    """
    left = {a for i in scripted(e.left) for s in slots(i) for p in s.pieces for a in letters(p)}
    for item in scripted(e.right):
        if is_big(item) or (isinstance(item.base, Name) and is_function(item.base)):
            continue
        for slot in slots(item):
            several = [p for p in slot.pieces if letters(p)]
            for piece in slot.pieces:
                if any(isinstance(i, Name) and i.word for i in piece):
                    continue
                if a := lone(piece):
                    timed = any(lone(p) == "t" or "t" in letters(p) for p in several if p is not piece)
                    yield a, not (timed or len(several) > 1)
                elif _near(piece, e.bound, left) if is_word(piece) else is_affine(piece):
                    yield from ((a, False) for a in letters(piece))


def _near(piece: Piece, bound: frozenset[str], left: set[str]) -> bool:
    """Whether letters side by side hold one that is bound, and only those and letters of the left side."""
    found = set(letters(piece))
    return bool(found & bound) and found <= left | bound | {"t"}


def _ask(page: Page, e: Equation, a: str, slot: Slot) -> None:
    """A lone letter that an equation of its own defines: is b_i a name, or the i-th b?"""
    if a not in page.defined:
        return
    for item in scripted(e.right):
        for s in slots(item):
            if any(lone(p) == a for p in s.pieces) and isinstance(item.base, Name):
                name = item.base.text
                raise EquationError(
                    f"`{name}_{a}` could be a name of its own, or `{name}` at the index {a}",
                    page.source,
                    (
                        (page.defined[a], f"`{a}` is defined here"),
                        (slot.span, f"and {a} stands here as an index"),
                        (item.span, "which of the two?"),
                    ),
                    f"write {name}_{{\\text{{{a}}}}} for the name, or take another letter for the index",
                )


def _ask_beside_time(page: Page, item: Scripted, a: str, slot: Slot) -> None:
    """A lone letter below a name that has a step there elsewhere: x_g beside x_t."""
    name = base_text(item)
    for e in page.equations:
        for other in scripted(e.sides):
            if base_text(other) == name and any(
                s.where == slot.where and [lone(p) for p in s.pieces] == ["t"] for s in slots(other)
            ):
                raise EquationError(
                    f"`{name}_{a}` could be a name of its own, or `{name}` at the index {a}",
                    page.source,
                    ((item.span, "which of the two?"), (other.span, f"`{name}` has its step there")),
                    f"write {name}_{{\\text{{{a}}}}} for the name, {name}_{{t,{a}}} for the index",
                )


# --- time ----------------------------------------------------------------------------------------------


def _shifted(page: Page) -> Iterator[str]:
    """Letters along which a name reads itself at a shift: k of S_k = … S_{k-1}."""
    for e in page.equations:
        heads = {n.text for n in _heads(e.left)}
        for item in scripted(e.right):
            if not isinstance(item.base, Name) or item.base.text not in heads:
                continue
            for slot in slots(item):
                for piece in slot.pieces:
                    if is_affine(piece) and len(piece) > 1:
                        yield from (a for a in letters(piece) if a in e.own and a not in page.defined)


def _note_indexed(page: Page, e: Equation) -> None:
    own = page.indices(e)
    for item in scripted(e.sides):
        for slot in slots(item):
            if any(set(letters(p)) & own and indices_of(p, own) is not None for p in slot.pieces):
                page.indexed.add((base_text(item), slot.where))


def base_text(item: Scripted) -> str:
    return item.base.text if isinstance(item.base, Name) else ""


def indices_of(piece: Piece, own: frozenset[str]) -> tuple[Piece, ...] | None:
    """The indices that a piece of a script is, one or (side by side) several; None where it is a label."""
    if any(isinstance(i, Name) and i.word for i in piece):
        return None
    found = set(letters(piece))
    if is_word(piece):
        return tuple((i,) for i in piece) if found and found <= own else None
    return (piece,) if is_affine(piece) and found & own else None


def _refuse_two_meanings(page: Page) -> None:
    """The same b_i, a name in one equation and an element in another."""
    names: dict[tuple[str, str], Span] = {}
    reads: dict[tuple[str, str], Span] = {}
    for e in page.equations:
        own = page.indices(e)
        for item in scripted(e.sides):
            if not isinstance(item.base, Name) or is_big(item):
                continue
            for slot in slots(item):
                a = lone(slot.pieces[0]) if len(slot.pieces) == 1 else ""
                if a and not a.isupper():
                    (reads if a in own else names).setdefault((item.base.text, a), item.span)
    for (name, a), span in reads.items():
        if (name, a) in names and a in page.defined:
            raise EquationError(
                f"`{name}_{a}` is a name in one equation and `{name}` at the index {a} in another",
                page.source,
                ((names[name, a], "a name here"), (span, "an index here")),
                f"write {name}_{{\\text{{{a}}}}} for the name, or take another letter for the index",
            )


__all__ = [
    "Equation",
    "Page",
    "base_text",
    "bound_letters",
    "indices_of",
    "is_big",
    "is_function",
    "is_number",
    "label",
    "survey",
]
