"""Products of matrices → C: those of a loop with weights packed before it, and those of whole tables."""

from __future__ import annotations

from chalkgrad.equations.ir import Index, Range, Read, range_of
from chalkgrad.kernels.c.expressions import Expressions
from chalkgrad.kernels.c.lower import Lowered, Product
from chalkgrad.kernels.c.segment import Factor, Matrices


class Products(Expressions):
    """Writes the products; :class:`~chalkgrad.kernels.c.emit.Emitter` writes the rest."""

    # --- in a loop -------------------------------------------------------------------------------------

    def packing(self, s: Product, packed: str) -> str:
        """A product's weight, packed by all threads."""
        columns = range_of(s.equation.domain, s.column)
        start = {s.over.axis: Index((), s.over.low), s.column: Index((), columns.low)}
        along_k, along_n = self.along(s.weight, s.over.axis), self.along(s.weight, s.column)
        n, k = self.size(columns.size), self.size(s.over.size)
        return (
            f"  {{ const int64_t from = cut({n}, me, threads), to = cut({n}, me + 1, threads);\n"
            f"    z->run->pack({packed} + from * {k}, &{self.origin(s.weight, start)} + from * ({along_n}), "
            f"{along_k}, {along_n}, {k}, to - from); }}"
        )

    def product(self, s: Product, packed: str) -> str:
        """The product at one step: this thread's rows and columns."""
        e, columns = s.equation, range_of(s.equation.domain, s.column)
        free = self.free(e)
        tests, inside = [t for c in s.conditions if (t := self.condition(c)) != "1"], self.inside(e)
        home = s.into or e.target
        start: dict[str, Index] = {s.column: Index((), columns.low)}
        begin, count, stride, left_stride, declare = "0", "1", "0", "0", ""
        if len(free) > 1:
            row = free[0]
            low, high = self.bounds.get(row.axis) or (self.size(row.low), self.size(row.high))
            begin, count = low, f"{high} - {low}"
            stride = self.places[home].strides[e.axes.index(row.axis)]
            left_stride = self.along(s.left, row.axis)
            declare = f"const int64_t {self.letter(row.axis)} = {begin}; "
        out = self.element(home, tuple(Index.axis(a).substitute(start) for a in e.axes))
        left = self.origin(s.left, {s.over.axis: Index((), s.over.low)})
        k, (first, last) = self.size(s.over.size), self.cut(columns)
        more = int(bool(s.into))
        weight = self.origin(s.weight, {**start, s.over.axis: Index((), s.over.low)})
        along_k, along_n = self.along(s.weight, s.over.axis), self.along(s.weight, s.column)
        whole = (
            f"    {{ {declare}R *const to = &{out} + {first}; const R *const left = &{left};\n"
            f"      if (thin) z->run->thin(to, {stride}, left, {left_stride}, "
            f"&{weight} + {first} * ({along_n}), {along_k}, {along_n}, "
            f"{count}, {k}, {last} - {first}, {more});\n"
            f"      else z->run->product(to, {stride}, left, {left_stride}, {packed} + {first} * {k}, "
            f"{count}, {k}, {last} - {first}, {more}); }}"
        )
        if tests and s.into:
            whole = f"    if ({' && '.join(tests)})\n{whole}"
        elif tests:
            target = self.element(e.target, tuple(map(Index.axis, e.axes)))
            with_part = self.sharing(free[-1])
            zero = f"{self.loops(free)} {target} = 0;"
            self.bounds = with_part
            whole = f"    if ({' && '.join(tests)})\n{whole}\n    else {{ {zero} }}"
        return f"    if ({' && '.join(inside)}) {{\n{whole}\n    }}" if inside else whole

    def work(self, loop: Lowered) -> str:
        """How many multiplications the products of a step have, for one row."""
        parts = [
            f"{self.size(s.over.size)} * {self.size(range_of(s.equation.domain, s.column).size)}"
            for s in loop.stages
            if isinstance(s, Product)
        ]
        return " + ".join(parts) or "0"

    def cut(self, r: Range) -> tuple[str, str]:
        """Where this thread's part of an axis begins and ends, counted from the axis's own beginning."""
        size = self.size(r.size)
        return f"cut({size}, part, parts)", f"cut({size}, part + 1, parts)"

    def sharing(self, r: Range) -> dict[str, tuple[str, str]]:
        """From now on an axis is run through in this thread's part; what was there before."""
        before, (first, last) = self.bounds, self.cut(r)
        if r.axis not in before:
            low = self.size(r.low)
            self.bounds = {**before, r.axis: (f"{low} + {first}", f"{low} + {last}")}
        return before

    # --- of whole tables -------------------------------------------------------------------------------

    def matrices(self, m: Matrices) -> str:
        """Products with one left operand, those together whose rows lie in one order."""
        groups: dict[object, list[Factor]] = {}
        for f in m.factors:
            groups.setdefault((self.rows_order(f), self.over_order(f)), []).append(f)
        return "\n".join(self.several(group) for group in groups.values())

    def several(self, factors: list[Factor]) -> str:
        """Rows and sums of two axes at most, each with its strides."""
        f = factors[0]
        rows, over = self.rows_of(f), self.over_of(f)
        (m0, m1), (k0, k1) = _two(rows), _two(over)
        a = self.origin(f.left, {r.axis: Index((), r.low) for r in (*rows, *over)})
        lines = [
            f"  {{ const struct matrix q = {{&{a}, {self.count(rows)}, {self.count(m1)}, "
            f"{self.stride(f.left, m0)}, {self.stride(f.left, m1)}, "
            f"{self.count(over)}, {self.count(k1)}, {self.stride(f.left, k0)}, {self.stride(f.left, k1)}}};",
            "    const struct factor of[] = {",
        ]
        for g in factors:
            over, out = self.over_of(g), self.rows_of(g)
            k0, k1 = _two(over)
            columns = range_of(g.equation.domain, g.column)
            start = {r.axis: Index((), r.low) for r in (*out, *over, columns)}
            b = self.origin(g.right, start)
            o = self.element(g.equation.target, tuple(start[x] for x in g.equation.axes))
            place = self.places[g.equation.target]
            along = place.strides[g.equation.axes.index(out[-1].axis)] if out else "0"
            lines.append(
                f"      {{&{b}, {self.stride(g.right, k0)}, {self.stride(g.right, k1)}, "
                f"{self.along(g.right, g.column)}, &{o}, {along}, {self.size(columns.size)}, {int(g.more)}}},"
            )
        lines += [
            "    };",
            f"    z->run->matrix(&q, of, {len(factors)}, z->room + me * z->each, me, threads); }}",
        ]
        return "\n".join(lines)

    def matrix_room(self, m: Matrices) -> str:
        """How many numbers a thread needs for what it packs."""
        columns = " + ".join(
            f"AROUND_PANEL({self.size(range_of(f.equation.domain, f.column).size)})" for f in m.factors
        )
        return f"matrix_room({self.count(list(m.factors[0].over))}, {columns})"

    def rows_order(self, f: Factor) -> tuple[int, ...]:
        """The rows' axes among those of the result, as it has them in memory."""
        axes = f.equation.axes
        return tuple(j for j in self.order(f.equation.target) if axes[j] != f.column)

    def rows_of(self, f: Factor) -> list[Range]:
        return [f.equation.domain[j] for j in self.rows_order(f)]

    def over_order(self, f: Factor) -> tuple[int, ...]:
        """The summed axes as the right operand has them in memory, where that is known."""
        every = range(len(f.over))
        if f.right.name in self.segment.given:
            return tuple(every)
        order = [f.right.at[j] for j in self.order(f.right.name)]
        return tuple(
            sorted(every, key=lambda n: next(k for k, i in enumerate(order) if f.over[n].axis in i.axes))
        )

    def over_of(self, f: Factor) -> list[Range]:
        return [f.over[n] for n in self.over_order(f)]

    # --- where operands lie ----------------------------------------------------------------------------

    def along(self, r: Read, axis: str) -> str:
        """How far a read moves from one value of an axis to the next."""
        place = self.places[r.name]
        parts = [
            stride if (k := i.coefficient(axis)) == 1 else f"{k} * {stride}"
            for i, stride in zip(r.at, place.strides, strict=True)
            if i.coefficient(axis)
        ]
        return " + ".join(parts) or "0"

    def origin(self, r: Read, start: dict[str, Index]) -> str:
        """The element where a read begins."""
        return self.element(r.name, tuple(i.substitute(start) for i in r.at))

    def stride(self, r: Read, axes: list[Range]) -> str:
        return self.along(r, axes[0].axis) if axes else "0"

    def count(self, axes: list[Range]) -> str:
        return " * ".join(self.size(r.size) for r in axes) or "1"


def _two(axes: list[Range]) -> tuple[list[Range], list[Range]]:
    """The outer and the inner of two axes; one alone is the inner."""
    return axes[:-1], axes[-1:]
