"""A program as a differentiable operator: run it, and for the gradient run the program derived from it.

The derived program is a program like any other, so its gradient is one more derivation: a second backward
works, and a third. Values saved by the forward pass are handed to the backward pass as known, not as inputs:
the derived program holds the equations that they come from, so that a second derivative goes through them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, assert_never

import torch
from torch import Tensor

from chalkgrad.calculus.batch import along
from chalkgrad.calculus.derive import derive, with_winners
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.paths import Watched, watched
from chalkgrad.equations.ir import Program, Reduce
from chalkgrad.equations.stored import stored
from chalkgrad.equations.walk import fresh, nodes, reads
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.eager import Plan, Runner
from chalkgrad.kernels.eager.winners import winners_of
from chalkgrad.nn.function import Call, Run, Transformed, Watch, Winners
from chalkgrad.nn.recording import exporting, is_open, is_recorded, without_recording

How = Literal["asked", "derived", "mapped"]
"""How a system is made from another one: see the methods of these names."""


class System:
    """A program with its runner and, made when first asked for, the systems derived from it."""

    def __init__(
        self,
        program: Program,
        backend: Backend = "c",
        made: tuple[System, How, tuple[str, ...]] | None = None,
    ) -> None:
        self.program = program
        self.backend: Backend = backend
        self._made = made  # from which other system, if any, and how
        self._derived: dict[tuple[str, ...], System] = {}
        self._asked: dict[tuple[str, ...], System] = {}
        self._saved: dict[object, tuple[str, ...]] = {}
        self._winners: dict[object, Winners] = {}
        self._calls: dict[object, Call] = {}
        self._mapped: dict[frozenset[str], Mapped] = {}
        self._watched: tuple[Watched, System] | None = None

    @cached_property
    def origin(self) -> Origin:
        """What another process needs to have this system."""
        if self._made is None:
            return Origin(stored(self.program))
        before, *step = self._made
        return replace(before.origin, steps=(*before.origin.steps, (step[0], step[1])))

    @cached_property
    def seeds(self) -> Mapping[str, str]:
        """The gradients that come in, by the name of what they are gradients of."""
        return {n.of: n.name for n in self.program.given("seed")}

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.program, self.backend)

    def asked(self, wanted: tuple[str, ...]) -> System:
        """The system with just these outputs: what is derived, and by what, follows from them."""
        p = self.program
        if p.outputs == wanted:
            return self
        if wanted not in self._asked:
            program = Program(p.equations, p.names, wanted, p.states, p.columns)
            self._asked[wanted] = System(program, self.backend, (self, "asked", wanted))
        return self._asked[wanted]

    def derived(self, wrt: tuple[str, ...]) -> System:
        """The system whose outputs are the adjoints of ``wrt``, in order."""
        if wrt not in self._derived:
            program = normalise(derive(self.program, wrt))
            self._derived[wrt] = System(program, self.backend, (self, "derived", wrt))
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

    def saving(self, names: Iterable[str]) -> System:
        """The system that computes these names too: this one, or the one with its maxima's winners."""
        return self if {*names} <= {n.name for n in self.program.names} else self._with_winners

    @cached_property
    def _with_winners(self) -> System:
        return System(with_winners(self.program), self.backend)

    def call(
        self,
        given: Mapping[str, Tensor],
        wanted: tuple[str, ...],
        known: tuple[str, ...],
        numbers: Mapping[str, int] | None,
    ) -> Call:
        """The call for ``wanted`` that keeps what the gradient by these tensors needs.

        At the sizes ``numbers``; where none are given, nothing is kept that only some sizes have.
        """
        names = tuple(given)
        wrt = tuple([n for n, t in given.items() if t.requires_grad]) if torch.is_grad_enabled() else ()
        system = self.asked(wanted)
        winners = system.winners(wrt, numbers) if numbers else {}
        key = (names, wanted, known, wrt, tuple(winners))
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = Call(system, names, known, wanted, wrt, winners)
        return call

    def watched(self, forward: Program) -> tuple[Watched, System]:
        """For what is derived of ``forward``: norms of the gradient by step and path, and what has them."""
        if self._watched is None:
            seen = watched(self.program, forward)
            self._watched = seen, System(seen.program, self.backend)
        return self._watched

    def mapped(self, names: frozenset[str]) -> Mapped:
        """The system over one axis more, where these names have one each and the others are for all alike."""
        if names not in self._mapped:
            p = self.program
            axis = fresh("vmap", {*p.symbols, *(r.axis for n in p.names for r in n.ranges)})
            program = along(p, axis, names)
            differ = frozenset(n.name for n in program.names if n.ranges != p[n.name].ranges)
            system = System(program, self.backend, (self, "mapped", tuple(sorted(names))))
            self._mapped[names] = Mapped(system, axis, differ)
        return self._mapped[names]

    def after(self, how: How, names: tuple[str, ...]) -> System:
        """The system of a step of :class:`Origin`."""
        match how:
            case "asked":
                return self.asked(names)
            case "derived":
                return self.derived(names)
            case "mapped":
                return self.mapped(frozenset(names)).system
        assert_never(how)

    def whole(
        self, given: Mapping[str, Tensor], numbers: Mapping[str, int], wanted: Sequence[str]
    ) -> Plan | None:
        """The plan for ``wanted`` where that is library calls alone, whose gradients torch has as others.

        They are those that would be derived: of a convolution, or of a maximum to its first winner.
        """
        if not self._may_be_whole:
            return None
        if is_recorded(given.values()):
            # A graph that is open to other sizes has no plan; one that is not has that of real tensors.
            if is_open(numbers.values()):
                return None
            like = next(iter(given.values()))
            with without_recording():
                real = {"": torch.empty((), dtype=like.dtype, device=like.device)}
                plan = self.runner.plan(real, numbers, wanted)
        else:
            plan = self.runner.plan(given, numbers, wanted)
        return plan if plan.whole else None

    @cached_property
    def _may_be_whole(self) -> bool:
        """Whether it is worth while to plan the outputs by themselves: windows, and no recurrence or seed."""
        p = self.program
        return (
            not p.given("start", "seed")
            and len({e.target for e in p.equations}) == len(p.equations)
            and any(len(i.terms) > 1 for e in p.equations for r in reads(e.value) for i in r.at)
        )

    def __call__(
        self,
        given: Mapping[str, Tensor],
        numbers: Mapping[str, int],
        wanted: Sequence[str],
        known: Mapping[str, Tensor] | None = None,
        watch: Watch | None = None,
    ) -> tuple[Tensor, ...]:
        """The values of ``wanted``, differentiable by all of ``given``; ``watch`` sees the gradient pass."""
        known = known or {}
        recorded = is_recorded(given.values())
        if recorded and watch is not None:
            raise RuntimeError("a graph tells nobody of its gradient: watch the layer outside of it")
        if not known and (whole := self.whole(given, numbers, wanted)):
            return tuple(whole(given).values())
        transformed = torch._C._are_functorch_transforms_active()
        if transformed or (torch.is_grad_enabled() and any(t.requires_grad for t in given.values())):
            here = None if transformed or recorded else numbers
            call = self.call(given, tuple(wanted), tuple(known), here)
            if recorded and exporting():  # a file holds the operator that has a gradient
                return call.recorded(numbers, [*given.values(), *known.values()])[: len(call.wanted)]
            if transformed:
                return Transformed.apply(call, numbers, *given.values(), *known.values())[: len(call.wanted)]
            call = call if watch is None else call.told(watch)
            return Run.apply(call, numbers, *given.values(), *known.values())
        if recorded:
            return self.call(given, tuple(wanted), tuple(known), None).run(
                numbers, [*given.values(), *known.values()]
            )
        missing = [n for n in wanted if n not in known] if known else wanted
        values = self.runner(given, numbers, missing, known)
        return tuple(known[n] if n in known else values[n] for n in wanted)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a system comes from: the text of a program, and the steps from it, each with its names."""

    text: str
    steps: tuple[tuple[How, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """A system over one axis more: what the axis is called, and which names have it."""

    system: System
    axis: str
    names: frozenset[str]


@lru_cache(maxsize=256)
def system_of(program: Program, backend: Backend) -> System:
    """The system of a program; equal programs share one, and with it their plans."""
    return System(program, backend)
