"""One equation's right side → index form: names, indices, products and functions get their meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalkgrad.equations.ir import Apply, At, Condition, Const, Expr, Guard, Index, Range, Read, Reduce
from chalkgrad.equations.ops import FUNCTIONS, apply, negative, power
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import fresh
from chalkgrad.language.functions import log_of, structured
from chalkgrad.language.roles import STRUCTURED, Roles, index_like, is_function, unknown_function
from chalkgrad.language.sizes import Interval, Unknowns
from chalkgrad.language.source import EquationError, Span
from chalkgrad.language.syntax import (
    Big,
    Binary,
    Binder,
    Call,
    Concat,
    Group,
    Indexed,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
)
from chalkgrad.language.values import Algebra, RankError, Value

Bounds = tuple[Size | None, Size | None]
"""The first and the last value of a summed index, where the page gives them."""

LETTERS = "jkdmnepqrabcfguvwzlsoyxih"


@dataclass(slots=True)
class Shape:
    """A name's axes, the first ``written`` of them in brackets, and how far zeros are read ``outside``."""

    name: str
    written: int
    axes: tuple[Interval, ...]
    declared: bool = False
    outside: Size | bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """A read of one axis at an index: what intervals are solved from."""

    name: str
    position: int
    axis: Interval
    index: Index
    span: Span
    outside: Size | bool


@dataclass(slots=True)
class Scope:
    """One equation while it is elaborated: its letters, the intervals of its axes, what it reads."""

    target: str
    left: tuple[str, ...]
    index: dict[str, Index]
    intervals: dict[str, Interval]
    bounds: dict[str, Bounds] = field(default_factory=dict[str, Bounds])
    everywhere: set[str] = field(default_factory=set[str])
    accesses: list[Access] = field(default_factory=list[Access])


class Elaborator:
    """Gives nodes their values, one equation (scope) after the other."""

    def __init__(
        self,
        roles: Roles,
        unknowns: Unknowns,
        shapes: dict[str, Shape],
        sizes: set[str],
        columns: bool,
        assume: Callable[[str], Shape],
    ) -> None:
        self.roles = roles
        self.unknowns = unknowns
        self.shapes = shapes
        self.sizes = sizes
        self.assume = assume
        self.taken: set[str] = set()
        self.avoid: set[str] = set()
        self.scalars: set[str] = set()
        self.algebra = Algebra(unknowns, self.letter, columns)

    def letter(self) -> str:
        """A letter for an axis that the page does not name."""
        pool = [*LETTERS, *(f"a{n}" for n in range(1, len(self.taken) + 2))]
        letter = next(a for a in pool if a not in self.taken and a not in self.avoid)
        self.taken.add(letter)
        return letter

    # --- nodes -----------------------------------------------------------------------------------------

    def value(self, node: Node, scope: Scope) -> Value:
        """What a node is, in index form. Raises EquationError where its ranks do not fit."""
        try:
            return self._value(node, scope)
        except RankError as e:
            raise self.roles.fail(e.problem, (node.span, "here"), help=e.help) from None

    def _value(self, node: Node, scope: Scope) -> Value:
        match node:
            case Number(x):
                number = Const(int(x) if float(x).is_integer() else x)
                return Value((), lambda _: number, node.span)
            case Group(body):
                inner = self.value(body, scope)
                return Value(inner.axes, inner.build, node.span, inner.transposed)
            case Symbol(name):
                return self.symbol(name, node.span, scope)
            case Indexed(base, at):
                return self.read(base.name, at, node.span, scope)
            case Call(base, args):
                return self.call(base, args, node.span, scope)
            case Negate(body):
                return self.algebra.each(negative, self.value(body, scope), node.span)
            case Transpose(body):
                return self.algebra.transpose(self.value(body, scope), node.span)
            case Power(base, exponent):
                return self.power(base, exponent, node.span, scope)
            case Binary(op, left, right):
                return self.binary(op, left, right, node.span, scope)
            case Big(op, binders, body):
                return self.big(op, binders, body, node.span, scope)
            case Concat(items):
                return self.concat(items, node.span, scope)

    def binary(self, op: str, left: Node, right: Node, span: Span, scope: Scope) -> Value:
        if op == "⊙":
            self.follow(left, right, scope)
            self.follow(right, left, scope)
            self.refuse_two_readings(left, right, span, scope)
        a, b = self.value(left, scope), self.value(right, scope)
        match op:
            case "·":
                return self.algebra.product(a, b, span)
            case "⊙":
                return self.algebra.pointwise("mul", a, b, span)
            case "+":
                return self.algebra.pointwise("add", a, b, span)
            case "-":
                return self.algebra.pointwise("add", a, self.algebra.each(negative, b, span), span)
            case _:
                inverse = self.algebra.each(lambda e: power(e, -1), b, span)
                return self.algebra.pointwise("mul", a, inverse, span)

    def follow(self, node: Node, other: Node, scope: Scope) -> None:
        """An untimed capital under ⊙ takes the rank of the other operand."""
        inner = node.body if isinstance(node, Group) else node
        if not isinstance(inner, Symbol) or inner.name in self.shapes or not self.is_given(inner.name):
            return
        if not inner.name[:1].isupper():
            return
        if isinstance(other, Symbol) and other.name not in self.shapes and self.is_given(other.name):
            return
        rank = self.value(other, scope).rank
        self.shapes[inner.name] = self.given_shape(inner.name, 0, rank, inner.span)

    def refuse_two_readings(self, left: Node, right: Node, span: Span, scope: Scope) -> None:
        """``r ⊙ h U`` could be r ⊙ (h U) or (r ⊙ h) U: where both fit, brackets must say which."""
        first = right
        while isinstance(first, Binary) and first.op == "·":
            first = first.left
        if first is right:
            return
        a, b = self.value(left, scope), self.value(first, scope)
        whole = self.value(right, scope)
        if a.rank == b.rank == whole.rank > 0 and not isinstance(first, Symbol):
            text = self.roles.text.source
            piece, rest = text[first.span.start : first.span.end], text[first.span.end : right.span.end]
            one = f"{text[left.span.start : left.span.end]} ⊙ ({piece}{rest})"
            two = f"({text[left.span.start : left.span.end]} ⊙ {piece}){rest}"
            raise self.roles.fail(
                "this product can be read in two ways", (span, "here"), help=f"write {one} or {two}"
            )

    def power(self, base: Node, exponent: Node, span: Span, scope: Scope) -> Value:
        a, b = self.value(base, scope), self.value(exponent, scope)
        if b.rank:
            raise RankError(
                f"an exponent is a number or a scalar; this is {b.kind}", "use exp and log instead"
            )
        constant = b.build(())
        if isinstance(constant, Const):
            return self.algebra.each(lambda e: power(e, constant.value), a, span)
        return self.algebra.each(lambda e: Apply("pow", (e, b.build(()))), a, span)

    def concat(self, items: tuple[Node, ...], span: Span, scope: Scope) -> Value:
        rows = [i.items for i in items if isinstance(i, Concat)]
        numbers = [_number(n) for row in (rows or [items]) for n in row]
        if (len(rows) in (0, len(items))) and all(x is not None for x in numbers):
            width = len(rows[0]) if rows else len(items)
            if any(len(r) != width for r in rows):
                raise RankError(
                    "the rows of this matrix have different lengths", "write every row with as many numbers"
                )
            values = [x for x in numbers if x is not None]
            table = tuple(tuple(values[k : k + width]) for k in range(0, len(values), width))
            return self.algebra.literal(table, not rows, span)
        return self.algebra.concatenate(tuple(self.value(i, scope) for i in items), span)

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
            if base != name and base in self.shapes and base[:1].isupper():
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
        if name != small and small in scope.index and scope.index[small].plain():
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
            scope.accesses.append(Access(name, k, axis, index, span, shape.outside))
            everywhere = any(a in scope.everywhere for a in index.axes)
            if index.plain() is None and index.terms and (shape.outside is not False or everywhere):
                conditions.append(Condition(index - axis.low))
                conditions.append(Condition(index * -1 + (axis.low + axis.size - 1)))

        def build(at: tuple[Index, ...]) -> Expr:
            read = Read(name, (*indices, *at))
            return Guard(tuple(conditions), read) if conditions else read

        return Value(shape.axes[len(indices) :], build, span)

    def index(self, item: Node, scope: Scope, name: str = "", position: int = 0) -> Index:
        """An affine index. Raises EquationError for anything else."""
        match item:
            case Number(x) if float(x).is_integer():
                return Index.of({}, int(x))
            case Symbol(letter) if letter in scope.index:
                return scope.index[letter]
            case Symbol(letter) if letter.lower() in self.roles.recurrence and letter != letter.lower():
                axis = (self.shapes.get(name) or self.assume(name)).axes[position]
                return Index((), axis.low + axis.size - 1)
            case Symbol(letter) if letter in self.sizes:
                return Index((), Size.symbol(letter))
            case Symbol(letter):
                left = ", ".join(a for a in scope.index) or "none"
                raise self.roles.fail(
                    f"the index `{letter}` is not defined in this equation",
                    (item.span, "not on the left side and under no Σ"),
                    help=f"indices here: {left}; sum over it with Σ[{letter}] or put it on the left side",
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
            case _:
                raise self.roles.fail(
                    "an index is a sum of letters and whole numbers",
                    (item.span, "not an index"),
                    help="write x[i+p], x[2i+3p] or h[t-1]; for a concatenation use [a; b] after a space",
                )

    # --- functions and sums ----------------------------------------------------------------------------

    def call(self, base: Symbol | Indexed, args: tuple[Node, ...], span: Span, scope: Scope) -> Value:
        name = base.name if isinstance(base, Symbol) else base.base.name
        if is_function(name, self.roles.functions):
            over = base.at if isinstance(base, Indexed) else ()
            return self.function(self.roles.functions.get(name, name), base, over, args, span, scope)
        if isinstance(base, Symbol) and self.reads_at(args, scope):
            return self.read(name, args, span, scope)
        if len(args) == 1 and (
            isinstance(base, Indexed) or name[:1].isupper() or "_" in name or name in self.roles.definitions
        ):
            return self.algebra.product(self.value(base, scope), self.value(args[0], scope), span)
        symbol = base if isinstance(base, Symbol) else base.base
        raise unknown_function(self.roles, symbol)

    def reads_at(self, args: tuple[Node, ...], scope: Scope) -> bool:
        """Whether the content of a bracket is affine in the letters of this equation: a read, f(i-a)."""
        symbols = [s for a in args for s in _symbols(a)]
        return bool(symbols) and all(index_like(a) for a in args) and all(s in scope.index for s in symbols)

    def function(
        self, name: str, base: Node, over: tuple[Node, ...], args: tuple[Node, ...], span: Span, scope: Scope
    ) -> Value:
        if name in ("max", "min") and len(args) == 2:
            a, b = (self.value(x, scope) for x in args)
            return self.algebra.pointwise(f"{name}imum", a, b, span)
        if len(args) != 1:
            raise self.roles.fail(
                f"`{name}` takes one argument and is given {len(args)}",
                (span, "here"),
                help=f"write {name}(x)" + (" or max(a, b)" if name in ("max", "min") else ""),
            )
        named: tuple[str, Interval] | None = None
        if over:
            letter = self.index(over[0], scope).plain()
            if len(over) > 1 or letter is None or name not in STRUCTURED:
                raise self.roles.fail(
                    f"`{name}` goes over one axis at most",
                    (base.span, "here"),
                    help=f"write {name}[j](e[i,j])",
                )
            named = (letter, scope.intervals[letter])
        value = self.value(args[0], scope)
        if name in STRUCTURED:
            return structured(name, value, named, self.letter, span)
        op = FUNCTIONS[name]
        return log_of(value, span) if op == "log" else self.algebra.each(lambda e: apply(op, e), value, span)

    def big(self, op: str, binders: tuple[Binder, ...], body: Node, span: Span, scope: Scope) -> Value:
        outer = dict(scope.index)
        axes: list[str] = []
        guards: list[Condition] = []
        for b in binders:
            if b.index.name in scope.left:
                raise self.roles.fail(
                    f"the index `{b.index.name}` stands on the left side and is summed over",
                    (b.span, "summed here"),
                    help="use another letter for the sum",
                )
            axis = fresh(b.index.name, self.taken)
            self.taken.add(axis)
            axes.append(axis)
            what = f"the index `{b.index.name}`"
            scope.intervals[axis] = Interval(self.unknowns.fresh(), self.unknowns.fresh(), b.span, what)
            scope.index[b.index.name] = Index.axis(axis)
            low, high = self.bound(b.low, scope, guards, axis, 1), self.bound(b.high, scope, guards, axis, -1)
            scope.bounds[axis] = (low, high)
            if b.everywhere:
                scope.everywhere.add(axis)
        inner = self.value(body, scope)
        scope.index.clear()
        scope.index.update(outer)
        ranges = tuple(Range(a, scope.intervals[a].size, scope.intervals[a].low) for a in axes)
        if guards and op != "sum":
            raise self.roles.fail(
                f"the bounds of a {op} cannot depend on other indices",
                (span, "here"),
                help="bound it by a size",
            )
        reduce_op: Callable[[Expr], Expr] = lambda e: Reduce(  # noqa: E731
            "sum" if op == "sum" else "max" if op == "max" else "min",
            ranges,
            Guard(tuple(guards), e) if guards else e,
        )
        return Value(inner.axes, lambda at: reduce_op(inner.build(at)), span, inner.transposed)

    def bound(
        self, node: Node | None, scope: Scope, guards: list[Condition], axis: str, side: int
    ) -> Size | None:
        """An end of a summed index: a size, or, where it moves with another index, a guard."""
        if node is None:
            return None
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


def declared_size(node: Node) -> Size | None:
    """A size as the page writes it: 64, D, H+D, 2H; None for anything else."""
    match node:
        case Number(x) if float(x).is_integer():
            return Size((), int(x))
        case Symbol(name):
            return Size.symbol(name)
        case Group(body):
            return declared_size(body)
        case Binary("+" | "-" as op, left, right):
            a, b = declared_size(left), declared_size(right)
            if a is None or b is None:
                return None
            return a + b if op == "+" else a - b
        case Binary("·" | "⊙", Number(x), right) if float(x).is_integer():
            b = declared_size(right)
            return None if b is None else b * int(x)
        case _:
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


def _number(node: Node) -> float | None:
    match node:
        case Number(x):
            return x
        case Negate(Number(x)):
            return -x
        case _:
            return None


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
