"""What several equations are together to the library: one call, found among the steps of a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from chalkgrad.kernels.eager.among import Among
from chalkgrad.kernels.eager.norms import norm, through_norm
from chalkgrad.kernels.eager.softmax import softmax, through_softmax
from chalkgrad.kernels.eager.steps import Plain, Shared
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.schedule import Block

_KNOWN = (softmax, through_softmax, norm, through_norm)


def given_together(
    steps: Sequence[Plain],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> list[Plain]:
    """The steps, those that are a softmax, a norm or a gradient through one as one call each.

    A call stands where the last of its equations stood. What only they read and is not ``wanted`` is not
    made.
    """
    among = Among.steps(steps, wanted, numbers, intervals)
    instead: dict[str, Shared] = {}
    gone: set[str] = set()
    for e in among.made.values():
        found = next((call for find in _KNOWN if (call := find(among, e))), None)
        if found and not gone & (own := {q.target for q in found.equations}):
            instead[e.target] = found
            gone |= own
    return [
        instead.get(s.equation.target, s) if isinstance(s, Block) else s
        for s in steps
        if not isinstance(s, Block) or s.equation.target in instead or s.equation.target not in gone
    ]
