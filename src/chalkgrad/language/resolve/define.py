"""One reading of a text: shapes for what is given, then each definition in turn, elaborated and solved."""

from __future__ import annotations

from dataclasses import dataclass

from chalkgrad.equations.ir import Expr, Index
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Declaration, Node
from chalkgrad.language.resolve.declarations import check_start
from chalkgrad.language.resolve.given import Given
from chalkgrad.language.resolve.intervals import solve_intervals
from chalkgrad.language.resolve.roles import Definition, Roles
from chalkgrad.language.resolve.scope import Scope, Shape, Within
from chalkgrad.language.resolve.sizes import Interval
from chalkgrad.language.source import Span


@dataclass(frozen=True, slots=True)
class Defined:
    """An elaborated definition: its axes (letters on the page, then implicit ones) and its value."""

    name: str
    axes: tuple[str, ...]
    intervals: tuple[Interval, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class Look:
    """A read of a state at a shift: by whom, along which letter of its left side; which axis, and how far."""

    reader: str
    letter: str
    state: str
    position: int
    shift: int
    span: Span


class Attempt(Given):
    """A reading in which the names in ``relaxed`` have one axis more than the page shows.

    ``within`` says what lines keep to beside their own reads. After :meth:`run`: ``defined`` in order of
    evaluation, ``starts`` (h[0] = …), ``shapes``, for each state the positions and shifts at which it is read
    before its start, and each of these reads in ``looks``.
    """

    def __init__(
        self,
        roles: Roles,
        inputs: frozenset[str],
        relaxed: frozenset[str],
        columns: bool = True,
        within: Within | None = None,
    ) -> None:
        self.defined: list[Defined] = []
        self.starts: dict[str, Defined] = {}
        self.claimed: list[tuple[Defined, Span]] = []  # further right sides of chains A = B = C
        self.states: dict[str, dict[int, list[tuple[int, Span]]]] = {}
        self.looks: list[Look] = []
        self.within: Within = within or {}
        self.assumed: dict[str, Shape] = {}
        self.plain = True  # whether every fully indexed name came out a scalar
        super().__init__(roles, inputs, relaxed, columns)

    @property
    def wants_rows(self) -> bool:
        """Whether the page writes row vectors and was read with columns."""
        algebra = self.elaborator.algebra
        return algebra.columns and algebra.row_products > algebra.column_products

    def run(self) -> None:
        """Elaborate every definition. Raises EquationError."""
        for name in self.roles.order:
            self.define(name)
        for name, start in self.roles.starts.items():
            self.define_start(name, start)

    # --- what is defined -------------------------------------------------------------------------------

    def assume(self, name: str) -> Shape:
        """The shape of a name read before its definition: a state, a vector unless said otherwise."""
        if name not in self.roles.definitions:
            raise self.roles.fail(
                f"`{name}` is not defined", (self.places[name], "read here"), help="define it"
            )
        letters = self.roles.letters(name)
        declaration = self.roles.declared.get(name)
        trailing = 0 if any(a not in self.roles.recurrence for a in letters) else 1
        if declaration is not None and declaration.dims is not None:
            trailing = max(0, self.ahead(name, declaration) + len(declaration.dims) - len(letters))
        axes = tuple(
            Interval(
                self.unknowns.fresh_low() if k < len(letters) else Size(),
                self.unknowns.fresh(),
                self.places[name],
                f"of `{name}`",
            )
            for k in range(len(letters) + trailing)
        )
        if declaration is not None and declaration.dims:
            said = tuple(self.sized(name, n) for n in declaration.dims)
            axes = (*axes[: len(axes) - len(said)], *said)
        shape = Shape(name, len(letters), axes, outside=self.outside(declaration, len(axes)))
        self.shapes[name] = self.assumed[name] = shape
        return shape

    def ahead(self, name: str, declaration: Declaration) -> int:
        """The axes that stand before those with a size in a declaration: the t of ``h[t]: H``."""
        return len(declaration.at) or sum(a in self.roles.recurrence for a in self.roles.letters(name))

    def define(self, name: str) -> None:
        definition = self.roles.definitions[name]
        letters = self.roles.letters(name)
        scope = self.scope(name, letters, definition)
        self.elaborator.algebra.dots.clear()
        value = self.elaborator.value(definition.right, scope)
        axes = (*letters, *(self.elaborator.letter() for _ in value.axes))
        expr = value.build(tuple(Index.axis(a) for a in axes[len(letters) :]))
        if value.rank and any(a not in self.roles.recurrence for a in letters):
            self.plain = False
        self.solve(scope, letters, self.before_the_start(name, scope))
        intervals = (*(scope.intervals[a] for a in letters), *value.axes)
        self.settle(name, definition, intervals)
        self.defined.append(Defined(name, axes, intervals, expr))
        for side in definition.also:
            self.claim(self.defined[-1], definition, side)

    def claim(self, first: Defined, definition: Definition, side: Node) -> None:
        """A further right side of a chain: the same name on the same ranges, to be compared in numbers."""
        letters = self.roles.letters(first.name)
        scope = self.scope(first.name, letters, definition)
        value = self.elaborator.value(side, scope)
        if value.rank != len(first.axes) - len(letters):
            raise self.roles.fail(
                f"one side of this chain is {_rank(len(first.axes) - len(letters))}, another {value.kind}",
                (side.span, "here"),
                help="every side of A = B = C must mean the same",
            )
        trailing = tuple(Index.axis(a) for a in first.axes[len(letters) :])
        expr = value.build(trailing)
        self.solve(scope, letters, self.before_the_start(first.name, scope))
        for own, found in zip(
            first.intervals, (*(scope.intervals[a] for a in letters), *value.axes), strict=True
        ):
            self.unknowns.equal(
                own, Interval(found.low, found.size, side.span, f"this side of `{first.name}`")
            )
        self.claimed.append((Defined(first.name, first.axes, first.intervals, expr), side.span))

    def solve(self, scope: Scope, left: tuple[str, ...], exempt: set[int]) -> None:
        """Fix how far every axis of an equation runs."""
        solve_intervals(scope, left, exempt, self.roles, self.unknowns)

    def scope(self, name: str, letters: tuple[str, ...], definition: Definition) -> Scope:
        self.elaborator.taken = set(letters)
        shifts = dict(zip(definition.letters, definition.shifts, strict=True))
        index = {a: Index.axis(a) - shifts.get(a, 0) for a in letters}
        fresh, low = self.unknowns.fresh, self.unknowns.fresh_low
        intervals = {a: Interval(low(), fresh(), definition.span, f"the index `{a}`") for a in letters}
        within = {a: self.within[name, a] for a in letters if (name, a) in self.within}
        return Scope(name, letters, index, intervals, said=self.said(name, letters), within=within)

    def said(self, name: str, letters: tuple[str, ...]) -> dict[str, Interval]:
        """The intervals that the declared shape of a name gives to its letters."""
        declaration = self.roles.declared.get(name)
        if declaration is None or declaration.dims is None:
            return {}
        sized = letters[self.ahead(name, declaration) :]
        return {a: self.sized(name, dim) for a, dim in zip(sized, declaration.dims, strict=False)}

    def before_the_start(self, name: str, scope: Scope) -> set[int]:
        """The accesses that may reach before the start: a state's, at a shift along a recurrence index."""
        exempt = set[int]()
        for k, access in enumerate(scope.accesses):
            if self.has_a_start(scope, access.name, access.position, access.index):
                letter, shift = access.index.terms[0][0], access.index.shift.const
                shifts = self.states.setdefault(access.name, {}).setdefault(access.position, [])
                shifts.append((shift, access.span))
                self.looks.append(Look(name, letter, access.name, access.position, shift, access.span))
                exempt.add(k)
        return exempt

    def has_a_start(self, scope: Scope, name: str, position: int, index: Index) -> bool:
        """Whether one axis of a name is read as a state's: before its first step stands its start."""
        if len(index.terms) != 1 or index.terms[0][1] != 1 or index.shift.constant is None:
            return False
        letter, shift = index.terms[0][0], index.shift.const
        if letter not in self.roles.recurrence or letter not in scope.left or shift == 0:
            return False
        known = self.states.get(name, {}).get(position, [])
        return name in self.roles.group(scope.target) or any((s < 0) == (shift < 0) for s, _ in known)

    def settle(self, name: str, definition: Definition, intervals: tuple[Interval, ...]) -> None:
        """Make the shape of a definition what its right side gives; check what was assumed or declared."""
        letters = self.roles.letters(name)
        declaration, rank = self.roles.declared.get(name), len(intervals) - len(letters)
        if name in self.assumed:
            assumed, said = self.assumed[name], self.roles.declared.get(name)
            if len(assumed.axes) != len(intervals):
                dots = self.elaborator.algebra.dots[:1]
                raise self.roles.fail(
                    f"`{name}` is read as {_rank(len(assumed.axes) - len(letters))} "
                    f"and its right side is {_rank(rank)}",
                    *(() if said is None else ((said.span, "declared here"),)),
                    (definition.span, "defined here"),
                    *((dot, "side by side, two vectors make a scalar") for dot in dots),
                    help="write ⊙ for the product element by element"
                    if dots and said is None
                    else f"say what it is: where {name}[{','.join(letters)}]: "
                    + ("scalar" if rank == 0 else "×".join("HKL"[:rank]))
                    if said is None
                    else "correct the shape, or the ranks on the right side",
                )
            for own, found in zip(assumed.axes, intervals, strict=True):
                self.unknowns.equal(own, found)
        else:
            outside = self.outside(declaration, len(intervals))
            self.shapes[name] = Shape(name, len(letters), intervals, outside=outside)
        if declaration is not None and declaration.dims is not None:
            ahead = self.ahead(name, declaration)
            if len(declaration.dims) != len(intervals) - ahead:
                raise self.roles.fail(
                    f"`{name}` is declared {_rank(len(declaration.dims))} and its right side is "
                    f"{_rank(len(intervals) - ahead)}",
                    (declaration.span, "declared here"),
                    (definition.span, "defined here"),
                    help="correct the shape, or the ranks on the right side",
                )
            for dim, found in zip(declaration.dims, intervals[ahead:], strict=True):
                self.unknowns.equal(self.sized(name, dim), found)

    def define_start(self, name: str, start: Definition) -> None:
        """``h[0] = …``, and with further axes written ``h[0,j] = …``."""
        shape, letters = self.shapes[name], self.roles.letters(name)
        check_start(self.roles, self.states.get(name, {}), start)
        scope = self.scope(name, start.letters, start)
        self.elaborator.taken |= set(letters)
        value = self.elaborator.value(start.right, scope)
        trailing = shape.axes[len(letters) :]
        if name not in self.states or value.rank not in (0, len(trailing)):
            raise self.roles.fail(
                f"`{name}` is {_rank(len(trailing))} and its start is {value.kind}"
                if name in self.states
                else f"`{name}` is not a state: nothing reads it at a shift, so it has no start",
                (start.span, "the start"),
                help="a start is a scalar or has the state's rank"
                if name in self.states
                else "remove this line",
            )
        self.solve(scope, start.letters, set())
        beside = [a for k, a in enumerate(shape.axes[: len(letters)]) if k != start.fixed]
        for own, letter in zip(beside, start.letters, strict=True):
            self.unknowns.equal(own, scope.intervals[letter])
        for own, found in zip(trailing, value.axes, strict=False):
            self.unknowns.equal(own, found)
        axes = tuple(self.elaborator.letter() for _ in trailing)
        expr = value.build(tuple(Index.axis(a) for a in axes) if value.rank else ())
        self.starts[name] = Defined(name, (*start.letters, *axes), (*beside, *trailing), expr)


def _rank(n: int) -> str:
    return ("a scalar", "a vector", "a matrix")[n] if 0 <= n < 3 else f"a tensor of rank {n}"
