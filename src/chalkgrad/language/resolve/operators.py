"""What stands for more than is written: ``a∈ℤ^d`` for d indices, ``[g * f](i)`` beside ``[f * g](i)``.

Both are rewritten in the syntax tree, before any name has a meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Binder,
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
    Text,
    Transpose,
    nodes,
)
from chalkgrad.language.resolve.roles import index_like, index_symbols
from chalkgrad.language.source import EquationError
from chalkgrad.language.words import STRUCTURED

MOST_AXES = 8
"""Largest d of ``a∈ℤ^d``."""

_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def written_out(text: Text, numbers: Mapping[str, int]) -> Text:
    """The text with ``a∈ℤ^d`` as d indices, turned operators by what they are, titles left out.

    ``numbers`` gives d where the page does not (``where d = 2``); else it is 1. Raises EquationError for a d
    that is no whole number from 1 to 8.
    """
    said = {d.name.name: d.number for d in text.declarations if d.number is not None}
    lines = tuple(_all_axes(_turned(_untitled(line)), text, {**numbers, **said}) for line in text.lines)
    kept = tuple(d for d in text.declarations if d.number is None)
    return replace(text, lines=lines, declarations=kept)


def axes_named(text: Text) -> frozenset[str]:
    """The names that say how many axes an index has: d of ``a∈ℤ^d``."""
    sides = (s for line in text.lines for s in (line.left, line.right, *line.chain))
    bigs = (n for s in sides for n in nodes(s) if isinstance(n, Big))
    return frozenset(b.axes.name for n in bigs for b in n.binders if isinstance(b.axes, Symbol))


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with ``change`` applied to it and everything in it, the inner nodes first."""

    def again(n: Node) -> Node:
        return rebuilt(n, change)

    match node:
        case Number() | Symbol():
            return change(node)
        case Indexed(base, at):
            return change(replace(node, base=_symbol(again(base)), at=tuple(map(again, at))))
        case Call(base, args):
            changed = again(base)
            assert isinstance(changed, Symbol | Indexed)
            return change(replace(node, base=changed, args=tuple(map(again, args))))
        case Binary(_, left, right):
            return change(replace(node, left=again(left), right=again(right)))
        case Power(base, exponent):
            return change(replace(node, base=again(base), exponent=again(exponent)))
        case Negate(body) | Transpose(body) | Group(body):
            return change(replace(node, body=again(body)))
        case Concat(items):
            return change(replace(node, items=tuple(map(again, items))))
        case Big(_, binders, body):
            return change(replace(node, binders=tuple(_bounds(b, again) for b in binders), body=again(body)))


def _bounds(b: Binder, again: Callable[[Node], Node]) -> Binder:
    low = None if b.low is None else again(b.low)
    return replace(b, low=low, high=None if b.high is None else again(b.high))


def _symbol(node: Node) -> Symbol:
    assert isinstance(node, Symbol)
    return node


# --- [g * f](i) ----------------------------------------------------------------------------------------


def _untitled(line: Line) -> Line:
    """``S(i,j) = (I * K)(i,j) = Σ …`` defines S: what stands between is a title, as Attention(Q, K, V) is."""
    match line.right:
        case Call(Symbol(name), args) if line.chain and all(index_like(a) for a in args):
            title = name.startswith("(") or (len(name) > 1 and name not in {*FUNCTIONS, *STRUCTURED})
            if title and line.left != line.right:
                return replace(line, right=line.chain[0], chain=line.chain[1:])
        case _:
            pass
    return line


def _turned(line: Line) -> Line:
    """In a chain that defines [f * g](i): [g * f](i) as the same sum with f and g exchanged."""
    match line.left:
        case Call(Symbol(name), _) if name.startswith("("):
            f, _, g = name[1:-1].partition("∗")
        case _:
            return line
    swapped = {f: g, g: f}

    def exchange(node: Node) -> Node:
        return (
            Symbol(swapped[node.name], node.span)
            if isinstance(node, Symbol) and node.name in swapped
            else node
        )

    def one(side: Node) -> Node:
        if isinstance(side, Call) and side.base == Symbol(f"({g}∗{f})", side.base.span):
            return replace(rebuilt(line.right, exchange), span=side.span)
        return side

    return replace(line, chain=tuple(map(one, line.chain)))


# --- a∈ℤ^d ---------------------------------------------------------------------------------------------


def _all_axes(line: Line, text: Text, numbers: Mapping[str, float]) -> Line:
    sides = (line.left, line.right, *line.chain)
    binders = [
        b for s in sides for n in nodes(s) if isinstance(n, Big) for b in n.binders if b.axes is not None
    ]
    if not binders:
        return line
    axes = {_count(b, text, numbers) for b in binders}
    if len(axes) > 1:
        raise EquationError(
            "two indices of one equation have different numbers of axes",
            text.source,
            tuple((b.span, "here") for b in binders),
            "write ℤ^d with the same d",
        )
    (d,) = axes
    letters = _partners({b.index.name for b in binders}, sides)
    left, right, *chain = (rebuilt(s, lambda n: _spread(n, letters, d)) for s in sides)
    return replace(line, left=left, right=right, chain=tuple(chain))


def _count(b: Binder, text: Text, numbers: Mapping[str, float]) -> int:
    match b.axes:
        case Number(x):
            d = x
        case Symbol(name):
            d = numbers.get(name, 1)
        case _:
            d = 0.5
    if not float(d).is_integer() or not 1 <= d <= MOST_AXES:
        raise EquationError(
            f"the d of ℤ^d is a whole number from 1 to {MOST_AXES}",
            text.source,
            ((b.span, "here"),),
            "write ℤ^2, or ℤ^d and: where d = 2",
        )
    return int(d)


def _partners(letters: set[str], sides: tuple[Node, ...]) -> frozenset[str]:
    """The letters that stand in one index with those: i of g(i-a)."""
    items = [
        {*index_symbols(item)}
        for s in sides
        for n in nodes(s)
        for item in (n.at if isinstance(n, Indexed) else n.args if isinstance(n, Call) else ())
        if index_like(item)
    ]
    found = set(letters)
    while more := {a for item in items if item & found for a in item} - found:
        found |= more
    return frozenset(found)


def _spread(node: Node, letters: frozenset[str], d: int) -> Node:
    """One node with every index that holds one of the letters as d of them: i as i₁, i₂."""
    if d == 1:
        return node

    def spread(items: tuple[Node, ...]) -> tuple[Node, ...]:
        found: list[Node] = []
        for item in items:
            hit = index_like(item) and letters & {*index_symbols(item)}
            found += [_numbered(item, letters, k) for k in range(1, d + 1)] if hit else [item]
        return tuple(found)

    match node:
        case Indexed(_, at):
            return replace(node, at=spread(at))
        case Call(_, args):
            return replace(node, args=spread(args))
        case Big(_, binders, _):
            each = [
                replace(b, index=_named(b.index, k), axes=None)
                for b in binders
                for k in (range(1, d + 1) if b.index.name in letters else (0,))
            ]
            return replace(node, binders=tuple(each))
        case _:
            return node


def _named(letter: Symbol, k: int) -> Symbol:
    return replace(letter, name=letter.name + str(k).translate(_SUBSCRIPT)) if k else letter


def _numbered(item: Node, letters: frozenset[str], k: int) -> Node:
    return rebuilt(item, lambda n: _named(n, k) if isinstance(n, Symbol) and n.name in letters else n)
