"""A program as a differentiable operator: run it, and for the gradient run the program derived from it.

The derived program is a program like any other, so its gradient is one more derivation: a second backward
works, and a third. Values saved by the forward pass are handed to the backward pass as known, not as inputs:
the derived program holds the equations that they come from, so that a second derivative goes through them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Program
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.eager import Plan, Runner


class System:
    """A program with its runner and, made when first asked for, the systems derived from it."""

    def __init__(self, program: Program, backend: Backend = "c") -> None:
        self.program = program
        self.backend: Backend = backend
        self._derived: dict[tuple[str, ...], System] = {}
        self._asked: dict[tuple[str, ...], System] = {}
        self._saved: dict[tuple[str, ...], tuple[str, ...]] = {}

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
            self._asked[wanted] = System(
                Program(p.equations, p.names, wanted, p.states, p.columns), self.backend
            )
        return self._asked[wanted]

    def derived(self, wrt: tuple[str, ...]) -> System:
        """The system whose outputs are the adjoints of ``wrt``, in order."""
        if wrt not in self._derived:
            self._derived[wrt] = System(normalise(derive(self.program, wrt)), self.backend)
        return self._derived[wrt]

    def saved_for(self, wrt: tuple[str, ...]) -> tuple[str, ...]:
        """The defined names that the derived system reads outside of their own equations."""
        if wrt not in self._saved:
            own = {e.target for e in self.program.equations}
            new = (e for e in self.derived(wrt).program.equations if e.target not in own)
            found = dict.fromkeys(r.name for e in new for r in reads(e.value) if r.name in own)
            self._saved[wrt] = tuple(found)
        return self._saved[wrt]

    def whole(
        self, given: Mapping[str, Tensor], numbers: Mapping[str, int], wanted: Sequence[str]
    ) -> Plan | None:
        """The plan for ``wanted`` where that is one library call; torch has its gradient as another.

        It is the one that would be derived: that of a convolution, or of a maximum to its first winner.
        """
        if len(self.program.equations) != 1:
            return None
        plan = self.runner.plan(given, numbers, wanted)
        return plan if plan.whole else None

    def __call__(
        self,
        given: Mapping[str, Tensor],
        numbers: Mapping[str, int],
        wanted: Sequence[str],
        known: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """The values of ``wanted``, differentiable by all of ``given``."""
        known = known or {}
        if not known and (whole := self.whole(given, numbers, wanted)):
            return tuple(whole(given).values())
        if torch.is_grad_enabled() and any(t.requires_grad for t in given.values()):
            return _Run.apply(self, tuple(given), tuple(wanted), numbers, known, *given.values())
        missing = [n for n in wanted if n not in known] if known else wanted
        values = self.runner(given, numbers, missing, known)
        return tuple(known[n] if n in known else values[n] for n in wanted)


class _Run(torch.autograd.Function):
    """forward: run the system. backward: run the system derived from it."""

    @staticmethod
    def forward(
        ctx: Any,
        system: System,
        names: tuple[str, ...],
        wanted: tuple[str, ...],
        numbers: Mapping[str, int],
        known: Mapping[str, Tensor],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        wrt = tuple(n for n, needed in zip(names, ctx.needs_input_grad[5:], strict=True) if needed)
        # The derivation is of these outputs: what is wanted, in this order.
        system = system.asked(wanted)
        saved = system.saved_for(wrt)
        values = dict(known)
        missing = [n for n in dict.fromkeys((*wanted, *saved)) if n not in values]
        values |= system.runner(dict(zip(names, tensors, strict=True)), numbers, missing, known)
        ctx.system, ctx.numbers = system, numbers
        ctx.names, ctx.wanted, ctx.wrt, ctx.saved = names, wanted, wrt, saved
        # A result may be a tensor that came in, or a view of it; an output must be a tensor of its own.
        came = {id(t) for t in (*tensors, *known.values())}
        results = tuple(values[n].clone() if id(values[n]) in came else values[n] for n in wanted)
        ctx.shapes = tuple(r.shape for r in results)
        ctx.save_for_backward(*tensors, *(values[n] for n in saved))
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors  # asked for once: a checkpoint computes them anew and gives them once
        tensors, values_kept = kept[: len(ctx.names)], kept[len(ctx.names) :]
        known = {n: t.detach() if t.requires_grad else t for n, t in zip(ctx.saved, values_kept, strict=True)}
        derived: System = ctx.system.derived(ctx.wrt)
        given = dict(zip(ctx.names, tensors, strict=True))
        for name, grad, shape in zip(ctx.wanted, grads, ctx.shapes, strict=True):
            seed = derived.seeds.get(name)
            if seed is not None and seed not in ctx.names:
                given[seed] = _zeros(shape, tensors) if grad is None else grad
        adjoints = derived.program.outputs
        values = dict(zip(ctx.wrt, derived(given, ctx.numbers, adjoints, known), strict=True))
        return (None, None, None, None, None, *(values.get(n) for n in ctx.names))


def _zeros(shape: torch.Size, tensors: Sequence[Tensor]) -> Tensor:
    """Zeros of a shape that take no more memory than one row."""
    return tensors[0].new_zeros(shape[-1:]).expand(shape)


@lru_cache(maxsize=256)
def system_of(program: Program, backend: Backend) -> System:
    """The system of a program; equal programs share one, and with it their plans."""
    return System(program, backend)
