"""How a parameter reaches the last step of a recurrence: ``∂h₃/∂W = Σ[k] ∂h₃/∂h[k] · ∂⁺h[k]/∂W``.

``∂⁺`` is the derivative at one step alone, every other state held fixed. A parameter acts on the last state
through each state that it enters; the derivative is the sum over these, and each term is what would be left
if the parameter were another one everywhere else. (Werbos, "Backpropagation through time: what it does and
how to do it", Proc. IEEE 78(10), 1990, calls the sums ordered derivatives.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from chalkgrad.calculus.jacobian import jacobian
from chalkgrad.calculus.order import evaluation_order
from chalkgrad.calculus.unroll import Unrolled
from chalkgrad.equations.ir import Apply, Equation, Expr, Program, Read
from chalkgrad.equations.walk import needed, nodes, reads, rewrite
from chalkgrad.language.source import EquationError


@dataclass(frozen=True)
class Paths:
    """The states of an unrolled program, in the order in which they are computed, and what reads what.

    ``bases`` are the states' names without their steps, ``last`` the state at the end of the paths.
    """

    unrolled: Unrolled
    program: Program  # its forward equations
    bases: tuple[str, ...]
    last: str
    _alone: dict[str, Program] = field(default_factory=lambda: dict[str, Program](), compare=False)

    @cached_property
    def states(self) -> tuple[str, ...]:
        steps = self.unrolled.steps
        own = {n.name for n in self.program.names if n.role == "defined"}
        return tuple(
            n
            for n in evaluation_order(self.program)
            if n in own and n in steps and steps[n][0] in self.bases and steps[n][1] >= 1
        )

    def alone(self, state: str) -> Program:
        """The equations of one state, every other held fixed."""
        if state not in self._alone:
            self._alone[state] = self._without_the_others(state)
        return self._alone[state]

    def _without_the_others(self, state: str) -> Program:
        others = {*self.states} - {state}
        equations = tuple(e for e in self.program.equations if e.target not in others)
        used = needed(equations, [state])
        return Program(
            tuple(e for e in equations if e.target in used),
            tuple(replace(n, role="input") if n.name in others else n for n in self.program.names),
            (state,),
            (),
            self.program.columns,
        )

    def reads(self, state: str, name: str) -> bool:
        """Whether a state depends on a name while the other states are held fixed."""
        return state != name and name in needed(self.alone(state).equations, [state])

    def direct(self, state: str, by: str) -> Equation:
        """``∂⁺state/∂by``, as an equation of indices."""
        return jacobian(self.alone(state), state, by)

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """For each state the states that read it, from the last to the first; only what reaches the end."""
        found: dict[str, tuple[str, ...]] = {self.last: ()}
        for v in reversed(self.states):
            readers = tuple(u for u in reversed(self.states) if u in found and self.reads(u, v))
            if readers or v == self.last:
                found[v] = readers
        return found

    def entries(self, parameter: str) -> tuple[str, ...]:
        """The states that a parameter enters and that reach the end, from the last to the first."""
        return tuple(v for v in self.readers if self.reads(v, parameter))

    @property
    def single(self) -> bool:
        """Whether there is one state that reads the one before it: then the paths are one product each."""
        return len(self.bases) == 1 and all(len(found) <= 1 for found in self.readers.values())


def paths(rolled: Program, unrolled: Unrolled, program: Program) -> Paths | None:
    """The paths to the last state of an unrolled program; None where its cycle has no state of its own.

    ``rolled`` is the program with its recurrence, ``program`` the forward part of the unrolled one.
    """
    steps = unrolled.steps
    leads = {n.name: needed(rolled.equations, [n.name]) for n in rolled.names}
    found: dict[str, None] = {}
    for e in program.equations:
        for r in reads(e.value):
            if e.target in steps and r.name in steps and steps[r.name][1] != steps[e.target][1]:
                base, target = steps[r.name][0], steps[e.target][0]
                if target in leads.get(base, ()):
                    found[base] = None
    if not found:
        return None
    # One cycle: of two that run apart, a bidirectional layer's, the first.
    outputs = [b for b in found if b in rolled.outputs]
    first = (outputs or [*found])[0]
    bases = tuple(b for b in found if b in leads[first] and first in leads[b])
    order = [n for n in evaluation_order(program) if n in steps and steps[n][0] in bases and steps[n][1] >= 1]
    if not order:
        return None
    ends = [n for n in order if steps[n][0] in rolled.outputs] or order
    return Paths(unrolled, program, bases, ends[-1])


def parameter_of(p: Paths, name: str | None) -> str | None:
    """The parameter whose paths are shown: the named one, else the first beside a state in a product.

    Raises EquationError for a name that is no parameter, or that reaches no state.
    """
    parameters = [n.name for n in p.program.given("parameter") if p.entries(n.name)]
    if name is None:
        beside = [n for n in parameters if n in {*_beside(p)}]
        return next(iter([*beside, *parameters]), None)
    if name not in parameters:
        raise EquationError(
            f"--by {name}: no state depends on a parameter `{name}`",
            help=f"one of {', '.join(parameters)}" if parameters else "leave it out: there is none",
        )
    return name


def _beside(p: Paths) -> Iterator[str]:
    """What stands in a product with a state."""
    table = p.unrolled.steps
    for e in p.program.equations:
        for n in nodes(e.value):
            if isinstance(n, Apply) and n.op == "mul":
                names = [f.name for f in n.args if isinstance(f, Read)]
                if any(x in table and table[x][0] in p.bases for x in names):
                    yield from names


def apart(p: Paths, state: str, parameter: str) -> tuple[Program, str]:
    """The program in which one state has its own copy of a parameter, and the copy's name.

    What the state computes on the way to itself is computed for it alone, so that nothing else sees the copy.
    """
    copy = f"{parameter} of {state}"
    inner = {e.target for e in p.alone(state).equations if e.target != state}
    called = {parameter: copy, **{n: f"{n} of {state}" for n in inner}}

    def rename(e: Expr) -> Expr:
        return rewrite(e, lambda n: Read(called.get(n.name, n.name), n.at) if isinstance(n, Read) else n)

    equations: list[Equation] = []
    for e in p.program.equations:
        if e.target == state:
            equations.append(replace(e, value=rename(e.value)))
            continue
        equations.append(e)
        if e.target in inner:
            equations.append(Equation(called[e.target], e.domain, rename(e.value)))
    names = [*p.program.names]
    names += [replace(p.program[n], name=new) for n, new in called.items()]
    return replace(p.program, equations=tuple(equations), names=tuple(names)), copy
