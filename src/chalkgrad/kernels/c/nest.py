"""What a loop nest is: its axes, what it reads and how, between which bounds, and the C made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chalkgrad.equations.ir import Expr

ENTRY = "chalkgrad_nest"

Terms = tuple[tuple[int, int], ...]
"""Axes by number, each with its coefficient."""

Key = tuple[str | int, ...]
"""What a number that comes in is: what sort, and of which axis, factor or bound."""


@dataclass(frozen=True, slots=True)
class Load:
    """How a factor is read: the axes that it moves along, and whether as a vector.

    ``parts`` are its dimensions that are read at a quotient, ``copied`` how many dimensions a copy has: 0
    where it is read as it lies.
    """

    axes: tuple[int, ...]
    vector: bool
    parts: tuple[tuple[Terms, int], ...] = ()
    copied: int = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition on the point at hand: ``Σ terms + a number`` is ≥ 0, is 0, or is divisible."""

    terms: Terms
    kind: Literal["nonnegative", "zero", "divisible"]
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Nest:
    """``result = scale · Σ body``, axes by number: first the ``outs`` of the result, then those summed over.

    ``lanes`` is the axis of the vectors, ``block`` the one that has ``tall`` sums at a time (-1: none).
    ``body`` reads the loads by their numbers. ``shared`` are the loops that threads share out. The ``apart``
    innermost sums are added up by themselves first, so that rounding grows with the sides. The results along
    the ``run`` last axes are put together before they are stored.
    """

    outs: int
    overs: int
    lanes: int
    block: int
    tall: int
    loads: tuple[Load, ...]
    bounds: tuple[Bound, ...]
    body: Expr
    scale: float
    shared: Literal["outer", "lanes", "block"]
    apart: int
    run: int
    double: bool


@dataclass(frozen=True, slots=True)
class Source:
    """C, and which numbers it is called with, in order."""

    text: str
    keys: tuple[Key, ...]
