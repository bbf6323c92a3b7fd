"""The order in which a person computes: one equation at one step, each after what it reads.

A *point* is an equation with its steps in time filled in. Points are taken smallest step first going forward
and largest first going back, as soon as all that they read is there; which way a state runs is not asked. A
sum over time whose target has none (``∂W = Σ[t] x[t]ᵀ ∂a[t]``) is a point per term: it grows step by step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import product

from chalkgrad.equations.ir import Apply, Equation, Expr, Guard, Range, Reduce
from chalkgrad.tracing.system import Place, System


@dataclass(frozen=True, slots=True)
class Part:
    """What is computed at one point: an equation's right side, or one term of its sum over time.

    ``over`` are the axes whose steps are filled in; where ``grows``, the value is added to the target.
    """

    equation: Equation
    over: tuple[Range, ...]
    value: Expr
    grows: bool
    backward: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A part, and the step of each axis in its ``over``."""

    part: Part
    at: tuple[int, ...]

    @property
    def steps(self) -> dict[str, int]:
        return {r.axis: n for r, n in zip(self.part.over, self.at, strict=True)}


def parts(system: System, forward: frozenset[str]) -> tuple[Part, ...]:
    """Every equation as parts; names in ``forward`` are computed before all others."""
    return tuple(p for e in system.program.equations for p in _parts(e, system, e.target not in forward))


def _parts(e: Equation, system: System, backward: bool) -> Iterator[Part]:
    over = tuple(e.domain[k] for k in system.timed[e.target])
    terms = e.value.args if isinstance(e.value, Apply) and e.value.op == "add" else (e.value,)
    summed = [_sum_over_time(t, system) for t in terms]
    if over or not any(axes for axes, _ in summed):
        yield Part(e, over, e.value, False, backward)
        return
    for axes, body in summed:
        yield Part(e, axes, body, True, backward)


def _sum_over_time(e: Expr, system: System) -> tuple[tuple[Range, ...], Expr]:
    """A term's axes of time under its outermost Σ, and what is summed over them."""
    if isinstance(e, Guard):
        axes, body = _sum_over_time(e.body, system)
        return (axes, Guard(e.conditions, body)) if axes else ((), e)
    if isinstance(e, Reduce) and e.op == "sum":
        axes = tuple(system.time_in(e.over, e.body))
        rest = tuple(r for r in e.over if r not in axes)
        return (axes, Reduce("sum", rest, e.body) if rest else e.body) if axes else ((), e)
    return (), e


def ordered(system: System, parts: tuple[Part, ...]) -> tuple[Point, ...]:
    """Every point after what it reads: forward from the first step, then backward from the last.

    All that can be computed at a step is, before another step is begun.
    """
    points: list[Point] = []
    makers: defaultdict[Place, list[int]] = defaultdict(list)
    for part in parts:
        for at in product(*map(system.interval, part.over)):
            makers[part.equation.target, () if part.grows else at].append(len(points))
            points.append(Point(part, at))
    waiting: list[set[int]] = []
    readers: defaultdict[int, list[int]] = defaultdict(list)
    for k, point in enumerate(points):
        found = {m for place in system.needs(point.part.value, point.steps) for m in makers.get(place, ())}
        waiting.append(found)
        for m in found:
            readers[m].append(k)

    rank = {id(part): n for n, part in enumerate(parts)}
    ready: defaultdict[_When, list[tuple[int, int]]] = defaultdict(list)

    def release(k: int) -> None:
        part = points[k].part
        heappush(ready[part.backward, points[k].at], (rank[id(part)], k))

    for k, found in enumerate(waiting):
        if not found:
            release(k)
    order: list[Point] = []
    now: _When = (False, ())
    while ready:
        if now not in ready or (now[0] and not all(backward for backward, _ in ready)):
            now = min(ready, key=_walk)
        k = heappop(ready[now])[1]
        if not ready[now]:
            del ready[now]
        order.append(points[k])
        for reader in readers[k]:
            waiting[reader].discard(k)
            if not waiting[reader]:
                release(reader)
    return tuple(order)


_When = tuple[bool, tuple[int, ...]]


def _walk(when: _When) -> tuple[bool, tuple[int, ...]]:
    """Forward from the first step, then backward from the last; what has no step first."""
    backward, at = when
    return backward, tuple(-n for n in at) if backward else at
