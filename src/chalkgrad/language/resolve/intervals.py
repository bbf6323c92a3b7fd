"""How far each index of an equation runs: as far as it can with every read inside.

Bare reads make intervals equal; shifted reads narrow them. In ``y[i] = Σ[j] w[j] x[i+j]`` the bare ``w[j]``
gives j its interval, and then ``x[i+j]`` leaves i the values at which i+j stays inside x for every j.
"""

from __future__ import annotations

from chalkgrad.equations.ir import Index
from chalkgrad.equations.size import Size
from chalkgrad.language.resolve.roles import Roles
from chalkgrad.language.resolve.scope import Access, Scope
from chalkgrad.language.resolve.sizes import Interval, Unknowns


def solve_intervals(
    scope: Scope, left: tuple[str, ...], exempt: set[int], roles: Roles, unknowns: Unknowns
) -> None:
    """Fix the interval of every axis of one equation.

    ``left`` are the axes of its left side, ``exempt`` the numbers of the accesses that do not bound it (a
    state read before its start). Raises EquationError for an index without a range and sizes that disagree.
    """
    _Solver(scope, left, exempt, roles, unknowns).solve()


class _Solver:
    def __init__(
        self, scope: Scope, left: tuple[str, ...], exempt: set[int], roles: Roles, unknowns: Unknowns
    ) -> None:
        self.scope = scope
        self.roles = roles
        self.unknowns = unknowns
        self.left = left
        self.accesses = [a for k, a in enumerate(scope.accesses) if k not in exempt]
        self.solved: set[str] = set()

    def solve(self) -> None:
        bound = [a for a in self.scope.intervals if a not in self.left]
        waiting = [*bound, *self.left]
        progress = True
        while waiting and progress:
            progress = False
            for axis in list(waiting):
                if self.settle(axis):
                    waiting.remove(axis)
                    self.solved.add(axis)
                    progress = True
        for axis in waiting:
            if axis not in self.left:
                interval = self.scope.intervals[axis]
                letter = axis.rstrip("′")
                raise self.roles.fail(
                    f"nothing says how far the index `{letter}` runs",
                    (interval.span, "no name is read at it alone"),
                    help=f"give its range: Σ[{letter}<3] or Σ[{letter}=1..k]",
                )

    def settle(self, axis: str) -> bool:
        """Fix one axis if what it needs is known. False where it is not yet."""
        own = self.scope.intervals[axis]
        base = self.stated(axis) or self.from_bare_reads(axis)
        narrowing = [
            a
            for a in self.accesses
            if (a.index.coefficient(axis) and a.index.plain() is None and a.reach is not True)
            and all(other in self.solved for other in a.index.axes if other != axis)
        ]
        if base is None and not narrowing:
            base = self.covering(axis)
        if base is None and not narrowing and axis not in self.scope.within:
            return False
        for a in narrowing:
            allowed = self.allowed(a, axis)
            if base is None:
                base = allowed
            elif self.unknowns.open(base.size) and not self.share(base.size, allowed.size):
                self.unknowns.equal(allowed, base)
            else:
                base = self.intersection(base, allowed)
        for steps in self.scope.within.get(axis, ()):
            base = steps if base is None or self.unknowns.open(base.size) else self.intersection(base, steps)
        assert base is not None
        self.unknowns.equal(base, own)
        return True

    # --- where an interval comes from ------------------------------------------------------------------

    def stated(self, axis: str) -> Interval | None:
        """The interval that the page gives: Σ[j=1..k], Σ[p<2]."""
        low, high = self.scope.bounds.get(axis, (None, None))
        if high is None:
            if low is not None:
                self.unknowns.unify(self.scope.intervals[axis].low, low)
            return None
        start = Size() if low is None else low
        own = self.scope.intervals[axis]
        stated = Interval(start, high + 1 - start, own.span, own.what)
        if self.unknowns.at_least(Size(), stated.size):
            raise self.roles.fail(
                f"the index `{axis.rstrip('′')}` runs over nothing",
                (own.span, f"from {start} to {high}"),
                help="give a range that holds something: Σ[j<3] or Σ[j=1..k]",
            )
        for a in self.bare(axis):
            if self.unknowns.open(a.axis.size):
                self.unknowns.unify(a.axis.size, stated.size)
                self.unknowns.unify(a.axis.low, stated.low)
            elif not self.inside(stated, a.axis):
                self.unknowns.equal(stated, a.axis)
        return stated

    def bare(self, axis: str) -> list[Access]:
        return [a for a in self.accesses if a.index.plain() == axis]

    def from_bare_reads(self, axis: str) -> Interval | None:
        """Equal for all given names; a defined name that is shorter by its own shifts narrows them."""
        base: Interval | None = None
        shorter: list[Interval] = []
        for a in self.bare(axis):
            if isinstance(a.reach, tuple):
                continue
            if a.name in self.roles.definitions and not self.unknowns.open(a.axis.size):
                shorter.append(a.axis)
            elif base is None:
                base = a.axis
            else:
                self.unknowns.equal(base, a.axis)
        for interval in shorter:
            if base is None:
                base = interval
            elif self.unknowns.open(base.size):
                self.unknowns.equal(base, interval)
            else:
                base = self.intersection(base, interval)
        return base

    def allowed(self, access: Access, axis: str) -> Interval:
        """The values of one axis at which a shifted read stays inside, whatever the others are."""
        low, high = access.axis.low, access.axis.low + access.axis.size - 1
        if isinstance(access.reach, tuple):
            before, after = access.reach
            low, high = low - before, high + after
        low, high = low * access.index.divisor, high * access.index.divisor
        everywhere = any(a in self.scope.everywhere for a in access.index.axes)
        smallest, largest = self.extent(access.index, axis)
        if everywhere:
            # Full support: one point inside is enough.
            smallest, largest = largest, smallest
        k = access.index.coefficient(axis)
        if k > 0:
            first, last = _ceil(low - smallest, k), (high - largest).floordiv(k)
        else:
            first, last = _ceil(largest - high, -k), (smallest - low).floordiv(-k)
        text = f"what `{access.name}` allows here"
        return Interval(first, last - first + 1, access.span, text)

    def extent(self, index: Index, without: str) -> tuple[Size, Size]:
        """The least and largest value of the rest of an index, one axis left out."""
        smallest = largest = index.shift
        for a, k in index.terms:
            if a != without:
                interval = self.scope.intervals[a]
                first, last = interval.low * k, (interval.low + interval.size - 1) * k
                smallest, largest = (
                    smallest + (first if k > 0 else last),
                    largest + (last if k > 0 else first),
                )
        return smallest, largest

    def covering(self, axis: str) -> Interval | None:
        """What is read outside of its name says nothing: what the page says of the left side, or else the
        name's own interval."""
        if axis in self.scope.said:
            return self.scope.said[axis]
        for a in self.accesses:
            i = a.index
            if (a.reach is True or i.plain()) and i.coefficient(axis) == i.divisor == 1:
                return a.axis
        return None

    # --- comparing -------------------------------------------------------------------------------------

    def intersection(self, a: Interval, b: Interval) -> Interval:
        low = self.extreme(a, b, a.low, b.low, larger=True)
        high = self.extreme(a, b, a.low + a.size, b.low + b.size, larger=False)
        size = self.unknowns.reduce(high - low)
        if size.constant is not None and size.constant <= 0:
            raise self.roles.fail(
                "no value of this index is inside both",
                (a.span, f"{a.what} reads here"),
                (b.span, f"and {b.what} here"),
                help="the shifts reach further than the sizes allow",
            )
        return Interval(low, size, a.span, a.what)

    def extreme(self, a: Interval, b: Interval, x: Size, y: Size, larger: bool) -> Size:
        for one, other in ((x, y), (y, x)):
            if self.unknowns.at_least(one, other):
                return one if larger else other
        # What cannot be compared is made equal, where that is possible: two inputs of one length.
        if not self.unknowns.unify(x, y):
            raise self.roles.fail(
                "these two lengths cannot be compared",
                (a.span, a.what),
                (b.span, b.what),
                help="give both the same size with a `where`",
            )
        return x

    def share(self, a: Size, b: Size) -> bool:
        """Whether two sizes are made of the same unknowns: two reads of one name, say."""
        return bool({*self.unknowns.reduce(a).symbols} & {*self.unknowns.reduce(b).symbols})

    def inside(self, a: Interval, b: Interval) -> bool:
        low = self.unknowns.at_least(a.low, b.low)
        high = self.unknowns.at_least(b.low + b.size, a.low + a.size)
        return bool(low and high)


def _ceil(size: Size, k: int) -> Size:
    return (size + (k - 1)).floordiv(k)
