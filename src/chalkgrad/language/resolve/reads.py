"""Names and their indices: what a bare name means, what ``x[2i+p]`` reads, where a summed index ends."""

from __future__ import annotations

from collections.abc import Callable

from chalkgrad.equations.ir import At, Condition, Expr, Guard, Index, Range, Read
from chalkgrad.equations.ops import or_else
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import inside
from chalkgrad.language.parse.syntax import Binary, Group, Negate, Node, Number, Symbol, parts
from chalkgrad.language.resolve.roles import Roles, index_like, is_function
from chalkgrad.language.resolve.scope import Access, Scope, Shape, declared_size
from chalkgrad.language.resolve.sizes import Interval, Unknowns
from chalkgrad.language.resolve.values import Algebra, Value
from chalkgrad.language.source import EquationError, Span

LETTERS = "jkdmnepqrabcfguvwzlsoyxih"


class Reader:
    """Gives names and indices their values; the elaborator goes on with expressions."""

    def __init__(
        self,
        roles: Roles,
        unknowns: Unknowns,
        shapes: dict[str, Shape],
        sizes: set[str],
        columns: bool,
        assume: Callable[[str], Shape],
        has_a_start: Callable[[Scope, str, int, Index], bool],
    ) -> None:
        self.roles = roles
        self.unknowns = unknowns
        self.shapes = shapes
        self.sizes = sizes
        self.assume = assume
        self.has_a_start = has_a_start
        self.taken: set[str] = set()
        self.avoid: set[str] = set()
        self.warnings: dict[str, str] = {}
        self.scalars: set[str] = set()
        self.algebra = Algebra(unknowns, self.letter, columns)

    def letter(self) -> str:
        """A letter for an axis that the page does not name."""
        pool = [*LETTERS, *(f"a{n}" for n in range(1, len(self.taken) + 2))]
        letter = next(a for a in pool if a not in self.taken and a not in self.avoid)
        self.taken.add(letter)
        return letter

    # --- names -----------------------------------------------------------------------------------------

    def is_given(self, name: str) -> bool:
        return name not in self.roles.definitions and not is_function(name, self.roles.functions)

    def symbol(self, name: str, span: Span, scope: Scope) -> Value:
        roles = self.roles
        if is_function(name, roles.functions) and name not in self.shapes:
            raise roles.fail(
                f"`{name}` is a function and stands here without its bracket",
                (span, "of what?"),
                help=f"write {name}(…)",
            )
        if name in scope.index and name not in roles.definitions:
            raise roles.fail(
                f"`{name}` is an index of this equation and stands here as a value",
                (span, "as a value"),
                help="indices stand in brackets only: give the value another name",
            )
        size = self.size_named(name, scope)
        if size is not None:
            return Value((), lambda _: At(Index((), size)), span)
        if name in roles.timed:
            letter = roles.timed[name]
            if letter in scope.index:
                return self.read_at(name, (scope.index[letter],), span, scope)
        shape = self.shapes.get(name)
        if shape is None and name not in roles.definitions:
            base = name.rstrip("'′")
            known = base in self.shapes or (base in self.avoid and base not in roles.definitions)
            if base != name and known and base[:1].isupper():
                # W' after a matrix is its transpose, where no W' is defined.
                value = self.symbol(base, span, scope)
                return self.algebra.transpose(value, span)
            rank = 2 if name[:1].isupper() else 0 if scope.target in self.scalars else 1
            self.shapes[name] = self.given_shape(name, 0, rank, span)
        timed = self.timed_letter(name)
        if timed is not None:
            raise roles.fail(
                f"`{name}` runs along `{timed}` and is read here without it",
                (span, "at which step?"),
                help=f"write {name}[{timed}], or {name}[{timed.upper()}] for the last step",
            )
        return self.read_at(name, (), span, scope)

    def timed_letter(self, name: str) -> str | None:
        """The recurrence letter in the brackets of a name, None where there is none."""
        if name in self.roles.definitions:
            return next((a for a in self.roles.letters(name) if a in self.roles.recurrence), None)
        return None

    def size_named(self, name: str, scope: Scope) -> Size | None:
        """The size that a bare capital means: declared in a shape, or of an index whose capital it is."""
        if name in self.roles.definitions or name in self.shapes:
            return None
        if name in self.sizes:
            return Size.symbol(name)
        small = name.lower()
        if name != small and small in scope.intervals and scope.index[small].plain():
            return scope.intervals[small].size
        return None

    def given_shape(self, name: str, written: int, rank: int, span: Span) -> Shape:
        """The shape of an undeclared parameter or input, its sizes unknown."""
        axes = tuple(self.axis(name, span) for _ in range(rank))
        return Shape(name, written, axes)

    def axis(self, name: str, span: Span) -> Interval:
        return Interval(Size(), self.unknowns.fresh(), span, f"of `{name}`")

    # --- reads -----------------------------------------------------------------------------------------

    def read(self, name: str, items: tuple[Node, ...], span: Span, scope: Scope) -> Value:
        if is_function(name, self.roles.functions) and name not in self.shapes:
            raise self.roles.fail(
                f"`{name}` is a function and stands here without its argument",
                (span, "of what?"),
                help=f"write {name}(…)",
            )
        return self.read_at(
            name, tuple(self.index(i, scope, name, k) for k, i in enumerate(items)), span, scope
        )

    def read_at(self, name: str, indices: tuple[Index, ...], span: Span, scope: Scope) -> Value:
        shape = self.shapes.get(name) or self.assume(name)
        if len(indices) > len(shape.axes):
            raise self.roles.fail(
                f"`{name}` has {_count(len(shape.axes), 'axis', 'axes')} and is read with {len(indices)}",
                (span, "too many indices"),
                help=f"declare its shape: where {name}: …",
            )
        conditions: list[Condition] = []
        for k, index in enumerate(indices):
            axis = shape.axes[k]
            reach = shape.reach(k)
            scope.accesses.append(Access(name, k, axis, index, span, reach))
            if index.divisor > 1 and shape.outside is None:
                raise self.roles.fail(
                    f"`{name}` is read at {index}, which is not always a place of it",
                    (span, f"between two places where {index.divisor} does not divide"),
                    help=f"say that there is nothing there: where {name}: … zero outside",
                )
            everywhere = any(a in scope.everywhere for a in index.axes)
            if index.plain() is not None or not index.terms or self.has_a_start(scope, name, k, index):
                continue
            if reach or everywhere or index.divisor > 1:
                conditions += inside(index, Range("", axis.size, axis.low))

        def build(at: tuple[Index, ...]) -> Expr:
            read = Read(name, (*indices, *at))
            if not conditions:
                return read
            value = 0.0 if shape.outside is None else shape.outside.value
            return or_else(tuple(conditions), read, value) if value else Guard(tuple(conditions), read)

        return Value(shape.axes[len(indices) :], build, span)

    def index(self, item: Node, scope: Scope, name: str = "", position: int = 0) -> Index:
        """An affine index. Raises EquationError for anything else."""
        match item:
            case Number(x) if float(x).is_integer():
                return Index.of({}, int(x))
            case Symbol(letter) if letter in scope.index:
                return scope.index[letter]
            case Symbol(letter) if (
                name and letter != letter.lower() and letter.lower() in self.roles.recurrence
            ):
                axis = (self.shapes.get(name) or self.assume(name)).axes[position]
                return Index((), axis.low + axis.size - 1)
            case Symbol(letter) if letter in self.sizes:
                return Index((), Size.symbol(letter))
            case Symbol(letter):
                left = ", ".join(a for a in scope.index) or "none"
                raise self.roles.fail(
                    f"the index `{letter}` is not defined in this equation",
                    (item.span, "not on the left side and under no Σ"),
                    help=f"the sum over it ends before + and −: write Σ[{letter}] (… + …)"
                    if letter in scope.intervals
                    else f"indices here: {left}; sum over it with Σ[{letter}] or put it on the left side",
                )
            case Group(body):
                return self.index(body, scope, name, position)
            case Negate(body):
                return self.index(body, scope, name, position) * -1
            case Binary("+", left, right):
                return self.index(left, scope, name, position) + self.index(right, scope, name, position)
            case Binary("-", left, right):
                return self.index(left, scope, name, position) - self.index(right, scope, name, position)
            case Binary("·" | "⊙", Number(x), right) if float(x).is_integer():
                return self.index(right, scope, name, position) * int(x)
            case Binary("/", left, Number(x)) if name and float(x).is_integer() and x >= 1:
                whole = self.index(left, scope, name, position)
                return Index(whole.terms, whole.shift, whole.divisor * int(x)).reduced()
            case _:
                raise self.roles.fail(
                    "an index is a sum of letters and whole numbers",
                    (item.span, "not an index"),
                    help="write x[i+p], x[2i+3p] or h[t-1]; for a concatenation use [a; b] after a space",
                )

    def reads_at(self, args: tuple[Node, ...], scope: Scope) -> bool:
        """Whether the content of a bracket is affine in the letters of this equation: a read, f(i-a)."""
        symbols = [s for a in args for s in _symbols(a)]
        return bool(symbols) and all(index_like(a) for a in args) and all(s in scope.index for s in symbols)

    def bound(
        self, node: Node | None, scope: Scope, guards: list[Condition], axis: str, side: int
    ) -> Size | None:
        """An end of a summed index: a size, or, where it moves with another index, a guard."""
        if node is None:
            return None
        fraction = next((n for n in (node, *parts(node)) if _is_fraction(n)), None)
        if fraction is not None:
            raise self.roles.fail(
                "a sum ends at a whole number or a size",
                (fraction.span, "not whole"),
                help="write Σ[j<3], Σ[j=1..k] or Σ[j<N]",
            )
        try:
            index = self.index(node, scope)
        except EquationError:
            size = declared_size(node)
            if size is None:
                raise
            self.sizes.update(size.symbols)
            return size
        if not index.terms:
            return index.shift
        distance = Index.axis(axis) - index
        guards.append(Condition(distance if side > 0 else distance * -1))
        return None


def _symbols(node: Node) -> list[str]:
    match node:
        case Symbol(name):
            return [name]
        case Binary(_, left, right):
            return _symbols(left) + _symbols(right)
        case Negate(body) | Group(body):
            return _symbols(body)
        case _:
            return []


def _is_fraction(node: Node) -> bool:
    return isinstance(node, Number) and not float(node.value).is_integer()


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
