"""Sizes: affine forms in size symbols, such as ``H + D`` or ``N - K + 1``.

A stride divides, so an atom may also be a floor of such a form: ``⌊(N - K)/2⌋``. Everything the language
says about lengths, intervals and shifts is arithmetic on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Floor:
    """⌊numerator / divisor⌋, an atom that a stride brings in."""

    numerator: Size
    divisor: int

    def __str__(self) -> str:
        inner = str(self.numerator)
        return f"⌊({inner})/{self.divisor}⌋" if " " in inner else f"⌊{inner}/{self.divisor}⌋"


Atom = str | Floor


@dataclass(frozen=True, slots=True)
class Size:
    """A sum of size symbols with integer coefficients, and a constant.

    >>> H, D = Size.symbol("H"), Size.symbol("D")
    >>> str(H + D - 1), (H + D).value({"H": 3, "D": 2}), (H - H).constant
    ('H + D - 1', 5, 0)
    """

    terms: tuple[tuple[Atom, int], ...] = ()
    const: int = 0

    @staticmethod
    def symbol(name: str) -> Size:
        return Size(((name, 1),))

    @staticmethod
    def of(terms: Mapping[Atom, int], const: int = 0) -> Size:
        return Size(tuple((atom, k) for atom, k in terms.items() if k), const)

    def __add__(self, other: Size | int) -> Size:
        if isinstance(other, int):
            return Size(self.terms, self.const + other) if other else self
        if not other.terms:
            return self + other.const
        if not self.terms:
            return other + self.const
        terms = dict(self.terms)
        for atom, k in other.terms:
            terms[atom] = terms.get(atom, 0) + k
        return Size.of(terms, self.const + other.const)

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size | int) -> Size:
        return self + -other

    def __mul__(self, k: int) -> Size:
        if k == 1:
            return self
        return Size.of({atom: c * k for atom, c in self.terms}, self.const * k)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.const == other.const and dict(self.terms) == dict(other.terms)

    def __hash__(self) -> int:
        return hash((frozenset(self.terms), self.const))

    def floordiv(self, divisor: int) -> Size:
        """⌊self / divisor⌋, exact where every coefficient divides."""
        if divisor == 1:
            return self
        if all(k % divisor == 0 for _, k in self.terms):
            return Size.of({a: k // divisor for a, k in self.terms}, self.const // divisor)
        whole = self.const // divisor
        return Size(((Floor(self - whole * divisor, divisor), 1),), whole)

    @property
    def constant(self) -> int | None:
        """The number this is, or None while symbols are left."""
        return None if self.terms else self.const

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it is made of, those under a floor too, in order of appearance."""
        found: dict[str, None] = {}
        for atom, _ in self.terms:
            found.update(dict.fromkeys((atom,) if isinstance(atom, str) else atom.numerator.symbols))
        return tuple(found)

    def substitute(self, values: Mapping[str, Size]) -> Size:
        """Each symbol replaced by the form that ``values`` gives for it."""
        total = Size((), self.const)
        for atom, k in self.terms:
            if isinstance(atom, Floor):
                total = total + atom.numerator.substitute(values).floordiv(atom.divisor) * k
            else:
                total = total + values.get(atom, Size.symbol(atom)) * k
        return total

    def value(self, numbers: Mapping[str, int]) -> int:
        """The number this is for given symbols. Raises KeyError for a symbol without one."""
        total = self.const
        for atom, k in self.terms:
            if isinstance(atom, Floor):
                total += k * (atom.numerator.value(numbers) // atom.divisor)
            else:
                total += k * numbers[atom]
        return total

    def surely_nonnegative(self) -> bool:
        """Whether it is ≥ 0 for all sizes ≥ 1 (floors are only known to be ≥ 0). False means "not sure"."""
        least = self.const
        for atom, k in self.terms:
            if k < 0:
                return False
            least += k if isinstance(atom, str) else 0
        return least >= 0

    def __str__(self) -> str:
        text = ""
        for atom, k in (*self.terms, *([(None, self.const)] if self.const or not self.terms else [])):
            shown = str(abs(k)) if atom is None else f"{abs(k) if abs(k) != 1 else ''}{atom}"
            text += (" - " if k < 0 else " + ") + shown if text else ("-" if k < 0 else "") + shown
        return text


ZERO, ONE = Size(), Size((), 1)
