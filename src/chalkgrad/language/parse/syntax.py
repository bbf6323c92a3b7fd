"""What a text says before its names mean anything: the tree that the grammar builds.

Text      = Line*  (equations in order), Declaration*
Node      = Number | Symbol | Indexed | Call | Binary | Negate | Power | Transpose | Big | Concat | Group
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.source import Span


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    span: Span


@dataclass(frozen=True, slots=True)
class Symbol:
    """A bare name: a parameter, a gate, an index, a size, a function: the resolver finds out."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Indexed:
    """``x[t-1, j]``."""

    base: Symbol
    at: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A name before a bracket, ``f(…)`` or ``softmax[j](…)``: an application, a read or a product."""

    base: Symbol | Indexed
    args: tuple[Node, ...]
    span: Span


BinaryOp = Literal["+", "-", "/", "⊙", "·"]


@dataclass(frozen=True, slots=True)
class Binary:
    """``⊙`` is element by element, ``·`` the matrix product (written side by side, ``@`` or ``·``)."""

    op: BinaryOp
    left: Node
    right: Node
    span: Span
    op_span: Span


@dataclass(frozen=True, slots=True)
class Negate:
    body: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Power:
    base: Node
    exponent: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Transpose:
    body: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Binder:
    """One index under a Σ or max: ``j``, ``j<3``, ``j=1..k``, ``1≤j≤k``, ``a∈ℤ``, ``s<t``.

    ``axes`` is d of ``a∈ℤ^d``: the index stands for so many.
    """

    index: Symbol
    low: Node | None
    high: Node | None  # inclusive
    everywhere: bool
    span: Span
    axes: Node | None = None


@dataclass(frozen=True, slots=True)
class Big:
    """``Σ[j] …``, ``max[p<2] …``, ``min[…] …``."""

    op: Literal["sum", "max", "min"]
    binders: tuple[Binder, ...]
    body: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Concat:
    """``[h[t-1]; x[t]]``, or a literal ``[[0, 1], [2, 2]]``."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Group:
    """Round brackets, kept because ``r ⊙ (h U)`` says what ``r ⊙ h U`` does not."""

    body: Node
    span: Span


Node = Number | Symbol | Indexed | Call | Binary | Negate | Power | Transpose | Big | Concat | Group


@dataclass(frozen=True, slots=True)
class Line:
    """One equation: a left side, what defines it, and further right sides of a chain ``A = B = C``."""

    left: Node
    right: Node
    chain: tuple[Node, ...]
    span: Span


Margin = tuple[Node, Node]
"""How many places before and after one axis are read."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What stands beyond the edges of a name: ``zero outside 0×±1×-1+2``.

    ``margins`` are () where it stands everywhere, one for all axes alike, or one for each axis.
    """

    value: float
    margins: tuple[Margin, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a ``where`` says of one name.

    ``dims`` is its shape after the recurrence index (() for a scalar, None when not given); ``outside`` what
    stands beyond its edges; ``alias`` the function a letter stands for; ``init`` the number that a parameter
    starts at; ``edge`` what a table holds before its first row or column; ``number`` what a letter stands for
    (d of ``a∈ℤ^d``).
    """

    name: Symbol
    at: tuple[Node, ...]
    role: Literal["input", "parameter", "output"] | None
    dims: tuple[Node, ...] | None
    outside: Outside | None
    alias: Symbol | None
    span: Span
    init: float | None = None
    edge: float | None = None
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A whole text, parsed."""

    source: str
    lines: tuple[Line, ...]
    declarations: tuple[Declaration, ...]
    latex: bool = False


def nodes(node: Node) -> Iterator[Node]:
    """The node and everything in it, each before what is inside it."""
    yield node
    for p in parts(node):
        yield from nodes(p)


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside this one (binder bounds included)."""
    match node:
        case Number() | Symbol():
            return ()
        case Indexed(base, at):
            return (base, *at)
        case Call(base, args):
            return (base, *args)
        case Binary(_, left, right):
            return (left, right)
        case Power(base, exponent):
            return (base, exponent)
        case Negate(body) | Transpose(body) | Group(body):
            return (body,)
        case Big(_, binders, body):
            bounds = tuple(n for b in binders for n in (b.low, b.high) if n is not None)
            return (*bounds, body)
        case Concat(items):
            return items
