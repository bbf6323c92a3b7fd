"""The gradient of a compiled call: compiled itself where it is one function, else as any call's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from chalkgrad.kernels.c.loops import Bound, Table
from chalkgrad.nn.function import Call
from chalkgrad.nn.lying import Ready, Spot, hollow, made_spots, ready, spots_of, zeros_beside

_LAYOUTS = 64
"""For how many layouts of what comes in it is kept what is made ready."""


Bind = Callable[[Sequence[Tensor]], tuple[dict[str, Tensor], Mapping[str, int]]]
"""What gives tensors in a row by name, each a view of one of them or zeros, and the sizes."""

Ordinary = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""What computes the results of a row of tensors as those of any system."""


@dataclass(frozen=True, slots=True)
class Forwards:
    """A compiled call as its gradient sees it, and how it is made anew.

    ``spots`` says where each name that is given lies in the call's tensors, ``values`` where in the tables
    each that is wanted, and ``results`` where each result in one of those values.
    """

    call: Call
    numbers: Mapping[str, int]
    bind: Bind
    ordinary: Ordinary
    spots: Mapping[str, Spot]
    values: Sequence[Spot]
    results: Sequence[Spot]


class Backwards:
    """The gradient of a compiled call by those of its tensors that need one."""

    def __init__(self, of: Forwards) -> None:
        self.of, self.call, self.numbers = of, of.call, of.numbers
        results = [(j, r) for j, r in enumerate(of.results)]
        self.seeds = [
            _Seed(value, tuple((j, r) for j, r in results if r.of == k)) for k, value in enumerate(of.values)
        ]
        self._known: dict[object, _Writes | None] = {}

    def __call__(
        self,
        needs: tuple[bool, ...],
        saved: Sequence[Tensor],
        grads: Sequence[Tensor | None],
        apart: bool = False,
    ) -> Sequence[Tensor | None]:
        """One for each tensor of the call; ``saved`` are those, then what it kept for this.

        They may be parts of one tensor, but where they are asked for ``apart``.
        """
        if torch.is_grad_enabled():
            return gradient_again(self.of.ordinary, needs, saved[: len(needs)], grads, graded=True)
        seeds = [seed(grads) for seed in self.seeds]
        key = (needs, *[t.stride() for t in saved], *[None if s is None else s.stride() for s in seeds])
        if key not in self._known:
            if len(self._known) >= _LAYOUTS:
                self._known.clear()
            self._known[key] = self._prepared(needs, saved, self._shaped(seeds))
        found = self._known[key]
        if found is None:
            return self._by_name(needs, saved, self._shaped(seeds))
        return found(saved, seeds, apart)

    def _shaped(self, seeds: Sequence[Tensor | None]) -> list[Tensor | None]:
        return [seed.shaped(grad) for seed, grad in zip(self.seeds, seeds, strict=True)]

    def _names(self, needs: tuple[bool, ...]) -> tuple[bool, ...]:
        """Which of the names need a gradient: those in tensors that do."""
        places = (self.of.spots[n].of for n in self.call.given)
        return tuple([k < len(needs) and needs[k] for k in places])

    def _by_name(
        self, needs: tuple[bool, ...], saved: Sequence[Tensor], seeds: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients as those of any call, each put where its name's part of a tensor lies."""
        tensors, kept = saved[: len(needs)], saved[len(needs) :]
        given, _ = self.of.bind(tensors)
        grads = self.call.gradient(self._names(needs))(self.numbers, [*given.values(), *kept], seeds)
        made = [torch.zeros_like(t) if needed else t for t, needed in zip(tensors, needs, strict=True)]
        parts, _ = self.of.bind(made)
        for name, grad in zip(self.call.given, grads, strict=True):
            if grad is not None:
                parts[name].copy_(grad)
        return [t if needed else None for t, needed in zip(made, needs, strict=True)]

    def _prepared(
        self, needs: tuple[bool, ...], saved: Sequence[Tensor], seeds: Sequence[Tensor | None]
    ) -> _Writes | None:
        """The compiled function that writes the gradients where they are to be; None where there is none."""
        gradient, bind = self.call.gradient(self._names(needs)), self.of.bind
        like, came = [hollow(t) for t in saved], [None if s is None else hollow(s) for s in seeds]
        tensors, kept = like[: len(needs)], like[len(needs) :]
        given, known = gradient.bound(self.numbers, [*bind(tensors)[0].values(), *kept], came)
        adjoints = gradient.derived.program.outputs
        bound = gradient.derived.runner.plan(given | known, self.numbers, adjoints, known).call
        given |= known
        held = [*like, *(s for s in came if s is not None)]
        constants = zeros_beside(given, held)
        if bound is None or constants is None:
            return None
        held += constants.values()
        grads = [torch.empty(t.shape, dtype=t.dtype) for t in tensors]
        parts = spots_of(bind(grads)[0], grads)
        targets = {a: parts[n] for n, a in zip(gradient.wrt, adjoints, strict=True)}
        return _writes(bound, spots_of(given, held), [*constants.values()], len(held), grads, targets)


def gradient_again(
    ordinary: Ordinary,
    needs: tuple[bool, ...],
    tensors: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    *,
    graded: bool,
) -> list[Tensor | None]:
    """The gradient of the same call made anew, so that torch follows it: where it is to have one itself."""
    if graded:
        apart = [t.view_as(t) for t in tensors]  # one tensor may be given twice
    else:
        apart = [t.detach().requires_grad_(needed) for t, needed in zip(tensors, needs, strict=True)]
    with torch.enable_grad():
        results = ordinary(apart)
    pairs = [(r, g) for r, g in zip(results, grads, strict=True) if g is not None and r.requires_grad]
    wanted = [t for t, needed in zip(apart, needs, strict=True) if needed]
    ys, gs = [r for r, _ in pairs], [g for _, g in pairs]
    found = iter(
        torch.autograd.grad(
            ys, wanted, gs, create_graph=graded, allow_unused=True, materialize_grads=not graded
        )
    )
    return [next(found) if needed else None for needed in needs]


def _writes(
    bound: Bound,
    spots: dict[str, Spot],
    constants: Sequence[Tensor],
    base: int,
    grads: Sequence[Tensor],
    targets: Mapping[str, Spot],
) -> _Writes | None:
    """The function that writes each adjoint at its target, a part of a gradient; None where it cannot.

    What it is given lies at ``spots`` in ``base`` tensors. A gradient that is not to be written so is a part
    of one of the function's own tables.
    """
    made, values = list[Table](), made_spots(bound)
    found: list[int | Spot | None] = [None] * len(grads)
    filled, own = [0] * len(grads), dict[int, int]()
    for k, table in enumerate(bound.tables):
        to = targets.get(table.name)
        if to is None or table.zero or to.long != values[table.name].long:
            place = own[k] = len(made)
            made.append(table)
            spots[table.name] = replace(values[table.name], of=base + place)
            continue
        place = found[to.of]
        if not isinstance(place, int):
            place = found[to.of] = len(made)
            made.append(Table("", tuple(grads[to.of].shape), grads[to.of].stride(), zero=False))
        spots[table.name] = replace(to, of=base + place)
        filled[to.of] += prod(to.shape)
    for name, to in targets.items():
        if isinstance(found[to.of], int):
            continue
        value, shape = values.get(name), grads[to.of].shape
        if value is None or value.of not in own or prod(to.shape) != shape.numel():
            return None
        strides = value.strides_of(shape)
        if strides is None:
            return None
        found[to.of] = Spot(own[value.of], value.first, shape, strides)
    run = ready(bound, spots)
    written = [k for k, f in enumerate(found) if isinstance(f, int)]
    if run is None or any(filled[k] != grads[k].numel() for k in written):
        return None
    return _Writes(run, constants, made, found)


@dataclass(frozen=True, slots=True)
class _Writes:
    """A compiled function that makes gradients of some tensors: some it writes, others are parts of tables.

    ``made`` has what it writes: gradients and tables. ``found`` says of each tensor which of
    these its gradient is, or where in them it lies; None where it needs none.
    """

    run: Ready
    constants: Sequence[Tensor]
    made: Sequence[Table]
    found: Sequence[int | Spot | None]

    def __call__(
        self, saved: Sequence[Tensor], seeds: Sequence[Tensor | None], apart: bool
    ) -> list[Tensor | None]:
        dtype = self.run.bound.dtype
        made = [m.new(dtype) for m in self.made]
        self.run([*saved, *[s for s in seeds if s is not None], *self.constants, *made])
        grads = list[Tensor | None]()
        for f in self.found:
            if f is None or isinstance(f, int):
                grads.append(None if f is None else made[f])
            else:
                grads.append(f.view(made).clone() if apart else f.view(made).detach())
        return grads


class _Seed:
    """The gradient by a value, from those by the results that are parts of it; None where there are none.

    A gradient by all of the value may lack axes of one element, or have more of them.
    """

    def __init__(self, value: Spot, parts: tuple[tuple[int, Spot], ...]) -> None:
        self.value, self.parts = value, parts
        self.whole = {j for j, r in parts if not r.first and r.long == value.long}

    def __call__(self, grads: Sequence[Tensor | None]) -> Tensor | None:
        live = [j for j, _ in self.parts if grads[j] is not None]
        if not live:
            return None
        grad = grads[live[0]]
        if grad is not None and len(live) == 1 and live[0] in self.whole:
            return grad if not grad.dim() or grad.stride(-1) == 1 else grad.contiguous()
        found: Tensor | None = None
        for j, r in self.parts:
            grad = grads[j]
            if grad is None:
                continue
            if found is None:
                found = torch.empty_strided(self.value.shape, self.value.strides, dtype=grad.dtype).zero_()
            found.as_strided(r.shape, r.strides, r.first).add_(grad)
        return found

    def shaped(self, grad: Tensor | None) -> Tensor | None:
        """It with the axes of the value."""
        return None if grad is None else grad.reshape(self.value.shape)
