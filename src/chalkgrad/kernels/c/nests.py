"""Sums of products with windows → C: a loop nest whose lanes are values of one axis of the result.

    for each point of the outer axes:            shared out among threads
      for each vector along the lanes:
        for each block of another axis:          a sum in a register for each of its values
          for each point that is summed:         between bounds, so that no condition is tested inside
            the factors are read, multiplied and added

A factor that moves along the lanes is read as a vector, from a copy in which that axis lies side by side with
zeros around it where it does not lie so already; every other factor is one number for all lanes. How large
everything is and where it lies comes in as numbers, so that one object serves all sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chalkgrad.equations.ir import Apply, Const, Expr, Read
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c.nest import ENTRY, Key, Load, Nest, Source, Terms
from chalkgrad.kernels.c.prelude import prelude


def source(nest: Nest) -> Source:
    """The C of a loop nest."""
    return _Writer(nest).whole()


_FRAME = """
typedef R V __attribute__((vector_size(BYTES)));
typedef R L __attribute__((vector_size(BYTES), aligned(sizeof(R))));  // as it lies in memory
struct call { const int64_t *n; R *const *p; R *const *w; R *room; int64_t each; const struct runtime *run; };
static inline int64_t below(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int64_t above(int64_t a, int64_t b) { return a / b + (a % b > 0); }
static inline int64_t rest(int64_t a, int64_t b) { return (a % b + b) % b; }
"""


@dataclass
class _Writer:
    nest: Nest
    keys: dict[Key, str] = field(default_factory=dict[Key, str])

    def number(self, *key: str | int) -> str:
        """A number that comes in, by what it is."""
        return self.keys.setdefault(key, "_".join(map(str, key)))

    def whole(self) -> Source:
        copied = [k for k, x in enumerate(self.nest.loads) if x.copied]
        body = [line for k in copied for line in self.copy(k)]
        if copied:
            body.append("  if (threads > 1) z->run->barrier();")
        body += self.compute()
        rooms = ", ".join(self.number("room", k) for k in copied)
        names = [f"  const int64_t {name} = z->n[{k}];" for k, name in enumerate(self.keys.values())]
        places = [
            f"  const R *const restrict a{k} = {_place(k, x, copied)};" for k, x in enumerate(self.nest.loads)
        ]
        each = f"{self.nest.tall} * {self.number('results')}" if self.nest.run else "0"
        sizes = [
            f"  const int64_t {name} = n[{k}];"
            for k, (key, name) in enumerate(self.keys.items())
            if key[0] in ("room", "results")
        ]
        text = _indented(
            [
                "static void all(const struct call *z, const int64_t me, const int64_t threads) {",
                *names,
                "  R *const restrict out = z->p[0];",
                *places,
                *body,
                "}",
                "static void share(void *data) {",
                "  const struct call *z = data;",
                "  all(z, z->run->number(), z->run->count());",
                "}",
                f"int {ENTRY}(const int64_t *n, void *const *p, int threads, const struct runtime *run) {{",
                *sizes,
                f"  const int64_t rooms[] = {{{rooms or '0'}}};",
                f"  R *w[{len(copied) + 1}];",
                f"  const int64_t each = {each};",
                f"  void *memory = run->reserve(w, rooms, {len(copied)}, each * threads);",
                "  if (!memory) return 1;",
                f"  struct call z = {{n, (R *const *)p, w, w[{len(copied)}], each, run}};",
                "  if (threads > 1) run->parallel(share, &z, (unsigned)threads, 0);",
                "  else all(&z, 0, 1);",
                "  free(memory);",
                "return 0;",
                "}",
            ]
        )
        return Source(prelude(self.nest.double) + _FRAME + text, tuple(self.keys))

    # --- copies ----------------------------------------------------------------------------------------

    def copy(self, k: int) -> list[str]:
        """A factor with the lanes' axis side by side, zeros before and after; its rows shared out."""
        rows = self.nest.loads[k].copied - 1
        sizes = [self.number("rows", k, j) for j in range(rows)]
        first, last, width = (self.number(word, k) for word in ("first", "last", "width"))
        along = self.number("along", k)
        row = " + ".join(f"d{j} * {self.number('row', k, j)}" for j in range(rows)) or "0"
        at = " + ".join([self.number("from", k), *(f"d{j} * {self.number('by', k, j)}" for j in range(rows))])
        inner = [f"for (int64_t d{j} = 0; d{j} < {sizes[j]}; d{j}++)" for j in range(2, rows)]
        both = " * ".join(sizes[:2]) or "1"
        split = ["const int64_t d0 = q;"] if rows == 1 else []
        if rows > 1:
            split = [f"const int64_t d0 = q / {sizes[1]}, d1 = q % {sizes[1]};"]
        return [
            f"  for (int64_t q = {both} * me / threads; q < {both} * (me + 1) / threads; q++) {{",
            *(f"    {line}" for line in split),
            f"    {' '.join([*inner, '{'])}",
            f"      const R *const from = z->p[{k + 1}] + {at};",
            f"      R *const to = (R *)a{k} + {row};",
            f"      for (int64_t r = 0; r < {first}; r++) to[r] = 0;",
            f"      if ({along} == 1) memcpy(to + {first}, from, (size_t)({last} - {first}) * sizeof(R));",
            f"      else for (int64_t r = {first}; r < {last}; r++) to[r] = from[(r - {first}) * {along}];",
            f"      for (int64_t r = {last}; r < {width}; r++) to[r] = 0;",
            "    }",
            "  }",
        ]

    # --- the loops -------------------------------------------------------------------------------------

    def compute(self) -> list[str]:
        nest = self.nest
        outer = [a for a in range(nest.outs - nest.run) if a not in (nest.lanes, nest.block)]
        opened, lines = self.outer(outer)
        many = self.number("size", nest.lanes)
        low, high = "0", many
        if nest.shared == "lanes":
            tiles = f"({many} + WIDE - 1) / WIDE"
            lines += [
                f"  const int64_t begin = {tiles} * me / threads * WIDE;",
                f"  const int64_t end = least({many}, {tiles} * (me + 1) / threads * WIDE);",
            ]
            low, high = "begin", "end"
        v = _axis(nest.lanes)
        lines.append(f"  for (int64_t {v} = {low}; {v} < {high}; {v} += WIDE) {{")
        lines.append(f"  const int64_t left = least(WIDE, {many} - {v});")
        opened += 1
        if nest.block >= 0:
            lines += self.blocks()
            opened += 1
        lines += [f"  {line}" for line in (self.along() if nest.run else (*self.sum(), *self.store()))]
        return [*lines, "  " + "}" * opened]

    def along(self) -> Iterator[str]:
        """The results along the last axes, piece by piece: each lane's are side by side in memory."""
        nest = self.nest
        first, *rest = range(nest.outs - nest.run, nest.outs)
        a, size, piece, room = (
            _axis(first),
            self.number("size", first),
            self.number("piece"),
            self.number("results"),
        )
        yield f"for (int64_t c = 0; c < {size}; c += {piece}) {{"
        yield "R *row = z->room + me * z->each;"
        piecewise = f"for (int64_t {a} = c; {a} < least({size}, c + {piece}); {a}++)"
        yield " ".join([piecewise, *map(self.loop, rest), "{"])
        yield from self.sum()
        yield from (f"*(V *)(row + {r} * {room}) = {x};" for r, x in enumerate(self.scaled()))
        yield "row += WIDE;"
        yield "}"
        yield "const int64_t long_ = (row - (z->room + me * z->each)) / WIDE;"
        yield f"for (int64_t r = 0; r < {nest.tall}; r++) for (int64_t l = 0; l < left; l++) {{"
        here = f"{self.target(skip=first)} + c * {self.number('to', first)}"
        yield f"  R *to = {here} + l * {self.number('to', nest.lanes)}{self.down('r')};"
        yield f"  const R *from = z->room + me * z->each + r * {room} + l;"
        yield "  for (int64_t m = 0; m < long_; m++) to[m] = from[m * WIDE];"
        yield "}}"

    def outer(self, axes: list[int]) -> tuple[int, list[str]]:
        """The loops over the outer axes, the first two as one that is shared out; how many it opens."""
        if self.nest.shared == "outer":
            sizes = [self.number("size", a) for a in axes]
            both = " * ".join(sizes[:2])
            lines = [f"  for (int64_t q = {both} * me / threads; q < {both} * (me + 1) / threads; q++) {{"]
            if len(axes) == 1:
                lines.append(f"  const int64_t {_axis(axes[0])} = q;")
            else:
                first, second = map(_axis, axes[:2])
                lines.append(f"  const int64_t {first} = q / {sizes[1]}, {second} = q % {sizes[1]};")
            rest = axes[2:]
        else:
            lines, rest = [], axes
        lines += [f"  {self.loop(a)} {{" for a in rest]
        return len(rest) + (self.nest.shared == "outer"), lines

    def blocks(self) -> list[str]:
        """The loop over blocks; the last one goes over some values again where they do not come out even."""
        nest, u = self.nest, _axis(self.nest.block)
        size, tall = self.number("size", nest.block), nest.tall
        lines, low, high = list[str](), "0", size
        if nest.shared == "block":
            lines = [
                f"  const int split = {size} >= {tall} * threads;",
                f"  const int64_t low = split ? {size} * me / threads : 0;",
                f"  const int64_t high = split ? {size} * (me + 1) / threads : me ? 0 : {size};",
            ]
            low, high = "low", "high"
        return [
            *lines,
            f"  for (int64_t b = {low}; b < {high}; b += {tall}) {{",
            f"    const int64_t {u} = least(b, {high} - {tall});",
        ]

    def loop(self, a: int) -> str:
        i = _axis(a)
        return f"for (int64_t {i} = 0; {i} < {self.number('size', a)}; {i}++)"

    def affine(self, terms: Terms, *more: str) -> str:
        parts = [*(_times(k, _axis(a)) for a, k in terms), *more]
        return " + ".join(parts) or "0"

    # --- the sum ---------------------------------------------------------------------------------------

    def sum(self) -> Iterator[str]:
        """Sums in registers, one for each value of the block."""
        nest, tall = self.nest, range(self.nest.tall)
        axes = range(nest.outs, nest.outs + nest.overs)
        yield f"V {', '.join(f's{r} = {{0}}' for r in tall)};"
        held = [n for n, b in enumerate(nest.bounds) if not any(a in axes for a, _ in b.terms)]
        if held:
            yield f"if ({' && '.join(map(self.holds, held))}) {{"
        part = "s"
        for a in axes:
            if nest.apart and a == axes[-nest.apart]:
                yield f"V {', '.join(f't{r} = {{0}}' for r in tall)};"
                part = "t"
            yield from self.bounded(a)
        for line in self.terms(part):
            yield f"  {line}"
        inside = nest.apart or len(axes)
        yield "}" * inside
        if nest.apart:
            yield " ".join(f"s{r} += t{r};" for r in tall)
            yield "}" * (len(axes) - inside)
        if held:
            yield "}"

    def holds(self, n: int) -> str:
        b = self.nest.bounds[n]
        value = self.affine(b.terms, self.number("bound", n))
        match b.kind:
            case "nonnegative":
                return f"{value} >= 0"
            case "zero":
                return f"{value} == 0"
            case "divisible":
                return f"rest({value}, {b.divisor}) == 0"

    def bounded(self, a: int) -> Iterator[str]:
        """The loop over a summed axis, between the bounds that every condition sets it."""
        nest, i = self.nest, _axis(a)
        own = [k for k, b in enumerate(nest.bounds) if max(c for c, _ in b.terms) == a]
        low, high, step = "0", self.number("size", a), "1"
        for n in own:
            b, k, other = nest.bounds[n], *self.apart(n, a)
            negative, far = f"-({other})", abs(k)
            if b.kind != "divisible" and (k > 0 or b.kind == "zero"):
                value = negative if k > 0 else other
                low = f"most({low}, {value if far == 1 else f'above({value}, {far})'})"
            if b.kind != "divisible" and (k < 0 or b.kind == "zero"):
                value = other if k < 0 else negative
                high = f"least({high}, ({value if far == 1 else f'below({value}, {far})'}) + 1)"
        tests: list[str] = []
        for n in own:
            b, k, other = nest.bounds[n], *self.apart(n, a)
            if b.kind == "divisible" and step == "1" and abs(k) == 1:
                yield f"const int64_t l{a} = {low};"
                step, gap = str(b.divisor), f"-({other})" if k > 0 else other
                low = f"l{a} + rest({gap} - l{a}, {step})"
            elif b.kind == "divisible":
                tests.append(self.holds(n))
        forward = f"{i}++" if step == "1" else f"{i} += {step}"
        test = f" if ({' && '.join(tests)})" if tests else ""
        yield f"for (int64_t {i} = {low}, h{a} = {high}; {i} < h{a}; {forward}){test} {{"

    def apart(self, n: int, a: int) -> tuple[int, str]:
        """A bound's coefficient of an axis, and the rest of it."""
        b = self.nest.bounds[n]
        others = tuple(t for t in b.terms if t[0] != a)
        return dict(b.terms)[a], self.affine(others, self.number("bound", n))

    # --- what is summed --------------------------------------------------------------------------------

    def terms(self, part: str) -> Iterator[str]:
        """The body for each value of the block, what all of them share computed once."""
        nest = self.nest
        for k, load in enumerate(nest.loads):
            if nest.block not in load.axes:
                yield f"const {'V' if load.vector else 'R'} x{k} = {self.element(k, 0)};"
        factors = nest.body.args if isinstance(nest.body, Apply) and nest.body.op == "mul" else (nest.body,)
        alike = [f for f in factors if not self.varies(f)]
        # Numbers first: one multiplication for all lanes.
        alike.sort(key=lambda f: any(nest.loads[int(r.name)].vector for r in reads(f)))
        own = [f for f in factors if self.varies(f)]
        common = " * ".join(self.value(f, 0) for f in alike)
        if len(alike) > 1 and nest.tall > 1:
            vector = any(nest.loads[int(r.name)].vector for f in alike for r in reads(f))
            yield f"const {'V' if vector else 'R'} y = {common};"
            common = "y"
        for r in range(nest.tall):
            product = " * ".join([*([common] if common else []), *(self.value(f, r) for f in own)])
            yield f"{part}{r} += {product};"

    def varies(self, e: Expr) -> bool:
        """Whether an expression moves along the block."""
        return any(self.nest.block in self.nest.loads[int(r.name)].axes for r in reads(e))

    def value(self, e: Expr, r: int) -> str:
        """An expression at value ``r`` of the block."""
        match e:
            case Const(value):
                return f"(R){value!r}"
            case Read(name):
                k = int(name)
                return self.element(k, r) if self.nest.block in self.nest.loads[k].axes else f"x{k}"
            case Apply("add" | "mul" as op, args):
                return "(" + (" + " if op == "add" else " * ").join(self.value(a, r) for a in args) + ")"
            case _:
                raise AssertionError(e)

    def element(self, k: int, r: int) -> str:
        nest, load = self.nest, self.nest.loads[k]
        at = [self.number("base", k)]
        at += [f"{self.point(a, r)} * {self.number('step', k, a)}" for a in load.axes if a != nest.lanes]
        at += [_axis(nest.lanes)] if load.vector else []
        for j, (terms, divisor) in enumerate(load.parts):
            whole = self.affine(terms, self.number("shift", k, j))
            at.append(f"({whole}) / {divisor} * {self.number('stride', k, j)}")
        where = f"a{k}[{' + '.join(at)}]"
        return f"*(const L *)&{where}" if load.vector else where

    def point(self, a: int, r: int) -> str:
        return f"({_axis(a)} + {r})" if a == self.nest.block and r else _axis(a)

    def store(self) -> Iterator[str]:
        """The block's sums, lane by lane; side by side where the lanes are."""
        nest, sums = self.nest, self.scaled()
        places = [self.down(str(r)) if r else "" for r in range(nest.tall)]
        yield f"R *to = {self.target(nest.outs)};"
        if nest.lanes == nest.outs - 1:
            whole = " ".join(f"*(L *)(to{at}) = {x};" for at, x in zip(places, sums, strict=True))
            yield f"if (left == WIDE) {{ {whole} }} else {{"
        yield f"const V sums[] = {{{', '.join(sums)}}};"
        along = self.number("to", nest.lanes)
        yield f"for (int64_t l = 0; l < left; l++, to += {along}) {{"
        yield f"  {' '.join(f'*(to{at}) = sums[{r}][l];' for r, at in enumerate(places))}"
        yield "}}" if nest.lanes == nest.outs - 1 else "}"

    def scaled(self) -> list[str]:
        scale = "" if self.nest.scale == 1 else f" * (R){self.nest.scale!r}"
        return [f"s{r}{scale}" for r in range(self.nest.tall)]

    def target(self, skip: int) -> str:
        """Where the result at hand lies, at the beginning of the axes from ``skip`` on."""
        return " + ".join(["out", *(f"{_axis(a)} * {self.number('to', a)}" for a in range(skip))])

    def down(self, r: str) -> str:
        """From a result to another one of the block."""
        return f" + {r} * {self.number('to', self.nest.block)}" if self.nest.block >= 0 else ""


def _indented(lines: Iterable[str]) -> str:
    """Lines of C, each as far in as its braces say."""
    found: list[str] = []
    depth = 0
    for line in (part for x in lines for part in ([x] if x.strip(" }") else x.strip())):
        line = line.strip()
        closing = len(line) - len(line.lstrip("}"))
        found.append("  " * (depth - closing) + line)
        depth += line.count("{") - line.count("}")
    return "\n".join(found) + "\n"


def _axis(a: int) -> str:
    return f"i{a}"


def _times(k: int, axis: str) -> str:
    return axis if k == 1 else f"-{axis}" if k == -1 else f"{k} * {axis}"


def _place(k: int, load: Load, copied: list[int]) -> str:
    return f"z->w[{copied.index(k)}]" if load.copied else f"z->p[{k + 1}]"
