"""Ready calls in a compiled graph: one operator forward and one backward, of tensors as a module holds them.

A stack of parameters goes in as it is, and its gradient comes out so: what is cut out of it is cut by the
compiled function, as in a plain call. The operators are ``chalkgrad::here`` of :mod:`chalkgrad.nn.library`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chalkgrad.nn.alike import Alike
from chalkgrad.nn.answers import enter
from chalkgrad.nn.backwards import Backwards, gradient_again
from chalkgrad.nn.function import Differentiated
from chalkgrad.nn.recording import exporting, is_open, without_recording

if TYPE_CHECKING:
    from chalkgrad.nn.calls import Calls, CompiledCall

_Lying = tuple[tuple[int, ...], tuple[int, ...]]
"""A shape and strides."""


def graphed(calls: Calls, text: str, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """The results of a call in a graph that is being written down; None where it is to be one of any system.

    So it is in a file, under torch.func, for open sizes, and where the call is not one compiled function.
    ``text`` tells these calls from all others.
    """
    if exporting() or torch._C._are_functorch_transforms_active():
        return None
    if any(is_open(t.shape) or is_open(t.stride()) or t.device.type != "cpu" for t in tensors):
        return None
    graded = torch.is_grad_enabled()
    needs = tuple([graded and t.requires_grad for t in tensors])
    with without_recording():
        like = [torch.empty_strided(t.shape, t.stride(), dtype=t.dtype) for t in tensors]
        found = calls.ready(like, needs)
        call = None if found is None else _Forwards(calls, text, needs, found, like)
    if call is None:
        return None
    if not any(needs):
        return torch.ops.chalkgrad.here(call.name, tensors, [])
    return _Graphed.apply(call, *tensors)


class _Forwards:
    """A call as an operator: its results, then what its gradient needs."""

    def __init__(
        self, calls: Calls, text: str, needs: tuple[bool, ...], found: CompiledCall, like: Sequence[Tensor]
    ) -> None:
        self.calls, self.needs, self.many = calls, needs, len(like)
        self.lying = [_dense(*way) for way in found.lying]
        self.gradients = [
            _dense(t.shape, t.stride()) for t, needed in zip(like, needs, strict=True) if needed
        ]
        layout = [(tuple(t.shape), t.stride(), str(t.dtype)) for t in like]
        self.name = _name(text, needs, layout)
        self._recent: tuple[Alike, CompiledCall, list[bool]] | None = None
        enter(self.name, self)

    def run(self, tensors: Sequence[Tensor], _: Sequence[int]) -> list[Tensor]:
        """The results, each where nothing else lies."""
        recent = self._recent
        if recent is None or not recent[0](tensors):
            found = self.calls.ready(tensors, self.needs)
            if found is None:
                with torch.autocast("cpu", enabled=False):
                    results, kept = self.calls.unready(tensors, self.needs)
                # What is kept is whole, and results may be parts of it.
                kept = _apart(kept, self.lying[len(results) :])
                return [*_apart(results, self.lying, beside=kept), *kept]
            recent = self._recent = Alike(tensors), found, _copied(found, self.lying)
        results, kept = recent[1].run(tensors)
        return [
            torch.empty_strided(*way, dtype=x.dtype).copy_(x) if copied else x
            for x, copied, way in zip((*results, *kept), recent[2], self.lying, strict=True)
        ]

    def like(self, tensors: Sequence[Tensor], _: Sequence[Any]) -> list[Tensor]:
        """Results without numbers."""
        return [tensors[0].new_empty_strided(shape, steps) for shape, steps in self.lying]


class _Backwards:
    """The gradient of such a call as an operator, by the tensors that need one.

    It is given the call's tensors, what that kept, and the gradients by those results that have one.
    """

    def __init__(self, of: _Forwards, live: tuple[bool, ...]) -> None:
        self.of, self.live = of, live
        self._recent: tuple[Alike, Backwards] | None = None
        self.name = _name(of.name, live)
        enter(self.name, self)

    def run(self, tensors: Sequence[Tensor], _: Sequence[int]) -> list[Tensor]:
        """The gradients, each where nothing else lies."""
        of = self.of
        before = len(tensors) - sum(self.live)
        own, came = tensors[: of.many], iter(tensors[before:])
        grads = [next(came) if there else None for there in self.live]
        recent = self._recent
        if recent is None or not recent[0](own):
            found = of.calls.ready(own, of.needs)
            if found is None:
                with torch.autocast("cpu", enabled=False):
                    made = gradient_again(of.calls.ordinary, of.needs, own, grads, graded=False)
                return _apart([t for t in made if t is not None], of.gradients)
            recent = self._recent = Alike(own), found.gradient
        with torch.no_grad():
            made = recent[1](of.needs, tensors[:before], grads, apart=True)
        return [
            x if x.stride() == steps else torch.empty_strided(shape, steps, dtype=x.dtype).copy_(x)
            for x, (shape, steps) in zip((t for t in made if t is not None), of.gradients, strict=True)
        ]

    def like(self, tensors: Sequence[Tensor], _: Sequence[Any]) -> list[Tensor]:
        """Gradients without numbers."""
        return [tensors[0].new_empty_strided(shape, steps) for shape, steps in self.of.gradients]


class _Graphed(Differentiated):
    """Such a call in the autograd that torch writes down."""

    @staticmethod
    def forward(ctx: Any, call: _Forwards, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.call = call
        found = torch.ops.chalkgrad.here(call.name, tensors, [])
        many = len(call.calls.copied)
        ctx.save_for_backward(*tensors, *found[many:])
        return tuple(found[:many])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        call: _Forwards = ctx.call
        own = _Backwards(call, tuple([g is not None for g in grads]))
        came = [g for g in grads if g is not None]
        found = iter(torch.ops.chalkgrad.here(own.name, [*ctx.saved_tensors, *came], []))
        return (None, *[next(found) if needed else None for needed in call.needs])


def _name(*said: object) -> str:
    return sha256(repr(said).encode()).hexdigest()[:32]


def _dense(shape: Sequence[int], strides: Sequence[int]) -> _Lying:
    """A shape, and the strides of a tensor that lies in the same order with nothing between."""
    like = torch.empty_strided(tuple(shape), tuple(strides), device="meta")
    return tuple(shape), torch.empty_like(like).stride()


def _copied(found: CompiledCall, lying: Sequence[_Lying]) -> list[bool]:
    """Which results, and what is kept, are copied, to lie as is said and where no other one does."""
    results = len(found.results)
    taken = {*found.tables[results:]}
    copied = [tuple(way[1]) != steps for way, (_, steps) in zip(found.lying, lying, strict=True)]
    for k, table in enumerate(found.tables[:results]):
        # A graph may write where a result lies as soon as that one is used up.
        copied[k] = copied[k] or table in taken
        if not copied[k] and table is not None:
            taken.add(table)
    return copied


def _apart(found: Sequence[Tensor], lying: Sequence[_Lying], beside: Sequence[Tensor] = ()) -> list[Tensor]:
    """Tensors that lie as is said, each where no other one lies."""
    taken = {t.untyped_storage().data_ptr() for t in beside}
    made: list[Tensor] = []
    for x, (shape, steps) in zip(found, lying, strict=False):
        memory = x.untyped_storage().data_ptr()
        # A graph may write where a result lies as soon as that one is used up.
        if x.stride() != steps or memory in taken:
            made.append(torch.empty_strided(shape, steps, dtype=x.dtype).copy_(x))
        else:
            taken.add(memory)
            made.append(x)
    return made
