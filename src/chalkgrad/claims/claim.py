"""A claim: what is said to be the gradient of what, and how it stands in its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Call,
    Concat,
    Group,
    Indexed,
    Line,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
    parts,
)
from chalkgrad.language.source import Span

DELTA = "δ"


@dataclass(frozen=True)
class Claim:
    """One graded side: the gradient of ``about`` at the index ``at`` is claimed to be ``right``."""

    about: str
    at: tuple[Node, ...]
    left: Span
    right: Node


@dataclass(frozen=True)
class Quotient:
    """``∂of[t]/∂by[t+shift]``, a left side: both at a step, ``shift`` steps apart."""

    of: str
    by: str
    at: tuple[Node, ...]
    shift: int
    left: Span
    right: Node

    @property
    def claim(self) -> Claim:
        """Its right side as one of a claim about the name above, at whose steps it stands."""
        return Claim(self.of, self.at, self.left, self.right)


@dataclass(frozen=True)
class Claims:
    """A text of claims: what is graded, the lines that define names of their own, and what δ stands for."""

    source: str
    claims: tuple[Claim, ...]
    quotients: tuple[Quotient, ...]
    helpers: tuple[Line, ...]
    delta: str | None
    functions: dict[str, str]

    def shown(self, span: Span) -> str:
        """What stands in the text there, in LaTeX with the whole of the commands that it begins in."""
        start, end = _whole(self.source, span)
        return " ".join(self.source[start:end].split())

    @property
    def rights(self) -> list[Node]:
        """Every right side."""
        return [c.right for c in (*self.claims, *self.quotients, *self.helpers)]

    @property
    def defined(self) -> frozenset[str]:
        return frozenset(n for h in self.helpers if (n := head(h.left)))


def head(node: Node) -> str:
    """The name that a left side defines, "" for anything else."""
    match node:
        case Symbol(name) | Indexed(Symbol(name), _) | Call(Symbol(name), _):
            return name
        case _:
            return ""


def rebuilt(node: Node, f: Callable[[Node], Node]) -> Node:
    """The node with ``f`` put on every part that is a value (not on indices or ends of sums)."""
    match node:
        case Number() | Symbol() | Indexed():
            return node
        case Call(base, args):
            return Call(base, tuple(f(a) for a in args), node.span)
        case Binary(op, left, right):
            return Binary(op, f(left), f(right), node.span, node.op_span)
        case Negate(body):
            return Negate(f(body), node.span)
        case Transpose(body):
            return Transpose(f(body), node.span)
        case Group(body):
            return Group(f(body), node.span)
        case Power(base, exponent):
            return Power(f(base), f(exponent), node.span)
        case Big(op, binders, body):
            return Big(op, binders, f(body), node.span)
        case Concat(items):
            return Concat(tuple(f(i) for i in items), node.span)


def names_read(nodes: Collection[Node]) -> set[str]:
    """The names that stand as values in these nodes."""
    found: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        match node:
            case Symbol(name):
                found.add(name)
            case Indexed(base, _):
                found.add(base.name)
            case Big(_, _, body):
                todo.append(body)
            case Call(base, args):
                found.add(base.name if isinstance(base, Symbol) else base.base.name)
                todo += args
            case _:
                todo += parts(node)
    return found


# --- what stands in the text ------------------------------------------------------------------------------

_COMMAND = re.compile(r"\\[A-Za-z]+\s*(\{[^{}]*\}\s*)?$")


def _whole(source: str, span: Span) -> tuple[int, int]:
    """A place widened until its braces are in pairs, and to the command in front: ``\\frac{a}{b}``."""
    start, end = span.start, span.end
    while True:
        depth = lowest = 0
        for c in source[start:end]:
            depth += (c == "{") - (c == "}")
            lowest = min(lowest, depth)
        if lowest < 0:
            opening = _matching(source, start - 1, -1)
            if opening is None:
                return start, end
            command = _COMMAND.search(source[:opening])
            start = command.start() if command else opening
        elif depth > 0:
            closing = _matching(source, end, 1)
            if closing is None:
                return start, end
            end = closing + 1
        else:
            return start, end


def _matching(source: str, at: int, step: int) -> int | None:
    """The brace that the text inside lacks, going on from a place."""
    depth = 0
    while 0 <= at < len(source):
        depth += ((source[at] == "}") - (source[at] == "{")) * step
        if depth > 0:
            return at
        at += step
    return None
