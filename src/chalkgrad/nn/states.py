"""The states of a recurrence as a caller sees them: (batch, features), carried from call to call by name."""

from __future__ import annotations

import keyword
from collections import namedtuple
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from torch import Tensor

from chalkgrad.equations.ir import Program, Range, State
from chalkgrad.nn.arguments import short
from chalkgrad.nn.sizes import Numbers


class States:
    """The states of a program: what a caller passes in, and what is carried on."""

    def __init__(self, program: Program, numbers: Numbers) -> None:
        self.program, self.numbers, self.states = program, numbers, program.states
        twice = {s.name for s in self.states if sum(o.name == s.name for o in self.states) > 1}
        self.fields = tuple(s.start.replace("₀", "_") if s.name in twice else s.name for s in self.states)

    def starts(
        self, state: Any, numbers: Mapping[str, int], like: Tensor, batched: bool
    ) -> dict[str, Tensor]:
        """The initial value of each state, its axes as the program has them: zero where none is passed.

        Raises EquationError for a state that no call can begin with.
        """
        if state is not None and not self.states:
            raise self.numbers.fail("these equations have no state", help="call layer(x)")
        if isinstance(state, Tensor):
            state = (state,)
        if state is not None and not isinstance(state, (tuple, list)):
            raise self.numbers.fail(
                f"a state is a tensor or a tuple of tensors, and is given {type(state).__name__}",
                help="pass the state that an earlier call returned",
            )
        if state is not None and len(state) != len(self.states):
            fields = ", ".join(self.fields)
            raise self.numbers.fail(
                f"the state is ({fields}), and {len(state)} tensors are given",
                help="pass the state that an earlier call returned",
            )
        found: dict[str, Tensor] = {}
        for k, s in enumerate(self.states):
            ranges = self.program[s.start].ranges
            shape = (numbers["batch"], *(r.size.value(numbers) for r in ranges))
            if state is None:
                found[s.start] = like.new_zeros(shape)
                continue
            value = state[k]
            if not isinstance(value, Tensor):
                raise self.numbers.fail(
                    f"the state `{s.name}` is a tensor, and is given {type(value).__name__}", s.name
                )
            outside = _outside(s, shape)
            want = outside if batched else outside[1:]
            if tuple(value.shape) != want:
                raise self.numbers.fail(
                    f"the state `{s.name}` has shape {tuple(value.shape)}, and {want} is needed",
                    s.name,
                    help="pass the state that an earlier call returned",
                )
            if value.dtype != like.dtype or value.device != like.device:
                raise self.numbers.fail(
                    f"the state `{s.name}` is {short(value.dtype)} on {value.device}, and the input is "
                    f"{short(like.dtype)} on {like.device}",
                    s.name,
                    help="give the state the dtype and device of the input",
                )
            value = value if batched else value.unsqueeze(0)
            found[s.start] = (
                value.unsqueeze(1 + s.position) if s.depth == 1 else value.movedim(1, 1 + s.position)
            )
        return found

    def last(self, state: State, value: Tensor) -> Tensor:
        """What a state carries on: its last steps, oldest first."""
        dim = 1 + state.position
        for s in self.states:
            if s.name == state.name and s.position != state.position:
                # The start along one axis of a table begins before the other axis does, where both are read.
                other = self.program[state.start].ranges[s.position]
                first = value.shape[1 + s.position] - 1 - _length(other, value.shape[1 + s.position])
                value = value.narrow(
                    1 + s.position, max(0, first + 1), _length(other, value.shape[1 + s.position])
                )
        if state.depth == 1:
            return value.select(dim, -1 if state.forward else 0)
        first = value.shape[dim] - state.depth if state.forward else 0
        return self.steps(state, value.narrow(dim, first, state.depth))

    def steps(self, state: State, value: Tensor) -> Tensor:
        """So many steps as a state carries on, as the caller sees them."""
        dim = 1 + state.position
        return value.squeeze(dim) if state.depth == 1 else value.movedim(dim, 1)


def _length(r: Range, whole: int) -> int:
    """How much of an axis of length ``whole`` the start covers: all of it, or all but the step before."""
    return whole if r.low.const < 0 else whole - 1


def _outside(s: State, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape a caller sees: (batch, steps back, …), no axis for one step."""
    rest = (*shape[1 : 1 + s.position], *shape[2 + s.position :])
    return (shape[0], *(() if s.depth == 1 else (s.depth,)), *rest)


@lru_cache(maxsize=256)
def named_tuple(title: str, names: tuple[str, ...]) -> Any:
    """A NamedTuple class with these fields; a prime becomes ``_prime``.

    >>> named_tuple("State", ("h", "c"))(1, 2)
    State(h=1, c=2)
    """
    fields = [n.replace("'", "_prime").replace("′", "_prime") for n in names]
    fields = [f"{f}_" if keyword.iskeyword(f) else f for f in fields]
    base = namedtuple(title, fields, rename=True)
    return type(
        title, (base,), {"__slots__": (), "__reduce__": lambda self: (_rebuilt, (title, names, tuple(self)))}
    )


def _rebuilt(title: str, names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return named_tuple(title, names)(*values)
