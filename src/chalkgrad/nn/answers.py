"""What an operator in a graph computes, found by its name, and how the results lie.

The operators are those of :mod:`chalkgrad.nn.library`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from chalkgrad.equations.bounds import outside
from chalkgrad.equations.ir import Program, Read
from chalkgrad.kernels.schedule import Block, Loop, Step, schedule

_SIZES = 256
"""For how many sizes of an answer it is kept that they fit."""


class Asked(Protocol):
    """What an operator computes, and what its results look like before they have numbers."""

    def run(self, tensors: Sequence[Tensor], sizes: Sequence[int], /) -> list[Tensor]: ...
    def like(self, tensors: Sequence[Tensor], sizes: Sequence[Any], /) -> list[Tensor]: ...


_here: dict[str, Asked] = {}


def enter(name: str, asked: Asked) -> None:
    """Let ``chalkgrad::here`` of this process compute this by that name, which says all that it is."""
    _here[name] = asked


def named(name: str) -> Asked:
    """What has that name. Raises RuntimeError where nothing has."""
    if name not in _here:
        raise RuntimeError(
            f"no layer of this process has written down the graph that calls {name}: compile it anew"
        )
    return _here[name]


class Answer:
    """The ``results`` of a program, whose own names are ``known`` or computed by ``run``.

    ``origin`` is the program that it comes from, which says what sizes fit, and ``symbols`` are those whose
    sizes come with a call.
    """

    def __init__(
        self,
        run: Callable[[Mapping[str, int], Sequence[Tensor]], Sequence[Tensor]],
        results: tuple[str, ...],
        known: tuple[str, ...],
        origin: Program,
        program: Program,
        symbols: tuple[str, ...],
    ) -> None:
        self._run, self.results, self.symbols = run, results, symbols
        self.origin, self.program = origin, program
        self.orders = _orders(program, results, known)
        self._as_it_stands = {n for n, order in self.orders.items() if order == tuple(range(len(order)))}
        self._known: dict[tuple[int, ...], tuple[Mapping[str, int], list[Any]]] = {}

    def run(self, tensors: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
        """The results, each where nothing else lies. Raises ValueError for sizes that do not fit."""
        numbers, strides = self._sizes(tuple(sizes))
        device = tensors[0].device.type
        if torch.is_autocast_enabled(device):  # whoever wrote the graph down has chosen the dtype
            with torch.autocast(device, enabled=False):
                results = self._run(numbers, tensors)
        else:
            results = self._run(numbers, tensors)
        taken = {t.untyped_storage().data_ptr() for t in tensors}
        found: list[Tensor] = []
        for name, x, steps in zip(self.results, results, strides, strict=True):
            memory = x.untyped_storage().data_ptr()
            # A graph may write where a result lies as soon as that one is used up.
            if x.stride() != steps or memory in taken:
                if name in self._as_it_stands:
                    x = x.clone(memory_format=torch.contiguous_format)
                else:
                    order = self.orders[name]
                    lying = x.permute(order).clone(memory_format=torch.contiguous_format)
                    x = lying.permute(_inverse(order))
            else:
                taken.add(memory)
            found.append(x)
        return found

    def like(self, tensors: Sequence[Tensor], sizes: Sequence[Any]) -> list[Tensor]:
        """Results without numbers, of sizes that may be symbols of torch's."""
        numbers = dict(zip(self.symbols, sizes, strict=True))
        return [self._empty(name, numbers, tensors[0]) for name in self.results]

    def _empty(self, name: str, numbers: Mapping[str, Any], like: Tensor) -> Tensor:
        order = self.orders[name]
        shape = [r.size.value(numbers) for r in self.program[name].ranges]
        return like.new_empty([shape[k] for k in order]).permute(_inverse(order))

    def _sizes(self, sizes: tuple[int, ...]) -> tuple[Mapping[str, int], list[Any]]:
        """The sizes by symbol, and how far apart the results' elements lie."""
        found = self._known.get(sizes)
        if found is None:
            numbers = dict(zip(self.symbols, sizes, strict=True))
            # A graph may be open to other sizes than those that were looked at when it was written down.
            wrong = next(outside(self.origin, lambda size: size.value(numbers)), None)
            if wrong is not None:
                said = ", ".join(f"{s}={n}" for s, n in numbers.items())
                raise ValueError(f"these equations do not fit the sizes {said}: {wrong}")
            like = torch.empty((), device="meta")
            found = numbers, [self._empty(n, numbers, like).stride() for n in self.results]
            if len(self._known) >= _SIZES:
                self._known.clear()
            self._known[sizes] = found
        return found


def _orders(program: Program, wanted: tuple[str, ...], known: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The axes of each name as they lie in memory, the slowest first.

    What a loop computes has the loop's axis slowest, and so has a part of that; all else lies as it stands.
    """
    loops: dict[str, tuple[int, ...]] = {}

    def go(steps: Iterable[Step], around: tuple[str, ...]) -> None:
        for step in steps:
            match step:
                case Loop():
                    go(step.body, (*around, step.axis))
                case Block(e):
                    places = tuple(e.axes.index(a) for a in around)
                    if isinstance(e.value, Read) and not around and e.value.name in {*loops} - {*wanted}:
                        # A part of what a loop has computed lies as that does, if it need not be a copy.
                        letters = [i.axes[0] if len(i.axes) == 1 else "" for i in e.value.at]
                        slow = [letters[k] for k in loops[e.value.name]]
                        places = tuple(e.axes.index(a) for a in slow if a in e.axes)
                    if len(places) > len(loops.get(e.target, ())):
                        loops[e.target] = places

    missing = [n for n in wanted if n not in known]
    go(schedule(program, missing, known=frozenset(known)), ())
    found: dict[str, tuple[int, ...]] = {}
    for n in wanted:
        first = loops.get(n, ())
        found[n] = (*first, *(k for k in range(len(program[n].ranges)) if k not in first))
    return found


def _inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)
