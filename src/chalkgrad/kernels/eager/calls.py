"""Which steps of a plan run as one compiled call: a loop, and all around it that C does as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

from chalkgrad.equations.ir import Guard, Reduce
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.eager.recognition import lone_convolution
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.schedule import Compiled, Loop, Step, equations_of

_LIBRARYS = 1_000_000
"""Products in a step of a loop that are worth a call of the library's convolutions."""


def convolves(step: Step, numbers: Mapping[str, int], intervals: Mapping[str, tuple[Interval, ...]]) -> bool:
    """Whether a step is a loop with enough work in convolutions for the library, at each of its steps."""
    if not isinstance(step, Loop):
        return False
    found = 0
    for e in step.equations:
        value = e.value.body if isinstance(e.value, Guard) else e.value
        if not isinstance(value, Reduce) or step.axis not in e.axes:
            continue
        if lone_convolution(replace(e, value=value), numbers, intervals):
            ranges = (r for r in (*e.domain, *value.over) if r.axis != step.axis)
            found += prod(r.size.value(numbers) for r in ranges)
    return found > _LIBRARYS


def with_calls(steps: Sequence[Step], can: Callable[[Step], bool]) -> list[Step | Compiled]:
    """The steps, those in one call that ``can`` be compiled and stand by a loop; each after what it reads."""
    makers: dict[str, list[int]] = {}
    for k, step in enumerate(steps):
        for name in dict.fromkeys(e.target for e in equations_of(step)):
            makers.setdefault(name, []).append(k)
    left = {k for k, step in enumerate(steps) if not can(step)}
    while True:
        groups = _groups(steps, makers, left)
        group_of = {k: g for g, group in enumerate(groups) for k in group}
        # A name that several steps fill is filled by one call, or by none.
        apart = {
            k
            for ks in makers.values()
            if any(k in left for k in ks) or len({group_of[k] for k in ks}) > 1
            for k in ks
            if k not in left
        }
        if not apart:
            break
        left |= apart
    found: list[Step | Compiled] = []
    for group in groups:
        members = [steps[k] for k in group]
        if group[0] not in left and any(isinstance(step, Loop) for step in members):
            found.append(Compiled(tuple(members)))
        else:
            found += members
    return found


def _groups(steps: Sequence[Step], makers: dict[str, list[int]], left: set[int]) -> list[list[int]]:
    """The steps in an order that keeps together what can run together; each of ``left`` alone.

    As few groups as can be, and each step in the last of them that it can be in: so a start stands with its
    loop and not with what came long before.
    """
    needs = [
        # What stands later and makes another part of a name is not what this step reads.
        {j for e in equations_of(step) for r in reads(e.value) for j in makers.get(r.name, ()) if j < k}
        for k, step in enumerate(steps)
    ]
    order = _late(needs)
    rank = dict.fromkeys(order, 0)  # in how many groups something waits for a step, its own not counted
    for k in reversed(order):
        for j in needs[k]:
            rank[j] = max(rank[j], rank[k] + (k in left and j not in left))
    found: list[list[int]] = []
    for r in range(max(rank.values(), default=0), -1, -1):
        found += [[k] for k in order if rank[k] == r and k in left]
        found.append([k for k in order if rank[k] == r and k not in left])
    return [g for g in found if g]


def _late(needs: Sequence[set[int]]) -> list[int]:
    """The steps in an order in which each stands just before the first that reads it.

    >>> _late([set(), set(), {1}, {0, 2}])
    [1, 2, 0, 3]
    """
    order: list[int] = []
    readers = {j for n in needs for j in n}
    begun: set[int] = set()
    for last in (k for k in range(len(needs)) if k not in readers):
        path = [] if last in begun else [(last, iter(sorted(needs[last], reverse=True)))]
        while path:  # without recursion: a second derivative has hundreds of steps
            k, rest = path[-1]
            begun.add(k)
            j = next((j for j in rest if j not in begun), None)
            if j is None:
                order.append(k)
                path.pop()
            else:
                path.append((j, iter(sorted(needs[j], reverse=True))))
    return order
