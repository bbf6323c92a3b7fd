"""Stages → C: one function per loop, every step inside.

Sizes, shifts and strides come in as numbers, so that one object serves all sizes. A given tensor is read
through its strides, its last axis side by side in memory; what the loop makes lives in tables with the
loop's axis first, or in scratch of one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chalkgrad.equations.ir import Equation, Index, Range
from chalkgrad.equations.size import Size
from chalkgrad.kernels.c.lower import Lowered, Nest, Pointwise, Product, equations_in
from chalkgrad.kernels.c.prelude import prelude
from chalkgrad.kernels.c.products import Products, range_of

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
    rows: str


def emit(
    lowered: Lowered,
    names: Mapping[str, tuple[Range, ...]],
    double: bool,
    together: tuple[tuple[str, ...], ...] = (),
) -> Kernel:
    """The C of a loop; ``names`` gives the axes of everything it reads and makes.

    Each group of ``together`` are tables of one shape that share a buffer, side by side along the last axis.
    """
    return Emitter(lowered, names, double, together).kernel()


class Emitter(Products):
    """Writes a whole kernel."""

    def kernel(self) -> Kernel:
        low = self.lowered
        self.place_names()
        packs: list[str] = []
        steps: list[str] = []
        for stage in low.stages:
            match stage:
                case Product():
                    number = len(packs)
                    packs.append(self.packing(stage, number))
                    steps.append(self.product(stage, number))
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
        return Kernel(source, tuple(self.sizes), low.given, tables, low.rows)

    # --- the function's frame --------------------------------------------------------------------------

    def signature(self) -> list[str]:
        return [
            "struct arguments { const int64_t *n; void *const *p; const int64_t *s; R **packed, **scratch; };"
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
        scratch = [self.step_size(name) for name in low.scratch]
        products = [s for s in low.stages if isinstance(s, Product)]
        packed = [
            f"({self.size(p.over.size)} * AROUND_PANEL({self.size(range_of(p.equation, p.column).size)}))"
            for p in products
        ]
        lefts = [self.filled.get(k, "0") for k in range(len(products))]
        total = " + ".join([f"AROUND({x})" for x in (*packed, *scratch, *lefts)]) or "1"
        given = self.unpacking()
        lines = [
            "#define AROUND(x) (((x) + 15) / 16 * 16)",
            "#define AROUND_PANEL(x) (((x) + PANEL - 1) / PANEL * PANEL)",
            "struct shared {",
            "  const struct arguments *z; int64_t first, last; int threads; int (*number)(void);",
            "};",
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

    def step_size(self, name: str) -> str:
        """How many numbers one step of a name has."""
        axes = [r for j, r in enumerate(self.names[name]) if j != self.position(name)]
        return f"({' * '.join(self.size(r.size) for r in axes) or '1'})"

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


def _mentions(text: str, variable: str) -> bool:
    return any(f"{before}{variable}{after}" in text for before in "( " for after in ") ")


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
