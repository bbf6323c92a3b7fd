"""A segment of a plan → C: one function for each part, every step of a loop inside, and one that calls them.

Sizes, shifts and strides come in as numbers, so that one object serves all sizes. A given tensor is read
through its strides, its last axis side by side in memory; what is made lives in tables with its loop's axis
first, or in scratch of one step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chalkgrad.equations.ir import Equation, Index, range_of
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c.expressions import steps_of
from chalkgrad.kernels.c.lower import Lowered, Nest, Pointwise, Product, Stage, equations_in
from chalkgrad.kernels.c.meetings import meetings
from chalkgrad.kernels.c.prelude import prelude
from chalkgrad.kernels.c.products import Products
from chalkgrad.kernels.c.segment import Matrices, Part, Segment, Sum, equations_of_part

ENTRY = "chalkgrad_kernel"


@dataclass(frozen=True)
class Kernel:
    """C source, and what it is called with.

    ``numbers`` are sizes in order, ``given`` names of tensors; ``kept`` are the names that it makes, each
    with the order of its axes in memory; ``aliases`` are parts of those, with what they are parts of.
    """

    source: str
    numbers: tuple[Size, ...]
    given: tuple[str, ...]
    kept: tuple[tuple[str, tuple[int, ...]], ...]
    aliases: tuple[tuple[str, str], ...]


def emit(segment: Segment, double: bool) -> Kernel:
    """The C of a segment."""
    return Emitter(segment, double).kernel()


class Emitter(Products):
    """Writes a whole kernel."""

    def kernel(self) -> Kernel:
        self.place_names()
        self.rooms: list[str] = [self.room(n) for n in (*self.segment.tables, *self.segment.scratch)]
        parts = [self.function(k, part) for k, part in enumerate(self.segment.parts)]
        source = "\n".join([prelude(self.double), FRAME, *parts, self.entry()])
        kept = tuple((n, self.order(n)) for n in self.segment.kept)
        aliases = tuple(self.segment.aliases.items())
        return Kernel(source, tuple(self.sizes), self.segment.given, kept, aliases)

    # --- the frame -------------------------------------------------------------------------------------

    def function(self, k: int, part: Part) -> str:
        """One part as a function of its own."""
        match part:
            case Lowered():
                body = self.loop_part(part)
            case Matrices():
                body = self.matrices(part)
            case Sum():
                body = self.sum(part)
            case Pointwise((e,)) | Nest(e):
                body = self.whole(e)
            case _:
                raise AssertionError(part)
        self.bounds = {}
        about = f"// {', '.join(dict.fromkeys(e.target for e in equations_of_part(part)))}"
        return "\n".join(
            [
                about,
                f"static void part_{k}(const struct call *z, const int64_t me, const int64_t threads) {{",
                *self.unpacking(body),
                body,
                "}",
            ]
        )

    def unpacking(self, body: str) -> list[str]:
        """The pointers and numbers that a part names."""
        used = set(re.findall(r"\b(?:[ptw]\d+|s\d+_\d+|packed\d+)\b", body))
        whole = self.segment
        lines = ["  const int64_t *const n = z->n; (void)n;"]
        at = 0
        for k, name in enumerate(whole.given):
            if f"p{k}" in used:
                lines.append(f"  const R *const restrict p{k} = z->p[{k}];  // {name}")
            for j in range(len(whole.names[name]) - 1):
                if f"s{k}_{j}" in used:
                    lines.append(f"  const int64_t s{k}_{j} = z->s[{at}];")
                at += 1
        first = len(whole.given)
        for k, name in enumerate((*whole.kept, *whole.tables)):
            if f"t{k}" in used:
                inside = k >= len(whole.kept)
                where = f"z->w[{k - len(whole.kept)}]" if inside else f"z->p[{first + k}]"
                lines.append(f"  R *const t{k} = {where};  // {name}")
        for k, name in enumerate(whole.scratch):
            if f"w{k}" in used:
                lines.append(f"  R *const w{k} = z->w[{len(whole.tables) + k}];  // {name}, one step")
        lines += [
            f"  R *const {p} = z->w[{p.removeprefix('packed')}];" for p in sorted(used) if p[:2] == "pa"
        ]
        return lines

    def entry(self) -> str:
        """The function that is called: memory, threads, the parts one after the other."""
        parts = self.segment.parts
        rooms = [self.matrix_room(p) for p in parts if isinstance(p, Matrices)]
        each = rooms[0] if rooms else "0"
        for r in rooms[1:]:
            each = f"most({each}, {r})"
        calls: list[str] = []
        since: tuple[set[str], set[str]] = (set(), set())
        for k, part in enumerate(parts):
            equations = equations_of_part(part)
            makes = {e.target for e in equations}
            takes = {r.name for e in equations for r in reads(e.value)} - makes
            if makes & (since[0] | since[1]) or takes & since[0]:
                calls.append("  if (threads > 1) z->run->barrier();")
                since = (set(), set())
            since = (since[0] | makes, since[1] | takes)
            calls.append(f"  part_{k}(z, me, threads);")
        lines = [
            "static void all(const struct call *z, int64_t me, int64_t threads) {",
            *calls,
            "}",
            "static void share(void *data) {",
            "  struct call *z = data;",
            "  all(z, z->run->number(), z->run->count());",
            "}",
            f"int {ENTRY}(const int64_t *n, void *const *p, const int64_t *s, int threads,",
            "    const struct runtime *run) {",
            f"  const int64_t rooms[] = {{{', '.join([*self.rooms, '0'])}}};",
            f"  const int64_t each = AROUND({each});",
            f"  R *w[{len(self.rooms) + 1}];",
            f"  void *memory = run->reserve(w, rooms, {len(self.rooms)}, each * threads);",
            "  if (!memory) return 1;",
            f"  struct call z = {{n, p, s, w, w[{len(self.rooms)}], each, run}};",
            "  if (threads > 1) run->parallel(share, &z, (unsigned)threads, 0);",
            "  else all(&z, 0, 1);",
            "  run->release(memory);",
            "  return 0;",
            "}",
        ]
        return "\n".join(lines)

    # --- a loop ----------------------------------------------------------------------------------------

    def loop_part(self, loop: Lowered) -> str:
        """Weights packed, then all steps: each thread with its rows, or with its columns of every stage."""
        self.around, self.conditions = (loop,), {}
        rows = next((range_of(e.domain, loop.rows) for e in equations_in(loop)), None) if loop.rows else None
        packed: dict[int, str] = {}
        packs: list[str] = []
        for k, s in enumerate(loop.stages):
            if isinstance(s, Product):
                size = range_of(s.equation.domain, s.column).size
                packed[k] = f"packed{len(self.rooms)}"
                self.rooms.append(f"({self.size(s.over.size)} * AROUND_PANEL({self.size(size)}))")
                packs.append(self.packing(s, packed[k]))
        if rows:
            self.bounds = {loop.rows: ("first", "last")}
        nested = any(isinstance(s, Lowered) for s in loop.stages)
        waits = meetings(loop.stages, loop.axis, (*self.segment.kept, *self.segment.tables))
        body: list[str] = []
        for k, s in enumerate(loop.stages):
            if waits[k] and not nested:
                body.append("    if (parts > 1) z->run->barrier();")
            body.append(self.stage(s, packed.get(k, "")))
        tests = [f"    const int {v} = {self.test(c)};" for c, v in self.conditions.items()]
        steps = self.steps(loop)
        self.around = ()
        low, high = (self.size(rows.low), self.size(rows.high)) if rows else ("0", "1")
        count = self.size(rows.size) if rows else "1"
        return "\n".join(
            [
                *self.packs(packs, count, loop),
                f"  int64_t first = {low}, last = {high}, part = 0, parts = 1;",
                f"  const int way = {self.way(loop, count, rows is not None, nested)};",
                f"  if (way == ROWS) {{ first = {low} + {count} * me / threads; "
                f"last = {low} + {count} * (me + 1) / threads; }}",
                "  else if (way == COLUMNS) { part = me; parts = threads; }",
                "  else if (me) return;",
                f"  {steps} {{",
                *tests,
                *body,
                "  }",
            ]
        )

    def way(self, loop: Lowered, count: str, rows: bool, nested: bool) -> str:
        """How threads share a loop: its rows, columns, or not at all."""
        if self.segment.step is not None:  # point by point, where either will do
            return f"{count} % threads == 0 ? ROWS : COLUMNS" if rows else "COLUMNS"
        return f"sharing({count}, {self.work(loop)}, {int(rows)}, {int(not nested)}, threads)"

    def packs(self, packs: list[str], rows: str, loop: Lowered) -> list[str]:
        """Weights packed, unless too few rows of too few steps are multiplied with them for it to pay."""
        if not packs:
            return []
        steps = " + ".join(dict.fromkeys(self.size(r.size) for r in steps_of(loop)))
        return [
            f"  const int thin = {rows} <= THIN && {steps} <= SHORT;",
            "  if (!thin) {",
            *packs,
            "  if (threads > 1) z->run->barrier();",
            "  }",
        ]

    def stage(self, s: Stage, packed: str) -> str:
        before = self.bounds
        match s:
            case Product():
                text = self.product(s, packed)
            case Pointwise(equations):
                text = self.together(equations)
            case Nest(e):
                text = self.nest(e)
            case Lowered():
                text = self.inner(s)
        self.bounds = before
        return text

    def inner(self, loop: Lowered) -> str:
        """A loop inside a loop: its steps one after the other within a step of the other one."""
        self.around = (*self.around, loop)
        body = [self.stage(s, "") for s in loop.stages]
        steps = self.steps(loop)
        self.around = self.around[:-1]
        return "\n".join([f"    {steps} {{", *body, "    }"])

    def split(self, e: Equation) -> str:
        """The test for what has no axis to share out: one thread does it."""
        free = self.free(e)
        if not free:
            return "if (part == 0) "
        if len(self.around) == 1 and free[-1].axis not in self.bounds:
            self.sharing(free[-1])
        elif free[-1].axis in self.bounds and len(self.around) == 1:
            # The rows themselves are the last axis: where columns are shared out, so are they.
            (first, last), (a, b) = self.bounds[free[-1].axis], self.cut(free[-1])
            low = self.size(free[-1].low)
            self.bounds = {
                **self.bounds,
                free[-1].axis: (
                    f"(parts > 1 ? {low} + {a} : {first})",
                    f"(parts > 1 ? {low} + {b} : {last})",
                ),
            }
        return ""

    # --- pointwise -------------------------------------------------------------------------------------

    def together(self, equations: Sequence[Equation]) -> str:
        """Pointwise equations in one nest; a variant without any test where every condition holds."""
        alone = self.split(equations[0])
        general = self.group(equations)
        self.held = True
        plain = self.group(equations)
        self.held = False
        tests = [v for v in self.conditions.values() if re.search(rf"\b{v}\b", general)]
        if not tests:
            return f"    {alone}{{\n{plain}\n    }}"
        return f"    {alone}if ({' && '.join(tests)}) {{\n{plain}\n    }} else {{\n{general}\n    }}"

    def group(self, equations: Sequence[Equation]) -> str:
        free = self.free(equations[0])
        lines: list[str] = []
        self.locals = {}
        for e in equations:
            value = self.expression(e.value)
            v = self.variable("v")
            tests = self.inside(e)
            kept = e.target not in self.segment.local
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
        alone = self.split(e)
        tests = self.inside(e)
        target = self.element(e.target, tuple(map(Index.axis, e.axes)))
        line = f"{self.loops(self.free(e))} {target} = {self.expression(e.value)};"
        return f"    {alone}if ({' && '.join(tests)}) {{ {line} }}" if tests else f"    {alone}{{ {line} }}"

    # --- over whole tables -----------------------------------------------------------------------------

    def whole(self, e: Equation) -> str:
        """An equation over all its axes, in the order of the result's memory; the outermost is shared out."""
        axes = [e.domain[j] for j in self.order(e.target)]
        target = self.element(e.target, tuple(map(Index.axis, e.axes)))
        if not axes:
            return f"  if (me == 0) {target} = {self.expression(e.value)};"
        low, size = self.size(axes[0].low), self.size(axes[0].size)
        self.bounds = {
            axes[0].axis: (f"{low} + {size} * me / threads", f"{low} + {size} * (me + 1) / threads")
        }
        *outer, last = [self.loop(r) for r in axes]
        simd = "" if "({" in (value := self.expression(e.value)) else '_Pragma("omp simd") '
        return f"  {' '.join(outer)} {simd}{last} {target} = {value};"

    def sum(self, s: Sum) -> str:
        """Rows added up, the innermost sum apart so that rounding grows with the sides, not with the whole.

        A few columns at a time, so that their sums stay in the first cache.
        """
        e = s.equation
        *rows, last = [e.domain[j] for j in self.order(e.target)]
        size, low = self.size(last.size), self.size(last.low)
        i = self.letter(last.axis)
        self.bounds = {last.axis: ("from", "to")}
        target = self.element(e.target, tuple(map(Index.axis, e.axes)))
        *outer, inner = s.over
        columns = f'_Pragma("omp simd") {self.loop(last)}'
        end = f"{low} + cut({size}, me + 1, threads)"
        return "\n".join(
            [
                f"  {self.loops(rows)}",
                f"  for (int64_t from = {low} + cut({size}, me, threads); from < {end}; from += 256) {{",
                f"    const int64_t to = least(from + 256, {end});",
                "    double sum[256], total[256];  // sums of sums, in double, round less than one of all",
                "    memset(total, 0, sizeof total);",
                f"    {self.loops(outer)} {{",
                "      memset(sum, 0, sizeof sum);",
                f"      {self.loop(inner)} {columns} sum[{i} - from] += {self.expression(s.body)};",
                f"      {columns} total[{i} - from] += sum[{i} - from];",
                "    }",
                f"    {columns} {target} = (R)total[{i} - from];",
                "  }",
            ]
        )


FRAME = """
struct call {
  const int64_t *n; void *const *p; const int64_t *s; R *const *w; R *room; int64_t each;
  const struct runtime *run;
};
"""

__all__ = ["ENTRY", "Kernel", "emit"]
