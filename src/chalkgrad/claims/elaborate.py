"""Claims → equations, by the page's own resolver: what the page says is given, and known in full.

Every name of the page and every gradient is given, with the ranges that it has on the page; each is zero
outside of them, as a printed derivation says. Only what a claim defines itself (``δ[t] = …``) is solved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalkgrad.claims.ground import Ground, Page
from chalkgrad.claims.written import DELTA, Claim, Claims
from chalkgrad.equations.ir import Apply as ApplyNode
from chalkgrad.equations.ir import Condition, Const, Equation, Expr, Guard, Index, Name, Program, Range, Read
from chalkgrad.equations.ops import FUNCTIONS, OPS
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Concat, Indexed, Line, Node, Number, Symbol, Text, parts
from chalkgrad.language.resolve.define import Attempt, Defined
from chalkgrad.language.resolve.definitions import find_roles
from chalkgrad.language.resolve.elaborate import Elaborator
from chalkgrad.language.resolve.naming import as_range, resize
from chalkgrad.language.resolve.roles import Definition, Roles, index_symbols
from chalkgrad.language.resolve.scope import Access, Scope, Shape
from chalkgrad.language.resolve.sizes import Interval
from chalkgrad.language.resolve.starts import states_of
from chalkgrad.language.resolve.values import RankError, Value
from chalkgrad.language.source import EquationError, Span

CLAIMED = "⁺"
"""Behind the name of a claimed gradient: reads of that gradient are of the right one."""


@dataclass(frozen=True)
class Sense:
    """How a claim is read where paper leaves it open.

    ``one``: every index counts from 1 (the page's own count may begin at 0). ``columns``: vectors are
    columns. ``delta``: the name whose gradient δ is. ``length``: T is the number of steps, and T-1 the last
    one; as on a page it is the last one itself.
    """

    one: bool = False
    columns: bool = True
    delta: str | None = None
    length: bool = False


@dataclass(frozen=True)
class Side:
    """A left side and one expression for it, under a name of its own."""

    target: str
    claim: Claim
    right: Node


@dataclass(frozen=True)
class Elaborated:
    """The claims as a program: its targets are the sides', and its starts are zero."""

    program: Program
    sides: Mapping[str, Defined]


def elaborate(ground: Ground, claims: Claims, sides: Sequence[Side], sense: Sense) -> Elaborated:
    """Sides and helper lines as a program over the names of the page. Raises EquationError."""
    lines = [*claims.helpers]
    for s in sides:
        at = tuple(i for i in s.claim.at if not _fixed(i, ground.page))
        symbol = Symbol(s.target, s.claim.left)
        left: Node = Indexed(symbol, at, s.claim.left) if at else symbol
        lines.append(Line(left, s.right, (), s.claim.left.to(s.right.span)))
    text = Text(claims.source, tuple(lines), ())
    roles = find_roles(text, dict(claims.functions))
    page = ground.page
    _find_steps(roles, page, {s.target: s.claim for s in sides})
    attempt = _Attempt(roles, ground, {s.target: s.claim for s in sides}, sense, claims.defined)
    attempt.run()
    return attempt.elaborated()


def _fixed(item: Node, page: Page) -> bool:
    """Whether an index on a left side is one step: h[T], h[T-1], h[0]."""
    letters = set(index_symbols(item))
    return isinstance(item, Number) or (
        bool(letters) and all(a != a.lower() and a.lower() in page.resolved.recurrence for a in letters)
    )


def _find_steps(roles: Roles, page: Page, claims: Mapping[str, Claim]) -> None:
    """Steps are those of the page; only what the page writes bare goes along with one unwritten."""
    roles.recurrence = roles.recurrence | page.resolved.recurrence
    for target, claim in claims.items():
        roles.timed.pop(target, None)
        if claim.about in page.bare and not claim.at:
            roles.timed[target] = page.bare[claim.about]
    for name, letter in page.bare.items():
        for spelled in (name, f"∂{name}"):
            if spelled not in roles.definitions:
                roles.timed[spelled] = letter


class _Elaborator(Elaborator):
    """Reads that are zero outside; slopes of functions, and diagonal matrices."""

    attempt: _Attempt

    def read_at(self, name: str, indices: tuple[Index, ...], span: Span, scope: Scope) -> Value:
        value = super().read_at(name, indices, span, scope)
        whole = self.attempt.whole(name, scope)
        if whole is None:
            return value
        shape = self.shapes[name]
        conditions: list[Condition] = []
        for index, (low, size) in zip(indices, whole, strict=False):
            if index.terms:
                conditions += [Condition(index - low), Condition(index * -1 + (low + size - 1))]
            else:
                at = self.attempt.number(index.shift)
                if not self.attempt.number(low) <= at < self.attempt.number(low + size):
                    return Value(shape.axes[len(indices) :], lambda _: Const(0), span)

        def build(at: tuple[Index, ...]) -> Expr:
            read = Read(name, (*indices, *at))
            return Guard(tuple(conditions), read) if conditions else read

        return Value(value.axes, build, span)

    def index(self, item: Node, scope: Scope, name: str = "", position: int = 0) -> Index:
        found = super().index(item, scope, name, position)
        steps = self.roles.recurrence
        last = isinstance(item, Symbol) and item.name not in scope.index and item.name.lower() in steps
        return found + 1 if last and self.attempt.sense.length else found

    def timed_letter(self, name: str) -> str | None:
        page = self.attempt.ground.page
        about = self.attempt.primal(name)
        if about is None:
            return super().timed_letter(name)
        n = page.forward[about]
        return next((r.axis for r in n.ranges[: n.written] if r.axis in page.resolved.recurrence), None)

    def function(
        self, name: str, base: Node, over: tuple[Node, ...], args: tuple[Node, ...], span: Span, scope: Scope
    ) -> Value:
        written = base.name if isinstance(base, Symbol) else ""
        stem = written.rstrip("'′")
        if written == "diag" and len(args) == 1:
            return self.diagonal(self.value(args[0], scope), span)
        if stem != written and len(args) == 1:
            slope = self.slope(name, span)
            return self.algebra.each(slope, self.value(args[0], scope), span)
        return super().function(name, base, over, args, span, scope)

    def slope(self, name: str, span: Span):
        if name not in FUNCTIONS:
            raise self.roles.fail(
                f"the slope of `{name}` has no name", (span, "here"), help="write it out: y ⊙ (1 - y)"
            )
        op = FUNCTIONS[name]
        return lambda e: OPS[op].slopes[0](ApplyNode(op, (e,)), (e,))

    def diagonal(self, v: Value, span: Span) -> Value:
        if v.rank != 1:
            raise RankError(f"a diagonal matrix is made of a vector, and this is {v.kind}", "diag(v)", v)

        def build(at: tuple[Index, ...]) -> Expr:
            return Guard((Condition(at[0] - at[1], "zero"),), v.build(at[:1]))

        return Value((v.axes[0], v.axes[0]), build, span)


class _Attempt(Attempt):
    """A reading of claims: shapes come from the page, and sizes are numbers, so that none is made equal."""

    elaborates = _Elaborator

    def __init__(
        self,
        roles: Roles,
        ground: Ground,
        claims: Mapping[str, Claim],
        sense: Sense,
        own: frozenset[str],
    ) -> None:
        self.ground, self.claims, self.sense, self.own = ground, claims, sense, own
        self.joined = any(_has_concat(d.right) for d in roles.definitions.values())
        super().__init__(roles, frozenset(), frozenset(), sense.columns)
        self.elaborator.attempt = self  # type: ignore[attr-defined]

    # --- what the page gives -----------------------------------------------------------------------------

    def primal(self, name: str) -> str | None:
        """The name of the page whose value or gradient a given name is."""
        page = self.ground.page
        if name == DELTA and DELTA not in self.own and DELTA not in page.forward.table:
            return self.sense.delta
        if name in page.forward.table:
            return name
        found = page.derived.table.get(name)
        return found.of if found is not None else None

    def find_inputs(self, named: frozenset[str]) -> set[str]:
        page = self.ground.page
        self.unknowns.known.update({s: Size((), n) for s, n in self.ground.numbers.items()})
        self.elaborator.sizes |= {*page.resolved.sizes, *page.resolved.program.symbols} - {"batch"}
        self.unknowns.known.update(
            {s: Size((), z.value(self.ground.numbers)) for s, z in page.resolved.sizes.items()}
        )
        return set(self.given())

    def find_given_shapes(self) -> None:
        page = self.ground.page
        for name in self.given():
            if name in self.elaborator.sizes:
                continue
            about = self.primal(name)
            if about is None:
                raise _unknown(self, name)
            axes = tuple(
                Interval(self.low(about, k), r.size, self.places[name], f"of `{name}` ({r.size})")
                for k, r in enumerate(page.own(about))
            )
            self.shapes[name] = Shape(name, page.forward[about].written, axes, True, True)

    def low(self, about: str, axis: int) -> Size:
        """Where an axis begins: as on the page, or at 1."""
        page = self.ground.page
        own = page.own(about)[axis].low
        if not self.sense.one or (self.joined and axis >= page.forward[about].written):
            return own
        return Size((), 1)

    def whole(self, name: str, scope: Scope) -> list[tuple[Size, Size]] | None:
        """The intervals of a name with the steps before its start; None where reads need no guard."""
        about = self.primal(name) if name not in self.roles.definitions else None
        if about is None:
            if name in self.roles.group(scope.target) and scope.target in self.roles.group(name):
                return None
            return [(a.low, a.size) for a in self.shapes[name].axes]
        page = self.ground.page
        return [
            (self.low(about, k) + (r.low - o.low), r.size)
            for k, (r, o) in enumerate(zip(page.forward[about].ranges, page.own(about), strict=True))
        ]

    def number(self, size: Size) -> int:
        found = self.unknowns.reduce(size).constant
        assert found is not None, size
        return found

    # --- one equation ------------------------------------------------------------------------------------

    def scope(self, name: str, letters: tuple[str, ...], definition: Definition) -> Scope:
        scope = super().scope(name, letters, definition)
        if name in self.claims:
            claim, page = self.claims[name], self.ground.page
            own = page.own(claim.about)
            kept = [k for k in range(len(own)) if k >= len(claim.at) or not _fixed(claim.at[k], page)]
            if len(letters) > len(kept):
                raise self.roles.fail(
                    f"`∂{claim.about}` has {_count(len(own))} and stands here with {len(claim.at)} indices",
                    (claim.left, "too many indices"),
                    help=f"write ∂{claim.about}"
                    + (f"[{','.join(r.axis for r in own)}] = …" if own else " = …"),
                )
            for letter, k in zip(letters, kept, strict=False):
                low, size = self.low(claim.about, k), own[k].size
                scope.intervals[letter] = Interval(low, size, definition.span, f"the index `{letter}`")
        return scope

    def solve(self, scope: Scope, left: tuple[str, ...], exempt: set[int]) -> None:
        """Every summed index runs over what all the names read at it alone have; shifts narrow nothing."""
        fixed = scope.target in self.claims
        reads = [a for k, a in enumerate(scope.accesses) if k not in exempt]
        solved = set(left) if fixed else set[str]()
        waiting = [a for a in scope.intervals if a not in solved]
        for needs_all in (False, True):
            for axis in list(waiting):
                found = self.extent(axis, scope, reads, solved, needs_all)
                if found is None:
                    continue
                own = scope.intervals[axis]
                low, high = found
                self.unknowns.equal(
                    Interval(Size((), low), Size((), max(0, high - low + 1)), own.span, own.what), own
                )
                solved.add(axis)
                waiting.remove(axis)
        for axis in waiting:
            letter = axis.rstrip("′")
            raise self.roles.fail(
                f"nothing says how far the index `{letter}` runs",
                (scope.intervals[axis].span, "no name is read at it"),
                help=f"give its range: Σ[{letter}=1..T]",
            )

    def extent(
        self, axis: str, scope: Scope, reads: Sequence[Access], solved: set[str], shifted: bool
    ) -> tuple[int, int] | None:
        """The first and last value of an index: stated, or of the names read at it alone, or (where
        there are none) everything at which a shifted read is inside."""
        low, high = scope.bounds.get(axis, (None, None))
        for end in (low, high):
            if end is not None and self.unknowns.reduce(end).constant is None:
                sizes = [s for s in self.ground.numbers if s.isidentifier() and s != "batch"]
                raise self.roles.fail(
                    f"the page has no size {end}",
                    (scope.intervals[axis].span, "ends there"),
                    help=f"write Σ[{axis.rstrip('′')}], for as far as it goes"
                    + (f"; its sizes are {', '.join(sizes)}" if sizes else ""),
                )
        if low is not None and high is not None:
            return self.number(low), self.number(high)
        bare = [a.axis for a in reads if a.index.plain() == axis and not self.unknowns.open(a.axis.size)]
        found = [(self.number(a.low), self.number(a.low + a.size - 1)) for a in bare]
        if found:
            first, last = max(a for a, _ in found), min(b for _, b in found)
        elif shifted:
            spans = [
                self.reach(a, axis, scope)
                for a in reads
                if a.index.coefficient(axis)
                and not self.unknowns.open(a.axis.size)
                and all(b in solved for b in a.index.axes if b != axis)
            ]
            if not spans:
                return None
            first, last = min(a for a, _ in spans), max(b for _, b in spans)
        else:
            return None
        return (
            first if low is None else self.number(low),
            last if high is None else self.number(high),
        )

    def reach(self, access: Access, axis: str, scope: Scope) -> tuple[int, int]:
        """The values of one index at which some point of a read is inside."""
        k = access.index.coefficient(axis)
        smallest = largest = self.number(access.index.shift)
        for a, c in access.index.terms:
            if a != axis:
                own = scope.intervals[a]
                ends = c * self.number(own.low), c * self.number(own.low + own.size - 1)
                smallest, largest = smallest + min(ends), largest + max(ends)
        low, high = self.number(access.axis.low), self.number(access.axis.low + access.axis.size - 1)
        first, last = low - largest, high - smallest
        return (-(-first // k), last // k) if k > 0 else (-(last // -k), -(first // -k))

    def conflict(self, a: Interval, b: Interval) -> EquationError:
        return self.roles.fail(
            "two sizes do not go together here",
            (a.span, a.what),
            (b.span, b.what),
            help="a product joins the last axis of its left factor with the first of its right one: "
            "is one of them to be transposed, or are they to change places?",
        )

    # --- the outcome -------------------------------------------------------------------------------------

    def elaborated(self) -> Elaborated:
        def size(s: Size) -> Size:
            return self.unknowns.reduce(s)

        taken = set(self.shapes)
        names: list[Name] = []
        equations: list[Equation] = []
        for name in self.given():
            about = self.primal(name)
            if about is None or name not in self.shapes:
                continue
            letters = [f"a{k}" for k in range(len(self.shapes[name].axes))]
            ranges = self.hull(about)
            names.append(
                Name(
                    name, "input", tuple(Range(a, n, lo) for a, (lo, n) in zip(letters, ranges, strict=True))
                )
            )
        for d in self.defined:
            ranges = tuple(as_range(a, i, size) for a, i in zip(d.axes, d.intervals, strict=True))
            own, hull = states_of(self, d, ranges, taken)
            for state, box in own:
                equations.append(Equation(d.name, box, Const(0)))
                del state
            names.append(Name(d.name, "defined", hull))
            equations.append(Equation(d.name, ranges, resize(d.value, size)))
        sides = {d.name: d for d in self.defined if d.name in self.claims}
        return Elaborated(Program(tuple(equations), tuple(names), tuple(sides)), sides)

    def hull(self, about: str) -> list[tuple[Size, Size]]:
        page = self.ground.page
        return [
            (self.unknowns.reduce(self.low(about, k) + (r.low - o.low)), self.unknowns.reduce(r.size))
            for k, (r, o) in enumerate(zip(page.forward[about].ranges, page.own(about), strict=True))
        ]


def _unknown(attempt: _Attempt, name: str) -> EquationError:
    import difflib

    page = attempt.ground.page
    known = [*page.forward.table, *(f"∂{n}" for n in page.forward.table)]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    near += [n for n in known if n.lower() == name.lower() and n not in near]
    names = ", ".join(page.forward.table)
    return attempt.roles.fail(
        f"`{name}` is not on the page, and the claim does not define it",
        (attempt.places[name], "not known"),
        help="did you mean " + " or ".join(near)
        if near
        else f"names are {names}, and the gradient of each: ∂{next(iter(page.forward.table))}",
    )


def _has_concat(node: Node) -> bool:
    return isinstance(node, Concat) or any(_has_concat(p) for p in parts(node))


def _count(n: int) -> str:
    return f"{n} {'axis' if n == 1 else 'axes'}"
