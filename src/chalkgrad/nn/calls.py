"""Compiled calls, made ready: where tensors lie as those of an earlier call did, nothing is new but where.

Names, checks, sizes and plans follow from how many tensors there are, and from each one's shape, strides and
dtype. Where such a call is one compiled function, what is left is to find memory and to call that: small
layers, cells and single steps spend most of their time before it.

What is made ready is found out by trying: the call's own Python runs on tensors that hold nothing, and where
the views lie that it makes of them is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from chalkgrad.kernels.c.loops import kernels_wanted
from chalkgrad.nn.alike import Alike
from chalkgrad.nn.backwards import Backwards, Bind, Forwards
from chalkgrad.nn.function import Call, Differentiated
from chalkgrad.nn.lying import Ready, Spot, hollow, made_spots, ready, spots_of, zeros_beside
from chalkgrad.nn.operator import System

_LAYOUTS = 64
"""For how many layouts of its tensors a call is kept ready."""

Finish = Callable[[Mapping[str, Tensor], Mapping[str, int]], Sequence[Tensor]]


class Calls:
    """The calls of a system for what is ``wanted``, as a function of a row of tensors to a row of results.

    ``bind`` gives the tensors by name and the sizes, and raises what is to be raised; each is a view of one
    that came, or zeros. ``finish`` gives the results, each a view of a value that is wanted; where ``copied``
    says so, it is given in memory of its own.
    """

    def __init__(
        self, system: System, wanted: tuple[str, ...], bind: Bind, finish: Finish, copied: tuple[bool, ...]
    ) -> None:
        self.system, self.wanted, self.bind, self.finish, self.copied = system, wanted, bind, finish, copied
        self._known: dict[object, CompiledCall | None] = {}
        self._recent: dict[bool, tuple[Alike, CompiledCall]] = {}  # with and without a gradient

    def __call__(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The results."""
        graded = torch.is_grad_enabled()
        found = self.ready(tensors, [graded and t.requires_grad for t in tensors])
        return self.ordinary(tensors) if found is None else found(tensors)

    def ready(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> CompiledCall | None:
        """The call for tensors that lie like these, some of which need a gradient; None where it is none."""
        key = _layout(tensors, needs)
        if key is None:
            return None
        found = self._known.get(key)
        if found is None:
            if key not in self._known:
                self.bind(tensors)  # for its errors
                if len(self._known) >= _LAYOUTS:
                    self._known.clear()
                # From the first call on: when a checkpoint calls again, as much is to be kept.
                self._known[key] = _compiled(self, tensors, needs)
            found = self._known[key]
        return found

    def unready(
        self, tensors: Sequence[Tensor], needs: Sequence[bool]
    ) -> tuple[Sequence[Tensor], list[Tensor]]:
        """The results and what the gradient needs, of a call that is none of those."""
        with torch.set_grad_enabled(any(needs)):
            apart = [t.detach().requires_grad_(needed) for t, needed in zip(tensors, needs, strict=True)]
            given, numbers = self.bind(apart)
            call = self.system.call(given, self.wanted, (), numbers)
        with torch.no_grad():
            found = call.run(numbers, [*given.values()])
            values = dict(zip(self.wanted, found, strict=False))
            return self.finish(values, numbers), call.of_kept(found)

    def again(self, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        """The results, where tensors that lie like these have come before; None where they have not."""
        graded = torch.is_grad_enabled()
        recent = self._recent.get(graded)
        if recent is not None and recent[0](tensors):
            return recent[1](tensors)
        found = self._known.get(_layout(tensors, [graded and t.requires_grad for t in tensors]))
        if found is None:
            return None
        if found.alike is None or not found.alike(tensors):
            found.alike = Alike(tensors)
        self._recent[graded] = found.alike, found
        return found(tensors)

    def ordinary(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The results, computed as those of any system."""
        given, numbers = self.bind(tensors)
        values = dict(zip(self.wanted, self.system(given, numbers, self.wanted), strict=True))
        results = self.finish(values, numbers)
        return [x.clone() if copy else x for x, copy in zip(results, self.copied, strict=True)]


def _layout(tensors: Sequence[Tensor], needs: Sequence[bool]) -> object | None:
    """How tensors lie, and which of them need a gradient; None where no compiled function takes them."""
    if torch._C._are_functorch_transforms_active() or not kernels_wanted():
        return None
    found = list[object]()
    for t, needed in zip(tensors, needs, strict=True):  # a loop, since this is done at every call
        kind = type(t)
        if (kind is not Tensor and kind is not Parameter) or not t.is_cpu or t.layout is not torch.strided:
            return None
        if t.is_neg():  # what lies there is not what it holds
            return None
        found.append((t.shape, t.stride(), t.dtype, needed))
    return tuple(found)


def _compiled(calls: Calls, tensors: Sequence[Tensor], needs: Sequence[bool]) -> CompiledCall | None:
    """The call for tensors that lie like these; None where it is not one compiled function."""
    if any(t.numel() == 0 for t in tensors) or len({t.dtype for t in tensors}) != 1:
        return None
    with torch.inference_mode(False), torch.set_grad_enabled(any(needs)):
        like = [hollow(t).requires_grad_(needed) for t, needed in zip(tensors, needs, strict=True)]
        given, numbers = calls.bind(like)
        call = calls.system.call(given, calls.wanted, (), numbers)
    with torch.inference_mode(False), torch.no_grad():
        given = {n: x.detach() for n, x in given.items()}
        bound = call.plan(given, numbers).call
        constants = zeros_beside(given, like)
        if bound is None or constants is None:
            return None
        base, values = len(like) + len(constants), made_spots(bound)
        tables = {t.name: values[t.name] for t in bound.tables}
        spots = spots_of(given, [*like, *constants.values()])
        run = ready(bound, spots | {n: replace(t, of=base + t.of) for n, t in tables.items()})
        if run is None or not {*call.kept} <= {*tables}:
            return None
        # Each value apart, which in truth may be parts of one: a result is of one value.
        apart = [torch.empty_strided(values[n].shape, values[n].strides) for n in calls.wanted]
        found = calls.finish(dict(zip(calls.wanted, apart, strict=True)), numbers)
        results = [spots_of({"": x}, apart)[""] for x in found]
    return CompiledCall(calls, call, numbers, run, [*constants.values()], spots, values, results)


class CompiledCall:
    """A call for tensors that lie in one way.

    ``spots`` says where each name that is given lies in them, ``values`` where in the tables each that is
    made, and ``results`` where each result in one of the values that are wanted.
    """

    def __init__(
        self,
        calls: Calls,
        call: Call,
        numbers: Mapping[str, int],
        run: Ready,
        constants: Sequence[Tensor],
        spots: Mapping[str, Spot],
        values: Mapping[str, Spot],
        results: Sequence[Spot],
    ) -> None:
        self.calls, self.call, self.numbers = calls, call, numbers
        self.spots, self.values, self.results = spots, values, results
        self._run, self._constants = run, constants
        self._tables, self._dtype = run.bound.tables, run.bound.dtype
        made = [t.name for t in self._tables]
        self._kept = [made.index(n) for n in call.kept]
        where = [values[calls.wanted[r.of]] for r in results]
        last = {of.of: k for k, of in enumerate(where) if of.of not in self._kept}
        self._views = [
            (of.of, r.shape, r.strides, of.first + r.first, copied, last.get(of.of) == k)
            for k, (of, r, copied) in enumerate(zip(where, results, calls.copied, strict=True))
        ]
        self.alike: Alike | None = None

    def __call__(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return _Run.apply(self, *tensors) if self.call.wrt else self.run(tensors)[0]

    def run(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The results, and what the gradient needs."""
        dtype = self._dtype
        tables = [t.new(dtype) for t in self._tables]
        self._run([*tensors, *self._constants, *tables])
        results: list[Tensor] = []
        for k, shape, strides, first, copied, only in self._views:
            if copied:
                results.append(tables[k].as_strided(shape, strides, first).clone())
            elif only:  # nothing else is to be made of the table
                results.append(tables[k].as_strided_(shape, strides, first))
            else:  # no view that autograd knows of
                results.append(tables[k].as_strided(shape, strides, first).detach())
        return results, [tables[k] for k in self._kept]

    @cached_property
    def lying(self) -> list[tuple[Sequence[int], Sequence[int]]]:
        """The shape and the strides of each result, then of each that is kept."""
        kept = [(self._tables[k].shape, self._tables[k].strides) for k in self._kept]
        return [*((shape, strides) for _, shape, strides, *_ in self._views), *kept]

    @cached_property
    def tables(self) -> list[int | None]:
        """In which table each result is, then each that is kept; None for what has memory of its own."""
        return [*(None if copied else k for k, _, _, _, copied, _ in self._views), *self._kept]

    @cached_property
    def gradient(self) -> Backwards:
        """Its gradient."""
        made = [self.values[n] for n in self.calls.wanted]
        return Backwards(
            Forwards(
                self.call, self.numbers, self.calls.bind, self.calls.ordinary, self.spots, made, self.results
            )
        )


class _Run(Differentiated):
    """Such a call in plain autograd."""

    @staticmethod
    def forward(ctx: Any, ready: CompiledCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.call = ready
        results, kept = ready.run(tensors)
        ctx.save_for_backward(*tensors, *kept)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        return (None, *ctx.call.gradient(ctx.needs_input_grad[1:], ctx.saved_tensors, grads))
