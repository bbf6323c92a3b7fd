"""What is known while one equation is read: its letters, its intervals, its reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalkgrad.equations.ir import Index
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Binary, Group, Negate, Node, Number, Symbol, parts
from chalkgrad.language.resolve.sizes import Interval
from chalkgrad.language.source import Span

Bounds = tuple[Size | None, Size | None]
"""The first and the last value of a summed index, where the page gives them."""

Within = Mapping[tuple[str, str], tuple[Interval, ...]]
"""By name and letter of its left side: intervals that it keeps to beside what its own line says."""


Reach = tuple[Size, Size] | bool
"""How far an axis is read before and after it: so far, as far as one likes (True), or not at all."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What stands outside of a name: ``margins`` are () (everywhere), one for all axes, or one for each."""

    value: float
    margins: tuple[tuple[Size, Size], ...]


@dataclass(slots=True)
class Shape:
    """A name's axes, the first ``written`` of them in brackets, and what is read ``outside`` of them."""

    name: str
    written: int
    axes: tuple[Interval, ...]
    outside: Outside | None = None

    def reach(self, axis: int) -> Reach:
        """How far beyond its edges an axis is read."""
        if self.outside is None or not self.outside.margins:
            return self.outside is not None
        margin = self.outside.margins[axis if len(self.outside.margins) > 1 else 0]
        return margin if any(s != Size() for s in margin) else False


@dataclass(frozen=True, slots=True)
class Access:
    """A read of one axis at an index: what intervals are solved from."""

    name: str
    position: int
    axis: Interval
    index: Index
    span: Span
    reach: Reach


@dataclass(slots=True)
class Scope:
    """One equation while it is elaborated: its letters, the intervals of its axes, what it reads.

    ``said`` are the intervals that a ``where`` gives to letters of the left side.
    """

    target: str
    left: tuple[str, ...]
    index: dict[str, Index]
    intervals: dict[str, Interval]
    bounds: dict[str, Bounds] = field(default_factory=dict[str, Bounds])
    everywhere: set[str] = field(default_factory=set[str])
    accesses: list[Access] = field(default_factory=list[Access])
    said: dict[str, Interval] = field(default_factory=dict[str, Interval])
    within: dict[str, tuple[Interval, ...]] = field(default_factory=dict[str, tuple[Interval, ...]])


def declared_size(node: Node) -> Size | None:
    """A size as the page writes it: 64, D, H+D, 2H; None for anything else."""
    match node:
        case Number(x) if float(x).is_integer():
            return Size((), int(x))
        case Symbol(name):
            return Size.symbol(name)
        case Group(body):
            return declared_size(body)
        case Negate(body):
            size = declared_size(body)
            return None if size is None else -size
        case Binary("+" | "-" as op, left, right):
            a, b = declared_size(left), declared_size(right)
            if a is None or b is None:
                return None
            return a + b if op == "+" else a - b
        case Binary("·" | "⊙", Number(x), right) if float(x).is_integer():
            b = declared_size(right)
            return None if b is None else b * int(x)
        case _:
            return None


def size_symbols(node: Node) -> set[str]:
    """The names in a size: H and D of H+D."""
    if isinstance(node, Symbol):
        return {node.name}
    return {s for p in parts(node) for s in size_symbols(p)}
