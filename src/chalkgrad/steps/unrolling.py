"""A recurrence written out for a few steps: forward, backward, and the paths of a parameter to the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chalkgrad.calculus.derive import derive, ledger
from chalkgrad.calculus.explain import Derivation, Remark, explain
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.matrix import matrix_side
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.notation import respelled
from chalkgrad.calculus.order import evaluation_order
from chalkgrad.calculus.unroll import Unrolled, unrolled
from chalkgrad.equations.formula import Formula, Product, Quotient, Symbol, Transposed, big_sum, total
from chalkgrad.equations.ir import Const, Equation, Index, Program, Range, Size, full
from chalkgrad.equations.show import formula
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.steps.bench import ADDED, Bench, slopes
from chalkgrad.steps.lesson import Progress, Row
from chalkgrad.steps.paths import Paths, apart, parameter_of, paths


@dataclass(frozen=True)
class Block:
    """Lines that belong together, and what is said above them.

    Only where they are ``gradients`` of the loss is there more than one notation for them.
    """

    title: Remark
    rows: tuple[Row, ...]
    gradients: bool = False


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
    blocks = [sheet.forward(), sheet.backward()]
    if progress is not None:
        progress(1, 2)
    blocks += sheet.paths(by)
    if progress is not None:
        progress(2, 2)
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

    def backward(self) -> Block:
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
            [line] = self.shown.lines([e])
            kind = rank(e)[0]
            rows.append(
                (self.step(e.target) if not kind else -kind, Row(1, line.left, "=", line.right, line.remark))
            )
        return Block(("Backward:",), _spaced(rows), gradients=True)

    # --- paths -------------------------------------------------------------------------------------------

    def paths(self, by: str | None) -> list[Block]:
        p = paths(self.rolled, self.unrolled, self.program)
        parameter = parameter_of(p, by) if p is not None else None
        if p is None or parameter is None:
            return []
        return [self._expansion(p, parameter), *self._back(p), self._locals(p, parameter)]

    def _by(self, p: Paths, state: str, name: str) -> Formula:
        """``∂⁺state/∂name``; the plus is left out where there is nothing else to hold fixed."""
        plus = "" if p.single and name in p.states else "⁺"
        return derivative(state, name, plus)

    def _expansion(self, p: Paths, parameter: str) -> Block:
        """The sum over the states that the parameter enters, term by term."""
        entries = p.entries(parameter)
        whole = derivative(p.last, parameter)
        self._hold_terms(p, parameter, entries)
        bases = dict.fromkeys(self.base(v) for v in entries)
        k = Index.axis("k")
        general = [
            Product((derivative(p.last, b, at=(k,)), derivative(b, parameter, "⁺", here=(k,)))) for b in bases
        ]
        first, last = min(map(self.step, entries)), max(map(self.step, entries))
        over = (Range("k", Size((), last - first + 1), Size((), first)),)
        rows = [Row(1, whole, "=", big_sum(over, total(*general), True), self._before_the_first(p))]
        rows += self._listed([self._term(p, v, parameter, product_form=False) for v in entries])
        if p.single and any(len(self._chain(p, v)) > 1 for v in entries):
            products = [self._term(p, v, parameter, product_form=True) for v in entries]
            rows += self._listed(products, ("as products",))
        held = " (a plus marks the derivative at one step, the other states held fixed):"
        return Block(("How ", Symbol(parameter), " reaches ", Symbol(p.last), held), tuple(rows))

    def _before_the_first(self, p: Paths) -> Remark:
        """Why the sum begins at one: the state before it is given."""
        start = [n.name for n in self.program.given("start") if self.base(n.name) in p.bases]
        if not start or any(self.step(n) != 0 for n in start):
            return ()
        names: list[str | Formula] = []
        for n in start:
            names += [*((" and ",) if names else ()), Symbol(n)]
        return (*names, f" {'is' if len(start) == 1 else 'are'} given: no term for k = 0")

    def _listed(self, terms: list[Formula], words: Remark = ()) -> list[Row]:
        return [Row(1, None, "+" if k else "=", term, () if k else words) for k, term in enumerate(terms)]

    def _term(self, p: Paths, state: str, parameter: str, product_form: bool) -> Formula:
        here = self._by(p, state, parameter)
        if state == p.last:
            return here
        if product_form:
            return Product((*self._chain(p, state), here))
        return Product((derivative(p.last, state), here))

    def _chain(self, p: Paths, state: str) -> tuple[Formula, ...]:
        """``∂h₃/∂h₂ · ∂h₂/∂h₁``: from the last state down to one."""
        found: list[Formula] = []
        while state != p.last:
            [reader] = p.readers[state]
            found.insert(0, derivative(reader, state))
            state = reader
        return tuple(found)

    def _back(self, p: Paths) -> list[Block]:
        """How the derivative by a state follows from those by the states that read it."""
        rows: list[Row] = []
        for v, readers in p.readers.items():
            if not readers or p.single:
                continue
            terms = [
                self._by(p, u, v) if u == p.last else Product((derivative(p.last, u), self._by(p, u, v)))
                for u in readers
            ]
            rows.append(Row(1, derivative(p.last, v), "=", total(*terms)))
        return (
            [Block(("From the last state back, through every state that reads one:",), tuple(rows))]
            if rows
            else []
        )

    def _locals(self, p: Paths, parameter: str) -> Block:
        """The derivatives at one step, as formulas of t."""
        rows: list[Row] = []
        said: set[tuple[str, str, int]] = set()
        for v in reversed(p.states):
            for name in (*reversed(p.states), parameter):
                apart_by = self.step(v) - self.step(name) if name in p.states else 0
                key = (self.base(v), self.base(name), apart_by)
                if v not in p.readers or key in said or not p.reads(v, name):
                    continue
                said.add(key)
                rows += self._local(p, v, name)
        title = "At one step (a row for each element above, a column for each below):"
        return Block((title,), tuple(rows))

    def _local(self, p: Paths, state: str, name: str) -> Iterator[Row]:
        """One derivative at one step: a matrix where there is one, else with every index."""
        e = p.direct(state, name)
        alone = p.alone(state)
        given = {n.name: self.bench.values[n.name] for n in alone.given()}
        expected = slopes(alone, state, [name], given, self.bench.numbers)[name]
        self.bench.hold(f"∂⁺{state}/∂{name}", self.bench.value(e.value, e.domain, self.values), expected)
        plus = "" if p.single and name in p.states else "⁺"
        back = ("what ", Symbol(f"∂{state}"), " is multiplied by on its way back") if not plus else ()
        now, rank = self.step(state), len(self.program[state].ranges)
        whole = self._matrix(e, e.axes) if 2 * rank == len(e.axes) <= 2 else None
        if whole is None:
            at = full(e.domain)
            left = derivative(state, name, plus, at[:rank], at[rank:])
            whole = formula(self.shown.spelled(e).value, self.shown.page)
            yield Row(1, self._timed(left, now), "=", self._timed(whole, now))
            return
        left = self._timed(derivative(state, name, plus), now)
        words = tuple(w if isinstance(w, str) else self._timed(w, now) for w in back)
        turned = self._matrix(e, e.axes[::-1]) if self.program.columns and rank and back else None
        yield Row(1, left, "=", self._timed(whole, now), () if turned else words)
        if turned is not None:  # columns: a gradient is multiplied by the transpose
            yield Row(1, Transposed(left), "=", self._timed(turned, now), words)

    def _matrix(self, e: Equation, axes: tuple[str, ...]) -> Formula | None:
        page, columns = self.shown.page, self.program.columns
        return matrix_side(self.shown.spelled(e).value, e.domain, axes, page, columns, diagonals=True)

    def _timed(self, f: Formula, now: int) -> Formula:
        """The formula with t for the step it is at: ``h[t-1]`` for h₂ at step three."""
        steps = self.unrolled.steps

        def spell(s: Symbol) -> Formula:
            partial = s.name[: len(s.name) - len(s.name.lstrip("∂⁺"))]
            name = s.name[len(partial) :]
            if name not in steps:
                return s
            base, step = steps[name]
            return Symbol(partial + base, (Index.axis(self.unrolled.axis) + (step - now), *s.at))

        return respelled(f, spell)

    # --- numbers -----------------------------------------------------------------------------------------

    def _hold_terms(self, p: Paths, parameter: str, entries: tuple[str, ...]) -> None:
        """Each term is what autograd gives with the parameter cut everywhere else; the sum is the whole; and
        each step back is right."""
        bench = self.bench
        given = {n.name: bench.values[n.name] for n in p.program.given()}
        names = list(p.readers)
        perturbed, zeros = self._perturbed(p)
        totals = slopes(perturbed, p.last, [ADDED + v for v in names], {**given, **zeros}, bench.numbers)
        by_state = {v: totals[ADDED + v] for v in names}
        rank = len(p.program[p.last].ranges)
        whole = slopes(p.program, p.last, [parameter], given, bench.numbers)[parameter]
        sum_of_terms = torch.zeros_like(whole)
        for v in entries:
            here = self._alone(p, v, parameter)
            term = torch.tensordot(by_state[v], here, dims=by_state[v].dim() - rank)
            program, copy = apart(p, v, parameter)
            cut = slopes(program, p.last, [copy], {**given, copy: given[parameter]}, bench.numbers)[copy]
            bench.hold(f"∂{p.last}/∂{v} ∂⁺{v}/∂{parameter}", term, cut)
            sum_of_terms = sum_of_terms + term
        bench.hold(f"∂{p.last}/∂{parameter}", sum_of_terms, whole)
        for v, readers in p.readers.items():
            if readers:
                parts = [
                    torch.tensordot(by_state[u], self._alone(p, u, v), dims=by_state[u].dim() - rank)
                    for u in readers
                ]
                bench.hold(f"∂{p.last}/∂{v}", torch.stack(parts).sum(0), by_state[v])

    def _alone(self, p: Paths, state: str, name: str) -> Tensor:
        e = p.direct(state, name)
        return self.bench.value(e.value, e.domain, self.values)

    def _perturbed(self, p: Paths) -> tuple[Program, dict[str, Tensor]]:
        program = self.bench.perturbed
        zeros = {
            n.name: torch.zeros(self.bench.size(n.ranges), dtype=torch.float64)
            for n in program.given()
            if n.name.startswith(ADDED)
        }
        return program, zeros


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


def derivative(
    above: str, below: str, plus: str = "", here: tuple[Index, ...] = (), at: tuple[Index, ...] = ()
) -> Formula:
    """``∂above[here]/∂below[at]`` as one symbol."""
    return Quotient(Symbol(f"∂{plus}{above}", here), Symbol(f"∂{below}", at))
