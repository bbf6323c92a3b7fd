"""One reading of a text: shapes for what is given, then each definition in turn, elaborated and solved."""

from __future__ import annotations

from dataclasses import dataclass

from chalkgrad.equations.ir import Expr, Index
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Declaration, Node, Symbol
from chalkgrad.language.resolve.declarations import binders, check_declarations, check_start, whole_sizes
from chalkgrad.language.resolve.elaborate import Elaborator
from chalkgrad.language.resolve.intervals import solve_intervals
from chalkgrad.language.resolve.roles import Definition, Roles, Use, index_symbols
from chalkgrad.language.resolve.scope import Scope, Shape, declared_size, size_symbols
from chalkgrad.language.resolve.sizes import Interval, Unknowns
from chalkgrad.language.source import EquationError, Span


@dataclass(frozen=True, slots=True)
class Defined:
    """An elaborated definition: its axes (letters on the page, then implicit ones) and its value."""

    name: str
    axes: tuple[str, ...]
    intervals: tuple[Interval, ...]
    value: Expr


class Attempt:
    """A reading in which the names in ``relaxed`` have one axis more than the page shows.

    After :meth:`run`: ``defined`` in order of evaluation, ``starts`` (h[0] = …), ``shapes``, and for each
    state the positions and shifts at which it is read before its start.
    """

    elaborates = Elaborator

    def __init__(
        self, roles: Roles, inputs: frozenset[str], relaxed: frozenset[str], columns: bool = True
    ) -> None:
        self.roles = roles
        self.unknowns = Unknowns(self.conflict)
        self.relaxed = relaxed
        self.relaxable: list[str] = []
        self.shapes: dict[str, Shape] = {}
        self.places: dict[str, Span] = {}
        self.defined: list[Defined] = []
        self.starts: dict[str, Defined] = {}
        self.claimed: list[tuple[Defined, Span]] = []  # further right sides of chains A = B = C
        self.states: dict[str, dict[int, list[tuple[int, Span]]]] = {}
        self.assumed: dict[str, Shape] = {}
        self.plain = True  # whether every fully indexed name came out a scalar
        sizes = {s for d in roles.text.declarations for n in d.dims or () for s in size_symbols(n)}
        sizes |= whole_sizes(roles)
        self.elaborator = self.elaborates(roles, self.unknowns, self.shapes, sizes, columns, self.assume)
        self.all_uses = {n: roles.uses(n) for n in roles.definitions}
        self.elaborator.avoid = {u.name for us in self.all_uses.values() for u in us} | set(roles.definitions)
        self.elaborator.scalars = {n for n, d in roles.declared.items() if d.dims == ()}
        self.uses: dict[str, list[Use]] = {}
        for us in [*self.all_uses.values(), *(roles.uses(n, roles.starts) for n in roles.starts)]:
            for u in us:
                self.places.setdefault(u.name, u.span)
                self.uses.setdefault(u.name, []).append(u)
        self.places.update({n: d.span for n, d in roles.definitions.items()})
        self.time: dict[str, Interval] = {}
        self.inputs = self.find_inputs(inputs)
        self.find_given_shapes()

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

    def conflict(self, a: Interval, b: Interval) -> EquationError:
        show = self.shown
        if show(a.size) == show(b.size):
            return self.roles.fail(
                "these two begin at different places",
                (a.span, f"{a.what}: from {show(a.low)}"),
                (b.span, f"{b.what}: from {show(b.low)}"),
                help="read one of them at a shift",
            )
        return self.roles.fail(
            f"two sizes disagree: {show(a.size)} and {show(b.size)}",
            (a.span, f"{a.what}: {show(a.size)}"),
            (b.span, f"{b.what}: {show(b.size)}"),
            help="make them equal, or change one of the shapes",
        )

    def shown(self, size: Size) -> Size:
        """A size for an error: an unknown is called after the first name that has it."""
        called: dict[str, Size] = {}
        for shape in self.shapes.values():
            for axis in shape.axes:
                found = self.unknowns.reduce(axis.size)
                if self.unknowns.open(found):
                    called.setdefault(found.symbols[0], Size.symbol(f"|{shape.name}|"))
        return self.unknowns.reduce(size).substitute(called)

    # --- what is given ---------------------------------------------------------------------------------

    def given(self) -> list[str]:
        """The names read and defined nowhere, in order of appearance (declared sizes are not among them)."""
        sizes = self.elaborator.sizes
        return [n for n in self.uses if self.elaborator.is_given(n) and n not in sizes]

    def find_inputs(self, named: frozenset[str]) -> set[str]:
        """Inputs: said so, or carrying the recurrence index; the only given name is one too."""
        roles, given = self.roles, self.given()
        said = named | {n for n, d in roles.declared.items() if d.role == "input"}
        for n in named:
            if n not in given:
                raise EquationError(
                    f"inputs={n!r}: `{n}` is not a given name of these equations",
                    help=f"given: {', '.join(given)}",
                )
        self.unread = check_declarations(roles, self.uses, given, self.elaborator.sizes, self.places)
        parameters = {n for n, d in roles.declared.items() if d.role == "parameter"}
        timed = {n for n in given if n not in parameters and self.carries(n)}
        found = set(said) | timed
        if not found:
            if len(given) == 1:
                return set(given)
            labels = tuple((self.places[n], "given") for n in given[:4])
            likely = next((n for n in given if n.lower() == "x"), given[-1] if given else "")
            raise roles.fail(
                "which of these is the input? " + ", ".join(f"`{n}`" for n in given)
                if given
                else "these equations read nothing that is given",
                *labels,
                help=f"say it: where {likely}: input"
                if given
                else "a layer computes something from an input",
            )
        return found

    def carries(self, name: str) -> bool:
        """Whether a given name is read at a recurrence index."""
        return any(
            a in self.roles.recurrence for u in self.uses[name] for i in u.at for a in index_symbols(i)
        )

    def find_given_shapes(self) -> None:
        from_one = self.letters_with_a_start()
        for name in self.given():
            uses, declaration = self.uses[name], self.roles.declared.get(name)
            items = max((u.at for u in uses), key=len)
            if not items and (declaration is None or declaration.dims is None):
                if name in self.inputs:
                    rank = 2 if name[:1].isupper() else 1
                    self.shapes[name] = self.elaborator.given_shape(name, 0, rank, self.places[name])
                continue  # its rank follows from where it stands
            timed = [k for k, i in enumerate(items) if set(index_symbols(i)) & self.roles.recurrence]
            rank = len(items)
            if declaration is None or declaration.dims is None:
                if timed and len(timed) == len(items):
                    rank += 1
                elif not timed and items:
                    self.relaxable.append(name)
                    rank += name in self.relaxed
            axes = [self.elaborator.axis(name, self.places[name]) for _ in range(rank)]
            if declaration is not None and declaration.dims is not None:
                axes = self.declared_axes(name, declaration, len(timed), len(items))
            for k, item in enumerate(items):
                if k in timed and name in self.inputs:
                    letter = next(a for a in index_symbols(item) if a in self.roles.recurrence)
                    axes[k] = self.length_of(letter, self.places[name])
                elif any(self.starts_at_one(u, k, from_one) for u in uses) or (
                    # γ[i] x[i] beside Σ[i=1..H] x[i]: what is read at bare letters begins where they do.
                    from_one and all(k < len(u.at) and isinstance(u.at[k], Symbol) for u in uses)
                ):
                    axes[k] = Interval(self.unknowns.fresh_low(), axes[k].size, axes[k].span, axes[k].what)
            outside = self.outside(declaration)
            self.shapes[name] = Shape(name, len(items), tuple(axes), declaration is not None, outside)

    def outside(self, declaration: Declaration | None) -> Size | bool:
        if declaration is None or isinstance(declaration.outside, bool):
            return declaration is not None and bool(declaration.outside)
        size = declared_size(declaration.outside)
        if size is None:
            raise self.roles.fail(
                "how far zeros are read beyond the edge is a number or a size",
                (declaration.outside.span, "not a size"),
                help="write: where x: input N zero outside ±1",
            )
        return size

    def declared_axes(self, name: str, d: Declaration, timed: int, items: int) -> list[Interval]:
        """The axes that a ``where`` gives; those before a bracket or along the recurrence stay open."""
        assert d.dims is not None
        ahead = len(d.at) if d.at else timed
        axes = [self.elaborator.axis(name, self.places[name]) for _ in range(ahead)]
        axes += [self.sized(name, n) for n in d.dims]
        if len(axes) < items:
            raise self.roles.fail(
                f"`{name}` is declared with {len(axes)} {'axis' if len(axes) == 1 else 'axes'} "
                f"and read with {items} indices",
                (d.span, "declared here"),
                (self.places[name], "read here"),
                help=f"give a size for every axis: where {name}: A×B",
            )
        return axes

    def sized(self, name: str, dim: Node) -> Interval:
        size = declared_size(dim)
        if size is None:
            raise self.roles.fail(
                "a size is a number, a symbol, or a sum of them",
                (dim.span, "not a size"),
                help="write D, 64 or H+D",
            )
        if size.constant is not None and size.constant <= 0:
            raise self.roles.fail(
                f"a size is at least 1, and this is {size.constant}", (dim.span, "here"), help="write D or 64"
            )
        return Interval(Size(), size, dim.span, f"of `{name}`")

    def length_of(self, letter: str, span: Span) -> Interval:
        """The interval that all inputs share along a recurrence index."""
        if letter not in self.time:
            capital = letter.upper()
            clash = capital in self.roles.definitions or capital in self.uses
            symbol = f"|{letter}|" if clash and capital not in self.elaborator.sizes else capital
            self.time[letter] = Interval(Size(), Size.symbol(symbol), span, f"the length along `{letter}`")
        return self.time[letter]

    def letters_with_a_start(self) -> set[str]:
        """Letters of sums whose first value the page gives, as in Σ[j=1..k]."""
        return {b.index.name for b in binders(self.roles) if b.low is not None}

    def starts_at_one(self, use: Use, position: int, from_one: set[str]) -> bool:
        if position >= len(use.at):
            return False
        item = use.at[position]
        return isinstance(item, Symbol) and item.name in use.bound & from_one

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
            trailing = len(declaration.dims) - (
                0 if declaration.at else len(letters) - self.timed_letters(name)
            )
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
            said = tuple(self.sized(name, n) for n in declaration.dims[len(declaration.dims) - trailing :])
            axes = (*axes[: len(letters)], *said)
        shape = Shape(name, len(letters), axes, outside=self.outside(declaration))
        self.shapes[name] = self.assumed[name] = shape
        return shape

    def timed_letters(self, name: str) -> int:
        return sum(a in self.roles.recurrence for a in self.roles.letters(name))

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
        return Scope(name, letters, index, intervals)

    def before_the_start(self, name: str, scope: Scope) -> set[int]:
        """The accesses that may reach before the start: a state's, at a shift along a recurrence index."""
        group, exempt = self.roles.group(name), set[int]()
        for k, access in enumerate(scope.accesses):
            index = access.index
            if len(index.terms) != 1 or index.terms[0][1] != 1 or index.shift.constant is None:
                continue
            letter, shift = index.terms[0][0], index.shift.const
            if letter not in self.roles.recurrence or letter not in scope.left or shift == 0:
                continue
            known = self.states.get(access.name, {}).get(access.position, [])
            if access.name in group or any((s < 0) == (shift < 0) for s, _ in known):
                shifts = self.states.setdefault(access.name, {}).setdefault(access.position, [])
                shifts.append((shift, access.span))
                exempt.add(k)
        return exempt

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
            self.shapes[name] = Shape(name, len(letters), intervals, outside=self.outside(declaration))
        if declaration is not None and declaration.dims is not None:
            ahead = len(declaration.at) if declaration.at else self.timed_letters(name)
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
