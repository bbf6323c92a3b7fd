"""From a reading to a program: sizes get their names, states their starts, and the outputs are found."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
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
    Name,
    Program,
    Range,
    Read,
    Reduce,
    State,
    full,
)
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import fresh, reads
from chalkgrad.language.define import Attempt, Defined
from chalkgrad.language.sizes import Interval

SizeMap = Callable[[Size], Size]
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def finish(attempt: Attempt) -> Program:
    """The program of a reading, without what reaches no output.

    Raises EquationError where a state is read both ways.
    """
    size = _named_sizes(attempt)
    equations: list[Equation] = []
    names: list[Name] = []
    states: list[State] = []
    taken = set(attempt.shapes)
    given = [n for n in attempt.given() if n in attempt.shapes]
    for role in ("input", "parameter"):
        for n in given:
            if (n in attempt.inputs) == (role == "input"):
                names.append(Name(n, role, _canonical(attempt, n, size), attempt.shapes[n].written))
    for d in attempt.defined:
        ranges = tuple(_range(a, i, size) for a, i in zip(d.axes, d.intervals, strict=True))
        value = resize(d.value, size)
        own = _states(attempt, d, ranges, taken)
        states += [s for s, _ in own]
        hull = ranges
        for state, box in own:
            r, k = hull[state.position], state.position
            low = r.low - state.depth if state.forward else r.low
            hull = (*hull[:k], Range(r.axis, r.size + state.depth, low), *hull[k + 1 :])
            if d.name in attempt.starts:
                equations.append(_given_start(attempt.starts[d.name], d, box, size))
            else:
                names.append(Name(state.start, "start", box, of=d.name))
                equations.append(Equation(d.name, box, Read(state.start, full(box))))
        names.append(Name(d.name, "defined", hull, attempt.shapes[d.name].written))
        equations.append(Equation(d.name, ranges, value))
    columns = attempt.elaborator.algebra.column_products >= attempt.elaborator.algebra.row_products
    outputs = _outputs(attempt)
    kept = _needed(equations, outputs) | attempt.inputs
    return Program(
        tuple(e for e in equations if e.target in kept),
        tuple(n for n in names if n.name in kept),
        outputs,
        tuple(s for s in states if s.start and s.name in kept),
        columns,
    )


def _needed(equations: Iterable[Equation], outputs: Iterable[str]) -> set[str]:
    """Every name that the outputs depend on, themselves included."""
    needed = set(outputs)
    todo = list(needed)
    while todo:
        name = todo.pop()
        for e in equations:
            if e.target == name:
                found = {r.name for r in reads(e.value)} - needed
                needed |= found
                todo += found
    return needed


# --- sizes -------------------------------------------------------------------------------------------------


def _named_sizes(attempt: Attempt) -> SizeMap:
    """What a size is in the end; the unknowns that are left get names of their own."""
    unknowns = attempt.unknowns
    used = set(attempt.shapes) | set(attempt.roles.definitions)
    chosen: dict[str, str] = {}
    order = [*attempt.inputs, *attempt.states, *attempt.roles.definitions, *attempt.shapes]
    letters = {d.name: d.axes for d in attempt.defined}
    for name in dict.fromkeys(order):
        if name not in attempt.shapes:
            continue
        shape = attempt.shapes[name]
        for k, axis in enumerate(shape.axes):
            for low in unknowns.reduce(axis.low).symbols:
                if low.startswith("?") and unknowns.open(axis.low):
                    unknowns.unify(Size.symbol(low), Size())
            symbol = unknowns.reduce(axis.size)
            if not unknowns.open(symbol) or symbol.symbols[0] in chosen:
                continue
            letter = letters.get(name, _letters_read(attempt, name))[k] if k < shape.written else ""
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
            symbol = getattr(item, "name", "")
            found[k] = found[k] or symbol
    return tuple(found)


def _range(axis: str, interval: Interval, size: SizeMap) -> Range:
    return Range(axis, size(interval.size), size(interval.low))


def _canonical(attempt: Attempt, name: str, size: SizeMap) -> tuple[Range, ...]:
    """The axes of a given name, with the letters it is read at where these are bare."""
    shape = attempt.shapes[name]
    letters: list[str] = []
    read_at = _letters_read(attempt, name)
    taken = set(read_at)
    pool = [a for a in "jkdmneqrpabcuv" if a not in taken and a not in attempt.elaborator.avoid]
    pool += [f"a{n}" for n in range(1, len(shape.axes) + 1)]
    for k in range(len(shape.axes)):
        own = read_at[k] if k < len(read_at) else ""
        if not own or own in letters:
            own = next(
                a
                for a in (["n", *pool] if k < shape.written else pool)
                if a not in letters and a not in taken
            )
        letters.append(own)
    return tuple(_range(a, i, size) for a, i in zip(letters, shape.axes, strict=True))


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


# --- states ------------------------------------------------------------------------------------------------


def _states(
    attempt: Attempt, d: Defined, ranges: tuple[Range, ...], taken: set[str]
) -> list[tuple[State, tuple[Range, ...]]]:
    """The states of a definition, each with the box that its start fills."""
    found: list[tuple[State, tuple[Range, ...]]] = []
    box_ranges = ranges
    positions = attempt.states.get(d.name, {})
    for position, shifts in sorted(positions.items()):
        forward = shifts[0][0] < 0
        other = next(((s, span) for s, span in shifts if (s < 0) != forward), None)
        if other is not None:
            raise attempt.roles.fail(
                f"`{d.name}` is read both behind and ahead of itself",
                (shifts[0][1], "here"),
                (other[1], "and here the other way"),
                help="a recurrence runs one way: use two names, one for each direction",
            )
        depth = max(abs(s) for s, _ in shifts)
        r = box_ranges[position]
        low = r.low - depth if forward else r.high
        box = (*box_ranges[:position], Range(r.axis, Size((), depth), low), *box_ranges[position + 1 :])
        start = fresh(f"{d.name}₀" if len(positions) == 1 else f"{d.name}₀{d.axes[position]}", taken)
        taken.add(start)
        found.append(
            (State(d.name, position, depth, forward, "" if d.name in attempt.starts else start), box)
        )
        # The next direction's start covers the corner too.
        widened = Range(r.axis, r.size + depth, low if forward else r.low)
        box_ranges = (*box_ranges[:position], widened, *box_ranges[position + 1 :])
    return found


def _given_start(start: Defined, d: Defined, box: tuple[Range, ...], size: SizeMap) -> Equation:
    """``h[0] = …`` as an equation on the box before the recurrence."""
    trailing = box[len(box) - len(start.axes) :]
    ahead = box[: len(box) - len(start.axes)]
    renamed = tuple(Range(a, r.size, r.low) for a, r in zip(start.axes, trailing, strict=True))
    return Equation(d.name, (*ahead, *renamed), resize(start.value, size))


# --- outputs -----------------------------------------------------------------------------------------------


def _outputs(attempt: Attempt) -> tuple[str, ...]:
    """The names that nothing reads in place; a state that is read only at a shift is one of them."""
    roles = attempt.roles
    said = tuple(n for n, d in roles.declared.items() if d.role == "output")
    if said:
        return said
    sinks = [n for n in roles.definitions if n not in _read_in_place(attempt)]
    cyclic = [n for n in sinks if n in {m for g in roles.groups for m in g}]
    if cyclic:
        # What only hangs off a recurrence at a shift (the note's g and i that c forgot) is not an output.
        hanging = {n for n in sinks if n not in cyclic and _hangs(attempt, n, cyclic)}
        sinks = [n for n in sinks if n not in hanging]
    return tuple(sinks) or tuple(roles.definitions)[-1:]


def _read_in_place(attempt: Attempt) -> set[str]:
    """Names that some other definition reads unshifted, or at fixed or summed places."""
    roles, found = attempt.roles, set[str]()
    for n in roles.definitions:
        for u in attempt.all_uses[n]:
            if u.name not in roles.definitions or u.name == n:
                continue
            shifted = any(roles.shift(n, i, a) for a in roles.recurrence - u.bound for i in u.at)
            if not shifted:
                found.add(u.name)
    return found


def _hangs(attempt: Attempt, name: str, cyclic: Iterable[str]) -> bool:
    """Whether a sink reads a cycle, and only names of cycles whose own output is among the sinks."""
    read = {u.name for u in attempt.all_uses[name] if u.name in attempt.roles.definitions}
    return bool(read) and all(
        any(attempt.roles.group(r) == attempt.roles.group(c) for c in cyclic) for r in read
    )


def warnings_of(attempt: Attempt, program: Program) -> tuple[str, ...]:
    """What is probably not meant: a definition that reaches no output, names alike but for case or accent."""
    found: list[str] = []
    lost = [n for n in attempt.roles.definitions if n not in program.table]
    if lost:
        verb = "reach" if len(lost) > 1 else "reaches"
        found.append(f"{' and '.join(lost)} never {verb} the output {', '.join(program.outputs)}")
    folded: dict[str, str] = {}
    for n in attempt.shapes:
        key = (
            unicodedata.normalize("NFD", n).encode("ascii", "ignore").decode().lower()
            if n.isalpha()
            else n.lower()
        )
        if key and len(n) > 1 and key in folded:
            found.append(f"{folded[key]} and {n} differ only in case or accent")
        if key:
            folded.setdefault(key, n)
    return tuple(found)
