"""Sizes as unknowns: equalities between affine forms, solved by substitution as they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalkgrad.equations.size import Size
from chalkgrad.language.source import Span


@dataclass(frozen=True, slots=True)
class Interval:
    """Where an axis runs: ``low ≤ i < low + size``, and the place and words that say so."""

    low: Size
    size: Size
    span: Span
    what: str


class Unknowns:
    """Size symbols and what is known of them.

    A symbol that the text declares keeps its name as long as possible; those made here (``?1``, …) go first.
    """

    def __init__(self, conflict: Callable[[Interval, Interval], Exception]) -> None:
        self.known: dict[str, Size] = {}
        self._made = 0
        self._conflict = conflict

    def fresh(self) -> Size:
        self._made += 1
        return Size.symbol(f"?{self._made}")

    def fresh_low(self) -> Size:
        """An unknown beginning of an interval; a beginning never says what a size is."""
        self._made += 1
        return Size.symbol(f"?low{self._made}")

    def reduce(self, size: Size) -> Size:
        """The size with everything that is known put in."""
        while any(s in self.known for s in size.symbols):
            size = size.substitute(self.known)
        return size

    def open(self, size: Size) -> bool:
        """Whether the size is a single unknown that nothing has fixed yet."""
        terms = self.reduce(size).terms
        return len(terms) == 1 and isinstance(terms[0][0], str) and terms[0][0].startswith("?")

    def unify(self, a: Size, b: Size) -> bool:
        """Make two sizes equal. False where they cannot be."""
        difference = self.reduce(a) - self.reduce(b)
        if not difference.terms:
            return difference.const == 0
        candidates = [(atom, k) for atom, k in difference.terms if isinstance(atom, str) and abs(k) == 1]
        hidden = {
            s for atom, _ in difference.terms if not isinstance(atom, str) for s in atom.numerator.symbols
        }
        candidates = [(s, k) for s, k in candidates if s not in hidden]
        if not candidates:
            # 2H = 128 has one answer too.
            atom, k = difference.terms[0]
            alone = len(difference.terms) == 1 and isinstance(atom, str) and difference.const % k == 0
            if alone and isinstance(atom, str):
                self.known[atom] = Size((), -difference.const // k)
            return alone
        # An unknown made here goes first, then a declared symbol; of two of a kind, the later one.
        symbol, k = max(candidates, key=lambda c: (c[0].startswith("?"), _serial(c[0])))
        rest = difference - Size(((symbol, k),))
        self.known[symbol] = rest * -k
        return True

    def equal(self, a: Interval, b: Interval) -> None:
        """Make two intervals one. Raises the error that points at both where they cannot be."""
        if not self.unify(a.size, b.size):
            raise self._conflict(a, b)
        difference = self.reduce(a.low) - self.reduce(b.low)
        unknown = any(s.startswith("?low") for s in difference.symbols)
        if difference != Size() and not (unknown and self.unify(a.low, b.low)):
            raise self._conflict(a, b)

    def at_least(self, a: Size, b: Size) -> bool | None:
        """Whether a ≥ b for all sizes; None where that cannot be told."""
        difference = self.reduce(a) - self.reduce(b)
        if difference.surely_nonnegative():
            return True
        if (-difference - 1).surely_nonnegative():
            return False
        return None


def _serial(symbol: str) -> int:
    """Unknowns in the order they were made, beginnings after sizes; what the text declares is 0."""
    if symbol.startswith("?low"):
        return 10**6 + int(symbol[4:])
    return int(symbol[1:]) if symbol.startswith("?") else 0
