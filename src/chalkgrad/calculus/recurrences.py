"""Which names of a program are recurrences, where each begins, and over how many steps they go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalkgrad.equations.ir import Index, Program, Range, Read, full
from chalkgrad.language.source import EquationError


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A name that is read at neighbours of itself along the axis at ``position``.

    ``own`` are the steps that it computes, and ``depth`` those before (from ahead: after) them that are its
    start, which ``start`` holds.
    """

    name: str
    position: int
    depth: int
    forward: bool
    own: Range
    start: str

    def first(self, back: int) -> Index:
        """The step that lies ``back`` before the recurrence's first one: part of the start."""
        return Index((), self.own.low - back if self.forward else self.own.high - 1 + back)

    def earlier(self, step: Index, back: int) -> Index:
        """The step that was computed ``back`` before this one."""
        return step - back if self.forward else step + back

    def distance(self, shift: int) -> int:
        """How far back a read at this shift looks."""
        return -shift if self.forward else shift


def recurrences(program: Program) -> tuple[Recurrence, ...]:
    """The recurrences of a program that begin with a start, in order."""
    return tuple(r for n in program.names if n.role == "defined" for r in _recurrences_of(n.name, program))


def _recurrences_of(name: str, program: Program) -> Iterator[Recurrence]:
    *starts, own = program.defining(name)
    for e in starts:
        for k, (edge, r) in enumerate(zip(e.domain, own.domain, strict=True)):
            depth, forward = edge.size.constant, edge.high == r.low
            if depth is not None and (forward or edge.low == r.high):
                held = e.value.name if isinstance(e.value, Read) and e.value.at == full(e.domain) else ""
                yield Recurrence(name, k, depth, forward, r, held)


def steps_of(program: Program, found: Sequence[Recurrence]) -> str:
    """The symbol of how many steps the recurrences of a program take.

    Raises EquationError where there is none, or not one number of steps.
    """
    if not found:
        raise EquationError(
            "these equations have no recurrence that begins with a state: there is nothing to end, reset or "
            "cut",
            help="lengths, resets and truncate are for equations that read h[t-1] or h[t+1]",
        )
    fixed = {s for n in program.given("parameter") for r in n.ranges for s in r.size.symbols}
    symbols: dict[str, None] = {}
    for r in found:
        own = r.own.size.symbols
        symbols.update(dict.fromkeys(s for s in own if len(own) == 1 or s not in fixed))
    if len(found) > len({r.name for r in found}) or len(symbols) != 1:
        axes = " and ".join(dict.fromkeys(r.own.axis for r in found))
        raise EquationError(
            f"these equations recur along {axes}: lengths, resets and truncate are for one index, over as "
            "many steps as an input has",
            help="make a layer of each recurrence",
        )
    (steps,) = symbols
    return steps
