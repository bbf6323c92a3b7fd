"""The paths of a parameter to the last step, as lines to be shown, each held to numbers before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chalkgrad.calculus.explain import Derivation, Remark
from chalkgrad.calculus.matrix import matrix_side
from chalkgrad.calculus.notation import respelled
from chalkgrad.equations.formula import Formula, Product, Quotient, Symbol, Transposed, big_sum, total
from chalkgrad.equations.ir import Equation, Index, Program, Range, Size, full
from chalkgrad.equations.show import formula
from chalkgrad.steps.bench import ADDED, Bench, slopes
from chalkgrad.steps.lesson import Row
from chalkgrad.steps.paths import Paths, apart


@dataclass(frozen=True)
class Block:
    """Lines that belong together, and what is said above them.

    Only where they are ``gradients`` of the loss is there more than one notation for them.
    """

    title: Remark
    rows: tuple[Row, ...]
    gradients: bool = False


@dataclass(frozen=True)
class Expansion:
    """How one parameter reaches the last state: the sum over its entries, the steps back, one step alone.

    ``values`` holds the value of every name of ``shown``; ``bench`` counts the lines.
    """

    paths: Paths
    parameter: str
    shown: Derivation
    bench: Bench
    values: Mapping[str, Tensor]

    def blocks(self) -> list[Block]:
        """What is shown, in order. Raises DerivationError where a line does not hold."""
        self._hold_terms()
        return [self._expansion(), *self._back(), self._locals()]

    def base(self, name: str) -> str:
        return self.paths.unrolled.steps.get(name, (name, 0))[0]

    def step(self, name: str) -> int:
        return self.paths.unrolled.steps[name][1]

    def _by(self, state: str, name: str) -> Formula:
        """``∂⁺state/∂name``; the plus is left out where there is nothing else to hold fixed."""
        p = self.paths
        plus = "" if p.single and name in p.states else "⁺"
        return derivative(state, name, plus)

    def _expansion(self) -> Block:
        """The sum over the states that the parameter enters, term by term."""
        p = self.paths
        entries = p.entries(self.parameter)
        whole = derivative(p.last, self.parameter)
        bases = dict.fromkeys(self.base(v) for v in entries)
        k = Index.axis("k")
        general = [
            Product((derivative(p.last, b, at=(k,)), derivative(b, self.parameter, "⁺", here=(k,))))
            for b in bases
        ]
        first, last = min(map(self.step, entries)), max(map(self.step, entries))
        over = (Range("k", Size((), last - first + 1), Size((), first)),)
        rows = [Row(1, whole, "=", big_sum(over, total(*general), True), self._before_the_first())]
        rows += self._listed([self._term(v, product_form=False) for v in entries])
        if p.single and any(len(self._chain(v)) > 1 for v in entries):
            products = [self._term(v, product_form=True) for v in entries]
            rows += self._listed(products, ("as products",))
        held = " (a plus marks the derivative at one step, the other states held fixed):"
        return Block(("How ", Symbol(self.parameter), " reaches ", Symbol(p.last), held), tuple(rows))

    def _before_the_first(self) -> Remark:
        """Why the sum begins at one: the state before it is given."""
        p = self.paths
        start = [n.name for n in p.program.given("start") if self.base(n.name) in p.bases]
        if not start or any(self.step(n) != 0 for n in start):
            return ()
        names: list[str | Formula] = []
        for n in start:
            names += [*((" and ",) if names else ()), Symbol(n)]
        return (*names, f" {'is' if len(start) == 1 else 'are'} given: no term for k = 0")

    def _listed(self, terms: list[Formula], words: Remark = ()) -> list[Row]:
        return [Row(1, None, "+" if k else "=", term, () if k else words) for k, term in enumerate(terms)]

    def _term(self, state: str, product_form: bool) -> Formula:
        p = self.paths
        here = self._by(state, self.parameter)
        if state == p.last:
            return here
        if product_form:
            return Product((*self._chain(state), here))
        return Product((derivative(p.last, state), here))

    def _chain(self, state: str) -> tuple[Formula, ...]:
        """``∂h₃/∂h₂ · ∂h₂/∂h₁``: from the last state down to one."""
        p = self.paths
        found: list[Formula] = []
        while state != p.last:
            [reader] = p.readers[state]
            found.insert(0, derivative(reader, state))
            state = reader
        return tuple(found)

    def _back(self) -> list[Block]:
        """How the derivative by a state follows from those by the states that read it."""
        p = self.paths
        rows: list[Row] = []
        for v, readers in p.readers.items():
            if not readers or p.single:
                continue
            terms = [
                self._by(u, v) if u == p.last else Product((derivative(p.last, u), self._by(u, v)))
                for u in readers
            ]
            rows.append(Row(1, derivative(p.last, v), "=", total(*terms)))
        title = "From the last state back, through every state that reads one:"
        return [Block((title,), tuple(rows))] if rows else []

    def _locals(self) -> Block:
        """The derivatives at one step, as formulas of t."""
        p = self.paths
        rows: list[Row] = []
        said: set[tuple[str, str, int]] = set()
        for v in reversed(p.states):
            for name in (*reversed(p.states), self.parameter):
                apart_by = self.step(v) - self.step(name) if name in p.states else 0
                key = (self.base(v), self.base(name), apart_by)
                if v not in p.readers or key in said or not p.reads(v, name):
                    continue
                said.add(key)
                rows += self._local(v, name)
        title = "At one step (a row for each element above, a column for each below):"
        return Block((title,), tuple(rows))

    def _local(self, state: str, name: str) -> Iterator[Row]:
        """One derivative at one step: a matrix where there is one, else with every index."""
        p = self.paths
        e = p.direct(state, name)
        alone = p.alone(state)
        given = {n.name: self.bench.values[n.name] for n in alone.given()}
        expected = slopes(alone, state, [name], given, self.bench.numbers)[name]
        self.bench.hold(f"∂⁺{state}/∂{name}", self.bench.value(e.value, e.domain, self.values), expected)
        plus = "" if p.single and name in p.states else "⁺"
        back = ("what ", Symbol(f"∂{state}"), " is multiplied by on its way back") if not plus else ()
        now, rank = self.step(state), len(p.program[state].ranges)
        whole = self._matrix(e, e.axes) if 2 * rank == len(e.axes) <= 2 else None
        if whole is None:
            at = full(e.domain)
            left = derivative(state, name, plus, at[:rank], at[rank:])
            whole = formula(self.shown.spelled(e).value, self.shown.page)
            yield Row(1, self._timed(left, now), "=", self._timed(whole, now))
            return
        left = self._timed(derivative(state, name, plus), now)
        words = tuple(w if isinstance(w, str) else self._timed(w, now) for w in back)
        turned = self._matrix(e, e.axes[::-1]) if p.program.columns and rank and back else None
        yield Row(1, left, "=", self._timed(whole, now), () if turned else words)
        if turned is not None:  # columns: a gradient is multiplied by the transpose
            yield Row(1, Transposed(left), "=", self._timed(turned, now), words)

    def _matrix(self, e: Equation, axes: tuple[str, ...]) -> Formula | None:
        p = self.paths
        page, columns = self.shown.page, p.program.columns
        return matrix_side(self.shown.spelled(e).value, e.domain, axes, page, columns, diagonals=True)

    def _timed(self, f: Formula, now: int) -> Formula:
        """The formula with t for the step it is at: ``h[t-1]`` for h₂ at step three."""
        p = self.paths
        steps = p.unrolled.steps

        def spell(s: Symbol) -> Formula:
            partial = s.name[: len(s.name) - len(s.name.lstrip("∂⁺"))]
            name = s.name[len(partial) :]
            if name not in steps:
                return s
            base, step = steps[name]
            return Symbol(partial + base, (Index.axis(p.unrolled.axis) + (step - now), *s.at))

        return respelled(f, spell)

    # --- numbers -----------------------------------------------------------------------------------------

    def _hold_terms(self) -> None:
        """Each term is what autograd gives with the parameter cut everywhere else; the sum is the whole; and
        each step back is right."""
        p = self.paths
        bench, entries = self.bench, p.entries(self.parameter)
        given = {n.name: bench.values[n.name] for n in p.program.given()}
        names = list(p.readers)
        perturbed, zeros = self._perturbed()
        totals = slopes(perturbed, p.last, [ADDED + v for v in names], {**given, **zeros}, bench.numbers)
        by_state = {v: totals[ADDED + v] for v in names}
        rank = len(p.program[p.last].ranges)
        whole = slopes(p.program, p.last, [self.parameter], given, bench.numbers)[self.parameter]
        sum_of_terms = torch.zeros_like(whole)
        for v in entries:
            here = self._alone(v, self.parameter)
            term = torch.tensordot(by_state[v], here, dims=by_state[v].dim() - rank)
            program, copy = apart(p, v, self.parameter)
            cut = slopes(program, p.last, [copy], {**given, copy: given[self.parameter]}, bench.numbers)[copy]
            bench.hold(f"∂{p.last}/∂{v} ∂⁺{v}/∂{self.parameter}", term, cut)
            sum_of_terms = sum_of_terms + term
        bench.hold(f"∂{p.last}/∂{self.parameter}", sum_of_terms, whole)
        for v, readers in p.readers.items():
            if readers:
                parts = [
                    torch.tensordot(by_state[u], self._alone(u, v), dims=by_state[u].dim() - rank)
                    for u in readers
                ]
                bench.hold(f"∂{p.last}/∂{v}", torch.stack(parts).sum(0), by_state[v])

    def _alone(self, state: str, name: str) -> Tensor:
        p = self.paths
        e = p.direct(state, name)
        return self.bench.value(e.value, e.domain, self.values)

    def _perturbed(self) -> tuple[Program, dict[str, Tensor]]:
        """The program with a zero beside every state, and the zeros."""
        program = self.bench.perturbed
        zeros = {
            n.name: torch.zeros(self.bench.size(n.ranges), dtype=torch.float64)
            for n in program.given()
            if n.name.startswith(ADDED)
        }
        return program, zeros


def derivative(
    above: str, below: str, plus: str = "", here: tuple[Index, ...] = (), at: tuple[Index, ...] = ()
) -> Formula:
    """``∂above[here]/∂below[at]`` as one symbol."""
    return Quotient(Symbol(f"∂{plus}{above}", here), Symbol(f"∂{below}", at))
