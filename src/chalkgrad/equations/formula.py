"""A formula as it stands on a page, and how to write it in plain Unicode.

Equations are printed in index form (:mod:`chalkgrad.equations.show`) and in matrix form
(:mod:`chalkgrad.calculus.matrix`), in Unicode (here) and in LaTeX (:mod:`chalkgrad.calculus.latex`). Both
forms are first made into a formula, so that where a bracket must stand is decided once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from chalkgrad.equations.ir import Condition, Index, Range
from chalkgrad.equations.ops import OPS
from chalkgrad.equations.size import Size


@dataclass(frozen=True, slots=True)
class Number:
    """A number, not negative: a minus sign is a :class:`Negative`."""

    value: float


@dataclass(frozen=True, slots=True)
class Position:
    """An index or a size standing as a number."""

    index: Index


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an implicit axis: ``:H``, ``H:``, or all of it, ``:``."""

    low: Size | None = None
    high: Size | None = None

    def __str__(self) -> str:
        low, high = ("" if s is None else str(s).replace(" ", "") for s in (self.low, self.high))
        return f"{low}:{high}"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name with what stands in its brackets."""

    name: str
    at: tuple[Index | Slice, ...] = ()


@dataclass(frozen=True, slots=True)
class Transposed:
    body: Formula


@dataclass(frozen=True, slots=True)
class Power:
    base: Formula
    exponent: Formula


@dataclass(frozen=True, slots=True)
class Quotient:
    top: Formula
    bottom: Formula


@dataclass(frozen=True, slots=True)
class Product:
    """Factors side by side: numbers, or matrices and what scales them."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Hadamard:
    """Factors multiplied element by element, ⊙."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Negative:
    body: Formula


@dataclass(frozen=True, slots=True)
class Call:
    """A function of :data:`chalkgrad.equations.ops.OPS`, or a reduction of all elements: ``sum``."""

    function: str
    args: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Big:
    """Σ, max, min, logsumexp or argmax over axes. ``bounds`` says whether to write how far they run."""

    op: Literal["sum", "max", "min", "logsumexp", "argmax"]
    over: tuple[Range, ...]
    body: Formula
    bounds: bool = False
    axis: str = ""  # which coordinate of an argmax over several axes


@dataclass(frozen=True, slots=True)
class Facts:
    """Iverson's bracket around facts about indices: 1 where all hold, else 0."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Iverson's bracket around a comparison of values: ``[x>0]``."""

    left: Formula
    sign: Literal[">", "="]
    right: Formula


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Vectors one after the other: ``[h[t-1]; x[t]]``."""

    parts: tuple[Formula, ...]


Formula = (
    Number
    | Position
    | Symbol
    | Transposed
    | Power
    | Quotient
    | Product
    | Hadamard
    | Sum
    | Negative
    | Call
    | Big
    | Facts
    | Relation
    | Concatenation
)


# --- building ------------------------------------------------------------------------------------------


def number(value: float) -> Formula:
    """A number with its sign."""
    value = int(value) if float(value).is_integer() else value
    return Negative(Number(-value)) if value < 0 else Number(value)


def product(*factors: Formula) -> Formula:
    """Factors side by side, flattened; ones dropped and minus signs brought to the front."""
    minus, flat = False, list[Formula]()
    for f in factors:
        if isinstance(f, Negative):
            minus, f = not minus, f.body
        flat += f.factors if isinstance(f, Product) else () if f == Number(1) else (f,)
    whole = Number(1) if not flat else flat[0] if len(flat) == 1 else Product(tuple(flat))
    return Negative(whole) if minus else whole


def hadamard(*factors: Formula) -> Formula:
    """Factors multiplied element by element, flattened, minus signs brought to the front."""
    minus, flat = False, list[Formula]()
    for f in factors:
        if isinstance(f, Negative):
            minus, f = not minus, f.body
        flat += f.factors if isinstance(f, Hadamard) else (f,)
    whole = flat[0] if len(flat) == 1 else Hadamard(tuple(flat))
    return Negative(whole) if minus else whole


def quotient(top: Formula, bottom: Formula) -> Formula:
    """``top / bottom`` with the sign in front."""
    if isinstance(top, Negative):
        return Negative(quotient(top.body, bottom))
    return top if bottom == Number(1) else Quotient(top, bottom)


def total(*terms: Formula) -> Formula:
    """The sum, flattened."""
    flat = [u for t in terms for u in (t.terms if isinstance(t, Sum) else (t,))]
    return flat[0] if len(flat) == 1 else Sum(tuple(flat))


def big_sum(over: tuple[Range, ...], body: Formula, bounds: bool = False) -> Formula:
    """Σ over axes, its sign in front and sums inside one another made one."""
    if not over:
        return body
    if isinstance(body, Negative):
        return Negative(big_sum(over, body.body, bounds))
    if isinstance(body, Big) and body.op == "sum":
        return Big("sum", (*over, *body.over), body.body, bounds or body.bounds)
    return Big("sum", over, body, bounds)


def transposed(f: Formula) -> Formula:
    match f:
        case Transposed(body):
            return body
        case Negative(body):
            return Negative(transposed(body))
        case _:
            return Transposed(f)


# --- where brackets stand ------------------------------------------------------------------------------

Place = Literal["term", "signed", "big", "factor", "last", "element", "top", "base"]


def bracketed(f: Formula, place: Place) -> bool:
    """Whether ``f`` needs brackets: as a term, after a minus, under Σ, as a factor (the last one), by ⊙, over
    a quotient's line, or under a superscript."""
    match f:
        case Number() | Symbol() | Call() | Facts() | Relation() | Concatenation():
            return False
        case Position(index):
            return place not in ("term", "big") and not _one_letter(index)
        case Power() | Transposed():
            return place == "base"
        case Sum() | Negative():
            return True
        case Big():
            return place not in ("term", "signed", "big", "last")
        case Product(factors) if place == "top" and isinstance(factors[-1], Big):
            return True  # else the line would seem to stand under Σ
        case Product() | Hadamard():
            return place not in ("term", "signed", "big", "top")
        case Quotient() if is_derivative(f):
            return place not in ("term", "signed", "big", "element")
        case Quotient():
            return place not in ("term", "signed", "big")
        case _:
            assert_never(f)


def is_derivative(f: Quotient) -> bool:
    """Whether this is ∂L/∂h in Leibniz' notation, which is read as one symbol."""
    match f:
        case Quotient(Symbol(top), Symbol(bottom)):
            return top.startswith("∂") and bottom.startswith("∂")
        case _:
            return False


def _one_letter(index: Index) -> bool:
    pieces = len(index.terms) + len(index.shift.terms) + bool(index.shift.const)
    unit = all(k == 1 for _, k in (*index.terms, *index.shift.terms))
    return pieces <= 1 and unit and index.divisor == 1 and index.shift.const >= 0


# --- Unicode -------------------------------------------------------------------------------------------

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_BIG = {"sum": "Σ", "max": "max", "min": "min", "logsumexp": "logsumexp", "argmax": "argmax"}


def text(f: Formula) -> str:
    """The formula in plain Unicode, with no more brackets than it needs.

    >>> t = Index.axis("t")
    >>> text(Hadamard((Symbol("∂h", (t,)), Sum((Number(1), Negative(Power(Symbol("h", (t,)), Number(2))))))))
    '∂h[t] ⊙ (1 - h[t]²)'
    """
    match f:
        case Number(value):
            return f"{value:.12g}"
        case Position(index):
            return str(index)
        case Symbol(name, at):
            return f"{name}[{','.join(map(str, at))}]" if at else name
        case Transposed(body):
            return _in(body, "base") + "ᵀ"
        case Power(base, exponent):
            return _in(base, "base") + _raised(exponent)
        case Quotient(top, bottom):
            line = "/" if is_derivative(f) else " / "
            return _in(top, "top") + line + _in(bottom, "element")
        case Product(factors) if all(isinstance(g, Quotient) and is_derivative(g) for g in factors):
            return " · ".join(map(text, factors))  # a chain of derivatives, each read as one symbol
        case Product(factors):
            return " ".join(_in(g, "last" if g is factors[-1] else "factor") for g in factors)
        case Hadamard(factors):
            return " ⊙ ".join(_in(g, "element") for g in factors)
        case Negative(body):
            return "-" + _in(body, "signed")
        case Sum(terms):
            first, *rest = terms
            shown = text(first)
            for term in rest:
                minus = isinstance(term, Negative)
                shown += f" - {_in(term.body, 'signed')}" if minus else f" + {_in(term, 'term')}"
            return shown
        case Call("sum", args):
            return f"Σ({', '.join(map(text, args))})"
        case Call(function, args):
            return f"{shown_name(function)}({', '.join(map(text, args))})"
        case Big(op, over, body, bounds, axis):
            which = f".{axis}" if axis and len(over) > 1 else ""
            axes = ",".join(str(r).replace(" ", "") if bounds else r.axis for r in over)
            if op == "logsumexp":
                return f"{_BIG[op]}[{axes}]({text(body)})"
            return f"{_BIG[op]}{which}[{axes}] {_in(body, 'big')}"
        case Facts(conditions):
            return f"[{', '.join(map(fact, conditions))}]"
        case Relation(left, sign, right):
            gap = " " if isinstance(left, Sum | Negative | Product | Hadamard | Big) else ""
            return f"[{text(left)}{gap}{sign}{gap}{text(right)}]"
        case Concatenation(parts):
            return f"[{'; '.join(map(text, parts))}]"
        case _:
            assert_never(f)


def shown_name(function: str) -> str:
    """How a function's or a reduction's name is printed in text."""
    return OPS[function].shown if function in OPS else function


def fact(c: Condition) -> str:
    """A condition as a person writes it: ``t≤T-2`` for one axis, else ``n-j≥0``."""
    axis, bound = one_axis(c)
    match c.kind:
        case "nonnegative" if axis and c.index.coefficient(axis) > 0:
            return f"{axis}≥{bound}"
        case "nonnegative" if axis and bound.shift.terms and bound.shift.const == -1:
            return f"{axis}<{bound + 1}"
        case "nonnegative" if axis:
            return f"{axis}≤{bound}"
        case "zero" if axis:
            return f"{axis}={bound}"
        case "zero" if not c.index.shift.terms and sorted(k for _, k in c.index.terms) == [-1, 1]:
            (a, _), (b, _) = sorted(c.index.terms)
            shift = c.index.shift.const * -c.index.coefficient(a)
            return f"{a}={Index.axis(b) + shift}"
        case _:
            return str(c)


def one_axis(c: Condition) -> tuple[str, Index]:
    """The one axis a condition bounds, and by what; an empty letter where it is not of that kind."""
    if len(c.index.terms) != 1 or c.kind == "divisible" or c.index.divisor != 1:
        return "", c.index
    axis, k = c.index.terms[0]
    return (axis, Index((), c.index.shift * -k)) if k in (1, -1) else ("", c.index)


def _in(f: Formula, place: Place) -> str:
    return f"({text(f)})" if bracketed(f, place) else text(f)


def _raised(exponent: Formula) -> str:
    whole = text(exponent)
    if set(whole) <= set("0123456789-"):
        return whole.translate(_RAISED)
    return f"^{_in(exponent, 'base')}"
