"""Going over expressions: children, rewriting, the reads in them, and a change of axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import assert_never

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Equation,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
)


def children(e: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside this one."""
    match e:
        case Const() | At() | Read():
            return ()
        case Apply(_, args):
            return args
        case Reduce(_, _, body) | ArgMax(_, _, body) | Guard(_, body):
            return (body,)
        case _:
            assert_never(e)


def with_children(e: Expr, new: tuple[Expr, ...]) -> Expr:
    """The same node around other expressions; the node itself where they are the old ones."""
    if all(a is b for a, b in zip(children(e), new, strict=True)):
        return e
    match e:
        case Const() | At() | Read():
            return e
        case Apply(op, _):
            return Apply(op, new)
        case Reduce(op, over, _):
            return Reduce(op, over, new[0])
        case ArgMax(over, axis, _):
            return ArgMax(over, axis, new[0])
        case Guard(conditions, _):
            return Guard(conditions, new[0])
        case _:
            assert_never(e)


def rewrite(e: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """The expression with ``rule`` applied to every node, innermost first."""
    return rule(with_children(e, tuple(rewrite(c, rule) for c in children(e))))


def nodes(e: Expr) -> Iterator[Expr]:
    """Every node, outermost first."""
    waiting = [e]
    while waiting:
        e = waiting.pop()
        yield e
        waiting += reversed(children(e))


def reads(e: Expr) -> Iterator[Read]:
    """Every read in the expression, from left to right."""
    return (n for n in nodes(e) if isinstance(n, Read))


def read_counts(equations: Iterable[Equation]) -> Counter[str]:
    """How often each name is read."""
    return Counter(r.name for e in equations for r in reads(e.value))


def needed(equations: Iterable[Equation], wanted: Iterable[str], known: Collection[str] = ()) -> set[str]:
    """The names that ``wanted`` depend on, themselves included; what is ``known`` depends on nothing."""
    sources: dict[str, list[str]] = {}
    for e in equations:
        sources.setdefault(e.target, []).extend(r.name for r in reads(e.value))
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += () if name in known else sources.get(name, ())
    return found


def free_axes(e: Expr) -> tuple[str, ...]:
    """The axes that the expression depends on and does not bind itself, in order of appearance."""
    found: dict[str, None] = {}
    match e:
        case Const():
            pass
        case At(index):
            found.update(dict.fromkeys(index.axes))
        case Read(_, at):
            for index in at:
                found.update(dict.fromkeys(index.axes))
        case Apply(_, args):
            for a in args:
                found.update(dict.fromkeys(free_axes(a)))
        case Reduce(_, over, body) | ArgMax(over, _, body):
            bound = {r.axis for r in over}
            found.update(dict.fromkeys(a for a in free_axes(body) if a not in bound))
        case Guard(conditions, body):
            for c in conditions:
                found.update(dict.fromkeys(c.index.axes))
            found.update(dict.fromkeys(free_axes(body)))
        case _:
            assert_never(e)
    return tuple(found)


def bound_axes(e: Expr) -> set[str]:
    """The axes that some reduction inside the expression binds."""
    return {r.axis for n in nodes(e) if isinstance(n, Reduce | ArgMax) for r in n.over}


def fresh(letter: str, taken: set[str]) -> str:
    """``letter``, with as many primes as keep it apart from ``taken``."""
    while letter in taken:
        letter += "′"
    return letter


def substitute(e: Expr, values: Mapping[str, Index]) -> Expr:
    """The expression with axes replaced by indices. Bound axes that would capture one are renamed first.

    >>> from chalkgrad.equations.ir import Index, Read
    >>> substitute(Read("h", (Index.axis("t"),)), {"t": Index.axis("t") + 1}).at[0]
    Index(terms=(('t', 1),), shift=Size(terms=(), const=1), divisor=1)
    """
    if not values:
        return e
    match e:
        case Const():
            return e
        case At(index):
            return At(index.substitute(values))
        case Read(name, at):
            return Read(name, tuple(i.substitute(values) for i in at))
        case Apply(op, args):
            return Apply(op, tuple(substitute(a, values) for a in args))
        case Guard(conditions, body):
            return Guard(tuple(substitute_condition(c, values) for c in conditions), substitute(body, values))
        case Reduce(op, over, body):
            over, inner = _avoid_capture(over, values)
            return Reduce(op, over, substitute(body, inner))
        case ArgMax(over, axis, body):
            position = [r.axis for r in over].index(axis)
            over, inner = _avoid_capture(over, values)
            return ArgMax(over, over[position].axis, substitute(body, inner))
        case _:
            assert_never(e)


def substitute_condition(c: Condition, values: Mapping[str, Index]) -> Condition:
    """The condition with axes replaced by indices; a divisor that comes in is multiplied away."""
    index = c.index.substitute(values)
    if index.divisor == 1:
        return Condition(index, c.kind, c.divisor)
    whole = Index(index.terms, index.shift)
    return Condition(whole, c.kind, c.divisor * index.divisor if c.kind == "divisible" else 1)


def _avoid_capture(
    over: tuple[Range, ...], values: Mapping[str, Index]
) -> tuple[tuple[Range, ...], Mapping[str, Index]]:
    bound = {r.axis for r in over}
    inner = {a: i for a, i in values.items() if a not in bound}
    taken = {a for i in inner.values() for a in i.axes}
    clashes = [r.axis for r in over if r.axis in taken]
    if not clashes:
        return over, inner
    taken |= bound
    renamed: dict[str, str] = {}
    for axis in clashes:
        renamed[axis] = fresh(axis, taken)
        taken.add(renamed[axis])
    inner.update({old: Index.axis(new) for old, new in renamed.items()})
    return tuple(Range(renamed.get(r.axis, r.axis), r.size, r.low) for r in over), inner


def inside(index: Index, r: Range) -> list[Condition]:
    """What makes an index a point of a range."""
    found = [Condition(whole(index - r.low)), Condition(whole(index * -1 + (r.high - 1)))]
    if index.divisor > 1:
        found.append(Condition(whole(index), "divisible", index.divisor))
    return found


def whole(index: Index) -> Index:
    """The index times its divisor: the same sign, and zero at the same points."""
    return Index(index.terms, index.shift)
