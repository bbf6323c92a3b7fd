r"""An equation as it stands on the page, in LaTeX, in pieces between which a line may be broken.

The syntax tree is what was written, so ``softmax[s](e[t,s])`` is drawn as that and not as what it is made of.
"""

from __future__ import annotations

import re
from typing import Any, assert_never, cast

from chalkgrad.calculus.latex import indices, letter, symbol
from chalkgrad.equations.ops import FUNCTIONS, OPS
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Binder,
    Call,
    Concat,
    Group,
    Indexed,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Text,
    Transpose,
)

_LOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_BIG = {"sum": r"\sum", "max": r"\max", "min": r"\min"}


def equations(text: Text) -> dict[str, tuple[str, ...]]:
    r"""For each name that is defined, its equation in pieces; the first has the left side in it.

    >>> from chalkgrad.language.parse.grammar import parse
    >>> equations(parse("h[t] = tanh(x[t] W + b)"))["h"]
    ('h_{t} = \\tanh(x_{t}\\,W', '+ b)')
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in text.lines:
        name = _name(line.left)
        if name:  # where a start has a line of its own, the other one follows it
            first, *rest = pieces(line.right)
            found[name] = tuple(map(lowered, (f"{latex(line.left)} = {first}", *rest)))
    return found


def lowered(latex: str) -> str:
    r"""LaTeX with the digits of ``a₁`` as subscripts: the fonts of a picture have none that stand low.

    >>> lowered("g_{a₁,a₂}")
    'g_{a_{1},a_{2}}'
    """
    return re.sub("[₀-₉]+", lambda m: f"_{{{m[0].translate(_LOW)}}}", latex)


def _name(left: Node) -> str:
    match left:
        case Symbol(name):
            return name
        case Indexed(base) | Call(base):
            return base.name if isinstance(base, Symbol) else base.base.name
        case _:
            return ""


def pieces(node: Node) -> list[str]:
    """A right side, cut before each + and - that stands outside of brackets or in those of one function."""
    match node:
        case Binary("+" | "-" as op, left, right):
            first, *rest = pieces(right)
            return [*pieces(left), f"{op} {first}", *rest]
        case Call(base, (argument,)):
            first, *rest = pieces(argument)
            found = [f"{_function(base)}({first}", *rest]
            return [*found[:-1], found[-1] + ")"]
        case _:
            return [latex(node)]


def latex(node: Node) -> str:
    r"""The node in the part of LaTeX that matplotlib sets: brackets of one size, no fractions in fractions.

    >>> from chalkgrad.language.parse.grammar import parse
    >>> latex(parse("y = σ(W_f [h[t-1]; x[t]]) ⊙ vᵀ u²").lines[0].right)
    '\\sigma(W_{f}\\,[h_{t-1};\\, x_{t}]) \\odot v^{\\mathrm{T}}\\,u^{2}'
    """
    match node:
        case Number(value):
            return f"{value:g}"
        case Symbol(name):
            return symbol(name)
        case Indexed(base, at):
            return _indexed(base.name, at)
        case Call(Symbol("sqrt"), (body,)):
            return rf"\sqrt{{{latex(body)}}}"
        case Call(base, args):
            return f"{_function(base)}({', '.join(map(latex, args))})"
        case Binary("/", left, right):
            return rf"\frac{{{latex(_bare(left))}}}{{{latex(_bare(right))}}}"
        case Binary(op, left, right):
            sign = {"⊙": r" \odot ", "·": r"\,"}.get(op, f" {op} ")
            return f"{latex(left)}{sign}{latex(right)}"
        case Negate(body):
            return f"-{latex(body)}"
        case Power(base, exponent):
            shown = latex(base)
            shown = f"({shown})" if "^" in shown or "'" in shown else shown
            return f"{shown}^{{{latex(_bare(exponent))}}}"
        case Transpose(Symbol(name)):
            return symbol(name, (), r"\mathrm{T}")
        case Transpose(Indexed(base, at)):
            return _indexed(base.name, at, r"\mathrm{T}")
        case Transpose(body):
            return rf"{latex(body)}^{{\mathrm{{T}}}}"
        case Group(body):
            return f"({latex(body)})"
        case Concat(items):
            return "[" + r";\, ".join(map(latex, items)) + "]"
        case Big(op, binders, body):
            return rf"{_BIG[op]}{_range(binders)}\,{latex(body)}"
        case _:
            assert_never(node)


def _range(binders: tuple[Binder, ...]) -> str:
    """How far a Σ or a maximum runs, below it and, where one index has both ends, above it."""
    if len(binders) == 1 and (low := binders[0].low) is not None and (high := binders[0].high) is not None:
        return f"_{{{indices(binders[0].index.name)}={_script(low)}}}^{{{_script(high)}}}"
    return "_{" + ",".join(map(_bound, binders)) + "}"


def _bound(b: Binder) -> str:
    shown = indices(b.index.name)
    if b.everywhere:
        return shown + r" \in \mathbb{Z}"
    low = "" if b.low is None else rf"{_script(b.low)} \leq "
    high = b.high
    if high is None:
        return low + shown
    if isinstance(high, Binary) and high.op == "-" and high.right == Number(1, high.right.span):
        return f"{low}{shown} < {_script(high.left)}"
    return rf"{low}{shown} \leq {_script(high)}"


def _bare(node: Node) -> Node:
    return node.body if isinstance(node, Group) else node


def _indexed(name: str, at: tuple[Node, ...], raised: str = "") -> str:
    # `symbol` asks of an index only how it is printed.
    return symbol(name, cast(Any, tuple(map(_script, at))), raised)


def _script(node: Node) -> str:
    """An index, close together: ``t-1``, ``2i+p``."""
    match node:
        case Number(value):
            return f"{value:g}"
        case Symbol(name):
            return name
        case Binary("+" | "-" as op, left, right):
            return f"{_script(left)}{op}{_script(right)}"
        case Binary(_, left, right):
            return f"{_script(left)}{_script(right)}"
        case Negate(body):
            return f"-{_script(body)}"
        case Group(body):
            return f"({_script(body)})"
        case _:
            return latex(node)


def _function(base: Symbol | Indexed) -> str:
    """A function's name, with the index that it goes over."""
    if isinstance(base, Indexed):
        return f"{_function(base.base)}_{{{','.join(indices(_script(i)) for i in base.at)}}}"
    name = base.name
    if name in FUNCTIONS:
        return OPS[FUNCTIONS[name]].latex
    return letter(name) if len(name) == 1 else rf"\operatorname{{{name.replace('_', ' ')}}}"
