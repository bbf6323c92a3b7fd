"""A loop → stages: matrix products, groups of pointwise equations, and whatever else, each its own nest.

Within one step of the loop an equation may run as soon as what it reads at the same step is there. Products
with something that the loop does not change go first; what is pointwise over the same axes is computed
together, point by point, so that intermediates stay in registers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
)
from chalkgrad.equations.walk import nodes, reads, substitute
from chalkgrad.kernels.schedule import Block, Loop, equations_of


@dataclass(frozen=True, slots=True)
class Product:
    """``target[row, column] = Σ[k] left[row, k] · weight[k, column]``; the weight is the same in every step.

    ``left`` is any pointwise expression over the rows and k, ``conditions`` facts about the step.
    """

    equation: Equation
    left: Expr
    over: Range
    weight: Read
    column: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Pointwise:
    """Equations over the same axes, computed together at each point."""

    equations: tuple[Equation, ...]


@dataclass(frozen=True, slots=True)
class Nest:
    """An equation with sums of its own, computed as it is written."""

    equation: Equation


Stage = Product | Pointwise | Nest


def equations_in(stage: Stage) -> tuple[Equation, ...]:
    return stage.equations if isinstance(stage, Pointwise) else (stage.equation,)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A loop's stages, and where its names live.

    ``tables`` have a value for every step, ``scratch`` one for the step at hand, ``local`` none: they are
    computed where they are read. ``given`` are read and not made. ``rows`` is the axis along which nothing
    in the loop reads a neighbour, so that it may be shared out among threads ("" if there is none).
    """

    axis: str
    reverse: bool
    stages: tuple[Stage, ...]
    given: tuple[str, ...]
    tables: tuple[str, ...]
    scratch: tuple[str, ...]
    local: frozenset[str]
    rows: str


def lower(loop: Loop, wanted: Collection[str]) -> Lowered | None:
    """The stages of a loop; None for a loop inside a loop. ``wanted`` are names that are read after it."""
    if not all(isinstance(step, Block) for step in loop.body):
        return None
    equations = [e for step in loop.body for e in equations_of(step)]
    made = dict.fromkeys(e.target for e in equations)
    stages = _grouped(equations, loop.axis, made)
    position = {e.target: e.axes.index(loop.axis) for e in equations}
    tables = [n for n in made if n in wanted or _read_elsewhere(n, equations, loop.axis, position[n])]
    local = frozenset(n for n in made if n not in tables and _only_inside(n, stages))
    return Lowered(
        loop.axis,
        loop.reverse,
        stages,
        tuple(dict.fromkeys(r.name for e in equations for r in reads(e.value) if r.name not in made)),
        tuple(tables),
        tuple(n for n in made if n not in tables and n not in local),
        local,
        _rows(equations, loop.axis, made),
    )


# --- which equation runs with which --------------------------------------------------------------------


def _grouped(equations: list[Equation], axis: str, made: Collection[str]) -> tuple[Stage, ...]:
    waiting = list(range(len(equations)))
    needs = [
        {j for j in range(k) if any(r.name == equations[j].target for r in reads(e.value))}
        for k, e in enumerate(equations)
    ]
    done: set[int] = set()
    stages: list[Stage] = []
    while waiting:
        ready = [k for k in waiting if needs[k] <= done]
        heavy = [k for k in ready if not _is_pointwise(equations[k].value)]
        if heavy:
            for k in heavy:
                e = equations[k]
                stages.append(_product(e, axis, made) or Nest(e))
            chosen = heavy
        else:
            chosen = _together(ready[0], waiting, needs, done, equations, axis)
            first = equations[chosen[0]]
            stages.append(Pointwise(tuple(_like(equations[k], first) for k in chosen)))
        done |= set(chosen)
        waiting = [k for k in waiting if k not in done]
    return tuple(stages)


def _together(
    first: int,
    waiting: Sequence[int],
    needs: Sequence[set[int]],
    done: set[int],
    equations: Sequence[Equation],
    axis: str,
) -> list[int]:
    """The equations over the same axes as ``first`` that can be computed with it, in order."""
    chosen: list[int] = []
    shape = _shape(equations[first], axis)
    for k in waiting:
        e = equations[k]
        if _shape(e, axis) != shape or not needs[k] <= done | set(chosen) or not _is_pointwise(e.value):
            continue
        own = {equations[j].target for j in chosen}
        point = tuple(Index.axis(a) for a in e.axes)
        if all(r.at == point for r in reads(e.value) if r.name in own):
            chosen.append(k)
    return chosen


def _shape(e: Equation, axis: str) -> tuple[object, ...]:
    """The axes of an equation but for the loop's, with where that stands."""
    return (e.axes.index(axis), *((r.low, r.size) for r in e.domain if r.axis != axis))


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


def _is_pointwise(e: Expr) -> bool:
    return not any(isinstance(n, Reduce | ArgMax) for n in nodes(e))


# --- products ------------------------------------------------------------------------------------------


def _product(e: Equation, axis: str, made: Collection[str]) -> Product | None:
    """The equation as a matrix product with a weight that the loop leaves as it is, if it is one."""
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
        if any(isinstance(n, At | Guard) for n in nodes(left)) or not _is_pointwise(left):
            continue
        if over.axis in used and rest:
            return Product(e, left, over, weight, column, conditions)
    return None


# --- where names live ----------------------------------------------------------------------------------


def _read_elsewhere(name: str, equations: Iterable[Equation], axis: str, position: int) -> bool:
    """Whether a name is read at another step than the one at hand."""
    here = Index.axis(axis)
    return any(r.at[position] != here for e in equations for r in reads(e.value) if r.name == name)


def _only_inside(name: str, stages: Iterable[Stage]) -> bool:
    """Whether a name is made in one group of pointwise equations and read nowhere else."""
    for stage in stages:
        inside = isinstance(stage, Pointwise) and any(e.target == name for e in stage.equations)
        if not inside and any(r.name == name for e in equations_in(stage) for r in reads(e.value)):
            return False
        if not inside and any(e.target == name for e in equations_in(stage)):
            return False
        if inside and sum(e.target == name for e in equations_in(stage)) > 1:
            return False
    return True


def _rows(equations: Sequence[Equation], axis: str, made: Mapping[str, None]) -> str:
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


__all__ = ["Lowered", "Nest", "Pointwise", "Product", "Stage", "equations_in", "lower"]
