"""Short forms for programs that are built by hand.

``r("h[t-1,k]")`` is a read, ``total("d<D", …)`` a sum, ``eq("h", "0≤t≤T-1, k<H", …)`` an equation. In indices
capitals are sizes and small letters axes.
"""

from __future__ import annotations

import re

from chalkgrad.equations.ir import (
    Condition,
    Equation,
    Expr,
    Guard,
    Index,
    Name,
    Range,
    Read,
    Reduce,
    ReduceOp,
    Role,
    Size,
)
from chalkgrad.equations.ops import add, apply, mul


def index(text: str) -> Index:
    """``2i+p-K+1`` as an index.

    >>> str(index("n-j")), str(index("T-1"))
    ('n-j', 'T-1')
    """
    out = Index()
    for sign, number, letter in re.findall(r"([+-]?)(\d*)([^\W\d_]*′*)", text.replace(" ", "")):
        if number or letter:
            k = int(number or 1) * (-1 if sign == "-" else 1)
            if letter and letter[0].islower():
                out = out + Index(((letter, k),))
            else:
                out = out + (Size.symbol(letter) * k if letter else k)
    return out


def ranges(text: str) -> tuple[Range, ...]:
    """``-1≤t≤T-1, k<H`` as ranges.

    >>> ", ".join(str(r) for r in ranges("-1≤t≤T-1, k<H"))
    '-1≤t≤T - 1, k<H'
    """
    out: list[Range] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        if "<" in part:
            axis, size = part.split("<")
            out.append(Range(axis, index(size).shift))
        else:
            low, axis, high = part.split("≤")
            out.append(Range(axis, index(high).shift - index(low).shift + 1, index(low).shift))
    return tuple(out)


def r(text: str) -> Read:
    """``h[t-1,k]`` or ``α`` as a read."""
    name, _, at = text.rstrip("]").partition("[")
    return Read(name, tuple(index(i) for i in at.split(",")) if at else ())


def when(conditions: str, body: Expr) -> Guard:
    """The body where every ``index≥0`` of ``conditions`` holds; also ``index=0`` and ``2|index``."""
    found: list[Condition] = []
    for c in conditions.split(","):
        if "|" in c:
            divisor, at = c.split("|")
            found.append(Condition(index(at), "divisible", int(divisor)))
        elif "≥" in c:
            found.append(Condition(index(c.split("≥")[0])))
        else:
            found.append(Condition(index(c.split("=")[0]), "zero"))
    return Guard(tuple(found), body)


def total(over: str, *factors: Expr) -> Reduce:
    return reduction("sum", over, *factors)


def reduction(op: ReduceOp, over: str, *factors: Expr) -> Reduce:
    return Reduce(op, ranges(over), mul(*factors))


def f(op: str, *args: Expr) -> Expr:
    return apply(op, *args)


def eq(target: str, domain: str, value: Expr) -> Equation:
    return Equation(target, ranges(domain), value)


def name(text: str, role: Role, written: int | None = None, of: str = "") -> Name:
    """``h[-1≤t≤T-1, k<H]`` as a name; every axis is written in brackets unless ``written`` says less."""
    bare, _, over = text.rstrip("]").partition("[")
    found = ranges(over)
    return Name(bare, role, found, len(found) if written is None else min(written, len(found)), of)


def x(text: str, written: int | None = None) -> Name:
    return name(text, "input", written)


def w(*texts: str, written: int = 0) -> tuple[Name, ...]:
    return tuple(name(text, "parameter", written) for text in texts)


def d(text: str, written: int | None = None) -> Name:
    return name(text, "defined", written)


def state(of: str, over: str, start: str, written: int = 1) -> tuple[Name, Name]:
    """A state and its start: their ranges agree but for the axis of recurrence, which stands first."""
    axis, rest = start.partition(",")[::2]
    return (
        name(f"{of}₀[{axis},{rest}]", "start", written, of=of),
        name(f"{of}[{over},{rest}]", "defined", written),
    )


def affine(inputs: str, target: str, x_name: str = "x", h_at: str = "t-1", h: str = "h") -> tuple[Expr, ...]:
    """The terms ``x[t] W_x… + h[t-1] W_h…`` of a gate, without the bias."""
    return (
        total("d<D", r(f"{x_name}[t,d]"), r(f"W_x{inputs}[d,{target}]")),
        total("j<H", r(f"{h}[{h_at},j]"), r(f"W_h{inputs}[j,{target}]")),
    )


def gate(op: str, letter: str, *more: Expr) -> Expr:
    return f(op, add(*affine(letter, "k"), *more, r(f"b_{letter}[k]")))
