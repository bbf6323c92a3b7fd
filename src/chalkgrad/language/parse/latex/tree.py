"""What LaTeX says before its names mean anything: names with scripts, fractions, roots, signs, breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.source import Span


@dataclass(frozen=True, slots=True)
class Name:
    """A letter with its accents, or (``word``) a whole word such as a function's name."""

    text: str
    span: Span
    word: bool = False
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Digits:
    text: str
    span: Span
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Sign:
    """A mark of the text form, or one of LaTeX's own: ``‖``, ``|``, ``∣``, ``…``, ``∂``."""

    text: str
    span: Span
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Scripted:
    """A base with a sub- and a superscript (None where there is none); primes belong to its name."""

    base: Bare
    sub: tuple[Item, ...] | None
    sup: tuple[Item, ...] | None
    span: Span
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Fraction:
    above: tuple[Item, ...]
    below: tuple[Item, ...]
    span: Span
    gap: bool = True


@dataclass(frozen=True, slots=True)
class Root:
    body: tuple[Item, ...]
    degree: tuple[Item, ...]
    span: Span
    gap: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[tuple[Item, ...], ...], ...]
    span: Span
    gap: bool = True


@dataclass(frozen=True, slots=True)
class Break:
    """Where one equation may end and another begin: a row, a line, a wide space, prose, a block."""

    kind: Literal["row", "line", "space", "prose", "rest", "block"]
    span: Span
    gap: bool = True


Bare = Name | Digits | Sign | Fraction | Root | Matrix
Item = Name | Digits | Sign | Scripted | Fraction | Root | Matrix | Break


def base_of(item: Item) -> Item:
    """What the scripts of an item stand at; the item itself where it has none."""
    return item.base if isinstance(item, Scripted) else item


def name_of(item: Item) -> str:
    """The letter or word that an item is, scripts aside; "" where it is none."""
    base = base_of(item)
    return base.text if isinstance(base, Name) else ""
