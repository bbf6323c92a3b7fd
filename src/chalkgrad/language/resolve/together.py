"""The steps of a line that reads a state: none before the state's own first one.

``g[t] = tanh(g[t-1] + x[t] - x[t-1])`` begins at the second step. What reads ``g[t-1]`` begins there too: its
first step reads the start of g, as that of g does. In a cycle either may be defined first; so every line is
solved alone, and where one has steps at which a state is not there, the page is solved again without them.
"""

from __future__ import annotations

from chalkgrad.equations.size import Size
from chalkgrad.language.resolve.define import Attempt, Look
from chalkgrad.language.resolve.scope import Within
from chalkgrad.language.resolve.sizes import Interval


def held_together(attempt: Attempt) -> Within:
    """The intervals that lines must keep to beside what ``attempt`` knew of; none where all is well."""
    found: dict[tuple[str, str], tuple[Interval, ...]] = {}
    for look in attempt.looks:
        interval = _served(attempt, look)
        if interval is not None:
            at = (look.reader, look.letter)
            found[at] = (*found.get(at, ()), interval)
    return found


def _served(attempt: Attempt, look: Look) -> Interval | None:
    """The steps of a reader at which the state it reads is there; None where it has no others."""
    own = _steps(attempt, look.reader, attempt.roles.letters(look.reader).index(look.letter))
    state = _steps(attempt, look.state, look.position)
    if own is None or state is None:
        return None
    at_least, forward = attempt.unknowns.at_least, look.shift < 0
    low, high = own.low, own.low + own.size
    first = state.low if forward else state.low - look.shift
    last = state.low + state.size - (look.shift if forward else 0)
    late = at_least(first, low) and first != low
    early = at_least(high, last) and last != high
    if not (late or early):
        return None
    low, high = first if late else low, last if early else high
    return Interval(low, high - low, look.span, f"what `{look.state}` allows here")


def _steps(attempt: Attempt, name: str, position: int) -> Interval | None:
    """Where a definition runs: where nothing bounds it, along the inputs; None where these do not either."""
    interval = next(d for d in attempt.defined if d.name == name).intervals[position]
    low, size = attempt.unknowns.reduce(interval.low), attempt.unknowns.reduce(interval.size)
    low = low.substitute({s: Size() for s in low.symbols if s.startswith("?low")})
    if attempt.unknowns.open(size):
        whole = attempt.time.get(attempt.roles.letters(name)[position])
        if whole is None:
            return None
        size = whole.size
    return Interval(low, size, interval.span, interval.what)
