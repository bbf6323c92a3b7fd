"""A program and those made of it: derived, asked for other outputs, mapped over an axis, watched.

Each is made when first asked for, and kept. What another process needs to have the same is its origin: the
text of a program, and the steps from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Literal, Self, TypeVar, assert_never

from torch import Tensor

from chalkgrad.calculus.batch import along
from chalkgrad.calculus.derive import derive, with_winners
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.paths import Watched, watched
from chalkgrad.equations.ir import Program, Reduce
from chalkgrad.equations.stored import stored
from chalkgrad.equations.walk import fresh, nodes, reads
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.eager import Runner
from chalkgrad.kernels.eager.winners import winners_of

How = Literal["asked", "derived", "mapped"]
"""How a program is made of another one: see the methods of these names."""

Winners = Mapping[str, tuple[str, ...]]
"""Names of winners together, and the names of their positions along each axis."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a program comes from: another one, as text and as it is, and the steps from it by their names."""

    text: str
    program: Program
    steps: tuple[tuple[How, tuple[str, ...]], ...] = ()


class Lineage(ABC):
    """A program with its runner, and those made of it. All are of one class, which says how one is called."""

    def __init__(
        self,
        program: Program,
        backend: Backend = "c",
        made: tuple[Self, How, tuple[str, ...]] | None = None,
    ) -> None:
        self.program = program
        self.backend: Backend = backend
        self._made = made  # of which other one, if any, and how
        self._derived: dict[tuple[str, ...], Self] = {}
        self._asked: dict[tuple[str, ...], Self] = {}
        self._saved: dict[object, tuple[str, ...]] = {}
        self._winners: dict[object, Winners] = {}
        self._mapped: dict[frozenset[str], Mapped[Self]] = {}
        self._watched: tuple[Watched, Self] | None = None

    @abstractmethod
    def __call__(
        self,
        given: Mapping[str, Tensor],
        numbers: Mapping[str, int],
        wanted: Sequence[str],
        known: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """The values of ``wanted``, differentiable by all of ``given``."""

    @cached_property
    def origin(self) -> Origin:
        """What another process needs to have this system."""
        if self._made is None:
            return Origin(stored(self.program), self.program)
        before, *step = self._made
        return replace(before.origin, steps=(*before.origin.steps, (step[0], step[1])))

    @cached_property
    def seeds(self) -> Mapping[str, str]:
        """The gradients that come in, by the name of what they are gradients of."""
        return {n.of: n.name for n in self.program.given("seed")}

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.program, self.backend)

    def asked(self, wanted: tuple[str, ...]) -> Self:
        """The system with just these outputs: what is derived, and by what, follows from them."""
        p = self.program
        if p.outputs == wanted:
            return self
        if wanted not in self._asked:
            program = Program(p.equations, p.names, wanted, p.states, p.columns)
            self._asked[wanted] = type(self)(program, self.backend, (self, "asked", wanted))
        return self._asked[wanted]

    def derived(self, wrt: tuple[str, ...]) -> Self:
        """The system whose outputs are the adjoints of ``wrt``, in order."""
        if wrt not in self._derived:
            program = normalise(derive(self.program, wrt))
            self._derived[wrt] = type(self)(program, self.backend, (self, "derived", wrt))
        return self._derived[wrt]

    def winners(self, wrt: tuple[str, ...], numbers: Mapping[str, int]) -> Winners:
        """Winners among windows that the library finds with the maxima of this program, at these sizes."""
        if not self._has_maxima or self.backend == "eager":
            return {}
        key = (wrt, tuple(numbers.items()))
        if key not in self._winners:
            found = winners_of(self.derived(wrt).program, numbers).values()
            there = {n.name for n in self.program.names}
            self._winners[key] = {g.name: g.targets for g in found if g.image in there}
        return self._winners[key]

    @cached_property
    def _has_maxima(self) -> bool:
        values = (n for e in self.program.equations for n in nodes(e.value))
        return any(isinstance(n, Reduce) and n.op == "max" for n in values)

    def saved_for(self, wrt: tuple[str, ...], winners: Winners | None = None) -> tuple[str, ...]:
        """The names that the derived system reads outside of their own equations.

        They are defined here, but for ``winners``, which are found where their maximum is.
        """
        together = {n: name for name, names in (winners or {}).items() for n in names}
        key = (wrt, tuple(together))
        if key not in self._saved:
            own = {e.target for e in self.program.equations}
            new = (e for e in self.derived(wrt).program.equations if e.target not in own | {*together})
            found = (r.name for e in new for r in reads(e.value) if r.name in own or r.name in together)
            self._saved[key] = tuple(dict.fromkeys(together.get(n, n) for n in found))
        return self._saved[key]

    def saving(self, names: Iterable[str]) -> Self:
        """The system that computes these names too: this one, or the one with its maxima's winners."""
        return self if {*names} <= {n.name for n in self.program.names} else self._with_winners

    @cached_property
    def _with_winners(self) -> Self:
        return type(self)(with_winners(self.program), self.backend)

    def watched(self, forward: Program) -> tuple[Watched, Self]:
        """For what is derived of ``forward``: norms of the gradient by step and path, and what has them."""
        if self._watched is None:
            seen = watched(self.program, forward)
            self._watched = seen, type(self)(seen.program, self.backend)
        return self._watched

    def mapped(self, names: frozenset[str]) -> Mapped[Self]:
        """The system over one axis more, where these names have one each and the others are for all alike."""
        if names not in self._mapped:
            p = self.program
            axis = fresh("vmap", {*p.symbols, *(r.axis for n in p.names for r in n.ranges)})
            program = along(p, axis, names)
            differ = frozenset(n.name for n in program.names if n.ranges != p[n.name].ranges)
            system = type(self)(program, self.backend, (self, "mapped", tuple(sorted(names))))
            self._mapped[names] = Mapped(system, axis, differ)
        return self._mapped[names]

    def after(self, how: How, names: tuple[str, ...]) -> Self:
        """The system of a step of :class:`Origin`."""
        match how:
            case "asked":
                return self.asked(names)
            case "derived":
                return self.derived(names)
            case "mapped":
                return self.mapped(frozenset(names)).system
        assert_never(how)


S = TypeVar("S", bound=Lineage)


@dataclass(frozen=True)
class Mapped(Generic[S]):
    """A system over one axis more: what the axis is called, and which names have it."""

    system: S
    axis: str
    names: frozenset[str]
