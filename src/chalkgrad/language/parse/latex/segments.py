"""Items → equations, one after the other: rows, lines, commas and prose separate them."""

from __future__ import annotations

from chalkgrad.language.parse.latex.tree import Break, Digits, Item, Name, Sign, base_of

_OPEN, _CLOSE = {"(", "["}, {")", "]"}
_RELATIONS = {"=", "≤", "≥", "<", ">", "∈"}
_CONTINUES = {"+", "-", "/", "⊙", "*", "·", "="}

Segment = tuple[Item, ...]


def segments(found: tuple[Item, ...]) -> list[Segment]:
    """The equations (and whatever else stands where one could) of a piece of mathematics.

    A row or a line that begins or ends with an operator goes on; numbers of equations and the ranges of
    indices (``t = 1, …, T``) are left out.
    """
    pieces = _pieces(found)
    kept: list[Segment] = []
    for k, piece in enumerate(pieces):
        following = pieces[k + 1] if k + 1 < len(pieces) else ()
        if not (
            _is_number(piece) or _is_dots(piece) or _is_range(piece, following, pieces[k - 1] if k else ())
        ):
            kept.append(piece)
    return kept


def _pieces(found: tuple[Item, ...]) -> list[Segment]:
    pieces: list[list[Item]] = [[]]
    depth = 0
    skipping = False
    separates = _separating(found)
    for k, item in enumerate(found):
        mark = mark_of(item)
        if isinstance(item, Break):
            if item.kind == "space" and not separates[k]:
                continue
            if item.kind in ("row", "line", "block"):
                skipping = False
            if depth and item.kind != "block":
                continue
            if item.kind == "block":
                depth = 0
            skipping = skipping or item.kind == "rest"
            # An open operator waits for the rest of its equation.
            if not (pieces[-1] and mark_of(pieces[-1][-1]) in _CONTINUES and item.kind != "block"):
                pieces.append([])
        elif skipping:
            continue
        elif mark in (",", ";") and depth == 0:
            pieces.append([])
        else:
            if mark in _OPEN:
                depth += 1
            elif mark in _CLOSE:
                depth = max(0, depth - 1)
            if not pieces[-1] and mark in _CONTINUES and mark != "-" and len(pieces) > 1:
                # A row that begins with an operator goes on from the one before.
                pieces.pop()
                while len(pieces) > 1 and not pieces[-1]:
                    pieces.pop()
            elif not pieces[-1] and mark == "-" and len(pieces) > 1:
                whole = [p for p in pieces if p]
                if whole and _has_relation(whole[-1]):
                    pieces = whole
            pieces[-1].append(item)
    return [tuple(p) for p in pieces if p]


def _separating(found: tuple[Item, ...]) -> dict[int, bool]:
    """Whether each break has something of its own behind it: an equation, a range, a number in brackets.

    A wide space has not: ``W \\ x`` is a product as ``W x`` is.
    """
    separates: dict[int, bool] = {}
    end = len(found)
    for k in range(len(found) - 1, -1, -1):
        if isinstance(found[k], Break) or mark_of(found[k]) in (",", ";"):
            piece = found[k + 1 : end]
            separates[k] = (
                any(mark_of(i) in _RELATIONS for i in piece[1:]) or _is_number(piece) or _is_dots(piece)
            )
            end = k
    return separates


def mark_of(item: Item) -> str:
    """The sign that an item is, "" where it is none; a script above a bracket is no matter."""
    base = base_of(item)
    return base.text if isinstance(base, Sign) else ""


def _has_relation(piece: list[Item]) -> bool:
    return any(mark_of(i) == "=" for i in piece)


def _is_number(piece: Segment) -> bool:
    """The number of an equation: (3), or (3.1)."""
    inner = piece[1:-1]
    brackets = len(piece) > 2 and mark_of(piece[0]) == "(" and mark_of(piece[-1]) == ")"
    return brackets and all(isinstance(i, Digits) or mark_of(i) in (",", "-") for i in inner)


def _is_dots(piece: Segment) -> bool:
    return all(mark_of(i) == "…" for i in piece)


def _is_range(piece: Segment, following: Segment, before: Segment) -> bool:
    """``t = 1`` before dots, ``T`` after them, ``1 ≤ t ≤ T``, ``i \\in \\{1, 2\\}``."""
    if before and _is_dots(before) and len(piece) == 1:
        return True
    relations = [mark_of(i) for i in piece if mark_of(i) in _RELATIONS]
    if not relations or not all(isinstance(i, Name | Digits | Sign) for i in piece):
        return False
    if relations == ["="]:
        return bool(following) and _is_dots(following) and isinstance(piece[0], Name)
    return "=" not in relations and not any(mark_of(i) in ("ℝ", "ℤ", "ℕ") for i in piece)
