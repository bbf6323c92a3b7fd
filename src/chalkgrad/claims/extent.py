"""How far the indices of a claim run: every name is known and zero outside, so that shifts narrow nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chalkgrad.equations.size import Size
from chalkgrad.language.resolve.roles import Roles
from chalkgrad.language.resolve.scope import Access, Scope
from chalkgrad.language.resolve.sizes import Interval, Unknowns


class Extent:
    """The summed indices of one equation.

    An index runs over what the claim says (Σ[j=1..k]); else over what all the names read at it alone have in
    common; else, where it stands alone but shifted (``Σ[t] ∂a[t+1]``), over what these have; else over all
    that some read reaches.
    """

    def __init__(self, scope: Scope, reads: Sequence[Access], unknowns: Unknowns, roles: Roles) -> None:
        self.scope, self.unknowns, self.roles = scope, unknowns, roles
        self.reads = [a for a in reads if not unknowns.open(a.axis.size)]

    def solve(self, known: Collection[str], sizes: Sequence[str]) -> None:
        """Fix every interval that is not ``known``.

        Raises EquationError for an end that is none of the sizes, and for an index without a range.
        """
        solved = set(known)
        waiting = [a for a in self.scope.intervals if a not in solved]
        progress = True
        while waiting and progress:
            # What the page or a read says outright comes before what other indices must be known for.
            found = {a: ends for a in waiting if (ends := self.stated(a, sizes) or self.bare(a)) is not None}
            found = found or {a: ends for a in waiting if (ends := self.reached(a, solved)) is not None}
            for axis, (low, high) in found.items():
                own = self.scope.intervals[axis]
                size = Size((), max(0, high - low + 1))
                self.unknowns.equal(Interval(Size((), low), size, own.span, own.what), own)
                solved.add(axis)
            waiting = [a for a in waiting if a not in solved]
            progress = bool(found)
        if waiting:
            letter = waiting[0].rstrip("′")
            raise self.roles.fail(
                f"nothing says how far the index `{letter}` runs",
                (self.scope.intervals[waiting[0]].span, "no name is read at it"),
                help=f"give its range: Σ[{letter}=1..T]",
            )

    def stated(self, axis: str, sizes: Sequence[str]) -> tuple[int, int] | None:
        """The ends that the claim gives, where it gives both."""
        low, high = self.scope.bounds.get(axis, (None, None))
        for end in (low, high):
            if end is not None and self.unknowns.reduce(end).constant is None:
                raise self.roles.fail(
                    f"the page has no size {end}",
                    (self.scope.intervals[axis].span, "ends there"),
                    help=f"write Σ[{axis.rstrip('′')}], for as far as it goes"
                    + (f"; its sizes are {', '.join(sizes)}" if sizes else ""),
                )
        if low is None or high is None:
            return None
        return self.number(low), self.number(high)

    def bare(self, axis: str) -> tuple[int, int] | None:
        """What all the names that are read at this index alone have in common."""
        bare = [a.axis for a in self.reads if a.index.plain() == axis]
        if not bare:
            along = [a for a in self.reads if a.index.coefficient(axis)]
            if any(a.index.coefficient(axis) != 1 or len(a.index.terms) > 1 for a in along):
                return None
            bare = [a.axis for a in along]
        if not bare:
            return None
        first = max(self.number(a.low) for a in bare)
        return self.ended(axis, first, min(self.number(a.low + a.size - 1) for a in bare))

    def reached(self, axis: str, solved: Collection[str]) -> tuple[int, int] | None:
        """Every value at which some shifted read is inside for some value of the other indices."""
        spans = [
            self.reach(a, axis)
            for a in self.reads
            if a.index.coefficient(axis) and all(b in solved for b in a.index.axes if b != axis)
        ]
        return self.ended(axis, min(a for a, _ in spans), max(b for _, b in spans)) if spans else None

    def ended(self, axis: str, first: int, last: int) -> tuple[int, int]:
        """The range with the one end that the claim gives, if it gives one."""
        low, high = self.scope.bounds.get(axis, (None, None))
        return first if low is None else self.number(low), last if high is None else self.number(high)

    def reach(self, access: Access, axis: str) -> tuple[int, int]:
        k = access.index.coefficient(axis)
        smallest = largest = self.number(access.index.shift)
        for a, c in access.index.terms:
            if a != axis:
                own = self.scope.intervals[a]
                ends = c * self.number(own.low), c * self.number(own.low + own.size - 1)
                smallest, largest = smallest + min(ends), largest + max(ends)
        low, high = self.number(access.axis.low), self.number(access.axis.low + access.axis.size - 1)
        first, last = low - largest, high - smallest
        return (-(-first // k), last // k) if k > 0 else (-(last // -k), -(first // -k))

    def number(self, size: Size) -> int:
        found = self.unknowns.reduce(size).constant
        assert found is not None, size
        return found
