"""Products that share an operand as one: ``x W_i``, ``x W_f``, … as x times the weights side by side.

Three things are merged outside of loops: products with the same left side (the inputs of all gates, the
gradients of all weights), sums of one table after another (the gradients of the biases), and a sum of
products (``∂a_i W_iᵀ + ∂a_f W_fᵀ + …``, one product over a longer axis). A library then has one large product
where it had several small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from chalkgrad.equations.ir import (
    Apply,
    Equation,
    Expr,
    Index,
    Program,
    Range,
    Read,
    Reduce,
    Size,
    extents,
    range_of,
)
from chalkgrad.equations.walk import read_counts, reads
from chalkgrad.kernels.eager.calls import convolves, with_calls
from chalkgrad.kernels.eager.gradients import gathered
from chalkgrad.kernels.eager.steps import Joined, Merged, Parted, Plain, equations_of, made_at, made_by
from chalkgrad.kernels.eager.whole import put_back
from chalkgrad.kernels.eager.winners import keeping_winners, opened, winners_of
from chalkgrad.kernels.schedule import Block, Compiled, Step, schedule
from chalkgrad.kernels.totals import totals_inside

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Sum:
    """One equation ``target = Σ shared · own`` with letters of its own: what must agree to be merged."""

    equation: Equation
    own: Read
    letter: str  # the axis that only ``own`` has
    key: object
    size: int


@dataclass(slots=True)
class _Merging:
    """The steps under way, and the intervals of the names that are added."""

    intervals: dict[str, tuple[Interval, ...]]
    joined: dict[tuple[tuple[str, ...], int], Joined] = field(
        default_factory=dict[tuple[tuple[str, ...], int], Joined]
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """The steps for some names at some sizes: as scheduled, and merged; ranges and intervals by name."""

    ordered: tuple[Step, ...]
    steps: tuple[Merged, ...]
    ranges: Mapping[str, tuple[Range, ...]]
    intervals: Mapping[str, tuple[Interval, ...]]


def planned(
    program: Program,
    wanted: Sequence[str],
    known: Collection[str],
    numbers: Mapping[str, int],
    can: Callable[[Step, Mapping[str, int]], bool] | None = None,
    together: bool = True,
) -> Planned:
    """What computes ``wanted`` where ``known`` is there already, at the sizes ``numbers``.

    ``can`` says which steps may be compiled, None that none is; ``together`` that equations may be merged.
    """
    groups = winners_of(program, numbers) if together else {}
    ordered = schedule(program, opened(wanted, groups), frozenset(opened(known, groups)))
    ordered = totals_inside(ordered, opened(wanted, groups)) if can else ordered
    ranges = {e.target: e.domain for step in ordered for e in equations_of(step)}
    ranges |= {n.name: n.ranges for n in program.names}
    ranges |= {name: g.equations[0].domain for name, g in groups.items()}
    intervals = intervals_of(ranges, numbers)
    left = {e.target for g in groups.values() for e in g.equations}
    called: Sequence[Step | Compiled] = ordered
    if can:
        called = with_calls(
            ordered,
            lambda s: can(s, numbers) and not left & {*made_by(s)} and not convolves(s, numbers, intervals),
        )
    if not together:
        return Planned(ordered, ordered, ranges, intervals)
    plain: Sequence[Plain] = put_back(called, opened(wanted, groups), numbers, intervals)
    plain = gathered(keeping_winners(plain, groups, wanted, known, numbers, intervals), numbers, intervals)
    steps, intervals = merged(plain, intervals, frozenset(wanted), numbers)
    return Planned(ordered, steps, ranges, intervals)


def intervals_of(
    ranges: Mapping[str, tuple[Range, ...]], numbers: Mapping[str, int]
) -> dict[str, tuple[Interval, ...]]:
    """Of each name the intervals of its axes, at the sizes ``numbers``."""
    return {name: tuple(r.interval(numbers) for r in own) for name, own in ranges.items()}


def merged(
    steps: Sequence[Plain],
    intervals: Mapping[str, tuple[Interval, ...]],
    wanted: frozenset[str],
    numbers: Mapping[str, int],
) -> tuple[tuple[Merged, ...], dict[str, tuple[Interval, ...]]]:
    """The steps with sibling products merged, and the intervals of all names, new ones too."""
    state = _Merging(dict(intervals))
    found = _with_joins(_sums_of_products(steps, state, wanted, numbers), state)
    found = _with_joins(_siblings(found, state, numbers), state)
    return tuple(found), state.intervals


def _with_joins(steps: Sequence[Merged], state: _Merging) -> list[Merged]:
    """Every join that is not among the steps yet, right after the last of its parts is made."""
    last = made_at(steps)
    after: dict[int, list[Joined]] = {}
    for join in state.joined.values():
        if join.name not in last:
            after.setdefault(max(last.get(p, -1) for p in join.parts), []).append(join)
    found: list[Merged] = [*after.get(-1, [])]
    for k, step in enumerate(steps):
        found += [step, *after.get(k, [])]
    return found


# --- products with the same left side ------------------------------------------------------------------


def _siblings(steps: Sequence[Merged], state: _Merging, numbers: Mapping[str, int]) -> list[Merged]:
    last = made_at(steps)
    groups: dict[object, list[tuple[int, _Sum]]] = {}
    for k, step in enumerate(steps):
        if isinstance(step, Block):
            for s in _readings(step.equation, state.intervals, numbers):
                groups.setdefault(s.key, []).append((k, s))
    taken: set[int] = set()
    instead: dict[int, list[Merged]] = {}
    for members in sorted(groups.values(), key=len, reverse=True):
        members = [(k, s) for k, s in members if k not in taken]
        first = min((k for k, _ in members), default=0)
        members = [
            (k, s) for k, s in members if all(last.get(r.name, -1) < first for r in reads(s.equation.value))
        ]
        if len(members) < 2 or len({s.own.name for _, s in members}) < len(members):
            continue
        taken |= {k for k, _ in members}
        instead[first] = _together([s for _, s in members], state)
    return [m for k, step in enumerate(steps) for m in instead.get(k, [] if k in taken else [step])]


def _together(sums: Sequence[_Sum], state: _Merging) -> list[Merged]:
    first = sums[0]
    e, position = first.equation, first.equation.axes.index(first.letter)
    dim = next(k for k, i in enumerate(first.own.at) if i == Index.axis(first.letter))
    whole = _joined([s.own.name for s in sums], dim, state)
    sizes = tuple(s.size for s in sums)
    name = f"{e.target}⋆"
    total = Range(first.letter, Size((), sum(sizes)))
    domain = tuple(total if k == position else r for k, r in enumerate(e.domain))
    value = _renamed(e.value, first.own.name, whole)
    old = state.intervals[e.target]
    state.intervals[name] = tuple((0, sum(sizes)) if k == position else i for k, i in enumerate(old))
    parts = tuple(s.equation.target for s in sums)
    return [Block(Equation(name, domain, value)), Parted(name, parts, sizes, position)]


def _joined(parts: Sequence[str], dim: int, state: _Merging) -> str:
    """The name of the parts side by side; what is joined once is not joined again."""
    key = (tuple(parts), dim)
    if key not in state.joined:
        name = f"{'|'.join(parts)}⋆{dim}"
        total = sum(state.intervals[p][dim][1] for p in parts)
        state.intervals[name] = tuple(
            (0, total) if k == dim else i for k, i in enumerate(state.intervals[parts[0]])
        )
        state.joined[key] = Joined(name, key[0], dim)
    return state.joined[key].name


def _readings(
    e: Equation, intervals: Mapping[str, tuple[Interval, ...]], numbers: Mapping[str, int]
) -> list[_Sum]:
    """The equation as ``Σ shared · own``, in each way that it is one."""
    match e.value:
        case Reduce("sum", over, Apply("mul", (Read() as a, Read() as b))) if a.name != b.name:
            pairs = [(a, b), (b, a)]
        case Reduce("sum", over, Read() as b):
            pairs = [(None, b)]
        case _:
            return []
    found: list[_Sum] = []
    for shared, own in pairs:
        letters = [a for a in e.axes if a in _axes(own) and (shared is None or a not in _axes(shared))]
        if len(letters) != 1 or not _is_whole(own, letters[0], e, intervals, numbers):
            continue
        (letter,) = letters
        found.append(
            _Sum(
                e,
                own,
                letter,
                _key(e, over, shared, own, letter, intervals),
                intervals[own.name][_dim(own, letter)][1],
            )
        )
    return found


def _is_whole(
    own: Read,
    letter: str,
    e: Equation,
    intervals: Mapping[str, tuple[Interval, ...]],
    numbers: Mapping[str, int],
) -> bool:
    """Whether the letter goes over a whole axis of what is read, from 0 on, and stands nowhere else."""
    at = [k for k, i in enumerate(own.at) if letter in i.axes]
    if len(at) != 1 or own.at[at[0]] != Index.axis(letter):
        return False
    mine = range_of(e.domain, letter).interval(numbers)
    return mine == intervals[own.name][at[0]] and mine[0] == 0 and mine[1] > 0


def _key(
    e: Equation,
    over: Sequence[Range],
    shared: Read | None,
    own: Read,
    letter: str,
    intervals: Mapping[str, tuple[Interval, ...]],
) -> object:
    """All that must be the same: what is shared, how both are read, over what; letters numbered."""
    order = [*(shared.at if shared else ()), *own.at, *(Index.axis(a) for a in e.axes)]
    numbered = {a: f"#{k}" for k, a in enumerate(dict.fromkeys(a for i in order for a in i.axes))}
    rename = {a: Index.axis(b) for a, b in numbered.items()}
    dim = _dim(own, letter)
    return (
        shared and (shared.name, tuple(i.substitute(rename) for i in shared.at)),
        tuple(i.substitute(rename) for i in own.at),
        frozenset((numbered.get(r.axis, r.axis), r.low, r.size) for r in over),
        tuple((numbered[r.axis], *(() if r.axis == letter else (r.low, r.size))) for r in e.domain),
        tuple(i for k, i in enumerate(intervals[own.name]) if k != dim),
    )


# --- a sum of products ---------------------------------------------------------------------------------


def _sums_of_products(
    steps: Sequence[Plain],
    state: _Merging,
    wanted: frozenset[str],
    numbers: Mapping[str, int],
) -> list[Merged]:
    """``a = p + q + …`` with products p = Σ u v, q = Σ w z alike: one product over an axis as long as all."""
    counts = read_counts(e for step in steps for e in equations_of(step))
    made: dict[str, int] = {}
    for k, step in enumerate(steps):
        for e in equations_of(step):
            made[e.target] = -1 if e.target in made or not isinstance(step, Block) else k
    dropped: set[int] = set()
    instead: dict[int, list[Merged]] = {}
    for k, step in enumerate(steps):
        if not isinstance(step, Block):
            continue
        e = step.equation
        match e.value:
            case Apply("add", terms):
                pass
            case _:
                continue
        here = tuple(Index.axis(a) for a in e.axes)
        alike: dict[object, list[tuple[Read, Equation, int]]] = {}
        for term in terms:
            if not isinstance(term, Read) or term.at != here or counts[term.name] != 1 or term.name in wanted:
                continue
            at = made.get(term.name, -1)
            producer = steps[at] if at >= 0 else None
            if isinstance(producer, Block) and (found := _inner_key(producer.equation, state, numbers)):
                alike.setdefault(found, []).append((term, producer.equation, at))
        for group in alike.values():
            if len(group) < 2:
                continue
            new, target = _longer([p for _, p, _ in group], state)
            gone = {t.name for t, _, _ in group}
            rest = tuple(t for t in terms if not (isinstance(t, Read) and t.name in gone))
            terms = (Read(target, here), *rest)
            instead.setdefault(k, []).append(new)
            dropped |= {at for _, _, at in group}
        if k in instead:
            value = terms[0] if len(terms) == 1 else Apply("add", terms)
            instead[k].append(Block(Equation(e.target, e.domain, value)))
    return [m for k, step in enumerate(steps) if k not in dropped for m in instead.get(k, [step])]


def _inner_key(e: Equation, state: _Merging, numbers: Mapping[str, int]) -> object:
    """What two products must share to be summed in one, but for the size of the one axis they sum over."""
    match e.value:
        case Reduce("sum", (over,), Apply("mul", (Read() as a, Read() as b))) if a.name != b.name:
            pass
        case _:
            return None
    for read in (a, b):
        at = [k for k, i in enumerate(read.at) if over.axis in i.axes]
        if len(at) != 1 or read.at[at[0]] != Index.axis(over.axis):
            return None
        mine = over.interval(numbers)
        if state.intervals[read.name][at[0]] != mine or mine[0] or not mine[1]:
            return None
    numbered = {a: f"#{k}" for k, a in enumerate((*e.axes, over.axis))}
    rename = {a: Index.axis(n) for a, n in numbered.items()}
    other = tuple(
        tuple(i for k, i in enumerate(state.intervals[r.name]) if k != _dim(r, over.axis)) for r in (a, b)
    )
    reading = tuple(tuple(i.substitute(rename) for i in r.at) for r in (a, b))
    return (reading, other, extents(e.domain))


def _longer(products: Sequence[Equation], state: _Merging) -> tuple[Block, str]:
    first = products[0]
    assert isinstance(first.value, Reduce)
    (over,) = first.value.over
    value: Expr = first.value
    operands = [[r.name for r in reads(p.value)] for p in products]
    for n, read in enumerate(reads(first.value)):
        whole = _joined([names[n] for names in operands], _dim(read, over.axis), state)
        value = _renamed(value, read.name, whole)
    total = sum(
        state.intervals[names[0]][_dim(next(iter(reads(first.value))), over.axis)][1] for names in operands
    )
    assert isinstance(value, Reduce)
    name = f"{first.target}⋆"
    state.intervals[name] = state.intervals[first.target]
    long = Reduce("sum", (Range(over.axis, Size((), total)),), value.body)
    return Block(Equation(name, first.domain, long)), name


# --- small things --------------------------------------------------------------------------------------


def _axes(read: Read) -> set[str]:
    return {a for i in read.at for a in i.axes}


def _dim(read: Read, letter: str) -> int:
    return next(k for k, i in enumerate(read.at) if letter in i.axes)


def _renamed(e: Expr, old: str, new: str) -> Expr:
    match e:
        case Reduce(op, over, body):
            return Reduce(op, over, _renamed(body, old, new))
        case Apply(op, args):
            return Apply(op, tuple(_renamed(a, old, new) for a in args))
        case Read(name, at) if name == old:
            return Read(new, at)
        case _:
            return e


__all__ = ["Planned", "intervals_of", "merged", "planned"]
