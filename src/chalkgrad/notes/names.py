"""What an equation defines and what it reads, seen from its syntax tree alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Call,
    Group,
    Indexed,
    Line,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
    nodes,
    parts,
)
from chalkgrad.language.resolve.roles import index_like, index_symbols
from chalkgrad.language.words import STRUCTURED


def defined(line: Line) -> str:
    """The name that an equation defines, "" where its left side is no name.

    >>> from chalkgrad.language.parse.grammar import parse
    >>> defined(parse("h[t] = tanh(a[t])").lines[0])
    'h'
    """
    match line.left:
        case Symbol(name) | Indexed(Symbol(name), _) | Call(Symbol(name), _):
            return name
        case _:
            return ""


def reads(line: Line) -> frozenset[str]:
    """The names on the right side, indices left out.

    >>> from chalkgrad.language.parse.grammar import parse
    >>> sorted(reads(parse("y[i] = σ(Σ[j] V[j] x[i+j])").lines[0]))
    ['V', 'x']
    """
    letters = frozenset(_letters(line.left))
    found = {n for side in (line.right, *line.chain) for n in _reads(side, letters)}
    return frozenset(n for n in found if n not in FUNCTIONS and n not in STRUCTURED)


def indexed(line: Line) -> bool:
    """Whether the left side has an index."""
    return not isinstance(line.left, Symbol)


def is_start(line: Line) -> bool:
    """Whether an equation gives the start of a state: ``h[0] = a``, or ``h_0`` where no more is known."""
    match line.left:
        case Indexed(_, at):
            return any(isinstance(i, Number) for i in at)
        case Symbol(name):
            return bool(_NUMBERED.fullmatch(name))
        case _:
            return False


_NUMBERED = re.compile(r"(.+)_[0-9]+")


def base(name: str) -> str:
    """``h`` of ``h_0``: a name that ends in a number may be one at a fixed step; "" for any other."""
    m = _NUMBERED.fullmatch(name)
    return m[1] if m else ""


def without_index(name: str) -> str:
    """``x`` of ``x_t``: what a name is without a letter that may be its index."""
    m = re.fullmatch(r"(.+)_[a-z]", name)
    return m[1] if m else name


def called(line: Line) -> frozenset[str]:
    """Letters that stand before a bracket as a function: its content is no index."""
    return frozenset(_called(line.right, frozenset(_letters(line.left))))


def is_derivative(node: Node) -> bool:
    """Whether a left side is a derivative: ∂w[i], ∂L/∂w, ∂L/∂w · …"""
    match node:
        case Symbol(name):
            return name.startswith("∂")
        case Indexed(symbol, _) | Call(Symbol() as symbol, _):
            return is_derivative(symbol)
        case Binary("/" | "·", left, _):
            return is_derivative(left)
        case Group(body) | Transpose(body):
            return is_derivative(body)
        case _:
            return False


def is_differential(node: Node) -> bool:
    """Whether a left side is the d of dh_t: a product of the letter d with a name."""
    match node:
        case Binary("·", Symbol("d"), Symbol() | Indexed()):
            return True
        case _:
            return False


def holds(node: Node, letter: str) -> bool:
    """Whether a name that begins with ``letter`` stands anywhere in a tree."""
    return any(isinstance(n, Symbol) and n.name.startswith(letter) for n in nodes(node))


def is_arithmetic(node: Node) -> bool:
    """Whether a side is only numbers and bare names added, subtracted and scaled: ``H - K_H + 1``."""
    match node:
        case Number() | Symbol():
            return True
        case Group(body) | Negate(body):
            return is_arithmetic(body)
        case Binary("+" | "-" | "/", left, right):
            return is_arithmetic(left) and is_arithmetic(right)
        case Binary(_, left, right):
            return is_arithmetic(left) and is_arithmetic(right) and (_is_number(left) or _is_number(right))
        case Power(bottom, Number()):
            return _is_number(bottom)
        case _:
            return False


def has_number(node: Node) -> bool:
    """Whether a number stands anywhere in a tree."""
    return isinstance(node, Number) or any(has_number(p) for p in parts(node))


def _is_number(node: Node) -> bool:
    while isinstance(node, Group | Negate):
        node = node.body
    return isinstance(node, Number)


def _letters(left: Node) -> Iterator[str]:
    items = left.at if isinstance(left, Indexed) else left.args if isinstance(left, Call) else ()
    for item in items:
        yield from index_symbols(item)


def _reads(node: Node, letters: frozenset[str]) -> Iterator[str]:
    match node:
        case Symbol(name):
            yield name
        case Indexed(symbol, _):
            yield symbol.name
        case Call(symbol, args):
            yield from _reads(symbol, letters)
            for a in args:
                yield from (n for n in _reads(a, letters) if not (index_like(a) and n in letters))
        case Big(_, binders, body):
            yield from _reads(body, letters | {b.index.name for b in binders})
        case _:
            for p in parts(node):
                yield from _reads(p, letters)


def reads_at_indices(line: Line) -> frozenset[str]:
    """Names that stand before a bracket with indices in it: f of f(p, q) under a sum over p and q."""
    return reads(line) - called(line)


def _called(node: Node, letters: frozenset[str]) -> Iterator[str]:
    match node:
        case Call(Symbol(name), args) if not all(
            index_like(a) and {*index_symbols(a)} <= letters for a in args
        ):
            yield name
        case Big(_, binders, _):
            letters = letters | {b.index.name for b in binders}
        case _:
            pass
    for p in parts(node):
        yield from _called(p, letters)
