"""Matrix notation: what an expression with implicit axes is, and how two of them combine.

A value of rank 2 is a function of two indices that gives an index-form expression. So ``W h`` becomes
``Σ[j] W[i,j] h[j]`` by calling both with the same j, and no axis ever has to be renamed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalkgrad.equations.ir import Condition, Const, Expr, Guard, Index, Range, Reduce
from chalkgrad.equations.ops import add, apply, mul
from chalkgrad.equations.size import ZERO
from chalkgrad.language.resolve.sizes import Interval, Unknowns
from chalkgrad.language.source import Span

Build = Callable[[tuple[Index, ...]], Expr]


@dataclass(frozen=True, slots=True)
class Value:
    """``build(indices)`` is the element at one index per implicit axis.

    ``axes`` are the intervals of the implicit axes; ``transposed`` marks a vector written ``vᵀ``.
    """

    axes: tuple[Interval, ...]
    build: Build
    span: Span
    transposed: bool = False

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def kind(self) -> str:
        """Its rank in words."""
        return (
            ("a scalar", "a vector", "a matrix")[self.rank]
            if self.rank < 3
            else f"a tensor of rank {self.rank}"
        )


class RankError(Exception):
    """Two values that do not go together; the elaborator turns it into an error that points."""

    def __init__(self, problem: str, help: str, *values: Value) -> None:
        super().__init__(problem)
        self.problem, self.help = problem, help
        self.labels = tuple((v.span, v.kind) for v in values)


class Algebra:
    """The products and sums of values; makes sizes equal and hands out letters for summed axes."""

    def __init__(self, unknowns: Unknowns, letter: Callable[[], str], columns: bool) -> None:
        self.unknowns = unknowns
        self.letter = letter
        self.columns = columns
        self.row_products = 0
        self.column_products = 0
        self.dots: list[Span] = []  # products of two vectors that make a scalar

    # --- point by point --------------------------------------------------------------------------------

    def pointwise(self, op: str, a: Value, b: Value, span: Span, sign: str = "") -> Value:
        """Equal ranks, a scalar with anything, and for sums a vector with a matrix's last axis."""
        if a.rank == b.rank:
            for left, right in zip(a.axes, b.axes, strict=True):
                self.unknowns.equal(left, right)
            transposed = a.transposed and b.transposed
            return Value(a.axes, lambda at: apply(op, a.build(at), b.build(at)), span, transposed)
        if b.rank == 0:
            return Value(a.axes, lambda at: apply(op, a.build(at), b.build(())), span, a.transposed)
        if a.rank == 0:
            return Value(b.axes, lambda at: apply(op, a.build(()), b.build(at)), span, b.transposed)
        if op == "add" and {a.rank, b.rank} == {1, 2}:
            vector, matrix = (a, b) if a.rank == 1 else (b, a)
            self.unknowns.equal(matrix.axes[-1], vector.axes[0])
            if a.rank == 1:
                return Value(matrix.axes, lambda at: apply(op, a.build(at[-1:]), b.build(at)), span)
            return Value(matrix.axes, lambda at: apply(op, a.build(at), b.build(at[-1:])), span)
        raise RankError(
            f"`{sign or op}` joins {a.kind} and {b.kind}",
            "both sides must have the same rank; say what they are: where W: D×H, b: H, α: scalar",
            a,
            b,
        )

    def each(self, function: Callable[[Expr], Expr], a: Value, span: Span) -> Value:
        """A function of every element."""
        return Value(a.axes, lambda at: function(a.build(at)), span, a.transposed)

    # --- the matrix product ----------------------------------------------------------------------------

    def product(self, a: Value, b: Value, span: Span) -> Value:
        """Side by side: the last axis of the left with the first of the right; a scalar scales."""
        if a.rank == 0 or b.rank == 0:
            return self.pointwise("mul", a, b, span, "·")
        if a.rank > 2 or b.rank > 2:
            raise RankError(
                f"a matrix product joins {a.kind} and {b.kind}",
                "write it with indices: y[i,j] = Σ[k] a[i,k] b[k,j]",
                a,
                b,
            )
        if self._outer(a, b):
            axes = (a.axes[0], b.axes[0])
            return Value(axes, lambda at: mul(a.build(at[:1]), b.build(at[1:])), span)
        self.row_products += a.rank == 1 and b.rank == 2 and not a.transposed
        self.column_products += a.rank == 2 and b.rank == 1 and not b.transposed
        self.unknowns.equal(a.axes[-1], b.axes[0])
        if a.rank == b.rank == 1 and not (a.transposed or b.transposed):
            self.dots.append(span)
        over, n = a.axes[-1], a.rank - 1
        j = self.letter()

        def build(at: tuple[Index, ...]) -> Expr:
            k = Index.axis(j)
            body = mul(a.build((*at[:n], k)), b.build((k, *at[n:])))
            return Reduce("sum", (Range(j, over.size, over.low),), body)

        transposed = (a.rank, b.rank) == (1, 2) and a.transposed
        return Value((*a.axes[:-1], *b.axes[1:]), build, span, transposed)

    def _outer(self, a: Value, b: Value) -> bool:
        """Whether vector times vector is the outer product: ``aᵀ b`` of rows, ``a bᵀ`` of columns."""
        if a.rank != 1 or b.rank != 1:
            return False
        return b.transposed and not a.transposed if self.columns else a.transposed and not b.transposed

    def transpose(self, a: Value, span: Span) -> Value:
        if a.rank == 2:
            return Value(a.axes[::-1], lambda at: a.build(at[::-1]), span)
        if a.rank == 1:
            return Value(a.axes, a.build, span, not a.transposed)
        if a.rank == 0:
            return Value(a.axes, a.build, span)
        raise RankError(
            f"only a matrix or a vector has a transpose; this is {a.kind}", "name its axes instead", a
        )

    # --- side by side ----------------------------------------------------------------------------------

    def concatenate(self, items: tuple[Value, ...], span: Span) -> Value:
        """``[a; b]``: one after the other along the last axis; vectors and scalars make a vector."""
        rank = max(1, *(v.rank for v in items))
        if any(v.rank not in (rank, 0 if rank == 1 else rank) for v in items):
            kinds = " and ".join(v.kind for v in items)
            raise RankError(f"a concatenation joins {kinds}", "its parts must have the same rank", *items)
        for v in items[1:]:
            for left, right in zip(items[0].axes[:-1], v.axes[:-1], strict=True):
                self.unknowns.equal(left, right)
        starts = [ZERO]
        for v in items:
            starts.append(starts[-1] + (v.axes[-1].size if v.rank else 1))
        total = Interval(ZERO, starts[-1], span, "this concatenation")

        def build(at: tuple[Index, ...]) -> Expr:
            parts: list[Expr] = []
            for v, start, end in zip(items, starts, starts[1:], strict=False):
                # Part k holds where start ≤ i < end, and is read from its own beginning there.
                inside = (Condition(at[-1] - start), Condition(at[-1] * -1 + (end - 1)))
                own = (*at[:-1], at[-1] - start + v.axes[-1].low) if v.rank else ()
                parts.append(Guard(inside, v.build(own)))
            return add(*parts)

        return Value((*items[0].axes[: rank - 1], total), build, span)

    def literal(self, rows: tuple[tuple[float, ...], ...], flat: bool, span: Span) -> Value:
        """A vector (``flat``) or matrix of numbers."""
        height, width = literal_axis(len(rows), span), literal_axis(len(rows[0]), span)

        def build(at: tuple[Index, ...]) -> Expr:
            terms: list[Expr] = []
            for i, row in enumerate(rows):
                for j, x in enumerate(row):
                    here = (Condition(at[-1] - j, "zero"), *(() if flat else (Condition(at[0] - i, "zero"),)))
                    if x:
                        terms.append(Guard(here, Const(x)))
            return add(*terms) if terms else Const(0)

        return Value((width,) if flat else (height, width), build, span)


def literal_axis(n: int, span: Span) -> Interval:
    """The axis of a literal with n entries along it."""
    return Interval(ZERO, ZERO + n, span, f"this literal has {n}")
