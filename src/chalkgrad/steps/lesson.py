"""A derivation as a lecturer gives it: name by name, each contribution by its rule.

For every name, what reads it; for every read, the rule that leads to it and what it gives (``∂h[t-1] gets
∂a[t] W_hᵀ``), the same collected at the name's own index (``t+1 for t``), and at last all of it added: the
very line that the derivation prints. Each line is held to numbers before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from chalkgrad.calculus.derive import Ledger, added, derive, ledger
from chalkgrad.calculus.explain import Derivation, Remark, explain
from chalkgrad.calculus.gather import Contribution, Turned, turned
from chalkgrad.calculus.loss import losses, with_ones
from chalkgrad.calculus.matrix import matrix_side
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.order import evaluation_order
from chalkgrad.calculus.simplify import simplified, written_in
from chalkgrad.equations.formula import Formula, Symbol
from chalkgrad.equations.ir import Equation, Expr, Guard, Program, Reduce, full
from chalkgrad.equations.ops import mul
from chalkgrad.equations.show import formula
from chalkgrad.equations.walk import nodes, reads
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.steps.bench import Bench
from chalkgrad.steps.rules import collected, is_trivial, rule

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Row:
    """One line on the board: ``left sign right``, how far it stands in, and the rule beside it."""

    depth: int
    left: Formula | None
    sign: str
    right: Formula | None
    words: Remark = ()
    before: str = ""


@dataclass(frozen=True)
class Section:
    """All that is said about the gradient of one name."""

    name: Formula
    about: Remark
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Lesson:
    """A derivation in steps, every line of which has been held against numbers.

    ``lines`` is how many were, ``worst`` their largest relative error, ``sizes`` the sizes it was at.
    """

    derivation: Derivation
    forward: tuple[Row, ...]
    sections: tuple[Section, ...]
    lines: int
    worst: float
    sizes: Mapping[str, int]


def lesson(resolved: Resolved, progress: Progress | None = None) -> Lesson:
    """The derivation of a page, step by step, each line verified at random values in float64.

    Raises DerivationError where a line does not hold, which would be a mistake in Chalkgrad.

    >>> from chalkgrad.language.resolve import read
    >>> from chalkgrad.steps.board import board
    >>> print(board(lesson(read("h[i] = Σ[j] V[j] x[i+j] where x: input"))).split("\\n\\n")[2])
    ∂x[n]: x[n] is read in h[n-j] at every j.
      from h[i] = Σ[j] V[j] x[i+j]
        ∂x[i+j] gets ∂h[i] V[j]   product rule
      ∂x[n] = Σ[j] ∂h[n-j] V[j]   index solved: n = i+j, so i = n-j; summed over j
    """
    blackboard = _Blackboard(resolved.program, small_numbers(resolved, {}))
    sections: list[Section] = []
    names = blackboard.order
    for k, name in enumerate(names):
        sections.append(blackboard.section(name))
        if progress is not None:
            progress(k + 1, len(names))
    bench = blackboard.bench
    sizes = {s: n for s, n in bench.numbers.items() if s != "batch"}
    return Lesson(
        blackboard.final, tuple(blackboard.forward()), tuple(sections), bench.lines, bench.worst, sizes
    )


def joined(first: Remark, second: Remark) -> Remark:
    """Two remarks in one."""
    return (*first, "; ", *second) if first and second else (*first, *second)


class _Blackboard:
    """One derivation with its stages side by side: what each equation gives, all of it added, and the end."""

    def __init__(self, program: Program, numbers: Mapping[str, int]) -> None:
        forward = normalise(program)
        self.ledger: Ledger = ledger(forward)
        names, equations = added(self.ledger)
        own = self.ledger.program
        ones = losses(own)
        self.seeds = {n.name: n.of for n in names if n.role == "seed"}
        self.unit = {s: o for s, o in self.seeds.items() if o in ones}
        self.plain = {e.target: self.one(e) for e in equations}
        whole = Program(
            (*own.equations, *self.plain.values()), (*own.names, *names), own.outputs, own.states, own.columns
        )
        self.final = explain(forward, derive(forward))
        #: shows whatever is not an equation of the end: contributions, and sums before others are written in
        self.raw = Derivation(self.final.forward, whole, self.final.unit)
        self.bench = Bench(own, numbers, ones)
        self.values = self.bench.learn(names)
        self.printed = {e.target: e for e in self.final.equations}

    def one(self, e: Equation) -> Equation:
        """The equation with ones for the gradients of the losses by themselves."""
        return simplified(replace(e, value=with_ones(e.value, self.unit))) if self.unit else e

    @property
    def order(self) -> tuple[str, ...]:
        """The names in the order of a lecture: back from the outputs, then what was given."""
        own, final = self.ledger.program, self.final
        needed = {e.target.removeprefix("∂") for e in final.equations} | {*own.outputs}
        for name in [*needed]:
            needed |= self._written_in(name)
        starts = {n.name for n in own.given("start")}
        defined = [n for n in reversed(evaluation_order(own)) if n in needed and n in self.ledger.entries]
        given = [n for n in self.ledger.entries if n in needed and n not in starts and n not in defined]
        return (*defined, *given)

    def _written_in(self, name: str) -> set[str]:
        """The names whose gradients were written into that of ``name``, and those written into them."""
        e = self.plain.get(f"∂{name}")
        gone = [r.name for r in reads(e.value) if r.name in self.plain] if e else []
        found = {g.removeprefix("∂") for g in gone if g not in self.printed and g != f"∂{name}"}
        return found.union(*(self._written_in(f) for f in found))

    def forward(self) -> Iterator[Row]:
        """The forward equations, a function in each."""
        for e in self.ledger.program.equations:
            if not self._is_start(e):
                left, right = self.raw.sides(e, spelled=False)
                yield Row(1, left, "=", right)

    def _is_start(self, e: Equation) -> bool:
        return any(self.ledger.program[r.name].role == "start" for r in reads(e.value))

    # --- one name ----------------------------------------------------------------------------------------

    def section(self, name: str) -> Section:
        own = self.ledger.program[name]
        adjoint = f"∂{name}"
        entries = [(c, turned(c, own)) for c in self.ledger.entries[name]]
        here = self._at_home(name, adjoint)
        rows: list[Row] = []
        seed = next((s for s, o in self.seeds.items() if o == name), None)
        if seed == adjoint:
            words: Remark = (
                ("; ", here, " = 1.") if seed in self.unit else ("; ", here, " arrives from the loss.")
            )
            kind = "loss" if seed in self.unit else "output"
            return Section(here, (self._at_home(name, name), f" is the {kind}", *words), ())
        if seed is not None:
            rows.append(Row(1, None, "", self._at_home(name, seed), ("arrives from the loss",)))
        last: Equation | None = None
        for (c, t), e, k in zip(entries, self._readers(name), self._occurrences(name), strict=True):
            if e is not last:
                left, right = self.raw.sides(e, spelled=False)
                rows.append(Row(1, left, "=", right, before="from "))
            last = e
            rows += self._entry(c, t, e, k)
        total = list(self._total(name, len(entries) + (seed is not None)))
        # One contribution is the whole: said once.
        if (
            len(entries) == 1
            and seed is None
            and (rows[-1].left, rows[-1].right) == (total[0].left, total[0].right)
        ):
            total[0] = replace(total[0], words=joined(rows.pop().words, total[0].words))
        rows += total
        return Section(here, self._about(name, entries, seed is not None), tuple(rows))

    def _at_home(self, name: str, shown: str) -> Formula:
        """``shown`` at the point that an equation for ``name`` defines, as far as that is written."""
        n = self.raw.page.names[name]
        return Symbol(shown, full(n.ranges[: n.written]))

    def _readers(self, name: str) -> list[Equation]:
        """The equation that each contribution comes from."""
        found: list[Equation] = []
        for c in self.ledger.entries[name]:
            source = c.cotangent.name.removeprefix(self.ledger.prefix)
            found.append(
                next(
                    e
                    for e in self.ledger.program.defining(source)
                    if e.domain == c.over[: c.outer] and any(r.name == name for r in reads(e.value))
                )
            )
        return found

    def _occurrences(self, name: str) -> list[int]:
        """Which of its equation's reads of the name each contribution is for."""
        seen: dict[int, int] = {}
        out: list[int] = []
        for e in self._readers(name):
            out.append(seen.get(id(e), 0))
            seen[id(e)] = out[-1] + 1
        return out

    def _about(self, name: str, entries: list[tuple[Contribution, Turned]], seeded: bool) -> Remark:
        """``h[t] is the output, and is read in y[t] and in a[t+1].``"""
        places: dict[tuple[Formula, str], None] = {}
        for c, t in entries:
            source = c.cotangent.name.removeprefix(self.ledger.prefix)
            written = self.raw.page.names[source].written
            at = tuple(i.substitute(t.places) for i in c.cotangent.at[:written])
            every = [r.axis for r in t.summed if any(r.axis in i.axes for i in at)]
            places[Symbol(source, at), f" at every {', '.join(every)}" if every else ""] = None
        words: list[str | Formula] = [self._at_home(name, name), " is "]
        words += ["the output, and is "] if seeded else []
        words.append("read in ")
        for k, (place, every) in enumerate(places):
            words += [" and in " if k and k == len(places) - 1 else ", in " if k else "", place, every]
        return (*words, ".")

    # --- one contribution --------------------------------------------------------------------------------

    def _entry(self, c: Contribution, t: Turned, e: Equation, occurrence: int) -> Iterator[Row]:
        own = self.ledger.program[c.name]
        adjoint = f"{self.ledger.prefix}{c.name}"
        source = c.cotangent.name.removeprefix(self.ledger.prefix)
        cotangent = self.bench.part(self.bench.adjoints[source], source, e)
        expected = self.bench.share(e, occurrence, c.name, cotangent)
        term = self.one(simplified(Equation(adjoint, own.ranges, t.term)))
        left, right = self.raw.sides(term)
        words = rule(c)
        if not is_trivial(c, t, self._along(c)):
            spread = self._spread(c, t, adjoint)
            self.bench.hold(f"{adjoint} from {source}", self.bench.scattered(c, self.values), expected)
            yield Row(2, spread[0], "gets", spread[1], words)
            words = collected(c, t, own, self._along(c))
        found = self.bench.value(term.value, own.ranges, self.values)
        self.bench.hold(f"{adjoint} from {source}, collected", found, expected)
        yield Row(2, left, "gets", right, words)

    def _spread(self, c: Contribution, t: Turned, adjoint: str) -> tuple[Formula, Formula]:
        """What one point of the iteration gives, and to where: ``∂h[t-1]`` gets ``∂a[t] W_hᵀ``.

        Unwritten axes that the place does not depend on are summed; along the others it is one point.
        """
        page, program = self.raw.page, self.ledger.program
        written = page.names[c.name].written
        body = mul(c.factor, c.cotangent) if t.factor_first else mul(c.cotangent, c.factor)
        implicit = self._implicit(c)
        placed = {a for i in c.at for a in i.axes}
        over = tuple(r for r in c.over if r.axis in implicit - placed)
        value: Expr = Guard(c.conditions, body) if c.conditions else body
        value = Reduce("sum", over, value) if over else value
        rest = tuple(r for r in c.over if r not in over)
        features = tuple(i.plain() for i in c.at[written:])
        shown = self.raw.spelled(simplified(self.one(Equation(adjoint, rest, value)))).value
        axes = tuple(a for a in features if a is not None)
        if len(axes) == len(features) and {*axes} <= implicit:
            ranges = {r.axis: r for r in rest}
            whole = all(
                (ranges[a].low, ranges[a].size) == (r.low, r.size)
                for a, r in zip(axes, program[c.name].ranges[written:], strict=True)
            )
            right = matrix_side(shown, rest, axes, page, program.columns) if whole else None
            if right is not None:
                return Symbol(adjoint, c.at[:written]), right
        return Symbol(adjoint, c.at), formula(shown, page)

    def _implicit(self, c: Contribution) -> set[str]:
        """The axes of a contribution's iteration that stand in no brackets."""
        page = self.raw.page
        source = c.cotangent.name.removeprefix(self.ledger.prefix)
        found = [(r, page.names[r.name]) for r in reads(mul(c.cotangent, c.factor)) if r.name in page.names]
        features = {a for r, n in found for i in r.at[n.written :] for a in i.axes}
        bound = {r.axis for r in c.over[c.outer :]}
        return {r.axis for r in c.over[page.names[source].written : c.outer]} | (features & bound)

    def _along(self, c: Contribution) -> tuple[str, ...]:
        """The axes along which one point of the iteration was shown."""
        implicit = self._implicit(c)
        return tuple(r.axis for r in c.over if r.axis not in implicit)

    # --- all of it added ---------------------------------------------------------------------------------

    def _total(self, name: str, terms: int) -> Iterator[Row]:
        adjoint = f"∂{name}"
        plain = self.plain[adjoint]
        end = self.printed.get(adjoint, plain)
        words: Remark = ("contributions added",) if terms > 1 else ()
        if end != plain:
            self._holds(plain)
            left, right = self.raw.sides(plain)
            if terms > 1:
                yield Row(1, left, "=", right, words)
            words = self._written(plain)
        elif adjoint not in self.printed:
            words = joined(words, ("to be written in where it is used",))
        self._holds(end)
        if end is plain and adjoint not in self.printed:
            left, right = self.raw.sides(plain)
            yield Row(1, left, "=", right, words)
            return
        self.bench.hold_where_it_sums_to_one(end, self.values)
        [line] = self.final.lines([end])
        yield Row(1, line.left, "=", line.right, joined(words, line.remark))
        yield from self._through(end)

    def _written(self, plain: Equation) -> Remark:
        gone = dict.fromkeys(
            r.name for r in reads(plain.value) if r.name in self.plain and r.name not in self.printed
        )
        if not gone:
            return ("simplified",)
        parts: list[str | Formula] = ["with "]
        for k, g in enumerate(gone):
            parts += [" and " if k else "", self._at_home(g.removeprefix("∂"), g)]
        return (*parts, " written in")

    def _through(self, e: Equation) -> Iterator[Row]:
        """The step from one moment to the one before in a single line: with the pre-activation written in."""
        shifted = [
            r
            for r in reads(e.value)
            if r.name in self.printed and r.name != e.target and any(i.plain() is None for i in r.at)
        ]
        if len(shifted) != 1:
            return
        inner = self.printed[shifted[0].name]
        if any(isinstance(n, Reduce) for n in nodes(inner.value)) or e.target not in {
            r.name for r in reads(inner.value)
        }:
            return
        whole = simplified(replace(e, value=written_in(inner, e.value)))
        self._holds(whole)
        left, right = self.raw.sides(whole)
        yield Row(
            1,
            left,
            "=",
            right,
            ("the same, with ", self._at_home(shifted[0].name[1:], shifted[0].name), " written in"),
        )

    def _holds(self, e: Equation) -> None:
        found = self.bench.value(e.value, e.domain, self.values)
        self.bench.hold(e.target, found, self.bench.adjoints[e.target.removeprefix("∂")])
