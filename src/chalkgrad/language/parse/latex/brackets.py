"""What a bracket of LaTeX is: an index, a list of vectors, the name of an operation, or only a bracket.

``found`` is a sequence of items, ``k`` where its bracket stands, ``partner`` where each bracket ends.
"""

from __future__ import annotations

from chalkgrad.language.parse.latex.segments import mark_of
from chalkgrad.language.parse.latex.tree import Digits, Item, Name, Scripted, Sign

OPEN, CLOSE = {"(", "["}, {")", "]"}


def partners(found: tuple[Item, ...]) -> dict[int, int]:
    """For each bracket the one that it belongs to, both ways."""
    partner: dict[int, int] = {}
    opened: list[int] = []
    for k, item in enumerate(found):
        mark = mark_of(item)
        if mark in OPEN:
            opened.append(k)
        elif mark in CLOSE and opened:
            partner[opened[-1]], partner[k] = k, opened[-1]
            opened.pop()
    return partner


def marks(found: tuple[Item, ...], partner: dict[int, int]) -> dict[int, str]:
    """What each bracket and comma is in the text form, by its position.

    Square brackets that only group become round; commas between vectors become `;`; the round brackets of
    (f * g)(i) become square, as those of [f * g](i) are.
    """
    shown: dict[int, str] = {}
    opened: list[int] = []
    for k, item in enumerate(found):
        mark = mark_of(item)
        if mark in OPEN:
            opened.append(k)
            if k in shown or k not in partner:
                continue
            if is_operator(found, k, partner):
                shown[k], shown[partner[k]] = "[", "]"
                after = partner[k] + 1
                shown[after] = "("
                if after in partner:
                    shown[partner[after]] = ")"
            elif mark == "[" and not (is_index(found, k, partner) or _has_commas(found[k + 1 : partner[k]])):
                shown[k], shown[partner[k]] = "(", ")"
        elif mark in CLOSE and opened:
            opened.pop()
        elif mark in (",", ";"):
            joins = bool(opened) and shown.get(opened[-1], mark_of(found[opened[-1]])) == "["
            shown[k] = ";" if joins and not is_index(found, opened[-1], partner) else ","
    return shown


def _has_commas(inner: tuple[Item, ...]) -> bool:
    depth = 0
    for item in inner:
        mark = mark_of(item)
        depth += (mark in OPEN) - (mark in CLOSE)
        if depth == 0 and mark in (",", ";"):
            return True
    return False


def is_index(found: tuple[Item, ...], k: int, partner: dict[int, int]) -> bool:
    """Whether a square bracket is an index as in the text form: h[t-1]."""
    if not k or k not in partner or found[k].gap or not isinstance(found[k - 1], Name | Scripted):
        return False
    if mark_of(found[k]) != "[" or mark_of(found[k - 1]):
        return False
    inner = found[k + 1 : partner[k]]
    return bool(inner) and all(
        isinstance(i, Name | Digits) or mark_of(i) in ("+", "-", "·", ",") for i in inner
    )


def is_operator(found: tuple[Item, ...], k: int, partner: dict[int, int]) -> bool:
    """Whether a bracket names an operation: [f * g](i), (f * g)(i), (f * g)[i]."""
    if k not in partner or (k and isinstance(found[k - 1], Name)):
        return False
    inner, after = found[k + 1 : partner[k]], found[partner[k] + 1 : partner[k] + 2]
    stars = [mark_of(i) for i in inner]
    applied = bool(after) and mark_of(after[0]) in OPEN and isinstance(found[partner[k]], Sign)
    return applied and stars == ["", "*", ""]
