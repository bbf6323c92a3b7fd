"""Which equation runs when: whole at once, or step by step in a loop that is found, not declared.

Equations that define each other through shifts form a component of the dependence graph. Such a component is
a :class:`Loop` over an axis along which every read looks the same way, or in place; with the reads that look
back taken away, its body is ordered again, so that a recurrence in two directions becomes a loop in a loop.
Every other equation is a :class:`Block`. Products get equations of their own first, and so ``x[t] W_x``
becomes one product before the loop and a weight's gradient one after it (loop distribution: Allen and Kennedy
1987).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    Program,
    Range,
    Read,
    Reduce,
    Size,
)
from chalkgrad.equations.walk import (
    bound_axes,
    children,
    fresh,
    needed,
    reads,
    substitute,
)
from chalkgrad.kernels.apart import with_products_apart


class ScheduleError(ValueError):
    """Equations that need each other at the same point, so that no order computes them."""


@dataclass(frozen=True, slots=True)
class Block:
    """One equation over its whole domain at once (inside a loop: all of it that belongs to one step)."""

    equation: Equation


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps repeated for each value of ``axis``, from high to low where ``reverse``.

    The axis has the same letter in every equation of the body. Their intervals along it may differ: the loop
    runs from the lowest to the highest, each equation only where it is defined.
    """

    axis: str
    reverse: bool
    body: tuple[Step, ...]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Every equation of the body, those of inner loops too."""
        return tuple(e for step in self.body for e in equations_of(step))


Step = Block | Loop


@dataclass(frozen=True, slots=True)
class Compiled:
    """Steps that run as one call of compiled code."""

    steps: tuple[Step, ...]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Every equation of every step."""
        return tuple(e for step in self.steps for e in equations_of(step))

    @property
    def made(self) -> tuple[str, ...]:
        """The names that it computes, in order."""
        return tuple(dict.fromkeys(e.target for e in self.equations))

    @property
    def given(self) -> tuple[str, ...]:
        """The names that it reads and does not compute."""
        read, made = dict.fromkeys(r.name for e in self.equations for r in reads(e.value)), {*self.made}
        return tuple(n for n in read if n not in made)


def equations_of(step: Step | Compiled) -> tuple[Equation, ...]:
    """The equations that a step computes."""
    return (step.equation,) if isinstance(step, Block) else step.equations


def schedule(
    program: Program, wanted: Iterable[str], known: frozenset[str] = frozenset(), *, apart: bool = True
) -> tuple[Step, ...]:
    """The steps that compute ``wanted``, each after what it reads; names in ``known`` are not computed.

    With ``apart`` products get equations of their own, which is faster to run; without, every equation
    stays as it is, which is easier to read. Raises ScheduleError where no axis orders equations that depend
    on each other.
    """
    taken = {n.name for n in program.names}
    equations = live(program, wanted, known)
    if apart:
        equations = [part for e in equations for part in with_products_apart(e, taken)]
    return _ordered(equations, ())


def live(program: Program, wanted: Iterable[str], known: frozenset[str] = frozenset()) -> list[Equation]:
    """The equations that ``wanted`` needs, in the program's order."""
    names = needed(program.equations, wanted, known)
    return [e for e in program.equations if e.target in names and e.target not in known]


# --- order ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Site:
    """A read, with what is known where it stands: the guards around it and the axes' intervals."""

    read: Read
    conditions: tuple[Condition, ...]
    box: Mapping[str, Range]


@dataclass(frozen=True, slots=True)
class _Order:
    """A loop already chosen: the position of its axis in each name, and which way it runs."""

    position: Mapping[str, int]
    reverse: bool


def _ordered(equations: Sequence[Equation], loops: tuple[_Order, ...]) -> tuple[Step, ...]:
    needs = [_needs(e, equations, loops) for e in equations]
    steps: list[Step] = []
    for component in _components(needs):
        members = [equations[k] for k in component]
        if len(component) == 1 and component[0] not in needs[component[0]]:
            steps.append(Block(members[0]))
        else:
            steps.append(_loop(members, loops))
    return tuple(steps)


def _needs(e: Equation, equations: Sequence[Equation], loops: tuple[_Order, ...]) -> list[int]:
    """Which equations must come before ``e`` within one step of ``loops``."""
    now = {s.read.name for s in _sites(e) if not any(_carried(e, s, loop) for loop in loops)}
    return [k for k, other in enumerate(equations) if other.target in now]


def _loop(members: list[Equation], loops: tuple[_Order, ...]) -> Loop:
    inside = frozenset(e.target for e in members)
    for start, _ in enumerate(members[0].domain):
        order = _order_along(members, start, inside, loops)
        if order is None:
            continue
        letter = members[0].domain[start].axis
        letter = fresh(letter, {a for e in members for a in letters_beside(e, order.position[e.target])})
        renamed = [with_axis(e, order.position[e.target], letter) for e in members]
        try:
            return Loop(letter, order.reverse, _ordered(renamed, (*loops, order)))
        except ScheduleError:
            continue  # the rest has no order along another axis: try the next one here
    names = ", ".join(dict.fromkeys(e.target for e in members))
    raise ScheduleError(f"no index orders the equations of {names}: they need each other at the same point")


def _order_along(
    members: list[Equation], start: int, inside: frozenset[str], loops: tuple[_Order, ...]
) -> _Order | None:
    """The loop that runs over axis number ``start`` of the first equation, if every read there allows one."""
    position = {members[0].target: start}
    pending = [members[0].target]
    signs: set[str] = set()
    while pending:
        name = pending.pop()
        for e in members:
            if e.target != name:
                continue
            for s in _sites(e):
                if s.read.name not in inside or any(_carried(e, s, loop) for loop in loops):
                    continue
                axis = e.axes[position[name]]
                if s.read.name not in position:
                    place = next((p for p, i in enumerate(s.read.at) if _distance(axis, i, s)), None)
                    if place is None:
                        return None
                    position[s.read.name] = place
                    pending.append(s.read.name)
                sign = _distance(axis, s.read.at[position[s.read.name]], s)
                if not sign:
                    return None
                signs.add(sign)
    if signs <= {"+", "0+", "0"} and "+" in signs:
        return _Order(position, reverse=False)
    if signs <= {"-", "0-", "0"} and "-" in signs:
        return _Order(position, reverse=True)
    return None


def _carried(e: Equation, s: _Site, loop: _Order) -> bool:
    """Whether the read was certainly answered in an earlier step of the loop."""
    if e.target not in loop.position or s.read.name not in loop.position:
        return False
    axis = e.axes[loop.position[e.target]]
    return _distance(axis, s.read.at[loop.position[s.read.name]], s) == ("-" if loop.reverse else "+")


def _distance(axis: str, index: Index, s: _Site) -> str:
    """How far back a read looks: always (+), at times (0+), in place (0), ahead (0-, -), or unknown ("")."""
    if index.divisor != 1:
        return ""
    gap = Index.axis(axis) - index
    if gap == Index():
        return "0"
    if not index.coefficient(axis) and not any(axis in c.index.axes for c in s.conditions):
        return ""
    for sign, way in (("+", gap), ("-", gap * -1)):
        for strict, answer in ((1, sign), (0, "0" + sign)):
            known = [Index(), *(c.index for c in s.conditions if c.kind == "nonnegative")]
            if any(_least(way - strict - fact, s.box).surely_nonnegative() for fact in known):
                return answer
    return ""


def _least(index: Index, box: Mapping[str, Range]) -> Size:
    """The lowest value of an affine index over the box."""
    total = index.shift
    for axis, k in index.terms:
        total = total + (box[axis].low if k > 0 else box[axis].high - 1) * k
    return total


def _sites(e: Equation) -> Iterator[_Site]:
    yield from _sites_in(e.value, (), {r.axis: r for r in e.domain})


def _sites_in(e: Expr, conditions: tuple[Condition, ...], box: Mapping[str, Range]) -> Iterator[_Site]:
    match e:
        case Read():
            yield _Site(e, conditions, box)
        case Guard(more, body):
            yield from _sites_in(body, conditions + more, box)
        case Reduce(_, over, body) | ArgMax(over, _, body):
            yield from _sites_in(body, conditions, {**box, **{r.axis: r for r in over}})
        case Const() | At() | Apply():
            for c in children(e):
                yield from _sites_in(c, conditions, box)
        case _:
            assert_never(e)


def letters_beside(e: Equation, position: int) -> set[str]:
    """Letters that the axis at ``position`` must not be renamed to."""
    return (set(e.axes) - {e.axes[position]}) | bound_axes(e.value)


def with_axis(e: Equation, position: int, letter: str) -> Equation:
    """The equation with another letter for the axis at ``position``."""
    old = e.domain[position]
    if old.axis == letter:
        return e
    domain = (*e.domain[:position], Range(letter, old.size, old.low), *e.domain[position + 1 :])
    return Equation(e.target, domain, substitute(e.value, {old.axis: Index.axis(letter)}))


def _components(needs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components, each after those that it needs (Tarjan 1972, without recursion).

    >>> _components([[1], [0], [1]])
    [[0, 1], [2]]
    """
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    waiting: list[int] = []
    unfinished: set[int] = set()
    found: list[list[int]] = []
    for root in range(len(needs)):
        path = [] if root in number else [(root, iter(needs[root]))]
        while path:
            node, rest = path[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                waiting.append(node)
                unfinished.add(node)
            for other in rest:
                if other not in number:
                    path.append((other, iter(needs[other])))
                    break
                if other in unfinished:
                    lowest[node] = min(lowest[node], lowest[other])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == number[node]:
                    cut = waiting.index(node)
                    found.append(sorted(waiting[cut:]))
                    unfinished.difference_update(waiting[cut:])
                    del waiting[cut:]
    return found
