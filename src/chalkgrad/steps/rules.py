"""The rules of differentiation by their names, as they are said beside a line."""

from __future__ import annotations

from collections.abc import Collection

from chalkgrad.calculus.explain import Remark
from chalkgrad.calculus.gather import Contribution, Turned
from chalkgrad.equations.formula import Formula, Position, Symbol
from chalkgrad.equations.ir import Const, Index, Name, Read
from chalkgrad.equations.ops import OPS
from chalkgrad.equations.show import Page, formula


def rule(c: Contribution) -> Remark:
    """By which rule a read gets its share: ``chain rule through tanh: tanh' = 1 - tanh²``.

    >>> from chalkgrad.calculus.derive import ledger
    >>> from chalkgrad.language.resolve import read
    >>> found = ledger(read("y[t] = tanh(x[t] W + b)").program)
    >>> [rule(c) for name in ("W", "b") for c in found.entries[name]]
    [('product rule',), ('alone in its term: passed on as it is',)]
    """
    if not c.rules:
        return ("alone in its term: passed on as it is",)
    if isinstance(c.factor, Const) and {*c.rules} == {"mul"}:
        return ("a number is its factor",)
    parts: list[str | Formula] = []
    for name in dict.fromkeys(c.rules):
        parts += [*((", ",) if parts else ()), *_named(name)]
    return tuple(parts)


def _named(r: str) -> Remark:
    match r:
        case "mul":
            return ("product rule",)
        case "pow":
            return ("power rule",)
        case "logsumexp":
            return ("slope of logsumexp: the softmax",)
        case "max" | "min":
            return (f"slope of {r}: 1 for the first winner, 0 for the others",)
        case _:
            return _through(r)


def _through(op: str) -> Remark:
    """``chain rule through tanh: tanh' = 1 - tanh²``, the function standing for its own result."""
    record = OPS[op]
    name = Symbol(record.shown)
    said = ("chain rule through ", name)
    if record.arity != 1:
        return said
    slope = record.slopes[0](Read(record.shown), (Read("x"),))
    return (*said, ": ", Symbol(f"{record.shown}'"), " = ", formula(slope, Page()))


def is_trivial(c: Contribution, t: Turned, along: Collection[str]) -> bool:
    """Whether a contribution stands at the target's own index already, up to the letters."""
    return all(i.plain() is not None for i in c.at) and not any(_is_summed(t, a) for a in along)


def collected(c: Contribution, t: Turned, target: Name, along: Collection[str]) -> Remark:
    """How a contribution comes to stand at the target's own index: ``t+1 for t``, ``n = i+p, so i = n-p``,
    ``summed over t``. ``along`` holds the axes of the iteration that stand in brackets."""
    said: list[Remark] = []
    for r, index in zip(target.ranges, c.at, strict=True):
        if not index.axes:
            said.append(("read at ", Symbol(r.axis), " = ", Position(index), " only"))
        elif index.plain() is None:
            said.append(_solved(r.axis, index, t))
    if not said:
        new = {a: t.places[a].plain() for a in along if t.places[a].plain() not in (a, None)}
        said += [(f"{b} for {a}",) for a, b in new.items()]
    if axes := ", ".join(t.places[a].axes[0] for a in along if _is_summed(t, a)):
        shared = target.role == "parameter"
        said.append((f"summed over {axes}", *((": ", Symbol(target.name), " is shared") if shared else ())))
    parts: list[str | Formula] = []
    for one in said:
        parts += [*(("; ",) if parts else ()), *one]
    return tuple(parts)


def _solved(letter: str, index: Index, t: Turned) -> Remark:
    """What the target's letter, which the read's index is, says of the iteration."""
    axis = index.axes[0]
    if index.axes == (letter,) and index.coefficient(letter) == index.divisor == 1:
        return ("index shifted: ", Position(t.places[axis]), f" for {axis}")
    solved = next((a for a in index.axes if t.places[a].plain() is None), axis)
    known = {a: t.places[a] for a in index.axes if a != solved}
    # Where the two letters are one, the new one gets a prime.
    new = letter if letter != solved else f"{letter}′"
    there = t.places[solved].substitute({letter: Index.axis(new)})
    left = Position(index.substitute(known))
    return ("index solved: ", Symbol(new), " = ", left, ", so ", Symbol(solved), " = ", Position(there))


def _is_summed(t: Turned, axis: str) -> bool:
    return t.places[axis].plain() in {r.axis for r in t.summed}
