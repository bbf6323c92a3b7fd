"""Matrix products of a loop → C: weights packed once before it, one call for each step."""

from __future__ import annotations

from chalkgrad.equations.ir import Condition, Equation, Index, Range, Read
from chalkgrad.kernels.c.expressions import Expressions
from chalkgrad.kernels.c.lower import Product


class Products(Expressions):
    """Writes the products; :class:`~chalkgrad.kernels.c.emit.Emitter` writes the rest."""

    # --- matrix products -------------------------------------------------------------------------------

    def packing(self, s: Product, number: int) -> str:
        """The weight of product number ``number``, packed."""
        place, over, columns = self.places[s.weight.name], s.over, range_of(s.equation, s.column)
        k, n = [], []
        start = {over.axis: Index((), over.low), s.column: Index((), columns.low)}
        for i, stride in zip(s.weight.at, place.strides, strict=True):
            k.append(f"{i.coefficient(over.axis)} * {stride}")
            n.append(f"{i.coefficient(s.column)} * {stride}")
        origin = self.element(s.weight.name, tuple(i.substitute(start) for i in s.weight.at))
        return (
            f"    pack(packed[{number}], &{origin}, {' + '.join(k)}, {' + '.join(n)}, "
            f"{self.size(over.size)}, {self.size(columns.size)});"
        )

    def product(self, s: Product, number: int) -> str:
        """The product at one step."""
        e, columns = s.equation, range_of(s.equation, s.column)
        free = [r for r in e.domain if r.axis != self.lowered.axis]
        rows = free[:-1]
        tests, inside = [self.condition(c) for c in s.conditions], self.inside(e)
        start: dict[str, Index] = {s.column: Index((), columns.low)}
        row, begin, count, stride = None, "0", "1", "0"
        if rows:
            (row,) = rows
            shared = row.axis == self.lowered.rows
            begin = "first" if shared else self.size(row.low)
            count = "last - first" if shared else self.size(row.size)
            stride = self.places[e.target].strides[e.axes.index(row.axis)]
        out = self.element(e.target, tuple(Index.axis(a).substitute(start) for a in e.axes))
        declare = f"int64_t {self.letter(row.axis)} = {begin};" if row else ""
        left, left_stride, fill = self.left(s, row, number)
        lines = [
            f"    {{ {declare}",
            fill,
            f"      product(&{out}, {stride}, {left}, {left_stride}, z->packed[{number}], {count}, "
            f"{self.size(s.over.size)}, {self.size(columns.size)}); }}",
        ]
        whole = "\n".join(line for line in lines if line)
        if tests:
            target = self.element(e.target, tuple(map(Index.axis, e.axes)))
            whole = f"    if ({' && '.join(tests)})\n{whole}\n    else {{ {self.loops(free)} {target} = 0; }}"
        return f"    if ({' && '.join(inside)}) {{\n{whole}\n    }}" if inside else whole

    def rows_of(self, e: Equation) -> str:
        """How many rows a product has."""
        free = [r for r in e.domain if r.axis != self.lowered.axis]
        return " * ".join([self.size(r.size) for r in free[:-1]]) or "1"

    def left(self, s: Product, row: Range | None, number: int) -> tuple[str, str, str]:
        """Where the left operand begins, its stride from row to row, and what computes it first."""
        k = s.over
        match s.left:
            case Read(name, at) if (
                at and at[-1] == Index.axis(k.axis) and not any(k.axis in i.axes for i in at[:-1])
            ):
                place = self.places[name]
                start = {k.axis: Index((), k.low)}
                origin = self.element(name, tuple(i.substitute(start) for i in at))
                stride = "0"
                if row:
                    parts = [
                        f"{i.coefficient(row.axis)} * {st}"
                        for i, st in zip(at, place.strides, strict=True)
                        if i.coefficient(row.axis)
                    ]
                    stride = " + ".join(parts) or "0"
                if place.strides[-1] == "1" and all(i.divisor == 1 for i in at):
                    return f"&{origin}", stride, ""
            case _:
                pass
        self.filled[number] = f"({self.rows_of(s.equation)} * {self.size(k.size)})"
        buffer = f"z->scratch[{len(self.lowered.scratch) + number}]"
        size = self.size(k.size)
        i = self.letter(k.axis)
        at_row = f"({self.letter(row.axis)} - {self.size(row.low)}) * {size} + " if row else ""
        into = f"{buffer}[{at_row}{i} - {self.size(k.low)}]"
        loops = f"{self.loop(row)} {self.loop(k)}" if row else self.loop(k)
        origin = f"&{buffer}[({self.letter(row.axis)} - {self.size(row.low)}) * {size}]" if row else buffer
        return origin, size, f"      {loops} {into} = {self.expression(s.left)};"

    def inside(self, e: Equation) -> list[str]:
        """The tests that the step lies in the equation's own interval, where the loop is longer."""
        own = range_of(e, self.lowered.axis)
        others = self.steps_of()
        found: list[Condition] = []
        t = Index.axis(self.lowered.axis)
        if any(r.low != own.low for r in others):
            found.append(Condition(t - own.low))
        if any(r.high != own.high for r in others):
            found.append(Condition(t * -1 + (own.high - 1)))
        return [self.condition(c) for c in found]


def range_of(e: Equation, axis: str) -> Range:
    return next(r for r in e.domain if r.axis == axis)
