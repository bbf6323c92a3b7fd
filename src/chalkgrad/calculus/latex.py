r"""A formula in LaTeX: ``Σ[t] x[t]ᵀ ∂a[t]`` is ``\sum_{t} x_{t}^{\top}\,\partial a_{t}``."""

from __future__ import annotations

import re
import unicodedata
from typing import assert_never

from chalkgrad.equations.formula import (
    Big,
    Call,
    Concatenation,
    Facts,
    Formula,
    Hadamard,
    Negative,
    Number,
    Place,
    Position,
    Power,
    Product,
    Quotient,
    Relation,
    Slice,
    Sum,
    Symbol,
    Transposed,
    bracketed,
    fact,
)
from chalkgrad.equations.ir import Index
from chalkgrad.equations.ops import OPS

_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋", "0123456789-")
_PARTIAL = {"": r"\partial ", "⁺": r"\partial^{+} "}
_ACCENTS = {"tilde": "tilde", "hat": "hat", "bar": "bar"}
_SIGNS = {"≥": r"\ge ", "≤": r"\le ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "<": "< "}
_BIG = {
    "sum": r"\sum",
    "max": r"\max",
    "min": r"\min",
    "logsumexp": r"\operatorname{logsumexp}",
    "argmax": r"\operatorname*{arg\,max}",
}


def latex(f: Formula) -> str:
    r"""The formula in LaTeX.

    >>> print(latex(Product((Transposed(Symbol("h_tilde", (Index.axis("t"),))), Symbol("∂W_X_1")))))
    \tilde{h}_{t}^{\top}\,\partial W_{X}^{(1)}
    """
    match f:
        case Number(value):
            mantissa, _, exponent = f"{value:.12g}".partition("e")
            return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
        case Position(index):
            return indices(str(index))
        case Symbol(name, at):
            return symbol(name, at)
        case Transposed(Symbol(name, at)):
            return symbol(name, at, r"\top")
        case Transposed(body):
            return f"{_in(body, 'base')}^{{\\top}}"
        case Power(Symbol() as base, exponent):
            plain = latex(base)
            # Two superscripts on one letter are an error in LaTeX: a name that has one gets brackets.
            has_one = "^" in plain or "'" in plain
            return f"{_brackets(plain) if has_one else plain}^{{{latex(exponent)}}}"
        case Power(base, exponent):
            return f"{_in(base, 'base')}^{{{latex(exponent)}}}"
        case Quotient(top, bottom):
            return rf"\frac{{{latex(top)}}}{{{latex(bottom)}}}"
        case Product(factors):
            return r"\,".join(_in(g, "last" if g is factors[-1] else "factor") for g in factors)
        case Hadamard(factors):
            return r" \odot ".join(_in(g, "element") for g in factors)
        case Negative(body):
            return "-" + _in(body, "signed")
        case Sum(terms):
            first, *rest = terms
            shown = latex(first)
            for term in rest:
                minus = isinstance(term, Negative)
                shown += f" - {_in(term.body, 'signed')}" if minus else f" + {_in(term, 'term')}"
            return shown
        case Call("sqrt", (body,)):
            return rf"\sqrt{{{latex(body)}}}"
        case Call(function, args):
            return function_name(function) + _brackets(", ".join(map(latex, args)))
        case Big(op, over, body, bounds, axis):
            axes = ",".join(indices(str(r) if bounds else r.axis) for r in over)
            which = f"^{{{indices(axis)}}}" if axis and len(over) > 1 else ""
            inner = _brackets(latex(body)) if op == "logsumexp" else " " + _in(body, "big")
            return f"{_BIG[op]}_{{{axes}}}{which}{inner}"
        case Facts(conditions):
            return _square(", ".join(indices(fact(c)) for c in conditions))
        case Relation(left, sign, right):
            return _square(f"{latex(left)} {sign} {latex(right)}")
        case Concatenation(parts):
            return _square(r";\, ".join(map(latex, parts)))
        case _:
            assert_never(f)


def _in(f: Formula, place: Place) -> str:
    # A fraction's line already does what brackets around it would.
    inside = bracketed(f, place) and not (isinstance(f, Quotient) and place in ("factor", "last", "element"))
    return _brackets(latex(f)) if inside else latex(f)


def _brackets(inner: str) -> str:
    return rf"\left({inner}\right)"


def _square(inner: str) -> str:
    return rf"\left[{inner}\right]"


# --- names ---------------------------------------------------------------------------------------------


def symbol(name: str, at: tuple[Index | Slice, ...] = (), raised: str = "") -> str:
    r"""A name and its indices: ``W_X_1`` is ``W_{X}^{(1)}``, ``a_i[t]`` is ``a_{t}^{(i)}``.

    An index takes the subscript, and a part of the name that would stand there goes up, in brackets.

    >>> print(symbol("∂₂y'"), symbol("h₀"), symbol("c_tilde"), symbol("α_rec"))
    \partial_{2} y' h_{0} \tilde{c} \alpha_{rec}
    """
    if parts := [i for i in at if isinstance(i, Slice)]:
        whole = symbol(name, tuple(i for i in at if not isinstance(i, Slice)))
        return (
            whole + _square(",".join(indices(str(i)) for i in parts)) + (f"^{{{raised}}}" if raised else "")
        )
    partial, bare = re.fullmatch(r"((?:∂[₀-₉⁺]*)*)(.*)", name, re.DOTALL).groups()  # pyright: ignore[reportOptionalMemberAccess]
    orders = partial.split("∂")[1:]
    head, *labels = unicodedata.normalize("NFD", bare).split("_")
    accents = [["bar"] if "\u0304" in head else []]
    head = head.replace("\u0304", "")
    # A step that is part of the name, c_tilde₃, stands after everything.
    *front, last = [head, *labels]
    last, direct, digits = re.fullmatch(r"(.*?)(⁺?)([₋₀-₉]*)", last).groups()  # pyright: ignore[reportOptionalMemberAccess]
    head, *labels = [*front, last]
    for label in labels:
        # c_tilde has its accent on c, a_c_tilde on the label c.
        if label in _ACCENTS:
            accents[-1].append(_ACCENTS[label])
        else:
            accents.append([])
    labels = [x for x in labels if x not in _ACCENTS]
    head, primes = re.fullmatch(r"(.*?)(['′]*)", head).groups()  # pyright: ignore[reportOptionalMemberAccess]
    letters, inner = re.fullmatch(r"(.*?)([₀-₉]*)", head).groups()  # pyright: ignore[reportOptionalMemberAccess]
    base = _accented(letter(letters), accents[0])
    lower = [d.translate(_LOWERED) for d in (inner, digits) if d]
    upper: list[str] = []
    for n, (label, above) in enumerate(zip(labels, accents[1:], strict=True)):
        (upper if n or at or lower else lower).append(_accented(indices(label), above))
    subscript = ",".join(lower)
    if at:
        subscript = ",".join([*lower, *(indices(str(i)) for i in at)])
    shown = base + (f"_{{{subscript}}}" if subscript else "")
    # A prime is a superscript: it joins the others.
    over = [r"\prime" * len(primes)] if primes and (upper or raised) else []
    over += [f"({','.join(upper)})"] if upper else []
    over += ["+"] if direct else []
    over += [raised] if raised else []
    if over:
        shown += f"^{{{''.join(over)}}}"
    elif primes:
        shown = base + "'" * len(primes) + (f"_{{{subscript}}}" if subscript else "")
    signs = (_PARTIAL.get(n) or rf"\partial_{{{n.translate(_LOWERED)}}} " for n in orders)
    return "".join(signs) + shown


def _accented(base: str, accents: list[str]) -> str:
    for accent in accents:
        base = rf"\{accent}{{{base}}}"
    return base


def letter(name: str) -> str:
    r"""A letter as LaTeX has it: ``α`` is ``\alpha``, a word is ``\mathrm{word}``."""
    if len(name) == 1 and "GREEK" in unicodedata.name(name, ""):
        words = unicodedata.name(name).split()
        command = words[-1].lower().replace("lamda", "lambda")
        if command == "omicron":
            return "o"
        return "\\" + (command.capitalize() if "CAPITAL" in words else command)
    if name == "ℒ":
        return r"\mathcal{L}"
    if name.startswith("(") and "∗" in name:
        f, _, g = name[1:-1].partition("∗")
        return f"({letter(f)} * {letter(g)})"  # of [f * g](i)
    return name if len(name) == 1 else rf"\mathrm{{{name}}}"


def indices(shown: str) -> str:
    """What stands in a script: letters and signs as LaTeX has them."""
    shown = re.sub(r"[Α-ω]", lambda m: letter(m[0]) + " ", shown.replace("′", "'"))
    return "".join(_SIGNS.get(c, c) for c in shown).rstrip()


def function_name(function: str) -> str:
    """A function's or a reduction's name."""
    if function in OPS:
        return OPS[function].latex
    return _BIG.get(function) or rf"\operatorname{{{function}}}"
