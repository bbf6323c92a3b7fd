"""A program as a differentiable operator: run it, and for the gradient run the program derived from it.

The derived program is a program like any other, so its gradient is one more derivation: a second backward
works, and a third. Values saved by the forward pass are handed to the backward pass as known, not as inputs:
the derived program holds the equations that they come from, so that a second derivative goes through them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from chalkgrad.equations.ir import Program
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.eager import Plan
from chalkgrad.nn.function import Call, Run, Transformed, Watch
from chalkgrad.nn.lineage import Lineage
from chalkgrad.nn.recording import exporting, is_open, is_recorded, without_recording


class System(Lineage):
    """A program that can be called, and with it the programs made of it."""

    @cached_property
    def _calls(self) -> dict[object, Call]:
        return {}

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


@lru_cache(maxsize=256)
def system_of(program: Program, backend: Backend) -> System:
    """The system of a program; equal programs share one, and with it their plans."""
    return System(program, backend)
