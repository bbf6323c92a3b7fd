"""A derivation, printed: the backward equations in matrix notation, in index form, in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from chalkgrad.calculus.latex import indices, latex
from chalkgrad.calculus.loss import folded, losses, where_it_sums_to_one, with_softmax
from chalkgrad.calculus.matrix import matrix_form, matrix_side
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.notation import Spelling, respelled, spelling
from chalkgrad.equations.formula import Formula, Symbol, text
from chalkgrad.equations.ir import Apply, Condition, Equation, Expr, Guard, Index, Program, Read
from chalkgrad.equations.show import Page, box, formula, left_side
from chalkgrad.equations.walk import nodes, reads, rewrite, substitute

THROUGH_TIME = "back-propagation through time"

Remark = tuple[str | Formula, ...]


@dataclass(frozen=True)
class Line:
    """One printed equation, and a remark beside it: words and formulas."""

    left: Formula
    right: Formula
    where: str = ""
    remark: Remark = ()

    def respelled(self, spell: Spelling) -> Line:
        """The line in another notation."""
        remark = tuple(r if isinstance(r, str) else respelled(r, spell) for r in self.remark)
        return Line(respelled(self.left, spell), respelled(self.right, spell), self.where, remark)


@dataclass(frozen=True, repr=False)
class Derivation:
    """The backward equations of a layer, for reading.

    ``str()`` is matrix notation where the ranks allow it and index form elsewhere; :meth:`index_form` writes
    every axis. A term that reads an adjoint or another computed name outside its own range is absent; that is
    not written out each time. Where the page ends in its loss, the gradient of that by itself is one, and
    ``unit`` says in whose equations it stood.

    ``notation`` is ``"short"`` (∂h[t]), ``"leibniz"`` (∂L/∂h[t]) or ``"adjoint"`` (h̄[t], and δ[t] for a
    pre-activation); every method that takes it raises EquationError for another.
    """

    forward: Program
    derived: Program
    unit: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict[str, tuple[str, ...]]())

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The adjoint equations in printed order, those of the initial states too."""
        known = self.forward.table
        return tuple(e for e in self.derived.equations if e.target not in known and e.target.startswith("∂"))

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def text(self, notation: str = "short") -> str:
        """Matrix notation where the ranks allow it and index form elsewhere, a line per equation."""
        return "\n".join(block(self._spelt(self.lines(self._shown()), notation)))

    def index_form(self, starts: bool = False, notation: str = "short") -> str:
        """Every axis written out; with ``starts`` the gradients of initial states too."""
        return "\n".join(block(self._spelt(self.lines(self._shown(starts), matrices=False), notation)))

    def with_definitions(self, notation: str = "short") -> str:
        """Above the block, what the generated names in it stand for: ``where a[t] = x[t] W_x + …``."""
        definitions = block(self.lines(self._definitions()))
        heads = ("where ", *["      "] * len(definitions))
        return "\n".join([*(h + d for h, d in zip(heads, definitions, strict=False)), self.text(notation)])

    def latex(self, notation: str = "short") -> str:
        r"""An ``aligned`` block of LaTeX, without dollar signs around it."""
        return aligned(self._spelt(self.lines(self._shown()), notation))

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def _spelt(self, lines: list[Line], notation: str) -> list[Line]:
        spell = spelling(notation, self.forward, self.derived)
        return [line.respelled(spell) for line in lines]

    def _shown(self, starts: bool = False) -> tuple[Equation, ...]:
        given = {n.name for n in self.forward.given("start")}
        return tuple(e for e in self.equations if starts or self.derived[e.target].of not in given)

    def _definitions(self) -> tuple[Equation, ...]:
        """The definitions of generated names which the shown equations mention, they or their adjoints."""
        shown = self._shown()
        mentioned = {e.target for e in shown}
        for e in shown:
            mentioned |= {read.name for read in reads(self.spelled(e).value)}
        mentioned |= {self.derived[m].of for m in mentioned if m.startswith("∂")}
        known = self.forward.table
        winners = [e for e in self.derived.equations if e.target not in known and e not in self.equations]
        return tuple(
            e
            for e in (*self.forward.equations, *winners)
            if e.target in mentioned and (e in winners or known[e.target].generated)
        )

    @cached_property
    def page(self) -> Page:
        """The names with their axes, a target's as the names that it is compared with have theirs."""
        names = {**self.forward.table, **self.derived.table}
        for target in _targets(self.forward):
            n = names[target]
            names[target] = replace(n, written=n.written - 1)
            if f"∂{target}" in names:
                names[f"∂{target}"] = replace(names[f"∂{target}"], written=n.written - 1)
        return Page(names)

    @cached_property
    def _recurrent(self) -> frozenset[Equation]:
        """The equations through which a gradient goes back in time."""
        return frozenset(_through_time(self.equations, _recurrence_axes(self.forward)))

    def lines(self, equations: Iterable[Equation], matrices: bool = True) -> list[Line]:
        """The equations, of either program, as they are printed."""
        through_time = self._recurrent
        said: set[str] = set()
        lines: list[Line] = []
        for e in equations:
            left, right = self.sides(e, matrices)
            several = len(self.derived.defining(e.target)) > 1
            remarks: list[Remark] = [(THROUGH_TIME,)] if e in through_time else []
            for loss in self.unit.get(e.target, ()):
                remarks += [self._one(loss)] if loss not in said else []
                said.add(loss)
            normal = where_it_sums_to_one(e, self.forward) if self.unit else None
            if normal is not None:
                simpler = self.sides(normal.equation, matrices)[1]
                remarks.append((simpler, " where ", self.side(normal.total, e, matrices), " = 1"))
            remark = tuple(part for k, r in enumerate(remarks) for part in (*(("; ",) if k else ()), *r))
            lines.append(Line(left, right, box(e.domain) if several else "", remark))
        return lines

    def sides(
        self, e: Equation, matrices: bool = True, spelled: bool = True, softmax: bool = True
    ) -> tuple[Formula, Formula]:
        """An equation's two sides, in matrix notation if that is wanted and there is one.

        Results of functions are ``spelled`` as what they are, ``tanh(c[t])``, unless their names are to stay.
        """
        shown = self.spelled(e, softmax and matrices) if spelled else e
        sides = matrix_form(shown, self.page, self.forward.columns) if matrices else None
        return sides or self._indexed(e, spelled)

    def _indexed(self, e: Equation, spelled: bool) -> tuple[Formula, Formula]:
        shown = self.spelled(e, softmax=False) if spelled else e
        return left_side(shown), formula(shown.value, self.page)

    def side(self, value: Expr, e: Equation, matrices: bool = True) -> Formula:
        """An expression of an equation that is the same number along all of its unwritten axes."""
        domain = e.domain[: self.page.names[e.target].written]
        spelled = _spell(value, _function_results(self.forward))
        found = matrix_side(spelled, domain, (), self.page, self.forward.columns) if matrices else None
        return found or formula(spelled, self.page)

    def _one(self, loss: str) -> Remark:
        """Why the gradient of the loss by itself does not stand there."""
        own = Symbol(f"∂{loss}", tuple(Index.axis(r.axis) for r in self.forward[loss].ranges))
        return (own, " = 1")

    def is_spelled(self, name: str) -> bool:
        """Whether a name is printed as the function it is the result of."""
        return name in _function_results(self.forward)

    def spelled(self, e: Equation, softmax: bool = True) -> Equation:
        """The equation with results of functions written as what they are: ``tanh(c[t])``."""
        value = _spell(e.value, _function_results(self.forward))
        return replace(e, value=with_softmax(value, self.forward) if self.unit and softmax else value)


def explain(forward: Program, derived: Program) -> Derivation:
    """How the gradient ``derived`` of ``forward`` reads on paper (both without a batch axis).

    >>> from chalkgrad.calculus.derive import derive
    >>> from chalkgrad.equations.ir import Name, Range, Reduce, Size
    >>> i, j = Index.axis("i"), Index.axis("j")
    >>> n, k = Size.symbol("N"), Size.symbol("K")
    >>> body = Apply("mul", (Read("V", (j,)), Read("x", (i + j,))))
    >>> names = (Name("x", "input", (Range("n", n),), 1), Name("V", "parameter", (Range("j", k),), 1))
    >>> long = (Range("i", n - k + 1),)
    >>> conv = Equation("h", long, Reduce("sum", (Range("j", k),), body))
    >>> layer = Program((conv,), (*names, Name("h", "defined", long, 1)), ("h",))
    >>> explain(layer, derive(layer))
    ∂x[n] = Σ[j] ∂h[n-j] V[j]
    ∂V[j] = Σ[i] ∂h[i] x[i+j]
    """
    forward = normalise(forward)
    found = folded(forward, derived)
    return Derivation(forward, found.derived, found.unit)


# --- what stands on a line -----------------------------------------------------------------------------


def _targets(forward: Program) -> Iterator[str]:
    """Inputs of a page with a loss whose last index, written out, is an unwritten one of what they are
    compared with: y of ``Σ[j] y[t,j] log(y'[t,j])``, a vector like y'."""
    if not losses(forward):
        return
    for n in forward.given("input"):
        if len(n.ranges) == n.written > 0 and all(
            _beside_a_vector(n.name, e, forward) for e in forward.equations
        ):
            yield n.name


def _beside_a_vector(name: str, e: Equation, forward: Program) -> bool:
    found = [(r, forward[r.name].written) for r in reads(e.value)]
    implicit = {i.plain() for r, written in found for i in r.at[written:] if r.name != name} - {None}
    return all(r.at[-1].plain() in implicit for r, _ in found if r.name == name)


def _function_results(forward: Program) -> Mapping[str, Equation]:
    """Generated names that are no more than a function's result."""
    return {
        e.target: e
        for e in forward.equations
        if forward[e.target].generated
        and isinstance(e.value, Apply)
        and e.value.op not in ("add", "mul", "pow")
        and len(forward.defining(e.target)) == 1
    }


def _spell(e: Expr, results: Mapping[str, Equation]) -> Expr:
    def one(node: Expr) -> Expr:
        if not isinstance(node, Read) or node.name not in results:
            return node
        found = results[node.name]
        return _spell(substitute(found.value, dict(zip(found.axes, node.at, strict=True))), results)

    return rewrite(e, one)


def _recurrence_axes(forward: Program) -> set[str]:
    return {forward[s.name].ranges[s.position].axis for s in forward.states}


def _through_time(equations: tuple[Equation, ...], time: set[str]) -> Iterator[Equation]:
    """The equations that receive from another step of a cycle they stand in, along one of the axes of time
    (along any where no state says which those are)."""
    after: dict[str, set[str]] = {e.target: set() for e in equations}
    for e in equations:
        after[e.target] |= {read.name for read in reads(e.value)} & after.keys()
    for e in equations:
        if any(e.target in _reached(read.name, after) for read in _shifted(e, time) if read.name in after):
            yield e


def _reached(start: str, after: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = {start}
    while ahead:
        found |= ahead
        ahead = {b for a in ahead for b in after[a]} - found
    return found


def _shifted(e: Equation, time: set[str]) -> Iterator[Read]:
    """The reads at another step: ``∂a[t+1]``, or ``∂a[s]`` where a guard says how s and t lie."""
    conditions = [c for n in nodes(e.value) if isinstance(n, Guard) for c in n.conditions]
    here = set(e.axes) & time if time else set(e.axes)
    for read in reads(e.value):
        if any(_elsewhere(i, here, conditions) for i in read.at):
            yield read


def _elsewhere(i: Index, here: set[str], conditions: list[Condition]) -> bool:
    if here & set(i.axes):
        return i.plain() is None
    return any(set(i.axes) & set(c.index.axes) and here & set(c.index.axes) for c in conditions)


# --- printing ------------------------------------------------------------------------------------------


def block(lines: list[Line]) -> list[str]:
    """Lines with their equals signs and their remarks in one column each."""
    lefts = [text(line.left) for line in lines]
    wide = max(map(_columns, lefts), default=0)
    shown = [
        f"{left}{' ' * (wide - _columns(left))} = {text(line.right)}"
        + (f"  for {line.where}" if line.where else "")
        for left, line in zip(lefts, lines, strict=True)
    ]
    edge = max((_columns(s) for s, line in zip(shown, lines, strict=True) if line.remark), default=0)
    return [
        f"{s}{' ' * (edge - _columns(s))}  # {_words(line.remark)}" if line.remark else s
        for s, line in zip(shown, lines, strict=True)
    ]


def _words(remark: Remark) -> str:
    return "".join(r if isinstance(r, str) else text(r) for r in remark)


def _words_latex(remark: Remark) -> str:
    return "".join(r if isinstance(r, str) else f"${latex(r)}$" for r in remark)


def _columns(shown: str) -> int:
    """How many columns a text takes: a combining macron takes none."""
    return sum(c != "\u0304" for c in shown)


def aligned(lines: list[Line]) -> str:
    rows = [
        f"{latex(line.left)} &= {latex(line.right)}"
        + (rf" && \text{{for }} {indices(line.where)}" if line.where else "")
        + (rf" && \text{{({_words_latex(line.remark)})}}" if line.remark else "")
        for line in lines
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
