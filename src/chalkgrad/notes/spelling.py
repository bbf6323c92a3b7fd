"""Syntax tree → text form, as one would type it: ``h[t] = tanh(x[t] W_x + h[t-1] W_h + b)``.

:func:`chalkgrad.language.parse.written.written` shows every bracket that the grammar sees; this shows those
that are needed. What is spelled here is read as the same tree, brackets around single names aside.
"""

from __future__ import annotations

from typing import assert_never

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Binder,
    Call,
    Concat,
    Declaration,
    Group,
    Indexed,
    Line,
    Margin,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
)
from chalkgrad.language.resolve.roles import index_like
from chalkgrad.language.words import STRUCTURED

_POWERS = {2.0: "²", 3.0: "³"}


def spelled_line(line: Line) -> str:
    """An equation in text form.

    >>> from chalkgrad.language.parse.grammar import parse
    >>> spelled_line(parse(r"h_t = \\tanh(W_{xh} x_t + \\frac{1}{2} b)").lines[0])
    'h[t] = tanh(W_xh x[t] + (1/2) b)'
    """
    return " = ".join(_sum(side) for side in (line.left, line.right, *line.chain))


def spelled_declaration(d: Declaration) -> str:
    """What a ``where`` says of a name, in text form: its shape and role, or the function that it is."""
    name = d.name.name + (f"[{','.join(_index(i) for i in d.at)}]" if d.at else "")
    if d.alias is not None:
        return f"{name} = {d.alias.name}"
    if d.number is not None:
        return f"{name} = {d.number:g}"
    if d.edge is not None:
        return f"{name} = {_number(d.edge)}"
    said = [d.role] if d.role else []
    if d.dims is not None:
        said.append("×".join(_size(s) for s in d.dims) if d.dims else "scalar")
    if d.outside is not None:
        margins = "×".join(map(_margin, d.outside.margins))
        value = _number(d.outside.value) if d.outside.value else "zero"
        said.append(f"{value} outside {margins}".rstrip())
    if d.init is not None:
        said.append(f"init {d.init:g}")
    return f"{name}: {' '.join(said)}"


def _sum(node: Node) -> str:
    """A side, or an operand of + and −: a quotient or a product needs no bracket there."""
    match node:
        case Group(Group() as body) | Group(Binary("/" | "·") as body):
            return _sum(body)
        case Binary("+" | "-" as op, left, right):
            return f"{_sum(left)} {op} {_sum(right)}"
        case _:
            return _term(node)


def _term(node: Node) -> str:
    match node:
        case Number(value):
            return _number(value)
        case Symbol(name):
            return name
        case Indexed(base, at):
            return f"{base.name}[{','.join(_index(i) for i in at)}]"
        case Call(base, args):
            name = _called(base)
            function = name in FUNCTIONS or name.split("[")[0] in STRUCTURED
            at = not function and all(index_like(a) for a in args)
            if not (function or at) and (name[:1].isupper() or "_" in name):
                name += " "  # U (r ⊙ h) is a product
            return f"{name}({', '.join(_index(a) if at else _sum(a) for a in args)})"
        case Binary():
            return _binary(node)
        case Negate(body):
            return f"-{_term(body)}"
        case Power(base, exponent):
            if isinstance(exponent, Number) and exponent.value in _POWERS:
                return f"{_term(base)}{_POWERS[exponent.value]}"
            return f"{_term(base)}^{_term(exponent)}"
        case Transpose(body):
            return f"{_term(body)}ᵀ"
        case Group(body):
            inner = body
            while isinstance(inner, Group):
                inner = inner.body
            simple = isinstance(inner, Symbol | Indexed | Call) or (
                isinstance(inner, Number) and inner.value >= 0
            )
            return _term(inner) if simple else f"({_sum(inner)})"
        case Concat(items):
            numbers = all(isinstance(i, Number | Concat | Negate) for i in items)
            return "[" + (", " if numbers else "; ").join(_sum(i) for i in items) + "]"
        case Big(op, binders, body):
            head = "Σ" if op == "sum" else op
            return f"{head}[{','.join(_binder(b) for b in binders)}] {_term(body)}"
        case _:
            assert_never(node)


def _binary(node: Binary) -> str:
    left, right = _term(node.left), _term(node.right)
    match node.op:
        case "+" | "-":
            return f"{_sum(node.left)} {node.op} {_sum(node.right)}"
        case "/":
            return f"{left}/{right}"
        case "⊙":
            return f"{left} ⊙ {right}"
        case "·":
            if isinstance(node.left, Binary) and node.left.op == "/":
                left = f"({left})"
            # A bracket behind a name would be its argument, a number behind a number no product.
            apart = right[0] in "([" or right[0].isdigit() or left.endswith("Σ")
            return f"{left} · {right}" if apart else f"{left} {right}"
        case _:
            assert_never(node.op)


def _called(base: Symbol | Indexed) -> str:
    name = _term(base)
    # [f * g](i) is the name (f∗g) to the resolver.
    return f"[{name[1:-1].replace('∗', ' * ')}]" if name.startswith("(") else name


def _number(value: float) -> str:
    return "∞" if value == float("inf") else "-∞" if value == -float("inf") else f"{value:.15g}"


def _index(node: Node) -> str:
    match node:
        case Binary("+" | "-" as op, left, right):
            return f"{_index(left)}{op}{_index(right)}"
        case Binary("·" | "⊙", Number() as n, Symbol() | Group() as right):
            return f"{_number(n.value)}{_index(right)}"
        case Binary("/", left, Number() as n):
            return f"{_index(left)}/{_number(n.value)}"
        case Negate(body):
            return f"-{_index(body)}"
        case Group(body):
            return _index(body) if isinstance(body, Symbol | Number) else f"({_index(body)})"
        case _:
            return _term(node)


def _size(node: Node) -> str:
    return f"({_index(node)})" if isinstance(node, Binary) and node.op in "+-" else _index(node)


def _margin(m: Margin) -> str:
    before, after = map(_size, m)
    return f"-{before}+{after}" if before != after else f"±{before}" if before != "0" else before


def _binder(b: Binder) -> str:
    letter = b.index.name
    if b.everywhere:
        return f"{letter}∈ℤ" + (f"^{_term(b.axes)}" if b.axes is not None else "")
    if b.low is not None and b.high is not None:
        return f"{letter}={_index(b.low)}..{_index(b.high)}"
    match b.high:
        case None:
            return letter
        case Binary("-", bound, Number(1.0)):
            return f"{letter}<{_index(bound)}"
        case high:
            return f"{letter}≤{_index(high)}"
