"""What a bracket of LaTeX is: an index, a list of vectors, the name of an operation, or only a bracket.

``found`` is a sequence of items, ``k`` where its bracket stands, ``partner`` where each bracket ends.
"""

from __future__ import annotations

from chalkgrad.language.parse.latex.items import Digits, Item, Name, Scripted
from chalkgrad.language.parse.latex.segments import mark_of

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


def is_list(found: tuple[Item, ...], k: int, partner: dict[int, int]) -> bool:
    """Whether the square bracket at ``k`` joins vectors or is an index: else it only groups."""
    if k not in partner:
        return True
    depth = 0
    for item in found[k + 1 : partner[k]]:
        mark = mark_of(item)
        depth += (mark in OPEN) - (mark in CLOSE)
        if depth == 0 and mark in (",", ";"):
            return True
    return is_index(found, k, partner) or is_operator(found, k, partner)


def is_index(found: tuple[Item, ...], k: int, partner: dict[int, int]) -> bool:
    """Whether a square bracket is an index as in the text form: h[t-1]."""
    if not k or k not in partner or found[k].gap or not isinstance(found[k - 1], Name | Scripted):
        return False
    if mark_of(found[k - 1]):
        return False
    inner = found[k + 1 : partner[k]]
    return bool(inner) and all(
        isinstance(i, Name | Digits) or mark_of(i) in ("+", "-", "·", ",") for i in inner
    )


def is_operator(found: tuple[Item, ...], k: int, partner: dict[int, int]) -> bool:
    """Whether a square bracket names an operation: [f * g](i)."""
    if k not in partner:
        return False
    inner, after = found[k + 1 : partner[k]], found[partner[k] + 1 : partner[k] + 2]
    return (
        len(inner) == 3
        and mark_of(inner[1]) == "⊙"
        and not mark_of(inner[0])
        and not mark_of(inner[2])
        and bool(after)
        and mark_of(after[0]) == "("
    )


def comma(found: tuple[Item, ...], k: int, partner: dict[int, int]) -> str:
    """A comma between vectors is `;`; between arguments and indices it stays."""
    opened = next((j for j in range(k - 1, -1, -1) if j in partner and partner[j] > k), None)
    if opened is None or mark_of(found[opened]) != "[" or is_index(found, opened, partner):
        return ","
    return ";"
