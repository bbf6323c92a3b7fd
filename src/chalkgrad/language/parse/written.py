"""A syntax tree back as text, with every bracket that the grammar sees."""

from __future__ import annotations

from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Call,
    Concat,
    Group,
    Indexed,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
)

_BIG = {"sum": "Σ", "max": "max", "min": "min"}


def written(node: Node) -> str:
    """The node as text, a bracket around every operation inside another one.

    >>> from chalkgrad.language.parse.grammar import parse
    >>> written(parse("y = a + b c ⊙ d").lines[0].right)
    'a + ((b · c) ⊙ d)'
    """
    match node:
        case Number(value):
            return f"{value:g}"
        case Symbol(name):
            return name
        case Indexed(base, at):
            return f"{base.name}[{','.join(_tight(i) for i in at)}]"
        case Call(base, args):
            return f"{written(base)}({', '.join(written(a) for a in args)})"
        case Binary(op, left, right):
            return f"{_inner(left)} {op} {_inner(right)}"
        case Negate(body):
            return f"-{_inner(body)}"
        case Power(base, exponent):
            return f"{_inner(base)}^{_inner(exponent)}"
        case Transpose(body):
            return f"{_inner(body)}ᵀ"
        case Group(body):
            return written(body)
        case Concat(items):
            return "[" + "; ".join(written(i) for i in items) + "]"
        case Big(op, binders, body):
            ranges: list[str] = []
            for b in binders:
                low = "" if b.low is None else f"{_tight(b.low)}≤"
                high = "" if b.high is None else f"≤{_tight(b.high)}"
                ranges.append(f"{low}{b.index.name}{high}" + ("∈ℤ" if b.everywhere else ""))
            return f"{_BIG[op]}[{','.join(ranges)}] {_inner(body)}"


def _inner(node: Node) -> str:
    while isinstance(node, Group):
        node = node.body
    text = written(node)
    return f"({text})" if isinstance(node, Binary | Negate | Big) else text


def _tight(node: Node) -> str:
    return written(node).replace(" · ", "").replace(" ", "")
