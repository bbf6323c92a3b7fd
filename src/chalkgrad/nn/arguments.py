"""What comes into a layer: inputs by name, checked against the equations, and the sizes they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import Name
from chalkgrad.equations.size import ONE
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.recording import is_open, is_recorded
from chalkgrad.nn.sizes import Given, Numbers

_SHAPES = 256
"""For how many shapes of inputs the solved sizes are kept."""


class Arguments:
    """The inputs of a layer's call. Every method raises EquationError for what no call can be made with."""

    def __init__(self, resolved: Resolved, keywords: Mapping[str, Given], numbers: Numbers) -> None:
        self.resolved, self.keywords, self.numbers = resolved, keywords, numbers
        self.program = resolved.program
        self.inputs = self.program.given("input")
        self.names = tuple(n.name for n in self.inputs)
        self.signature = ", ".join([*self.names, *(["state"] if self.program.states else [])])
        self._solved: dict[tuple[torch.Size, ...], dict[str, int]] = {}

    def bound(
        self, args: tuple[Any, ...], state: Any, named: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], Any]:
        """Arguments by name: inputs in the order of the equations, then the state."""
        names = self.names
        unknown = [n for n in named if n not in names]
        if unknown:
            raise self.numbers.fail(
                f"`{unknown[0]}` is no input of these equations", help=f"call layer({self.signature})"
            )
        waiting = [n for n in names if n not in named]
        if len(args) == len(waiting) + 1 and state is None and self.program.states:
            args, state = args[:-1], args[-1]
        if len(args) != len(waiting):
            raise self.numbers.fail(
                f"this layer takes {len(names)} input{'s' if len(names) != 1 else ''} and is given "
                f"{len(args) + len(named)}",
                *waiting[len(args) :],
                help=f"call layer({self.signature})",
            )
        bound = {**named, **dict(zip(waiting, args, strict=True))}
        return {n: bound[n] for n in names}, state

    def batched(self, tensors: Mapping[str, Tensor], like: Tensor | None) -> bool:
        """Whether the inputs come in a batch; ``like`` has the dtype and device that they are to have."""
        ranks: dict[str, int] = {}
        for name in self.inputs:
            x = tensors[name.name]
            expected = self._expected(name)
            if not isinstance(x, Tensor):
                raise self.numbers.fail(
                    f"`{name.name}` is a tensor, and is given {type(x).__name__}",
                    name.name,
                    help=f"{name.name}: torch.Tensor of shape {expected}",
                )
            ranks[name.name] = x.dim() - len(name.ranges)
            if ranks[name.name] not in (0, 1):
                raise self.numbers.fail(
                    f"`{name.name}` has {x.dim()} {'axis' if x.dim() == 1 else 'axes'}: {tuple(x.shape)}",
                    name.name,
                    help=f"{name.name} is {expected}",
                )
            if not x.dtype.is_floating_point:
                raise self.numbers.fail(
                    f"`{name.name}` is {short(x.dtype)}, and equations are computed in real numbers",
                    name.name,
                    help=f"{name.name}.float()",
                )
            if like is not None and x.dtype != like.dtype:
                raise self.numbers.fail(
                    f"`{name.name}` is {short(x.dtype)} and the parameters are {short(like.dtype)}",
                    name.name,
                    help=f"{name.name}.to({like.dtype}) or layer.to({x.dtype})",
                )
            if like is not None and x.device != like.device:
                raise self.numbers.fail(
                    f"`{name.name}` is on {x.device} and the parameters are on {like.device}",
                    name.name,
                    help=f"{name.name}.to({str(like.device)!r}) or layer.to({str(x.device)!r})",
                )
        if len(set(ranks.values())) > 1:
            some = {r: n for n, r in ranks.items()}
            raise self.numbers.fail(
                f"`{some[1]}` comes with a batch and `{some[0]}` without",
                some[1],
                some[0],
                help="give both alike",
            )
        return 1 in ranks.values()

    def _expected(self, name: Name) -> str:
        numbers = self.numbers
        axes = [
            f"{r.size}={n}" if (n := numbers.value(r.size)) and r.size.symbols else str(r.size)
            for r in name.ranges
        ]
        return f"({', '.join(['batch', *axes])}) or ({', '.join(axes)})"

    def solve(self, tensors: Mapping[str, Tensor]) -> dict[str, int]:
        """The number of every size symbol, the batch included."""
        if is_recorded(tensors.values()):
            return self._solved_for(tensors)
        key = tuple(x.shape for x in tensors.values())
        numbers = self._solved.get(key)
        if numbers is None:
            numbers = self._solved_for(tensors)
            if len(self._solved) >= _SHAPES:
                self._solved.clear()
            self._solved[key] = numbers
        return numbers

    def _solved_for(self, tensors: Mapping[str, Tensor]) -> dict[str, int]:
        numbers, open = Numbers(self.resolved, self.keywords), False
        size = next(iter(tensors.values())).shape[0]
        for name in self.inputs:
            x = tensors[name.name]
            if x.shape[0] != size:
                raise self.numbers.fail(
                    f"`{name.name}` has a batch of {x.shape[0]}, and another input one of {size}",
                    name.name,
                    help="give all inputs the same number of examples",
                )
            open = open or is_open(x.shape[1:])
        if open:
            axes = ((n, tensors[n.name].shape[1:]) for n in self.inputs)
            known = numbers.open(
                (r.size, n) for name, shape in axes for r, n in zip(name.ranges, shape, strict=True)
            )
            if known is not None:
                return {**known, "batch": size}
        for name in self.inputs:
            x = tensors[name.name]
            for r, n in zip(name.ranges, map(int, x.shape[1:]), strict=True):
                if not numbers.unknowns.unify(r.size, numbers.unknowns.reduce(ONE * n)):
                    raise self.numbers.fail(
                        f"`{name.name}` has size {n} where {r.size} = {numbers.value(r.size)} is needed: "
                        f"its shape is {tuple(x.shape)}",
                        name.name,
                        help=f"{name.name} is {self._expected(name)}",
                    )
        numbers.check_reads()
        known = numbers.known
        free = [s for s in self.program.symbols if s not in known]
        if free:
            raise self.numbers.fail(
                f"no input says what {free[0]} is", help="give the size when the layer is made"
            )
        return {**known, "batch": size}


def in_dtype_of(like: Tensor, x: Any) -> Any:
    """A tensor of real numbers in the dtype of another; anything else as it is, for the checks to name."""
    return x.to(like.dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def short(dtype: torch.dtype) -> str:
    """float32, not torch.float32."""
    return str(dtype).removeprefix("torch.")
