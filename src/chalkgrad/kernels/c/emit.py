"""Stages → C: one function per loop, every step inside.

Sizes, shifts and strides come in as numbers, so that one object serves all sizes. A given tensor is read
through its strides, its last axis side by side in memory; what the loop makes lives in tables with the
loop's axis first, or in scratch of one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Equation,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
)
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import nodes
from chalkgrad.kernels.c.lower import Lowered, Nest, Pointwise, Product, equations_in
from chalkgrad.kernels.c.prelude import prelude

ENTRY = "chalkgrad_kernel"


@dataclass(frozen=True)
class Kernel:
    """C source, and what it is called with.

    ``numbers`` are sizes in order, ``given`` names of tensors; ``tables`` are the names that it fills, each
    with the order of its axes in memory and how many steps the loop fills whole (None where only in part).
    ``rows`` is the axis that is shared out among threads.
    """

    source: str
    numbers: tuple[Size, ...]
    given: tuple[str, ...]
    tables: tuple[tuple[str, tuple[int, ...], Size | None], ...]
    axis: str
    rows: str


def emit(lowered: Lowered, names: Mapping[str, tuple[Range, ...]], double: bool) -> Kernel:
    """The C of a loop; ``names`` gives the axes of everything it reads and makes."""
    return _Emitter(lowered, names, double).kernel()


@dataclass
class _Place:
    """How an element of a name is found: a pointer, one stride per axis (0 where an axis is left out)."""

    pointer: str
    strides: tuple[str, ...]
    lows: tuple[Size, ...]


@dataclass
class _Emitter:
    lowered: Lowered
    names: Mapping[str, tuple[Range, ...]]
    double: bool
    sizes: dict[Size, str] = field(default_factory=dict[Size, str])
    places: dict[str, _Place] = field(default_factory=dict[str, _Place])
    letters: dict[str, str] = field(default_factory=dict[str, str])
    conditions: dict[Condition, str] = field(default_factory=dict[Condition, str])
    locals: dict[str, str] = field(default_factory=dict[str, str])
    held: bool = False  # whether every condition on the step holds in the variant at hand
    filled: dict[int, str] = field(
        default_factory=dict[int, str]
    )  # products whose left side is computed first
    fresh: int = 0  # how many variables there are

    # --- names and numbers -----------------------------------------------------------------------------

    def size(self, s: Size) -> str:
        if s.constant is not None:
            return str(s.constant)
        return self.sizes.setdefault(s, f"n[{len(self.sizes)}]")

    def letter(self, axis: str) -> str:
        """An axis as a C variable."""
        return self.letters.setdefault(axis, f"i{len(self.letters)}")

    def variable(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    def index(self, i: Index) -> str:
        parts = [f"{k} * {self.letter(a)}" if k != 1 else self.letter(a) for a, k in i.terms]
        if i.shift != Size() or not parts:
            parts.append(self.size(i.shift))
        text = " + ".join(parts)
        return f"(({text}) / {i.divisor})" if i.divisor != 1 else f"({text})" if len(parts) > 1 else text

    def element(self, name: str, at: Sequence[Index]) -> str:
        """The element of a name at an index per axis."""
        place = self.places[name]
        terms: list[str] = []
        for i, stride, low in zip(at, place.strides, place.lows, strict=True):
            if stride == "0":
                continue
            moved = Index(i.terms, i.shift - low * i.divisor, i.divisor)
            shown = self.index(moved)
            terms.append(shown if stride == "1" else f"{shown} * {stride}")
        return f"{place.pointer}[{' + '.join(terms) or '0'}]"

    # --- expressions -----------------------------------------------------------------------------------

    def expression(self, e: Expr) -> str:
        match e:
            case Const(value):
                return _number(value)
            case At(i):
                return f"(R){self.index(i)}"
            case Read(name, at):
                return self.locals.get(name) or self.element(name, at)
            case Apply("add", args):
                return "(" + " + ".join(map(self.expression, args)) + ")"
            case Apply("mul", args):
                return "(" + " * ".join(map(self.expression, args)) + ")"
            case Apply("pow", (base, Const(value))):
                return self.power(base, value)
            case Apply(op, args):
                return f"c_{op}({', '.join(map(self.expression, args))})"
            case Guard(conditions, body):
                tests = [self.condition(c) for c in conditions]
                tests = [t for t in tests if t != "1"]
                inner = self.expression(body)
                return f"({' && '.join(tests)} ? {inner} : 0)" if tests else inner
            case Reduce():
                return self.reduction(e)
            case ArgMax():
                return self.winner(e)
            case _:
                assert_never(e)

    def power(self, base: Expr, value: float) -> str:
        x = self.expression(base)
        if value == -1:
            return f"(1 / {x})"
        if value == 2:
            v = self.variable("x")
            return f"({{ R {v} = {x}; {v} * {v}; }})"
        if value == 0.5:
            return f"c_sqrt({x})"
        return f"c_pow({x}, {_number(value)})"

    def condition(self, c: Condition) -> str:
        if set(c.index.axes) <= {self.lowered.axis}:
            if self.held:
                return "1"
            return self.conditions.setdefault(c, f"g{len(self.conditions)}")
        return self.test(c)

    def test(self, c: Condition) -> str:
        i = self.index(c.index)
        match c.kind:
            case "nonnegative":
                return f"({i} >= 0)"
            case "zero":
                return f"({i} == 0)"
            case "divisible":
                return f"({i} % {c.divisor} == 0)"

    def loops(self, over: Iterable[Range]) -> str:
        return " ".join(self.loop(r) for r in over)

    def loop(self, r: Range) -> str:
        i = self.letter(r.axis)
        low, high = self.size(r.low), self.size(r.high)
        if r.axis == self.lowered.rows:
            low, high = "first", "last"
        return f"for (int64_t {i} = {low}; {i} < {high}; {i}++)"

    def reduction(self, e: Reduce) -> str:
        v, body = self.variable("s"), self.expression(e.body)
        *outer, inner = [self.loop(r) for r in e.over]
        before = " ".join(outer)
        if e.op == "sum":
            simd = "" if _has_reduction(e.body) else f'_Pragma("omp simd reduction(+ : {v})") '
            return f"({{ R {v} = 0; {before} {{ {simd}{inner} {v} += {body}; }} {v}; }})"
        if e.op in ("max", "min"):
            first = "-LARGEST" if e.op == "max" else "LARGEST"
            return f"({{ R {v} = {first}; {before} {inner} {v} = c_{e.op}imum({v}, {body}); {v}; }})"
        # logsumexp: the largest one first, so that nothing overflows
        m = self.variable("m")
        again = self.expression(e.body)
        return (
            f"({{ R {m} = -LARGEST; {before} {inner} {m} = c_maximum({m}, {body}); R {v} = 0; "
            f"if ({m} > -LARGEST && {m} < LARGEST) {{ {before} {inner} {v} += c_exp({again} - {m}); "
            f"{v} = {m} + c_log({v}); }} else {v} = {m}; {v}; }})"
        )

    def winner(self, e: ArgMax) -> str:
        """The position of the first largest element."""
        m, p, x = self.variable("m"), self.variable("p"), self.variable("x")
        loops, i = self.loops(e.over), self.letter(e.axis)
        return (
            f"({{ R {m} = -LARGEST, {p} = 0; int c{p} = 0; {loops} {{ R {x} = {self.expression(e.body)}; "
            f"if (!c{p} || {x} > {m} || ({x} != {x} && {m} == {m})) {{ {m} = {x}; {p} = (R){i}; c{p} = 1; }} }} "
            f"{p}; }})"
        )

    # --- stages ----------------------------------------------------------------------------------------

    def kernel(self) -> Kernel:
        low = self.lowered
        self.place_names()
        packs, steps = [], []
        for k, stage in enumerate(low.stages):
            match stage:
                case Product():
                    packs.append(self.packing(stage, k))
                    steps.append(self.product(stage, k))
                case Pointwise(equations):
                    steps.append(self.together(equations))
                case Nest(e):
                    steps.append(self.nest(e))
        tables = tuple((n, self.order(n), self.filled_steps(n)) for n in low.tables)
        body = "\n".join(steps)
        tests = "\n".join(f"    const int {v} = {self.test(c)};" for c, v in self.conditions.items())
        first = min_of(self.size(r.low) for r in self.steps_of())
        last = max_of(self.size(r.high) for r in self.steps_of())
        t = self.letter(low.axis)
        loop = (
            f"for (int64_t {t} = {last} - 1; {t} >= {first}; {t}--)"
            if low.reverse
            else f"for (int64_t {t} = {first}; {t} < {last}; {t}++)"
        )
        source = "\n".join(
            [
                prelude(self.double),
                *self.signature(),
                "static void steps(const struct arguments *z, int64_t first, int64_t last) {",
                *self.unpacking(),
                f"  {loop} {{",
                tests,
                body,
                "  }",
                "}",
                self.entry(packs),
            ]
        )
        return Kernel(source, tuple(self.sizes), low.given, tables, low.axis, low.rows)

    def steps_of(self) -> list[Range]:
        axis = self.lowered.axis
        found = {
            r.low: r for s in self.lowered.stages for e in equations_in(s) for r in e.domain if r.axis == axis
        }
        every = [r for s in self.lowered.stages for e in equations_in(s) for r in e.domain if r.axis == axis]
        return list(dict.fromkeys([*found.values(), *every]))

    def place_names(self) -> None:
        low = self.lowered
        for k, name in enumerate(low.given):
            axes = self.names[name]
            strides = tuple(f"s{k}_{j}" for j in range(len(axes) - 1)) + (("1",) if axes else ())
            self.places[name] = _Place(f"p{k}", strides, tuple(r.low for r in axes))
        for k, name in enumerate(low.tables):
            axes = self.names[name]
            order = self.order(name)
            strides = ["1"] * len(axes)
            for place, j in enumerate(order[:-1]):
                inner = [self.size(axes[i].size) for i in order[place + 1 :]]
                strides[j] = f"({' * '.join(inner)})"
            self.places[name] = _Place(f"t{k}", tuple(strides), tuple(r.low for r in axes))
        for k, name in enumerate(low.scratch):
            axes = self.names[name]
            position = self.position(name)
            rest = [j for j in range(len(axes)) if j != position]
            strides = ["0"] * len(axes)
            for place, j in enumerate(rest):
                inner = [self.size(axes[i].size) for i in rest[place + 1 :]]
                strides[j] = f"({' * '.join(inner)})" if inner else "1"
            self.places[name] = _Place(f"w{k}", tuple(strides), tuple(r.low for r in axes))

    def position(self, name: str) -> int:
        """Where the loop's axis stands among a made name's."""
        return next(
            e.axes.index(self.lowered.axis)
            for s in self.lowered.stages
            for e in equations_in(s)
            if e.target == name
        )

    def order(self, name: str) -> tuple[int, ...]:
        """A table's axes in memory: the loop's first."""
        position = self.position(name)
        return (position, *(j for j in range(len(self.names[name])) if j != position))

    def filled_steps(self, name: str) -> Size | None:
        """How many steps of a table the loop fills, None where it leaves out a part of one."""
        equations = [e for s in self.lowered.stages for e in equations_in(s) if e.target == name]
        axes, position = self.names[name], self.position(name)
        if len(equations) > 1:
            return None
        (e,) = equations
        rest = [(r.low, r.size) for j, r in enumerate(e.domain) if j != position]
        whole = [(r.low, r.size) for j, r in enumerate(axes) if j != position]
        return e.domain[position].size if rest == whole else None

    # --- the function's frame --------------------------------------------------------------------------

    def signature(self) -> list[str]:
        return [
            "struct arguments { const int64_t *n; void *const *p; const int64_t *s; R **packed; R **scratch; };"
        ]

    def unpacking(self) -> list[str]:
        low = self.lowered
        lines = ["  const int64_t *restrict n = z->n; (void)n;"]
        at = 0
        for k, name in enumerate(low.given):
            lines.append(f"  const R *p{k} = z->p[{k}]; (void)p{k};")
            for j in range(len(self.names[name]) - 1):
                lines.append(f"  const int64_t s{k}_{j} = z->s[{at}]; (void)s{k}_{j};")
                at += 1
        for k in range(len(low.tables)):
            lines.append(f"  R *t{k} = z->p[{len(low.given) + k}]; (void)t{k};")
        for k in range(len(low.scratch)):
            lines.append(f"  R *w{k} = z->scratch[{k}]; (void)w{k};")
        return lines

    def entry(self, packs: Sequence[str]) -> str:
        low = self.lowered
        rows = next(
            (r for s in low.stages for e in equations_in(s) for r in e.domain if r.axis == low.rows), None
        )
        first, last = (self.size(rows.low), self.size(rows.high)) if rows else ("0", "1")
        scratch = [
            "("
            + " * ".join(
                [
                    *(self.size(r.size) for j, r in enumerate(self.names[name]) if j != self.position(name)),
                    "1",
                ]
            )
            + ")"
            for name in low.scratch
        ]
        products = [s for s in low.stages if isinstance(s, Product)]
        packed = [
            f"({self.size(s.over.size)} * (({self.size(_range(s.equation, s.column).size)} + PANEL - 1) / PANEL) * PANEL)"
            for s in products
        ]
        lefts = [self.filled.get(k, "0") for k in range(len(products))]
        total = " + ".join([f"AROUND({x})" for x in (*packed, *scratch, *lefts)]) or "1"
        given = self.unpacking()
        lines = [
            "#define AROUND(x) (((x) + 15) / 16 * 16)",
            "struct shared { const struct arguments *z; int64_t first, last; int threads; int (*number)(void); };",
            "static void share(void *data) {",
            "  const struct shared *q = data;",
            "  int64_t me = q->number(), rows = q->last - q->first;",
            "  steps(q->z, q->first + rows * me / q->threads, q->first + rows * (me + 1) / q->threads);",
            "}",
            f"int {ENTRY}(const int64_t *n, void *const *p, const int64_t *s, int threads,",
            "    void (*parallel)(void (*)(void *), void *, unsigned, unsigned), int (*number)(void)) {",
            f"  int64_t total = {total};",
            "  char *memory = malloc(total * sizeof(R) + 64);",
            "  if (!memory) return 1;",
            "  R *next = (R *)(((uintptr_t)memory + 63) / 64 * 64);",
            f"  R *packed[{len(products) or 1}], *scratch[{len(low.scratch) + len(products) or 1}];",
            "  struct arguments arguments = {n, p, s, packed, scratch}, *z = &arguments;",
        ]
        for k, x in enumerate(packed):
            lines.append(f"  packed[{k}] = next; next += AROUND({x});")
        for k, x in enumerate((*scratch, *lefts)):
            lines.append(f"  scratch[{k}] = next; next += AROUND({x});")
        if packs:
            lines += ["  {", *(f"  {line}" for line in given), *packs, "  }"]
        lines += [
            f"  int64_t first = {first}, last = {last};",
            "  if (threads > last - first) threads = (int)(last - first);",
            "  if (threads > 1 && parallel) {",
            "    struct shared q = {z, first, last, threads, number};",
            "    parallel(share, &q, (unsigned)threads, 0);",
            "  } else steps(z, first, last);",
            "  free(memory);",
            "  return 0;",
            "}",
        ]
        return "\n".join(lines)

    def rows_of(self, e: Equation) -> str:
        """How many rows a product has."""
        free = [r for r in e.domain if r.axis != self.lowered.axis]
        return " * ".join([self.size(r.size) for r in free[:-1]]) or "1"

    # --- matrix products -------------------------------------------------------------------------------

    def number_of(self, stage: Product) -> int:
        return [s for s in self.lowered.stages if isinstance(s, Product)].index(stage)

    def packing(self, s: Product, _: int) -> str:
        place, over, columns = self.places[s.weight.name], s.over, _range(s.equation, s.column)
        k, n = [], []
        start = {over.axis: Index((), over.low), s.column: Index((), columns.low)}
        for i, stride in zip(s.weight.at, place.strides, strict=True):
            k.append(f"{i.coefficient(over.axis)} * {stride}")
            n.append(f"{i.coefficient(s.column)} * {stride}")
        origin = self.element(s.weight.name, tuple(i.substitute(start) for i in s.weight.at))
        return (
            f"    pack(packed[{self.number_of(s)}], &{origin}, {' + '.join(k)}, {' + '.join(n)}, "
            f"{self.size(over.size)}, {self.size(columns.size)});"
        )

    def product(self, s: Product, _: int) -> str:
        e, number = s.equation, self.number_of(s)
        columns = _range(e, s.column)
        free = [r for r in e.domain if r.axis != self.lowered.axis]
        rows = free[:-1]
        tests, inside = [self.condition(c) for c in s.conditions], self.inside(e)
        start: dict[str, Index] = {s.column: Index((), columns.low)}
        count = "1"
        if rows:
            (row,) = rows
            shared = row.axis == self.lowered.rows
            begin = "first" if shared else self.size(row.low)
            count = "last - first" if shared else self.size(row.size)
            out = self.element(e.target, tuple(Index.axis(a).substitute(start) for a in e.axes))
            stride = self.places[e.target].strides[e.axes.index(row.axis)]
        else:
            row, begin, stride = None, "0", "0"
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
        own = _range(e, self.lowered.axis)
        others = self.steps_of()
        found: list[Condition] = []
        t = Index.axis(self.lowered.axis)
        if any(r.low != own.low for r in others):
            found.append(Condition(t - own.low))
        if any(r.high != own.high for r in others):
            found.append(Condition(t * -1 + (own.high - 1)))
        return [self.condition(c) for c in found]

    # --- pointwise -------------------------------------------------------------------------------------

    def together(self, equations: Sequence[Equation]) -> str:
        """Pointwise equations in one nest; a variant without any test where every condition holds."""
        general = self.group(equations)
        self.held = True
        plain = self.group(equations)
        self.held = False
        tests = [v for v in self.conditions.values() if _mentions(general, v)]
        if not tests:
            return plain
        return f"    if ({' && '.join(tests)}) {{\n{plain}\n    }} else {{\n{general}\n    }}"

    def group(self, equations: Sequence[Equation]) -> str:
        first = equations[0]
        free = [r for r in first.domain if r.axis != self.lowered.axis]
        lines: list[str] = []
        self.locals = {}
        for e in equations:
            value = self.expression(e.value)
            v = self.variable("v")
            tests = [t for t in self.inside(e) if t != "1"]
            kept = e.target not in self.lowered.local
            store = f"{self.element(e.target, tuple(map(Index.axis, e.axes)))} = {v};" if kept else ""
            if tests:
                lines.append(f"R {v} = 0; if ({' && '.join(tests)}) {{ {v} = {value}; {store} }}")
            else:
                lines.append(f"const R {v} = {value}; {store}")
            self.locals[e.target] = v
        self.locals = {}
        inner = "\n        ".join(lines)
        if not free:
            return f"      {{ {inner} }}"
        *outer, last = [self.loop(r) for r in free]
        around = "".join(f"      {x}\n" for x in outer)
        return f'{around}      _Pragma("omp simd") {last} {{\n        {inner}\n      }}'

    def nest(self, e: Equation) -> str:
        """An equation with sums, point by point."""
        tests = self.inside(e)
        free = [r for r in e.domain if r.axis != self.lowered.axis]
        target = self.element(e.target, tuple(map(Index.axis, e.axes)))
        line = f"{self.loops(free)} {target} = {self.expression(e.value)};"
        return f"    if ({' && '.join(tests)}) {{ {line} }}" if tests else f"    {{ {line} }}"


def _range(e: Equation, axis: str) -> Range:
    return next(r for r in e.domain if r.axis == axis)


def _has_reduction(e: Expr) -> bool:
    return any(isinstance(n, Reduce | ArgMax) for n in nodes(e))


def _mentions(text: str, variable: str) -> bool:
    return any(f"{before}{variable}{after}" in text for before in "( " for after in ") ")


def _number(value: float) -> str:
    if value != value:
        return "(R)NAN"
    if value in (float("inf"), float("-inf")):
        return "LARGEST" if value > 0 else "(-LARGEST)"
    text = repr(float(value))
    return f"((R){text})" if value < 0 else f"(R){text}"


def min_of(sizes: Iterable[str]) -> str:
    """The least of some numbers, in C."""
    found = list(dict.fromkeys(sizes))
    text = found[0]
    for s in found[1:]:
        text = f"least({text}, {s})"
    return text


def max_of(sizes: Iterable[str]) -> str:
    """The largest of some numbers, in C."""
    found = list(dict.fromkeys(sizes))
    text = found[0]
    for s in found[1:]:
        text = f"(-least(-({text}), -({s})))"
    return text


__all__ = ["ENTRY", "Kernel", "emit"]
