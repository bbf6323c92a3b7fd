"""What computes some names at some sizes: steps in order, and what of them is put together.

Products that share an operand are one: the inputs of all gates, the gradients of all weights, and a sum of
products (``∂a_i W_iᵀ + ∂a_f W_fᵀ + …``); so are sums of tables that lie side by side for them anyhow (the
gradients of the biases). A library then has one large product where it had several small ones, outside of
loops and at each step of a loop that runs with torch; and where they are convolutions, one picture for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from chalkgrad.equations.ir import Program, Range
from chalkgrad.equations.walk import read_counts
from chalkgrad.kernels.eager.calls import convolves, with_calls
from chalkgrad.kernels.eager.given import given_together
from chalkgrad.kernels.eager.gradients import gathered
from chalkgrad.kernels.eager.joins import Around, Joins
from chalkgrad.kernels.eager.longer import sums_of_products
from chalkgrad.kernels.eager.pieces import pieced
from chalkgrad.kernels.eager.siblings import siblings
from chalkgrad.kernels.eager.steps import Looped, Merged, Plain, equations_of, made_by
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.eager.whole import put_back
from chalkgrad.kernels.eager.winners import keeping_winners, opened, winners_of
from chalkgrad.kernels.schedule import Compiled, Loop, Step, schedule
from chalkgrad.kernels.totals import totals_inside


@dataclass(frozen=True, slots=True)
class Planned:
    """The steps for some names at some sizes; ranges and intervals by name."""

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
        return Planned(ordered, ranges, intervals)
    plain: Sequence[Plain] = put_back(called, opened(wanted, groups), numbers, intervals)
    plain = keeping_winners(plain, groups, wanted, known, numbers, intervals)
    plain = given_together(plain, wanted, numbers, intervals)
    steps, intervals = merged(plain, intervals, frozenset(wanted), numbers)
    steps = tuple(gathered(steps, numbers, intervals))
    return Planned(pieced(steps, {*left, *groups}) if can else steps, ranges, intervals)


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
    """The steps with products put together, and the intervals of all names, new ones too."""
    state = Joins(dict(intervals))
    equations = [e for step in steps for e in equations_of(step)]
    made, counts = Counter(e.target for e in equations), read_counts(equations)
    once = frozenset(n for n, times in made.items() if times == 1)
    single = frozenset(n for n in once - wanted if counts[n] == 1)

    def together(steps: Sequence[Merged], around: Around | None = None) -> list[Merged]:
        found = state.among(sums_of_products(steps, state, single, numbers, around), around)
        return state.among(siblings(found, state, once, numbers, around), around)

    def inside(step: Plain) -> Merged:
        if not isinstance(step, Loop):
            return step
        body = tuple(together(step.body, Around.of(step, once)))
        return step if body == step.body else Looped(step.axis, step.reverse, body)

    return tuple(together([inside(step) for step in steps])), state.intervals


__all__ = ["Planned", "intervals_of", "merged", "planned"]
