"""A recurrence written out for a few steps: forward, backward, and the paths of a parameter to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chalkgrad.calculus.derive import derive, ledger
from chalkgrad.calculus.explain import Derivation, explain
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.order import evaluation_order
from chalkgrad.calculus.unroll import Unrolled, unrolled
from chalkgrad.equations.formula import Formula
from chalkgrad.equations.ir import Const, Equation
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.steps.bench import Bench
from chalkgrad.steps.expansion import Block, Expansion
from chalkgrad.steps.lesson import Progress, Row
from chalkgrad.steps.paths import parameter_of, paths


@dataclass(frozen=True)
class Unrolling:
    """A layer written out in time, every line of which has been held against numbers."""

    derivation: Derivation
    blocks: tuple[Block, ...]
    lines: int
    worst: float
    sizes: Mapping[str, int]


def unrolling(
    resolved: Resolved, steps: int, by: str | None = None, progress: Progress | None = None
) -> Unrolling:
    """A page written out for so many steps, and the paths of one parameter through them.

    ``by`` names the parameter (default: the first that stands beside a state). Raises EquationError for a
    page without a recurrence, a number of steps that is none or too large, or a name that is no parameter;
    DerivationError where a line does not hold, which would be a mistake in Chalkgrad.

    >>> from chalkgrad.language.resolve import read
    >>> from chalkgrad.steps.sheet import sheet
    >>> page = read("S[k] = X[k] w_x + S[k-1] w_rec where X[k]: scalar, S[k]: scalar")
    >>> print(sheet(unrolling(page, 2)).split("\\n\\n")[1])
    Backward:
      ∂S₂    = ȳ₂
      ∂S₁    = ȳ₁ + ∂S₂ w_rec
      ∂X₂    = ∂S₂ w_x
      ∂X₁    = ∂S₁ w_x
      ∂w_x   = ∂S₁ X₁ + ∂S₂ X₂
      ∂w_rec = ∂S₁ S₀ + ∂S₂ S₁
    """
    sheet = _Sheet(resolved, steps)
    total = len(sheet.adjoints) + 1

    def told(done: int) -> None:
        if progress is not None:
            progress(done, total)

    blocks = [sheet.forward(), sheet.backward(told)]
    found = paths(sheet.rolled, sheet.unrolled, sheet.program)
    parameter = parameter_of(found, by) if found is not None else None
    if found is not None and parameter is not None:
        blocks += Expansion(found, parameter, sheet.shown, sheet.bench, sheet.values).blocks()
    told(total)
    bench = sheet.bench
    return Unrolling(sheet.shown, tuple(blocks), bench.lines, bench.worst, bench.numbers)


class _Sheet:
    def __init__(self, resolved: Resolved, steps: int) -> None:
        rolled = ledger(normalise(resolved.program)).program
        final = explain(rolled, derive(rolled))
        known = rolled.table
        more = [e for e in final.derived.equations if e.target not in known]
        starts = {f"∂{n.name}" for n in rolled.given("start")}
        whole = replace(
            rolled,
            equations=(*rolled.equations, *(e for e in more if e.target not in starts)),
            names=(*rolled.names, *(n for n in final.derived.names if n.name not in {*known, *starts})),
        )
        self.rolled, self.final = rolled, final
        self.unrolled: Unrolled = unrolled(whole, steps)
        own = self.unrolled.program
        adjoints = {e.target for e in final.equations} | {n.name for n in final.derived.given("seed")}
        is_adjoint = {n.name: self.base(n.name) in adjoints for n in own.names}
        self.adjoints = [
            e
            for e in own.equations
            if is_adjoint[e.target] and 1 <= self.step(e.target) <= steps and e.value != Const(0)
        ]
        self.program = replace(
            own,
            equations=tuple(e for e in own.equations if not is_adjoint[e.target]),
            names=tuple(n for n in own.names if not is_adjoint[n.name]),
        )
        ones = losses(self.program)
        unit = {
            e.target: tuple(
                o for o in losses(self.program) if self.base(o) in found and self._meet(o, e.target)
            )
            for e in self.adjoints
            if (found := final.unit.get(self.base(e.target)))
        }
        self.shown = Derivation(self.program, own, unit)
        numbers = small_numbers(resolved, {})
        sizes = {s: numbers[s] for n in own.names for r in n.ranges for s in r.size.symbols}
        self.bench = Bench(self.program, sizes, ones)
        self.values = self.bench.learn([n for n in own.names if is_adjoint[n.name]])
        self.as_rolled(numbers, steps)

    def base(self, name: str) -> str:
        return self.unrolled.steps.get(name, (name, 0))[0]

    def step(self, name: str) -> int:
        """The step of a name; what has none comes after all."""
        return self.unrolled.steps.get(name, (name, self.unrolled.length))[1]

    def _meet(self, a: str, b: str) -> bool:
        """Whether two names are of one step, or one of them of none."""
        return self.step(a) == self.step(b) or not {a, b} <= self.unrolled.steps.keys()

    def as_rolled(self, numbers: Mapping[str, int], steps: int) -> None:
        """Hold every step to what the recurrence itself computes."""
        p = self.rolled
        time = {s for n, k in self.unrolled.places if n in p.table for s in p[n].ranges[k].size.symbols}
        sizes = {**numbers, **{s: steps - self._offset(s) for s in time}}
        given: dict[str, Tensor] = {}
        for n in p.given():
            array = torch.zeros([r.size.value(sizes) for r in n.ranges], dtype=torch.float64)
            for new, place in self._parts(n.name, sizes):
                array[place] = self.bench.values[new]
            given[n.name] = array
        defined = [n.name for n in p.names if n.role == "defined"]
        found = Runner(p)(given, sizes, defined)
        for name in defined:
            for new, place in self._parts(name, sizes):
                self.bench.hold(new, self.bench.values[new], found[name][place])

    def _offset(self, symbol: str) -> int:
        recurring = next(
            r
            for e in self.rolled.equations
            for k, r in enumerate(e.domain)
            if (e.target, k) in self.unrolled.places and r.size.symbols == (symbol,)
        )
        return recurring.size.const

    def _parts(self, name: str, sizes: Mapping[str, int]) -> Iterator[tuple[str, tuple[int | slice, ...]]]:
        """A name's parts: what each is called, and where in the whole it stands."""
        ranges = self.rolled[name].ranges
        time = [k for k in range(len(ranges)) if (name, k) in self.unrolled.places]
        if not time:
            yield name, ()
        for (origin, point), new in self.unrolled.origin.items():
            if origin == name and new in self.bench.values:
                place: list[int | slice] = [slice(None)] * len(ranges)
                for k, v in zip(time, point, strict=True):
                    place[k] = v - ranges[k].low.value(sizes)
                yield new, tuple(place)

    # --- forward and backward ----------------------------------------------------------------------------

    def forward(self) -> Block:
        """The forward equations, without those that are written in wherever they are read."""
        results = {e.target for e in self.program.equations if self.shown.is_spelled(e.target)}
        shown = [e for e in self.program.equations if e.target not in results]
        rows = [(self.step(e.target), Row(1, *self._sides(e))) for e in shown]
        title = f"Forward, {self.unrolled.axis} = 1 to {self.unrolled.length}:"
        return Block((title,), _spaced(rows))

    def _sides(self, e: Equation) -> tuple[Formula, str, Formula]:
        left, right = self.shown.sides(e, softmax=False)
        return left, "=", right

    def backward(self, told: Callable[[int], None]) -> Block:
        """The adjoints, each after those it reads: the last step first."""
        order = {n: k for k, n in enumerate(evaluation_order(self.rolled))}

        def rank(e: Equation) -> tuple[int, int, int]:
            primal = self.base(e.target).removeprefix("∂")
            given = self.rolled[primal].role != "defined"
            timed = e.target in self.unrolled.steps
            return (given + (given and not timed), -self.step(e.target), -order.get(primal, 0))

        ranked = tuple(sorted(self.adjoints, key=rank))
        page = replace(self.unrolled.program, equations=ranked)
        place = {n: k for k, n in enumerate(evaluation_order(page))}
        rows: list[tuple[int, Row]] = []
        for e in sorted(ranked, key=lambda e: (rank(e)[0], place[e.target])):
            of = self.unrolled.program[e.target].of
            self.bench.hold(
                e.target, self.bench.value(e.value, e.domain, self.values), self.bench.adjoints[of]
            )
            self.bench.hold_where_it_sums_to_one(e, self.values)
            told(len(rows))
            [line] = self.shown.lines([e])
            kind = rank(e)[0]
            rows.append(
                (self.step(e.target) if not kind else -kind, Row(1, line.left, "=", line.right, line.remark))
            )
        return Block(("Backward:",), _spaced(rows), gradients=True)


def _spaced(rows: list[tuple[int, Row]]) -> tuple[Row, ...]:
    """Rows with an empty one between two steps, where a step has more than two."""
    steps = [step for step, _ in rows]
    if not rows or len(rows) <= 2 * len({*steps}):
        return tuple(row for _, row in rows)
    found: list[Row] = []
    for k, (step, row) in enumerate(rows):
        found += [Row(0, None, "", None)] if k and step != steps[k - 1] else []
        found.append(row)
    return tuple(found)
