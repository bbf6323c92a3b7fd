"""One equation's right side → index form: names, indices, products and functions get their meaning."""

from __future__ import annotations

from collections.abc import Callable

from chalkgrad.equations.ir import Apply, Condition, Const, Expr, Guard, Index, Range, Reduce
from chalkgrad.equations.ops import FUNCTIONS, apply, negative, power
from chalkgrad.equations.walk import fresh
from chalkgrad.language.parse.syntax import (
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
from chalkgrad.language.resolve.definitions import looks_like_a_function, unknown_function
from chalkgrad.language.resolve.functions import log_of, structured
from chalkgrad.language.resolve.reads import Reader
from chalkgrad.language.resolve.roles import is_function
from chalkgrad.language.resolve.scope import Scope
from chalkgrad.language.resolve.sizes import Interval
from chalkgrad.language.resolve.values import RankError, Value
from chalkgrad.language.source import Span
from chalkgrad.language.words import COLLAPSING, STRUCTURED


class Elaborator(Reader):
    """Gives nodes their values, one equation (scope) after the other."""

    # --- nodes -----------------------------------------------------------------------------------------

    def value(self, node: Node, scope: Scope) -> Value:
        """What a node is, in index form. Raises EquationError where its ranks do not fit."""
        try:
            return self._value(node, scope)
        except RankError as e:
            raise self.roles.fail(e.problem, *(e.labels or ((node.span, "here"),)), help=e.help) from None

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
            case Binary():
                return self.binary(node, scope)
            case Big(op, binders, body):
                return self.big(op, binders, body, node.span, scope)
            case Concat(items):
                return self.concat(items, node.span, scope)

    def binary(self, node: Binary, scope: Scope) -> Value:
        op, left, right, span = node.op, node.left, node.right, node.span
        if op == "⊙":
            self.follow(left, right, scope)
            self.follow(right, left, scope)
            self.refuse_two_readings(left, right, span, scope)
        a, b = self.value(left, scope), self.value(right, scope)
        self.hold_sign(node, a, b)
        match op:
            case "·":
                return self.algebra.product(a, b, span)
            case "⊙":
                return self.algebra.pointwise("mul", a, b, span, op)
            case "+":
                return self.algebra.pointwise("add", a, b, span, op)
            case "-":
                return self.algebra.pointwise("add", a, self.algebra.each(negative, b, b.span), span, op)
            case _:
                inverse = self.algebra.each(lambda e: power(e, -1), b, b.span)
                return self.algebra.pointwise("mul", a, inverse, span, op)

    def hold_sign(self, node: Binary, a: Value, b: Value) -> None:
        """The signs of LaTeX that are written for two things: `*` and `\\times`."""
        sign = self.roles.text.source[node.op_span.start : node.op_span.end]
        if not self.roles.text.latex or sign not in ("*", "∗", "\\ast", "\\times"):
            return
        if sign == "\\times":
            if a.rank == b.rank == 1 and not (a.transposed or b.transposed):
                raise self.roles.fail(
                    "`\\times` between two vectors can be read in two ways",
                    (node.op_span, "which product is this?"),
                    help="write a \\odot b for element by element, a^\\top b for the dot product",
                )
            return
        for side in (node.left, node.right):
            inner = side.body if isinstance(side, Group) else side
            if isinstance(inner, Symbol) and inner.name[:1].isupper() and self.is_given(inner.name):
                raise self.roles.fail(
                    f"`{sign}` beside `{inner.name}` can be read in two ways",
                    (node.op_span, "which product is this?"),
                    (inner.span, "a parameter"),
                    help="write \\odot for element by element; a convolution is a sum over shifted reads: "
                    "\\sum_{p} W_{p} x_{t,i+p}",
                )
        if a.rank == b.rank == 1:
            self.warnings.setdefault("*", f"`{sign}` between vectors was read as ⊙, element by element")

    def follow(self, node: Node, other: Node, scope: Scope) -> None:
        """An untimed capital under ⊙ takes the rank of the other operand."""
        inner = node.body if isinstance(node, Group) else node
        if not isinstance(inner, Symbol) or inner.name in self.shapes or not self.is_given(inner.name):
            return
        if not inner.name[:1].isupper() or self.size_named(inner.name, scope) is not None:
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
        if self.roles.text.latex and a.rank == 2 and isinstance(base, Symbol):
            name = base.name
            raise RankError(
                f"a power of the matrix `{base.name}` can be read in three ways",
                f"write {name} {name} for the product, {name} \\odot {name} for element by element, "
                f"{name}^{{(2)}} for a name",
                a,
            )
        if b.rank:
            raise RankError(
                f"an exponent is a number or a scalar; this is {b.kind}", "use exp and log instead", b
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

    # --- functions and sums ----------------------------------------------------------------------------

    def call(self, base: Symbol | Indexed, args: tuple[Node, ...], span: Span, scope: Scope) -> Value:
        name = base.name if isinstance(base, Symbol) else base.base.name
        if is_function(name, self.roles.functions):
            over = base.at if isinstance(base, Indexed) else ()
            return self.function(self.roles.functions.get(name, name), base, over, args, span, scope)
        if isinstance(base, Symbol) and self.reads_at(args, scope):
            return self.read(name, args, span, scope)
        if len(args) == 1 and (
            isinstance(base, Indexed)
            or name in self.roles.definitions
            or ((name[:1].isupper() or "_" in name) and not looks_like_a_function(name))
        ):
            product = self.algebra.product(self.value(base, scope), self.value(args[0], scope), span)
            if product.rank == 0 and isinstance(base, Symbol) and self.is_given(name) and name[:1].islower():
                said = f"`{name}(…)` was read as a product of two vectors; "
                said += f"a function is declared: where {name} = tanh"
                self.warnings.setdefault(name, said)
            return product
        symbol = base if isinstance(base, Symbol) else base.base
        raise unknown_function(self.roles, symbol)

    def function(
        self, name: str, base: Node, over: tuple[Node, ...], args: tuple[Node, ...], span: Span, scope: Scope
    ) -> Value:
        if name in ("max", "min") and len(args) == 2:
            a, b = (self.value(x, scope) for x in args)
            return self.algebra.pointwise(f"{name}imum", a, b, span, name)
        if len(args) != 1:
            raise self.roles.fail(
                f"`{name}` takes one argument and is given {len(args)}",
                (span, "here"),
                help=f"write {name}(x)" + (" or max(a, b)" if name in ("max", "min") else ""),
            )
        named: tuple[str, Interval] | None = None
        if over:
            if name not in STRUCTURED:
                raise self.roles.fail(
                    f"`{name}` works element by element, along no axis",
                    (base.span, "here"),
                    help=f"write {name}(…)",
                )
            only = over[0]
            if isinstance(only, Symbol) and only.name not in scope.index and name in COLLAPSING:
                # mean[i](x[c,i]) binds its index, as Σ[i] does; softmax[j] goes over one that stands already.
                self.bind(only, scope)
                value = self.function(name, base, over, args, span, scope)
                del scope.index[only.name]
                return value
            letter = self.index(only, scope).plain()
            if len(over) > 1 or letter is None:
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
        return (
            log_of(value, self.letter, span)
            if op == "log"
            else self.algebra.each(lambda e: apply(op, e), value, span)
        )

    def bind(self, letter: Symbol, scope: Scope) -> str:
        """A new axis for a letter; its interval is solved from where it is read."""
        axis = fresh(letter.name, self.taken)
        self.taken.add(axis)
        low, size = self.unknowns.fresh_low(), self.unknowns.fresh()
        scope.intervals[axis] = Interval(low, size, letter.span, f"the index `{letter.name}`")
        scope.index[letter.name] = Index.axis(axis)
        return axis

    def is_whole_time(self, b: Binder) -> bool:
        """Whether a sum goes over every step, t = 1 … T, whatever number the first one has."""
        whole = isinstance(b.high, Symbol) and b.high.name == b.index.name.upper()
        return b.index.name in self.roles.recurrence and whole and _is_one(b.low)

    def big(self, op: str, binders: tuple[Binder, ...], body: Node, span: Span, scope: Scope) -> Value:
        outer = dict(scope.index)
        axes: list[str] = []
        guards: list[Condition] = []
        for k, b in enumerate(binders):
            if b.index.name in {other.index.name for other in binders[:k]}:
                raise self.roles.fail(
                    f"the index `{b.index.name}` is summed over twice",
                    (b.span, "again here"),
                    help="use two letters",
                )
            if b.index.name in scope.left:
                raise self.roles.fail(
                    f"the index `{b.index.name}` stands on the left side and is summed over",
                    (b.span, "summed here"),
                    help="use another letter for the sum",
                )
            axis = self.bind(b.index, scope)
            axes.append(axis)
            low, high = self.bound(b.low, scope, guards, axis, 1), self.bound(b.high, scope, guards, axis, -1)
            if not self.is_whole_time(b):
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


def _is_one(node: Node | None) -> bool:
    return isinstance(node, Number) and node.value == 1


def _number(node: Node) -> float | None:
    match node:
        case Number(x):
            return x
        case Negate(Number(x)):
            return -x
        case _:
            return None
