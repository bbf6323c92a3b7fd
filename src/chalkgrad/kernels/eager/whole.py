"""Sums put back into the equation that they were taken out of, where one library call does both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from chalkgrad.equations.ir import Apply, Equation, Expr, Range, Read, full
from chalkgrad.equations.walk import bound_axes, read_counts, substitute
from chalkgrad.kernels.eager.recognition import is_call
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.schedule import Block, Compiled, Step, equations_of


def put_back(
    steps: Sequence[Step | Compiled],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> list[Step | Compiled]:
    """The steps with each ``y·1 = Σ …``, ``y = y·1 + b[k]`` that is one call as one step.

    What is put back is read nowhere else and not ``wanted``.
    """
    equations = [e for step in steps for e in equations_of(step)]
    counts = read_counts(equations)
    made = {step.equation.target: step.equation for step in steps if isinstance(step, Block)}
    single = {n for n in made if counts[n] == 1 and n not in wanted}
    single -= {e.target for e in equations if e.target not in made or made[e.target] is not e}
    found: list[Step | Compiled] = []
    gone: set[str] = set()
    for step in steps:
        if isinstance(step, Block):
            for name in _reads_of(step.equation.value, single):
                together = _together(step.equation, made[name])
                if together and is_call(together, numbers, intervals):
                    step = Block(together)
                    gone.add(name)
                    break
        found.append(step)
    return [s for s in found if not (isinstance(s, Block) and s.equation.target in gone)]


def _reads_of(e: Expr, names: Collection[str]) -> list[str]:
    terms = e.args if isinstance(e, Apply) and e.op in ("add", "mul") else ()
    return [t.name for t in terms if isinstance(t, Read) and t.name in names]


def _together(e: Equation, part: Equation) -> Equation | None:
    """``e`` with the value of ``part`` in the place of its read, where that is of the same points."""
    assert isinstance(e.value, Apply)
    ranges = {r.axis: r for r in e.domain}
    (read,) = (t for t in e.value.args if isinstance(t, Read) and t.name == part.target)
    letters = [i.axes[0] if len(i.axes) == 1 else "" for i in read.at]
    if {*letters} != {*ranges} or len(letters) != len(ranges) or bound_axes(part.value) & {*ranges}:
        return None
    domain = tuple(Range(a, r.size, r.low) for a, r in zip(letters, part.domain, strict=True))
    if read.at != full(domain) or any(r != ranges[r.axis] for r in domain):
        return None
    value = substitute(part.value, dict(zip(part.axes, read.at, strict=True)))
    return Equation(
        e.target, e.domain, Apply(e.value.op, tuple(value if t is read else t for t in e.value.args))
    )
