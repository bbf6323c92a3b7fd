"""Steps of a plan → parts of one call: loops, products and sums of whole tables, and what is pointwise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from chalkgrad.equations.ir import Apply, ArgMax, Equation, Expr, Index, Range, Read, Reduce, extents, full
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import nodes, read_counts, reads
from chalkgrad.kernels.c.lower import (
    Lowered,
    Nest,
    Pointwise,
    equations_in,
    is_pointwise,
    lower,
)
from chalkgrad.kernels.c.storage import storage
from chalkgrad.kernels.schedule import Block, Loop, Step, equations_of


@dataclass(frozen=True, slots=True)
class Factor:
    """One of several products with the same left operand; ``column`` is the letter of its last axis.

    Added to what is there where ``more``.
    """

    equation: Equation
    left: Read
    right: Read
    over: tuple[Range, ...]
    column: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Matrices:
    """``target[rows, column] = Σ[over] left · right`` for each factor, the left operand read once."""

    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """``target = Σ[over] body``, added up row by row: the target's last axis is the body's too."""

    equation: Equation
    over: tuple[Range, ...]
    body: Expr


Part = Lowered | Matrices | Sum | Pointwise | Nest


def equations_of_part(part: Part) -> tuple[Equation, ...]:
    """The equations that a part computes."""
    match part:
        case Matrices(factors):
            return tuple(f.equation for f in factors)
        case Sum(e):
            return (e,)
        case _:
            return equations_in(part)


@dataclass(frozen=True, slots=True)
class Within:
    """A name that is a piece of another one: of ``whole`` along axis ``dim``, from ``first`` on."""

    whole: str
    dim: int
    first: Size


@dataclass(frozen=True, slots=True)
class Segment:
    """The parts of one call, in order, and where its names live.

    ``given`` are read and not made. ``kept`` are wanted afterwards, ``tables`` have a value at every step or
    belong to none, ``scratch`` one for the step at hand, ``local`` none: they are computed when read.
    ``position`` says which axis of a name is its loop's, the first in memory. ``aliases`` are wanted too:
    parts of what is kept, in place, and of what. ``within`` are names that lie in others. A call is about
    the one ``step`` of its loop, or about all.
    """

    parts: tuple[Part, ...]
    given: tuple[str, ...]
    kept: tuple[str, ...]
    tables: tuple[str, ...]
    scratch: tuple[str, ...]
    local: frozenset[str]
    position: Mapping[str, int]
    names: Mapping[str, tuple[Range, ...]]
    aliases: Mapping[str, str]
    within: Mapping[str, Within] = field(default_factory=dict[str, Within])
    step: Size | None = None


def can_stand(step: Step) -> bool:
    """Whether a step can be a part of a segment: what is left to a library's functions cannot."""
    match step:
        case Loop():
            return True
        case Block(e):
            found = is_pointwise(e.value) or _factor(e) is not None or _sum(e) is not None
            return found or _reads_once(e) or len(_with_left_named(e)) > 1


def _reads_once(e: Equation) -> bool:
    """Whether an equation reduces rows of a table as large as all that it goes over: a softmax, a norm."""
    reductions = [n for n in nodes(e.value) if isinstance(n, Reduce | ArgMax)]
    return bool(reductions) and all(_is_of_rows(n, e) for n in reductions)


def _is_of_rows(n: Reduce | ArgMax, e: Equation) -> bool:
    axes = {*e.axes, *(r.axis for r in n.over)}
    whole = any(axes <= {a for i in r.at for a in i.axes} for r in reads(n.body))
    return whole and is_pointwise(n.body)


def _is_block(step: Step) -> TypeGuard[Block]:
    return isinstance(step, Block)


def is_product(step: Step) -> bool:
    """Whether a step is a product of two matrices."""
    return isinstance(step, Block) and any(_factor(e) for e in _with_left_named(step.equation))


def segment(
    steps: Sequence[Step], wanted: Collection[str], names: Mapping[str, tuple[Range, ...]]
) -> Segment:
    """The parts that compute some steps; ``wanted`` is read afterwards, ``names`` gives every name's axes."""
    aliases = _aliases(steps, wanted)
    steps = [s for s in steps if not (isinstance(s, Block) and s.equation.target in aliases)]
    wanted = (set(wanted) - aliases.keys()) | {e.name for e in aliases.values()}
    steps = [p for s in steps for p in (map(Block, _with_left_named(s.equation)) if _is_block(s) else [s])]
    parts = _gathered(_into_one([_part(s, wanted, steps) for s in steps], wanted, names))
    names = {
        **names,
        **{e.target: e.domain for p in parts for e in equations_of_part(p) if e.target not in names},
    }
    equations = [e for p in parts for e in equations_of_part(p)]
    made = dict.fromkeys(e.target for e in equations)
    loops = [p for p in parts if isinstance(p, Lowered)]
    rest = [e for p in parts if not isinstance(p, Lowered) for e in equations_of_part(p)]
    outside = {*wanted, *(e.target for e in rest), *read_counts(rest)}
    lives = storage(made, loops, outside)
    return Segment(
        tuple(parts),
        tuple(dict.fromkeys(r.name for e in equations for r in reads(e.value) if r.name not in made)),
        tuple(n for n in lives.tables if n in wanted),
        tuple(n for n in lives.tables if n not in wanted),
        lives.scratch,
        lives.local,
        lives.position,
        names,
        {target: read.name for target, read in aliases.items()},
    )


def _aliases(steps: Sequence[Step], wanted: Collection[str]) -> dict[str, Read]:
    """What is wanted and is a part of another name, in place."""
    equations = [e for s in steps for e in equations_of(s)]
    made = {e.target for e in equations}
    read = {r.name for e in equations for r in reads(e.value)}
    found = {
        e.target: e.value
        for s in steps
        if isinstance(s, Block)
        and isinstance((e := s.equation).value, Read)
        and e.value.name in made
        and e.value.at == full(e.domain)
        and e.target in wanted
        and e.target not in read
        and sum(o.target == e.target for o in equations) == 1
    }
    return {n: r for n, r in found.items() if r.name not in found}


def _part(step: Step, wanted: Collection[str], steps: Iterable[Step]) -> Part:
    match step:
        case Loop():
            others = {r.name for s in steps if s is not step for e in equations_of(s) for r in reads(e.value)}
            return lower(step, others | set(wanted))
        case Block(e):
            if is_pointwise(e.value):
                return Pointwise((e,))
            if factor := _factor(e):
                return Matrices((factor,))
            return _sum(e) or Nest(e)


# --- products and sums ---------------------------------------------------------------------------------


def _letters(r: Read) -> tuple[str, ...] | None:
    """The axes of a read, each by itself in one index and once; None for any other."""
    found: list[str] = []
    for i in r.at:
        if i.divisor != 1 or len(i.terms) > 1 or any(k != 1 for _, k in i.terms):
            return None
        found += i.axes
    return tuple(found) if len(set(found)) == len(found) else None


def _factor(e: Equation) -> Factor | None:
    """The equation as a product of two matrices: rows · columns, rows of one or two axes."""
    match e.value:
        case Reduce("sum", over, Apply("mul", (Read() as a, Read() as b))):
            pass
        case _:
            return None
    for left, right in ((a, b), (b, a)):
        mine, theirs = _letters(left), _letters(right)
        if mine is None or theirs is None or not e.axes or len(over) > 2:
            return None
        column = e.axes[-1]
        summed = {r.axis for r in over}
        rows = [x for x in e.axes if x != column]
        if set(theirs) == {column, *summed} and set(mine) == {*rows, *summed} and len(rows) <= 2:
            return Factor(e, left, right, over, column)
    return None


def _with_left_named(e: Equation) -> list[Equation]:
    """A product of more than two factors, all but one of them an equation of its own: ``Σ (f ⊙ h)ᵀ ∂a``."""
    match e.value:
        case Reduce("sum", over, Apply("mul", factors)) if len(factors) > 2 and e.axes:
            pass
        case _:
            return [e]
    column, summed = e.axes[-1], {r.axis for r in over}
    rows = tuple(r for r in e.domain if r.axis != column)
    left = {*summed, *(r.axis for r in rows)}
    for k, right in enumerate(factors):
        rest = tuple(f for j, f in enumerate(factors) if j != k)
        found = [{a for i in r.at for a in i.axes} for f in rest for r in reads(f)]
        whole = isinstance(right, Read) and set(_letters(right) or ()) == {column, *summed}
        if whole and all(map(is_pointwise, rest)) and left in found and all(a <= left for a in found):
            domain = (*over, *rows)
            name = f"{e.target}·left"
            value = Reduce("sum", over, Apply("mul", (Read(name, full(domain)), right)))
            made = Equation(e.target, e.domain, value)
            return [Equation(name, domain, Apply("mul", rest)), made] if _factor(made) else [e]
    return [e]


def _sum(e: Equation) -> Sum | None:
    """The equation as a sum of rows of a table."""
    match e.value:
        case Reduce("sum", over, body):
            pass
        case _:
            return None
    summed = {r.axis for r in over}
    if not e.axes or not is_pointwise(body):
        return None
    along = [r.at[-1] for r in reads(body) if any(e.axes[-1] in i.axes for i in r.at)]
    if any(set(i.axes) & summed for i in along):
        return None
    return Sum(e, over, body) if any(i == Index.axis(e.axes[-1]) for i in along) else None


def _into_one(
    parts: Sequence[Part], wanted: Collection[str], names: Mapping[str, tuple[Range, ...]]
) -> list[Part]:
    """Products that are only added up are added where they are wanted: ``∂x = ∂a_i W_iᵀ + ∂a_f W_fᵀ``."""
    counts = read_counts(e for p in parts for e in equations_of_part(p))
    makers: dict[str, int] = {}
    for k, p in enumerate(parts):
        for e in equations_of_part(p):
            makers[e.target] = -1 if e.target in makers or not isinstance(p, Matrices) else k
    found: list[list[Part]] = [[p] for p in parts]
    for k, p in enumerate(parts):
        if not isinstance(p, Pointwise):
            continue
        (e,) = p.equations
        terms = e.value.args if isinstance(e.value, Apply) and e.value.op == "add" else (e.value,)
        here, whole = full(e.domain), extents(e.domain)
        if whole != extents(names.get(e.target, e.domain)):
            continue
        own = {
            t.name: makers[t.name]
            for t in terms
            if isinstance(t, Read)
            and t.at == here
            and counts[t.name] == 1
            and t.name not in wanted
            and makers.get(t.name, -1) >= 0
            and extents(_equation(parts[makers[t.name]]).domain) == whole
        }
        rest = tuple(t for t in terms if not (isinstance(t, Read) and t.name in own))
        if not own:
            continue
        products: list[Part] = []
        for n, at in enumerate(sorted(own.values())):
            (f,) = _factors(parts[at])
            equation = Equation(e.target, f.equation.domain, f.equation.value)
            products.append(Matrices((replace(f, equation=equation, more=bool(n or rest)),)))
            found[at] = []
        if rest:
            value = rest[0] if len(rest) == 1 else Apply("add", rest)
            products.insert(0, Pointwise((Equation(e.target, e.domain, value),)))
        found[k] = products
    return [p for several in found for p in several]


def _equation(part: Part) -> Equation:
    return equations_of_part(part)[0]


def _factors(part: Part) -> tuple[Factor, ...]:
    assert isinstance(part, Matrices)
    return part.factors


def _gathered(parts: Sequence[Part]) -> list[Part]:
    """Products with one left operand together, where the first of them stands."""
    made_at: dict[str, list[int]] = {}
    for k, p in enumerate(parts):
        for name in dict.fromkeys(e.target for e in equations_of_part(p)):
            made_at.setdefault(name, []).append(k)
    groups: dict[object, list[int]] = {}
    for k, p in enumerate(parts):
        if isinstance(p, Matrices):
            groups.setdefault(_key(p.factors[0]), []).append(k)
    taken: set[int] = set()
    instead: dict[int, Part] = {}
    for members in groups.values():
        first = members[0]
        chosen = [
            k
            for k in members
            if all(j < first for r in reads(_equation(parts[k]).value) for j in made_at.get(r.name, ()))
            and not any(first <= j < k for j in made_at[_equation(parts[k]).target])
        ]
        if len(chosen) > 1:
            taken |= set(chosen)
            instead[chosen[0]] = Matrices(tuple(f for k in chosen for f in _factors(parts[k])))
    return [
        p for k, x in enumerate(parts) for p in ([instead[k]] if k in instead else [] if k in taken else [x])
    ]


def _key(f: Factor) -> object:
    """What products must share to be computed with one left operand, letters numbered."""
    order = [a for a in f.equation.axes if a != f.column] + [r.axis for r in f.over]
    rename = {a: Index.axis(f"#{k}") for k, a in enumerate(order)}
    return (
        f.left.name,
        tuple(i.substitute(rename) for i in f.left.at),
        extents(r for r in f.equation.domain if r.axis != f.column),
        extents(f.over),
        f.more,
    )
