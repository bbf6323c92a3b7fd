"""Claims → equations, by the page's own resolver: what the page says is given, and known in full.

Every name of the page and every gradient is given, with the ranges that it has on the page; each is zero
outside of them, as a printed derivation says. Only what a claim defines itself (``δ[t] = …``) is solved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from chalkgrad.claims.claim import DELTA, Claim, Claims
from chalkgrad.claims.extent import Extent
from chalkgrad.claims.ground import BATCH, Ground, Page
from chalkgrad.claims.readings import Sense
from chalkgrad.equations.ir import Apply as ApplyNode
from chalkgrad.equations.ir import Condition, Const, Equation, Expr, Guard, Index, Name, Program, Range, Read
from chalkgrad.equations.ops import FUNCTIONS, OPS
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Concat, Indexed, Line, Node, Number, Symbol, Text, parts
from chalkgrad.language.resolve.define import Attempt
from chalkgrad.language.resolve.definitions import find_roles
from chalkgrad.language.resolve.elaborate import Elaborator
from chalkgrad.language.resolve.naming import as_range, resize
from chalkgrad.language.resolve.roles import Definition, Roles, index_symbols
from chalkgrad.language.resolve.scope import Outside, Scope, Shape
from chalkgrad.language.resolve.sizes import Interval
from chalkgrad.language.resolve.starts import states_of
from chalkgrad.language.resolve.values import RankError, Value
from chalkgrad.language.source import EquationError, Span

CLAIMED = "⁺"
"""Behind the name of a claimed gradient: reads of that gradient are of the right one."""


@dataclass(frozen=True)
class Side:
    """A left side and one expression for it, under a name of its own."""

    target: str
    claim: Claim
    right: Node


def elaborate(ground: Ground, claims: Claims, sides: Sequence[Side], sense: Sense) -> Program:
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
    return attempt.program()


def unmarked(error: EquationError) -> EquationError:
    """The error with claimed gradients under the names that the claim has for them."""
    plain = partial(re.sub, rf"{CLAIMED}\d*", "")
    labels = tuple((span, plain(note)) for span, note in error.labels)
    return EquationError(plain(error.problem), error.text, labels, plain(error.help))


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

    def follow(self, node: Node, other: Node, scope: Scope) -> None:
        """No rank is open here that could follow another: what is not on the page is a size."""

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
        self.elaborator.sizes |= {*page.resolved.sizes, *page.resolved.program.symbols} - {
            BATCH,
            *page.forward.table,
        }
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
            self.shapes[name] = Shape(name, page.forward[about].written, axes, Outside(0.0, ()))

    def low(self, about: str, axis: int) -> Size:
        """Where an axis begins."""
        page = self.ground.page
        own = page.own(about)[axis].low
        if self.sense.begin is None or (self.joined and axis >= page.forward[about].written):
            return own
        return Size((), self.sense.begin)

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
        reads = [a for k, a in enumerate(scope.accesses) if k not in exempt]
        sizes = [s for s in self.ground.numbers if s.isidentifier() and s != BATCH]
        known = left if scope.target in self.claims else ()
        Extent(scope, reads, self.unknowns, self.roles).solve(known, sizes)

    def conflict(self, a: Interval, b: Interval) -> EquationError:
        return self.roles.fail(
            "two sizes do not go together here",
            (a.span, a.what),
            (b.span, b.what),
            help="a product joins the last axis of its left factor with the first of its right one: "
            "transpose one, or change their places",
        )

    # --- the outcome -------------------------------------------------------------------------------------

    def program(self) -> Program:
        """The claims' own program: its outputs are the sides."""

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
            equations += [Equation(d.name, box, Const(0)) for _, box in own]
            names.append(Name(d.name, "defined", hull))
            equations.append(Equation(d.name, ranges, resize(d.value, size)))
        sides = tuple(d.name for d in self.defined if d.name in self.claims)
        return Program(tuple(equations), tuple(names), sides)

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
    names = ", ".join(n.name for n in page.forward.names if not n.generated)
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
