"""A call of a system as torch's autograd sees it: one function, and its backward a call of the derived one.

There are two of them, since what torch.func needs takes time. Plain autograd has :class:`Run`; inside of
torch.func's grad, vmap or jacrev there is :class:`Transformed`, which says besides what it is to map it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from hashlib import sha256
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import Function

from chalkgrad.kernels.eager import Plan
from chalkgrad.nn.answers import Answer, enter
from chalkgrad.nn.lineage import Lineage, Winners
from chalkgrad.nn.recording import exporting, is_recorded

Watch = Callable[[Mapping[str, Tensor], Mapping[str, Mapping[str, Tensor]]], None]
"""Is told, when a gradient is computed, ‖∂L/∂h_t‖² of every state, and of every path to it."""


class Call:
    """What a system is asked: values of ``wanted``, and ``beside`` them what else the gradient needs.

    Its tensors are those ``given``, then those of ``known``: values of defined names, computed before. The
    latter have no gradient, for the system holds the equations that they come from. ``kept`` are the results
    that the gradient by ``wrt`` needs, ``winners`` of maxima together.
    """

    def __init__(
        self,
        system: Lineage,
        given: tuple[str, ...],
        known: tuple[str, ...],
        wanted: tuple[str, ...],
        wrt: tuple[str, ...],
        winners: Winners,
    ) -> None:
        self.system, self.given, self.known, self.wanted = system, given, known, wanted
        self.wrt, self.winners = wrt, winners
        saved = system.saved_for(wrt, winners) if wrt else ()
        self.kept = tuple(n for n in saved if n not in known)
        self.beside = tuple(n for n in self.kept if n not in wanted)
        self.results = (*wanted, *self.beside)
        self._missing = tuple(n for n in dict.fromkeys(self.results) if n not in known)
        self._places = tuple(self.results.index(n) for n in self.kept)
        self._runner = system.saving(self.results).runner
        self._gradients: dict[tuple[bool, ...], Gradient] = {}
        self._answers: dict[tuple[str, ...], Answer] = {}
        self.watch: Watch | None = None

    def told(self, watch: Watch) -> Call:
        """The same call, which tells how much gradient reaches each step."""
        call = copy(self)
        call.watch = watch
        return call

    def run(self, numbers: Mapping[str, int], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The results, computed. Each is a tensor of its own: none is one that came in."""
        if is_recorded(tensors):
            return self.recorded(numbers, tensors)
        given = dict(zip(self.given, tensors, strict=False))
        known = dict(zip(self.known, tensors[len(given) :], strict=True))
        values = self._runner(given, numbers, self._missing, known)
        came = {id(t) for t in tensors}
        if known:
            values |= known
        return tuple([values[n].clone() if id(values[n]) in came else values[n] for n in self.results])

    def recorded(self, numbers: Mapping[str, int], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The results as an operator of a graph: see :mod:`chalkgrad.nn.answers`."""
        said = {
            "backend": self.system.backend,
            "steps": self.system.origin.steps,
            "given": self.given,
            "known": self.known,
            "wanted": self.wanted,
            "wrt": self.wrt,
            "sizes": tuple(numbers),
        }
        asked = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        text, sizes = self.system.origin.text, [*numbers.values()]
        if exporting():
            return tuple(torch.ops.chalkgrad.run(text, asked, [*tensors], sizes))
        name = sha256(f"{text}\n{asked}".encode()).hexdigest()[:32]
        enter(name, self.answer(tuple(numbers)))
        return tuple(torch.ops.chalkgrad.here(name, [*tensors], sizes))

    def answer(self, symbols: tuple[str, ...]) -> Answer:
        """What an operator of a graph computes with it; the sizes of ``symbols`` come with each call."""
        found = self._answers.get(symbols)
        if found is None:
            origin, program = self.system.origin.program, self.system.program
            found = Answer(self.run, self.results, self.known, origin, program, symbols)
            self._answers[symbols] = found
        return found

    def plan(self, given: Mapping[str, Tensor], numbers: Mapping[str, int]) -> Plan:
        """What is called, where nothing is known before."""
        return self._runner.plan(given, numbers, self._missing)

    def of_kept(self, results: Sequence[Tensor]) -> list[Tensor]:
        """Those of the results that the gradient needs."""
        return [results[k] for k in self._places]

    def gradient(self, needs: tuple[bool, ...]) -> Gradient:
        """The gradient by the tensors that need one."""
        found = self._gradients.get(needs)
        if found is None:
            found = self._gradients[needs] = Gradient(self, needs)
        return found


class Gradient:
    """The call of the derived system that gives the gradient of a call by the tensors that need one."""

    def __init__(self, call: Call, needs: tuple[bool, ...]) -> None:
        wrt = tuple(n for n, needed in zip(call.given, needs, strict=False) if needed)
        self.call, self.wrt, self.derived = call, wrt, call.system.derived(wrt)
        saved = call.system.saved_for(wrt, call.winners)
        before = enumerate((*call.known, *call.kept), start=len(call.given))
        self._known = tuple((k, n) for k, n in before if n in saved)
        seeds = ((k, n, self.derived.seeds.get(n)) for k, n in enumerate(call.wanted))
        self._seeds = tuple(
            (k, n, seed) for k, n, seed in seeds if seed is not None and seed not in call.given
        )
        places = {n: k for k, n in enumerate(wrt)}
        self._places = tuple(places.get(n) for n in call.given) + (None,) * len(call.known)

    def __call__(
        self,
        numbers: Mapping[str, int],
        tensors: Sequence[Tensor],
        grads: Sequence[Tensor | None],
        watch: Watch | None = None,
    ) -> list[Tensor | None]:
        """One for each tensor, of those by what is wanted; ``tensors`` are the call's and what it kept."""
        given, known = self.bound(numbers, tensors, grads)
        if watch is None:
            found = self.derived(given, numbers, self.derived.program.outputs, known)
        else:
            found = self._watched(given, numbers, known, watch)
        return [None if k is None else found[k] for k in self._places]

    def bound(
        self, numbers: Mapping[str, int], tensors: Sequence[Tensor], grads: Sequence[Tensor | None]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What the derived system is given by name, and what it knows already."""
        known = {n: t.detach() if (t := tensors[k]).requires_grad else t for k, n in self._known}
        given = dict(zip(self.call.given, tensors, strict=False))
        for k, name, seed in self._seeds:
            grad = grads[k]
            given[seed] = self._zeros(name, numbers, tensors[0]) if grad is None else grad
        return given, known

    def _watched(
        self,
        given: Mapping[str, Tensor],
        numbers: Mapping[str, int],
        known: Mapping[str, Tensor],
        watch: Watch,
    ) -> tuple[Tensor, ...]:
        """The gradients; their norms, squared, by step and path are written out on the way."""
        adjoints = self.derived.program.outputs
        seen, system = self.derived.watched(self.call.system.program)
        again = torch.is_grad_enabled()  # a second derivative is asked of the gradients, of no norm
        wanted = tuple(n for n in seen.program.outputs if not again or n not in adjoints)
        with torch.no_grad():
            values = dict(zip(wanted, system(given, numbers, wanted, known), strict=True))
        watch(
            {state: values[n] for state, n in seen.whole.items()},
            {state: {path: values[n] for path, n in ns.items()} for state, ns in seen.paths.items()},
        )
        return self.derived(given, numbers, adjoints, known) if again else tuple(values[n] for n in adjoints)

    def _zeros(self, name: str, numbers: Mapping[str, int], like: Tensor) -> Tensor:
        """Zeros for the gradient by a name, in no more memory than one row."""
        shape = [r.size.value(numbers) for r in self.call.system.program[name].ranges]
        return like.new_zeros(shape[-1:]).expand(shape)


class Differentiated(Function):
    """What both have in common. The context holds the call, its tensors and what it has kept."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        gradient = ctx.call.gradient(ctx.needs_input_grad[2:])
        # Saved tensors are asked for once: a checkpoint computes them anew and gives them once.
        return (None, None, *gradient(ctx.numbers, ctx.saved_tensors, grads, ctx.call.watch))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> NoReturn:
        raise NotImplementedError(
            "derivatives of equations are computed backwards, and a forward one is asked for (jvp, jacfwd, "
            "linearize or dual numbers; hessian is jacfwd of jacrev).\n"
            "help: jacrev in the place of jacfwd, jacrev(jacrev(f)) for hessian(f), vjp for jvp"
        )


class Run(Differentiated):
    """A call in plain autograd."""

    @staticmethod
    def forward(ctx: Any, call: Call, numbers: Mapping[str, int], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.call, ctx.numbers = call, numbers
        results = call.run(numbers, tensors)
        ctx.save_for_backward(*tensors, *call.of_kept(results))
        return results[: len(call.wanted)]


class Transformed(Differentiated):
    """A call inside of torch.func's transforms: what it keeps are results like others, without a gradient."""

    @staticmethod
    def forward(call: Call, numbers: Mapping[str, int], *tensors: Tensor) -> tuple[Tensor, ...]:
        return call.run(numbers, tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)
        call, numbers, *tensors = inputs
        ctx.call, ctx.numbers = call, numbers
        ctx.mark_non_differentiable(*output[len(call.wanted) :])
        ctx.save_for_backward(*tensors, *call.of_kept(output))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        """Mapped over an axis the equations have one axis more, and run as any others."""
        call: Call = args[0]
        numbers, *tensors = args[1:]
        dims = in_dims[2:]
        held = dict(zip((*call.given, *call.known), zip(tensors, dims, strict=True), strict=True))
        mapped = call.system.mapped(frozenset(n for n in call.given if held[n][1] is not None))
        numbers = {**numbers, mapped.axis: info.batch_size}
        given = {n: _first(*held[n]) for n in call.given}
        # What is known and comes for all alike is computed again where the equations tell it apart.
        known = {n: _first(*held[n]) for n in call.known if (held[n][1] is not None) == (n in mapped.names)}
        values = mapped.system(given, numbers, call.results, known)
        return values, tuple(0 if n in mapped.names else None for n in call.results)


def _first(x: Tensor, dim: int | None) -> Tensor:
    """The tensor with that axis in front."""
    return x if dim is None else x.movedim(dim, 0)
