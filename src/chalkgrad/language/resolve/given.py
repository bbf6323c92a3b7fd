"""What is given: which names are inputs, and what shape each has before anything is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod

from chalkgrad.equations.ir import Index
from chalkgrad.equations.size import Size
from chalkgrad.language.parse.syntax import Declaration, Node, Symbol
from chalkgrad.language.resolve.declarations import binders, check_declarations, whole_sizes
from chalkgrad.language.resolve.elaborate import Elaborator
from chalkgrad.language.resolve.roles import Roles, Use, index_symbols
from chalkgrad.language.resolve.scope import Outside, Scope, Shape, declared_size, size_symbols
from chalkgrad.language.resolve.sizes import Interval, Unknowns
from chalkgrad.language.source import EquationError, Span


class Given(ABC):
    """The names of a reading that no equation defines; those in ``relaxed`` have one axis more than written.

    ``shapes`` holds the shapes found so far, ``inputs`` what is given at each call.
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
        sizes = {s for d in roles.text.declarations for n in d.dims or () for s in size_symbols(n)}
        sizes |= whole_sizes(roles)
        self.elaborator = self.elaborates(
            roles, self.unknowns, self.shapes, sizes, columns, self.assume, self.has_a_start
        )
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

    @abstractmethod
    def assume(self, name: str) -> Shape:
        """The shape of a name read before its definition."""

    @abstractmethod
    def has_a_start(self, scope: Scope, name: str, position: int, index: Index) -> bool:
        """Whether one axis of a name is read as a state's: before its first step stands its start."""

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
            help=self.beyond(a.span) or self.beyond(b.span) or "make them equal, or change one of the shapes",
        )

    def beyond(self, span: Span) -> str | None:
        """What to say of a definition that stands there, where a neighbour of something of its own loop is
        read of which the text does not say what stands beyond its ends.
        """
        roles = self.roles
        name = next((n for n, d in roles.definitions.items() if d.span == span), None)
        group = roles.group(name) if name else frozenset[str]()
        for n in sorted(group):
            across = {*roles.definitions[n].letters} - roles.recurrence
            for u in self.all_uses[n]:
                said = roles.declared.get(u.name)
                if u.name in group and not (said and said.outside) and roles.is_shifted(n, u, across):
                    dims = "… " if said and said.dims else ""
                    where = f"where {u.name}: {dims}zero outside"
                    return f"say what stands beyond the ends of `{u.name}`: {where}"
        return None

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
            outside = self.outside(declaration, len(axes))
            self.shapes[name] = Shape(name, len(items), tuple(axes), outside)

    def outside(self, declaration: Declaration | None, rank: int) -> Outside | None:
        """What a ``where`` says of the places beyond the edges of a name with ``rank`` axes."""
        if declaration is None or declaration.outside is None:
            return None
        said = declaration.outside
        if len(said.margins) not in (0, 1, rank):
            raise self.roles.fail(
                f"`{declaration.name.name}` has {rank} {'axis' if rank == 1 else 'axes'}, and what is "
                f"outside is said of {len(said.margins)}",
                (said.span, "one for each axis, or one for all"),
                help=f"write: zero outside {'×'.join(['±1'] * rank)}" if rank else "leave it out",
            )
        return Outside(said.value, tuple((self.margin(a), self.margin(b)) for a, b in said.margins))

    def margin(self, node: Node) -> Size:
        size = declared_size(node)
        if size is None:
            raise self.roles.fail(
                "how far zeros are read beyond the edge is a number or a size",
                (node.span, "not a size"),
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
