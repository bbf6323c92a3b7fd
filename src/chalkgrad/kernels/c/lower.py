"""A loop → stages: matrix products, groups of pointwise equations, inner loops, and nests for the rest.

Within one step of the loop an equation may run as soon as what it reads at the same step is there. Products
with something that the loop does not change go first; what is pointwise over the same axes is computed
together, point by point, so that intermediates stay in registers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Equation,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
    extents,
    full,
    range_of,
)
from chalkgrad.equations.walk import nodes, read_counts, reads, rewrite, substitute
from chalkgrad.kernels.schedule import Block, Loop, Step, equations_of


@dataclass(frozen=True, slots=True)
class Product:
    """``target[row, column] = Σ[k] left[row, k] · weight[k, column]``; the weight is the same in every step.

    ``conditions`` are facts about the step outside of which it is zero. Where ``into`` is another product's
    target, it is added to that.
    """

    equation: Equation
    left: Read
    over: Range
    weight: Read
    column: str
    conditions: tuple[Condition, ...] = ()
    into: str = ""


@dataclass(frozen=True, slots=True)
class Pointwise:
    """Equations over the same axes, computed together at each point."""

    equations: tuple[Equation, ...]


@dataclass(frozen=True, slots=True)
class Nest:
    """An equation with sums of its own, computed as it is written."""

    equation: Equation


@dataclass(frozen=True, slots=True)
class Lowered:
    """A loop's stages.

    ``rows`` is the axis along which nothing in the loop reads a neighbour, so that it may be shared out among
    threads ("" if there is none). ``left`` are operands of products that had to be given a name.
    """

    axis: str
    reverse: bool
    stages: tuple[Stage, ...]
    rows: str = ""
    left: tuple[str, ...] = ()


Stage = Product | Pointwise | Nest | Lowered


def equations_in(stage: Stage) -> tuple[Equation, ...]:
    """The equations that a stage computes."""
    match stage:
        case Pointwise(equations):
            return equations
        case Lowered():
            return tuple(e for s in stage.stages for e in equations_in(s))
        case _:
            return (stage.equation,)


def lower(loop: Loop, kept: Collection[str]) -> Lowered:
    """The stages of a loop; ``kept`` are names that are read after it."""
    return _lowered(loop, (), kept)


def _lowered(loop: Loop, around: tuple[str, ...], kept: Collection[str]) -> Lowered:
    axes = (*around, loop.axis)
    made = {e.target for e in loop.equations}
    body: list[Step] = []
    left: list[str] = []
    for step in loop.body:
        if isinstance(step, Block) and not around:
            parts = _with_left_named(step.equation, loop.axis, made)
            left += [e.target for e in parts[:-1]]
            body += [Block(e) for e in parts]
        else:
            body.append(step)
    made |= set(left)
    stages = _accumulated(_grouped(body, axes, made, kept), kept)
    rows = "" if around else _rows([e for s in body for e in equations_of(s)], loop.axis, made)
    return Lowered(loop.axis, loop.reverse, stages, rows, tuple(left))


# --- which equation runs with which --------------------------------------------------------------------


def _grouped(
    body: Sequence[Step], axes: tuple[str, ...], made: Collection[str], kept: Collection[str]
) -> tuple[Stage, ...]:
    waiting = list(range(len(body)))
    targets = [{e.target for e in equations_of(step)} for step in body]
    names = [{r.name for e in equations_of(step) for r in reads(e.value)} for step in body]
    needs = [{j for j in range(k) if names[k] & targets[j]} for k in waiting]
    done: set[int] = set()
    stages: list[Stage] = []
    while waiting:
        ready = [k for k in waiting if needs[k] <= done]
        heavy = [k for k in ready if not _is_group(body[k])]
        if heavy:
            chosen = heavy
            stages += [_alone(body[k], axes, made, kept) for k in heavy]
        else:
            chosen = _together(ready[0], waiting, needs, done, body, axes)
            found = [e for k in chosen for e in equations_of(body[k])]
            stages.append(Pointwise(tuple(_like(e, found[0]) for e in found)))
        done |= set(chosen)
        waiting = [k for k in waiting if k not in done]
    return tuple(stages)


def _is_group(step: Step) -> bool:
    return isinstance(step, Block) and is_pointwise(step.equation.value)


def _alone(step: Step, axes: tuple[str, ...], made: Collection[str], kept: Collection[str]) -> Stage:
    if isinstance(step, Loop):
        return _lowered(step, axes, kept)
    e = step.equation
    # A product in an inner loop is a few multiplications at a time: not worth a tile.
    return (_product(e, axes[0], made) if len(axes) == 1 else None) or Nest(e)


def _together(
    first: int,
    waiting: Sequence[int],
    needs: Sequence[set[int]],
    done: set[int],
    body: Sequence[Step],
    axes: tuple[str, ...],
) -> list[int]:
    """The equations over the same axes as ``first`` that can be computed with it, in order."""
    chosen: list[int] = []
    own: dict[str, Equation] = {}
    (start,) = equations_of(body[first])
    shape = _shape(start, axes)
    for k in waiting:
        if not _is_group(body[k]) or not needs[k] <= done | set(chosen):
            continue
        (e,) = equations_of(body[k])
        if _shape(e, axes) != shape:
            continue
        inside = [r for r in reads(e.value) if r.name in own]
        if all(r.at == full(e.domain) and _covers(own[r.name], e, axes) for r in inside):
            chosen.append(k)
            own[e.target] = e
    return chosen


def _covers(maker: Equation, reader: Equation, axes: tuple[str, ...]) -> bool:
    """Whether one equation is defined at every step at which another one is."""
    return all(
        (mine.low - theirs.low).surely_nonnegative() and (theirs.high - mine.high).surely_nonnegative()
        for axis in axes
        for theirs, mine in ((range_of(maker.domain, axis), range_of(reader.domain, axis)),)
    )


def _shape(e: Equation, axes: tuple[str, ...]) -> tuple[object, ...]:
    """The axes of an equation but for the loops', with where those stand."""
    places = tuple(e.axes.index(a) for a in axes)
    return (places, *extents(r for r in e.domain if r.axis not in axes))


def _like(e: Equation, first: Equation) -> Equation:
    """The equation with the letters of another one over the same axes."""
    if e.axes == first.axes:
        return e
    # Through letters of its own first: j, k → k, j must not meet in the middle.
    names = {a: Index.axis(f"{a}′") for a in e.axes}
    last = {f"{a}′": Index.axis(b) for a, b in zip(e.axes, first.axes, strict=True)}
    value = substitute(substitute(e.value, names), last)
    domain = tuple(Range(b, r.size, r.low) for r, b in zip(e.domain, first.axes, strict=True))
    return Equation(e.target, domain, value)


def is_pointwise(e: Expr) -> bool:
    """Whether an expression sums nothing."""
    return not any(isinstance(n, Reduce | ArgMax) for n in nodes(e))


# --- products ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Factors:
    """A sum over one axis of factors, one of them a weight that the loop leaves as it is."""

    conditions: tuple[Condition, ...]
    over: Range
    weight: Read
    column: str
    left: Expr


def _factors(e: Equation, axis: str, made: Collection[str]) -> _Factors | None:
    conditions: tuple[Condition, ...] = ()
    value = e.value
    while isinstance(value, Guard):
        conditions, value = (*conditions, *value.conditions), value.body
    if any(set(c.index.axes) - {axis} for c in conditions):
        return None
    match value:
        case Reduce("sum", (over,), Apply("mul", factors)):
            pass
        case _:
            return None
    free = [a for a in e.axes if a != axis]
    for k, weight in enumerate(factors):
        if not isinstance(weight, Read) or weight.name in made:
            continue
        axes = [a for i in weight.at for a in i.axes]
        columns = [a for a in axes if a != over.axis]
        if len(columns) != 1 or axes.count(over.axis) != 1 or any(i.divisor != 1 for i in weight.at):
            continue
        column = columns[0]
        rest = [f for j, f in enumerate(factors) if j != k]
        left = rest[0] if len(rest) == 1 else Apply("mul", tuple(rest))
        used = {a for r in reads(left) for i in r.at for a in i.axes}
        if column == axis or column not in free or free[-1] != column or column in used or len(free) > 2:
            continue
        if any(isinstance(n, At | Guard) for n in nodes(left)) or not is_pointwise(left):
            continue
        if over.axis in used and rest:
            return _Factors(conditions, over, weight, column, left)
    return None


def _with_left_named(e: Equation, axis: str, made: Collection[str]) -> list[Equation]:
    """A product whose left side is more than rows of a table: that gets an equation of its own."""
    found = _factors(e, axis, made)
    if found is None or _is_rows(found.left, found.over.axis):
        return [e]
    rows = tuple(r for r in e.domain if r.axis != found.column)
    domain = (*rows, found.over)
    body = Guard(found.conditions, found.left) if found.conditions else found.left
    name = f"{e.target}·left"
    value: Expr = Reduce("sum", (found.over,), Apply("mul", (Read(name, full(domain)), found.weight)))
    whole = Guard(found.conditions, value) if found.conditions else value
    return [Equation(name, domain, body), Equation(e.target, e.domain, whole)]


def _is_rows(left: Expr, letter: str) -> bool:
    """Whether an operand is read where it lies, its last axis along the product's."""
    match left:
        case Read(_, at):
            return (
                bool(at)
                and at[-1] == Index.axis(letter)
                and not any(letter in i.axes for i in at[:-1])
                and all(i.divisor == 1 for i in at)
            )
        case _:
            return False


def _product(e: Equation, axis: str, made: Collection[str]) -> Product | None:
    """The equation as a matrix product with a weight that the loop leaves as it is, if it is one."""
    found = _factors(e, axis, made)
    if found is None or not isinstance(found.left, Read) or not _is_rows(found.left, found.over.axis):
        return None
    return Product(e, found.left, found.over, found.weight, found.column, found.conditions)


def _accumulated(stages: Sequence[Stage], kept: Collection[str]) -> tuple[Stage, ...]:
    """Products that are only added to each other, in one place: ``∂h = ∂a_i W_iᵀ + ∂a_f W_fᵀ + …``."""
    counts = read_counts(e for s in stages for e in equations_in(s))
    products = {s.equation.target: s.equation.domain for s in stages if isinstance(s, Product)}
    order = list(products)
    into: dict[str, str] = {}

    def summed(e: Equation) -> Equation:
        here = full(e.domain)

        def rule(x: Expr) -> Expr:
            match x:
                case Apply("add", terms):
                    pass
                case _:
                    return x
            own = [
                t.name
                for t in terms
                if isinstance(t, Read)
                and t.at == here
                and counts[t.name] == 1
                and t.name not in kept
                and t.name in products
                and extents(products[t.name]) == extents(e.domain)
            ]
            own.sort(key=order.index)
            into.update(dict.fromkeys(own[1:], own[0] if own else ""))
            rest = tuple(t for t in terms if not (isinstance(t, Read) and t.name in own[1:]))
            return rest[0] if len(rest) == 1 else Apply("add", rest)

        return Equation(e.target, e.domain, rewrite(e.value, rule))

    done = [Pointwise(tuple(map(summed, s.equations))) if isinstance(s, Pointwise) else s for s in stages]
    return tuple(
        replace(s, into=into.get(s.equation.target, "")) if isinstance(s, Product) else s for s in done
    )


# --- the axis that is shared out ------------------------------------------------------------------------


def _rows(equations: Sequence[Equation], axis: str, made: Collection[str]) -> str:
    """A letter that is an axis of every equation, at which everything the loop makes is read in place."""
    position = {e.target: {a: k for k, a in enumerate(e.axes)} for e in equations}
    for letter in equations[0].axes:
        if letter == axis or any(letter not in e.axes for e in equations):
            continue
        here = Index.axis(letter)
        if all(
            r.at[position[r.name][letter]] == here
            for e in equations
            for r in reads(e.value)
            if r.name in made
        ):
            return letter
    return ""


__all__ = [
    "Lowered",
    "Nest",
    "Pointwise",
    "Product",
    "Stage",
    "equations_in",
    "is_pointwise",
    "lower",
]
