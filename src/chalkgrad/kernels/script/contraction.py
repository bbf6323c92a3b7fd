"""Sums of products: ``@`` where two factors meet in one axis as matrices do, einsum elsewhere."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

from chalkgrad.kernels.script.dialect import Library
from chalkgrad.kernels.script.pieces import MATMUL, PRODUCT, Piece, as_number, multiplied, permuted


@dataclass(frozen=True)
class Factors:
    """The factors of a product, those above the line and those below."""

    above: tuple[Piece, ...]
    below: tuple[Piece, ...] = ()

    @property
    def axes(self) -> frozenset[str]:
        return frozenset(a for p in (*self.above, *self.below) for a in p.axes)


def contracted(library: Library, factors: Factors, summed: Sequence[str], order: Sequence[str]) -> Piece:
    """The product of the factors, summed over the axes ``summed``, all of which some factor has.

    ``order`` holds every axis, those that stay in the order in which the result wants them.
    """
    if not summed:
        return multiplied(factors.above, factors.below, order)
    inside = [p for p in factors.above if set(summed) & set(p.axes)]
    under = [p for p in factors.below if set(summed) & set(p.axes)]
    outside = [p for p in factors.above if p not in inside]
    whole = _inner(library, _merged(inside, under, order), summed, order)
    outer = [p for p in factors.below if p not in under]
    if not outside and not outer:
        return whole
    return multiplied(
        [*(p for p in outside if not p.axes), whole, *(p for p in outside if p.axes)], outer, order
    )


def _merged(above: list[Piece], below: list[Piece], order: Sequence[str]) -> list[Piece]:
    """Factors along the same axes multiplied point by point, so that few are left."""
    groups: dict[frozenset[str], tuple[list[Piece], list[Piece]]] = {}
    for p in above:
        groups.setdefault(frozenset(p.axes), ([], []))[0].append(p)
    for p in below:
        groups.setdefault(frozenset(p.axes), ([], []))[1].append(p)
    # As the first of them lies, so that none need be turned.
    merged = [as_number(multiplied(top, below, (top or below)[0].axes)) for top, below in groups.values()]
    # A factor whose axes another one has too is spread over it: it is no matrix.
    found: list[Piece] = []
    for p in merged:
        wider = next((q for q in merged if q is not p and set(p.axes) < set(q.axes)), None)
        if wider is None or len(merged) < 3:
            found.append(p)
    rest = [p for p in merged if p not in found]
    for p in rest:
        k = next(k for k, q in enumerate(found) if set(p.axes) < set(q.axes))
        found[k] = multiplied([found[k], p], [], order)
    return found


def _inner(library: Library, parts: list[Piece], summed: Sequence[str], order: Sequence[str]) -> Piece:
    if len(parts) == 1:
        [p] = parts
        places = [k for k, a in enumerate(p.axes) if a in summed]
        return Piece(library.total(p, places), tuple(a for a in p.axes if a not in summed))
    if len(parts) == 2 and len(summed) == 1:
        for first, second in (parts, parts[::-1]):
            found = _matrix_product(first, second, summed[0], order)
            if found is not None:
                return found
    return _einsum(library, parts, summed, order)


def _matrix_product(a: Piece, m: Piece, s: str, order: Sequence[str]) -> Piece | None:
    """``a @ m`` over the axis ``s``, where m is a matrix or a vector and the result lies in order."""
    if s not in a.axes or s not in m.axes or set(a.axes) & set(m.axes) != {s} or len(m.axes) > 2:
        return None
    rest = tuple(x for x in a.axes if x != s)
    out = (*rest, *(x for x in m.axes if x != s))
    if out != tuple(x for x in order if x in out) or (len(a.axes) > 2 and a.axes[-1] != s):
        return None
    if len(m.axes) == 1 and len(a.axes) == 1:
        return Piece(f"{a.at(MATMUL)} @ {m.at(POWER_SIDE)}", (), MATMUL)
    left = permuted(a, (*rest, s))
    right = permuted(m, (s, *(x for x in m.axes if x != s)))
    return Piece(f"{left.at(POWER_SIDE)} @ {right.at(POWER_SIDE)}", out, MATMUL)


POWER_SIDE = PRODUCT + 1
"""What stands beside ``@`` is bracketed like what stands right of ``*``."""


def _einsum(library: Library, parts: list[Piece], summed: Sequence[str], order: Sequence[str]) -> Piece:
    letters: dict[str, str] = {}
    spare = iter(string.ascii_lowercase + string.ascii_uppercase)
    for axis in dict.fromkeys(a for p in parts for a in p.axes):
        wish = axis[0]
        if not (wish.isascii() and wish.isalpha()) or wish in letters.values():
            taken = {*letters.values(), *(a[0] for p in parts for a in p.axes)}
            wish = next(c for c in spare if c not in taken)
        letters[axis] = wish
    out = tuple(a for a in order if a in letters and a not in summed)
    left = ",".join("".join(letters[a] for a in p.axes) for p in parts)
    pattern = f"{left}->{''.join(letters[a] for a in out)}"
    return Piece(f'{library.name}.einsum("{pattern}", {", ".join(p.code for p in parts)})', out)
