"""The names that sizes and axes have in the end, and the sizes of an expression put in."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
)
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Symbol
from chalkgrad.language.resolve.define import Attempt
from chalkgrad.language.resolve.sizes import Interval

SizeMap = Callable[[Size], Size]
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def named_sizes(attempt: Attempt) -> SizeMap:
    """What a size is in the end; the unknowns that are left get names of their own."""
    unknowns = attempt.unknowns
    used = set(attempt.shapes) | set(attempt.roles.definitions)
    chosen: dict[str, str] = {}
    order = [
        *(n for n in attempt.given() if n in attempt.inputs),
        *attempt.states,
        *attempt.roles.definitions,
        *attempt.shapes,
    ]
    letters = {d.name: d.axes for d in attempt.defined}
    for name in dict.fromkeys(order):
        if name not in attempt.shapes:
            continue
        shape = attempt.shapes[name]
        for k, axis in enumerate(shape.axes):
            for low in unknowns.reduce(axis.low).symbols:
                # Only a beginning: one that depends on a size (a kernel turned round) leaves that size free.
                if low.startswith("?low") and unknowns.open(axis.low):
                    unknowns.unify(Size.symbol(low), Size())
            symbol = unknowns.reduce(axis.size)
            if not unknowns.open(symbol) or symbol.symbols[0] in chosen:
                continue
            letter = letters.get(name, _letters_read(attempt, name))[k] if k < shape.written else ""
            if name in letters and letter in attempt.time:
                # What nothing bounds, a state that reads itself alone, takes as many steps as there are.
                unknowns.unify(symbol, attempt.time[letter].size)
                continue
            capital = letter.upper()
            if len(letter) == 1 and capital != letter and capital not in used | set(chosen.values()):
                chosen[symbol.symbols[0]] = capital
            else:
                inner = len(shape.axes) - sum(
                    a in attempt.roles.recurrence
                    for a in letters.get(name, _letters_read(attempt, name))[: shape.written]
                )
                mark = "" if inner == 1 else str(k + 1).translate(_SUBSCRIPT)
                chosen[symbol.symbols[0]] = f"|{name}|{mark}"

    def size(s: Size) -> Size:
        s = unknowns.reduce(s)
        return s.substitute({a: Size.symbol(b) for a, b in chosen.items()} | _zero_lows(s, chosen))

    return size


def _zero_lows(s: Size, chosen: dict[str, str]) -> dict[str, Size]:
    """A lower end that nothing fixes is 0."""
    return {a: Size() for a in s.symbols if a.startswith("?") and a not in chosen}


def _letters_read(attempt: Attempt, name: str) -> tuple[str, ...]:
    """The letter at which each written axis of a given name is read bare, "" where at none."""
    written = attempt.shapes[name].written
    found = [""] * written
    for u in attempt.uses.get(name, ()):
        for k, item in enumerate(u.at[:written]):
            if isinstance(item, Symbol) and item.name not in attempt.elaborator.sizes:
                found[k] = found[k] or item.name
    return tuple(found)


def as_range(axis: str, interval: Interval, size: SizeMap) -> Range:
    return Range(axis, size(interval.size), size(interval.low))


def canonical_ranges(attempt: Attempt, name: str, size: SizeMap) -> tuple[Range, ...]:
    """The axes of a given name, with the letters it is read at where these are bare."""
    shape = attempt.shapes[name]
    letters: list[str] = []
    read_at = _letters_read(attempt, name)
    taken = set(read_at)
    pool = [a for a in "jkdmneqrpabcuv" if a not in taken and a not in attempt.elaborator.avoid]
    pool += [f"a{n}" for n in range(1, len(shape.axes) + 1)]
    # Positions that are read only at sums of indices, as a picture's are: n; m, n; l, m, n.
    unread = sum(1 for a in read_at if not a)
    positions = ["lmn"[-unread:][k] for k in range(unread)] if unread < 4 else []
    for k in range(len(shape.axes)):
        own = read_at[k] if k < len(read_at) else ""
        if not own or own in letters:
            own = next(
                a
                for a in ([*positions, "n", *pool] if k < shape.written else pool)
                if a not in letters and a not in taken
            )
        letters.append(own)
    return tuple(as_range(a, i, size) for a, i in zip(letters, shape.axes, strict=True))


def resize(e: Expr, size: SizeMap) -> Expr:
    """The expression with every size in it put through ``size``."""

    def index(i: Index) -> Index:
        return Index(i.terms, size(i.shift), i.divisor)

    def ranges(over: tuple[Range, ...]) -> tuple[Range, ...]:
        return tuple(Range(r.axis, size(r.size), size(r.low)) for r in over)

    match e:
        case Const():
            return e
        case At(i):
            return At(index(i))
        case Read(name, at):
            return Read(name, tuple(index(i) for i in at))
        case Apply(op, args):
            return Apply(op, tuple(resize(a, size) for a in args))
        case Reduce(op, over, body):
            return Reduce(op, ranges(over), resize(body, size))
        case ArgMax(over, axis, body):
            return ArgMax(ranges(over), axis, resize(body, size))
        case Guard(conditions, body):
            kept = tuple(Condition(index(c.index), c.kind, c.divisor) for c in conditions)
            return Guard(kept, resize(body, size))
        case _:
            assert_never(e)


def refuse_endless(attempt: Attempt) -> None:
    """A written index that nothing bounds: no given name has its size, and no ``where`` says it."""
    reduce, roles = attempt.unknowns.reduce, attempt.roles
    given = {
        s
        for n in attempt.given()
        if n in attempt.shapes
        for a in attempt.shapes[n].axes
        for s in reduce(a.size).symbols
    }
    for d in attempt.defined:
        for letter, interval in zip(roles.letters(d.name), d.intervals, strict=False):
            loose = any(s.startswith("?") and s not in given for s in reduce(interval.size).symbols)
            if loose and letter not in roles.recurrence:
                raise roles.fail(
                    f"nothing says how far the index `{letter}` runs",
                    (roles.definitions[d.name].span, "nothing that is given is read at it"),
                    help=f"read something at it, or give its size: where {d.name}: "
                    + "×".join(a.upper() for a in roles.letters(d.name)),
                )
