"""Equations in index form, every axis written out.

``h[t,k] = tanh(Σ[d] x[t,d] W_x[d,k] + Σ[j] h[t-1,j] W_h[j,k] + b[k])``
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from chalkgrad.equations.formula import (
    Big,
    Call,
    Facts,
    Formula,
    Position,
    Power,
    Relation,
    Symbol,
    big_sum,
    number,
    product,
    quotient,
    text,
    total,
)
from chalkgrad.equations.ir import (
    ONE,
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Equation,
    Expr,
    Guard,
    Index,
    Name,
    Program,
    Range,
    Read,
    Reduce,
)
from chalkgrad.equations.ops import otherwise, power
from chalkgrad.equations.walk import reads

_NO_NAMES: Mapping[str, Name] = {}


@dataclass(frozen=True)
class Page:
    """How much to write: every guard or only those that say something, and how far each Σ runs.

    In a gradient, a guard that only keeps an adjoint or another computed name inside its own range says
    nothing new: a term that reads one outside is absent. ``names`` holds the ranges.
    """

    names: Mapping[str, Name] = field(default_factory=lambda: _NO_NAMES)
    guards: bool = False
    bounds: bool = False


def show(
    what: Expr | Equation | Program,
    *,
    names: Mapping[str, Name] | None = None,
    guards: bool = False,
    bounds: bool = False,
) -> str:
    """The expression, equation or program in index form, one line per equation.

    ``guards`` shows every guard as ``[n-j≥0]``, also those in a gradient that only keep an adjoint or another
    computed name inside its own range (ranges are in ``names``; a program has its own). ``bounds`` writes
    ``Σ[j<3]`` for ``Σ[j]`` everywhere, not only where nothing else says how far j runs.

    >>> from chalkgrad.equations.ir import Index, Range, Size
    >>> i, j = Index.axis("i"), Index.axis("j")
    >>> body = Apply("mul", (Read("V", (j,)), Read("x", (i + j,))))
    >>> print(show(Reduce("sum", (Range("j", Size.symbol("K")),), body)))
    Σ[j] V[j] x[i+j]
    """
    match what:
        case Program():
            page = Page(what.table, guards, bounds)
            return "\n".join(equation_line(e, page, len(what.defining(e.target)) > 1) for e in what.equations)
        case Equation():
            return equation_line(what, Page(names or _NO_NAMES, guards, bounds))
        case _:
            return text(formula(what, Page(names or _NO_NAMES, guards, bounds)))


def equation_line(e: Equation, page: Page, where: bool = False) -> str:
    """One equation in index form; ``where`` adds the box it holds on."""
    line = f"{text(left_side(e))} = {text(formula(e.value, page))}"
    return f"{line}  for {box(e.domain)}" if where and e.domain else line


def left_side(e: Equation) -> Formula:
    return Symbol(e.target, tuple(Index.axis(a) for a in e.axes))


def box(domain: Iterable[Range]) -> str:
    """The points of a domain: ``t=-1, k<H``."""
    return ", ".join(
        f"{r.axis}={str(r.low).replace(' ', '')}" if r.size == ONE else str(r).replace(" ", "")
        for r in domain
    )


# --- one expression ------------------------------------------------------------------------------------


def formula(e: Expr, page: Page) -> Formula:
    """The expression as a formula in index form."""
    match e:
        case Const(value):
            return number(value)
        case At(index):
            return _position(index)
        case Read(name, at):
            return Symbol(name, at)
        case Guard(conditions, body):
            rest = told(conditions, body, page)
            return product(*facts(rest), formula(body, page))
        case Reduce(op, over, body):
            inner, bounds = formula(body, page), page.bounds or unbounded(over, body)
            return big_sum(over, inner, bounds) if op == "sum" else Big(op, over, inner, bounds)
        case ArgMax(over, axis, body):
            return Big("argmax", over, formula(body, page), page.bounds or unbounded(over, body), axis)
        case Apply("add", args):
            return total(*(formula(a, page) for a in args))
        case Apply("pow", (base, Const(value))) if value > 0:
            return raised(formula(base, page), value)
        case Apply("pow", (base, exponent)) if not isinstance(exponent, Const):
            return raised(formula(base, page), formula(exponent, page))
        case Apply("mul" | "pow", _):
            above, below = fraction(e)
            top = product(*(formula(a, page) for a in above))
            return quotient(top, product(*(formula(a, page) for a in below)))
        case Apply("select", _) if found := otherwise(e):
            conditions, read, value = found
            return applied("select", (Facts(conditions), formula(read, page), number(value)))
        case Apply(op, args):
            return applied(op, tuple(formula(a, page) for a in args))
        case _:
            assert_never(e)


def applied(op: str, args: tuple[Formula, ...]) -> Formula:
    """A function of formulas: comparisons as Iverson's brackets, everything else by name."""
    match op:
        case "step":
            return Relation(args[0], ">", number(0))
        case "equal":
            return Relation(args[0], "=", args[1])
        case _:
            return Call(op, args)


def fraction(e: Expr) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """The factors above and below the line of a product; negative powers stand below."""
    above: list[Expr] = []
    below: list[Expr] = []
    for f in e.args if isinstance(e, Apply) and e.op == "mul" else (e,):
        if isinstance(f, Apply) and f.op == "pow" and isinstance(f.args[1], Const) and f.args[1].value < 0:
            below.append(power(f.args[0], -f.args[1].value))
        else:
            above.append(f)
    return tuple(above), tuple(below)


def raised(base: Formula, exponent: Formula | float) -> Formula:
    """``base`` to a power; the square root by its name."""
    if exponent == 0.5:
        return Call("sqrt", (base,))
    return Power(base, number(exponent) if isinstance(exponent, float | int) else exponent)


def unbounded(over: Iterable[Range], body: Expr) -> bool:
    """Whether some axis has no read that says how far it runs: a pooling window's ``max[p<2] x[2i+p]``."""
    plain = {i.plain() for read in reads(body) for i in read.at}
    return any(r.axis not in plain for r in over)


def _position(index: Index) -> Formula:
    bare = not index.terms and index.divisor == 1
    return number(index.shift.constant) if bare and index.shift.constant is not None else Position(index)


# --- guards --------------------------------------------------------------------------------------------


def facts(conditions: tuple[Condition, ...]) -> tuple[Formula, ...]:
    """Conditions as a factor, or nothing where there are none."""
    return (Facts(conditions),) if conditions else ()


def told(conditions: tuple[Condition, ...], body: Expr, page: Page) -> tuple[Condition, ...]:
    """The conditions worth writing: in a term of a gradient, not those which only keep an adjoint or another
    computed name inside its own range. That an index is whole (a stride's ``2|n-p``) is always said."""
    found = [(page.names[r.name], r) for r in reads(body) if r.name in page.names]
    if page.guards or not any(is_adjoint(name) for name, _ in found):
        return conditions
    known = [
        bound
        for name, read in found
        if is_adjoint(name) or name.role == "defined"
        for r, index in zip(name.ranges, read.at, strict=True)
        for bound in (index - r.low, (index - (r.high - 1)) * -1)
    ]
    return tuple(c for c in conditions if c.kind != "nonnegative" or not any(_follows(c, k) for k in known))


def is_adjoint(name: Name) -> bool:
    """Whether the name is a gradient: an adjoint, or a seed that arrives from the loss."""
    return name.role == "seed" or name.name.startswith("∂")


def _follows(c: Condition, known: Index) -> bool:
    """Whether ``c`` holds wherever ``known ≥ 0``."""
    whole = Index(known.terms, known.shift)
    slack = c.index - whole
    return not slack.terms and slack.shift.surely_nonnegative()
