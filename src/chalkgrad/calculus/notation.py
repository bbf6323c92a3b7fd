"""How the gradient of a name is written: ``∂h[t]``, ``∂L/∂h[t]`` after Leibniz, or ``h̄[t]`` and ``δ[t]``.

A derivation is one thing; these are three spellings of its formulas. In the last one, usual where automatic
differentiation is taught, a bar is the adjoint of a name and δ that of a pre-activation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal, assert_never

from chalkgrad.calculus.loss import losses
from chalkgrad.equations.formula import (
    Big,
    Call,
    Concatenation,
    Facts,
    Formula,
    Hadamard,
    Negative,
    Number,
    Position,
    Power,
    Product,
    Quotient,
    Relation,
    Sum,
    Symbol,
    Transposed,
)
from chalkgrad.equations.ir import Apply, Name, Program, Read
from chalkgrad.equations.walk import reads
from chalkgrad.language.source import EquationError

Notation = Literal["short", "leibniz", "adjoint"]
NOTATIONS: tuple[Notation, ...] = ("short", "leibniz", "adjoint")

_ARITHMETIC = ("add", "mul", "pow")
_STEPS = "₀₁₂₃₄₅₆₇₈₉₋"
MACRON = "\N{COMBINING MACRON}"

Spelling = Callable[[Symbol], Formula]


def notation_called(name: str) -> Notation:
    """The notation of that name. Raises EquationError for any other."""
    for known in NOTATIONS:
        if name == known:
            return known
    near = get_close_matches(name, NOTATIONS, 1)
    raise EquationError(
        f"there is no notation `{name}`",
        help=f"did you mean {near[0]}"
        if near
        else "short (∂h[t]), leibniz (∂L/∂h[t]) or adjoint (h̄[t], δ[t])",
    )


def spelling(notation: str, forward: Program, derived: Program) -> Spelling:
    """What to write for each symbol of a derivation. Raises EquationError for an unknown notation."""
    match notation_called(notation):
        case "short":
            return lambda s: s
        case "leibniz":
            return _leibniz(forward, derived)
        case "adjoint":
            return _adjoint(forward, derived)


def respelled(f: Formula, spell: Spelling) -> Formula:
    """The formula with every symbol written as ``spell`` says.

    >>> from chalkgrad.equations.formula import text
    >>> body = Product((Transposed(Symbol("x")), Symbol("∂a")))
    >>> text(respelled(body, lambda s: Symbol(s.name.replace("∂", "d"), s.at)))
    'xᵀ da'
    """

    def again(g: Formula) -> Formula:
        return respelled(g, spell)

    def all_of(fs: tuple[Formula, ...]) -> tuple[Formula, ...]:
        return tuple(map(again, fs))

    match f:
        case Symbol():
            return spell(f)
        case Number() | Position() | Facts():
            return f
        case Transposed(body):
            return Transposed(again(body))
        case Negative(body):
            return Negative(again(body))
        case Power(base, exponent):
            return Power(again(base), again(exponent))
        case Quotient(top, bottom):
            return Quotient(again(top), again(bottom))
        case Product(factors):
            return Product(all_of(factors))
        case Hadamard(factors):
            return Hadamard(all_of(factors))
        case Sum(terms):
            return Sum(all_of(terms))
        case Call(function, args):
            return Call(function, all_of(args))
        case Big():
            return replace(f, body=again(f.body))
        case Relation(left, sign, right):
            return Relation(again(left), sign, again(right))
        case Concatenation(parts):
            return Concatenation(all_of(parts))
        case _:
            assert_never(f)


# --- the two other notations ---------------------------------------------------------------------------


def loss_letter(forward: Program) -> str:
    """What the loss is called: its name on the page where it is one number, else a letter that is free."""
    named = losses(forward)
    if len(named) == 1 and not forward[named[0]].ranges:
        return named[0]
    return next(letter for letter in ("L", "ℒ", "ℓ", "E", "loss") if letter not in forward.table)


def _gradients(forward: Program, derived: Program) -> Mapping[str, Name]:
    """The names of a derivation that are gradients: adjoints and seeds, and the losses' own."""
    found = {n.name: n for n in derived.names if n.name not in forward.table and n.of in forward.table}
    found = {n: name for n, name in found.items() if name.role == "seed" or n == f"∂{name.of}"}
    for loss in losses(forward):
        found[f"∂{loss}"] = Name(f"∂{loss}", "seed", of=loss)
    return found


def _is_direct(n: Name) -> bool:
    """A seed beside the adjoint of the same name: what comes from the loss directly, not by later steps."""
    return n.role == "seed" and n.name != f"∂{n.of}"


def _of_a_letter_of_its_own(seed: Name) -> str | None:
    """Where the output, say h, is handed out as y: the step in the seed's name, ``₃`` of ȳ₃, or nothing."""
    base = seed.name.rstrip(_STEPS)
    return seed.name[len(base) :] if base == "ȳ" and seed.of.rstrip(_STEPS) != "y" else None


def _leibniz(forward: Program, derived: Program) -> Spelling:
    letter, gradients = loss_letter(forward), _gradients(forward, derived)

    def spell(s: Symbol) -> Formula:
        n = gradients.get(s.name)
        if n is None:
            return s
        if not _is_direct(n):
            return Quotient(Symbol(f"∂{letter}"), Symbol(f"∂{n.of}", s.at))
        if (step := _of_a_letter_of_its_own(n)) is not None:
            return Quotient(Symbol(f"∂{letter}"), Symbol(f"∂y{step}", s.at))
        return Quotient(Symbol(f"∂⁺{letter}"), Symbol(f"∂{n.of}", s.at))

    return spell


def _adjoint(forward: Program, derived: Program) -> Spelling:
    gradients = _gradients(forward, derived)
    deltas = _deltas(forward)

    def spell(s: Symbol) -> Formula:
        n = gradients.get(s.name)
        if n is None:
            return s
        if not _is_direct(n):
            return Symbol(deltas.get(n.of) or barred(n.of), s.at)
        step = _of_a_letter_of_its_own(n)
        return Symbol(f"ȳ{step}" if step is not None else f"{barred(n.of)}⁺", s.at)

    return spell


def barred(name: str) -> str:
    """The name with a bar over its first letter, also where a label follows: ``W̄_x``."""
    return unicodedata.normalize("NFC", name[0] + MACRON) + name[1:]


def _deltas(forward: Program) -> Mapping[str, str]:
    """δ for each pre-activation: a name that one function takes, point by point, and nothing else reads."""
    users: dict[str, list[bool]] = {}
    for e in forward.equations:
        taken = e.value.args[0] if isinstance(e.value, Apply) and e.value.op not in _ARITHMETIC else None
        for r in reads(e.value):
            users.setdefault(r.name, []).append(isinstance(taken, Read) and r == taken)
    found = [n for n in forward.names if n.role == "defined" and n.name in users and users[n.name] == [True]]
    if any(name.startswith("δ") for name in forward.table):
        return {}
    # A step that is part of the name stays: a₃ gives δ₃.
    bases = {n.name: n.name.rstrip(_STEPS) for n in found}
    if len({*bases.values()}) == 1:
        return {name: "δ" + name.removeprefix(base) for name, base in bases.items()}
    # a_i of gate i gives δ_i, a pre-activation with a name of its own keeps it: δ_z
    return {n.name: "δ_" + (n.name.removeprefix("a_") if n.generated else n.name) for n in found}
