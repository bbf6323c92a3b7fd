"""A layer's call as a function of a row of tensors: inputs, states to begin with, parameters.

So the calls of a recurrence are made ready (see :mod:`chalkgrad.nn.calls`), sequences and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from chalkgrad.equations.ir import Program
from chalkgrad.nn.arguments import Arguments
from chalkgrad.nn.calls import Calls
from chalkgrad.nn.operator import System
from chalkgrad.nn.states import States
from chalkgrad.nn.streaming import Streaming, places_of_steps


class Rows:
    """The calls of a recurrence by what is in their rows; ``own`` names an output without its start."""

    def __init__(
        self, program: Program, system: System, arguments: Arguments, states: States, own: Mapping[str, str]
    ) -> None:
        self.program, self.system, self.arguments, self.states = program, system, arguments, states
        self.parameters = tuple(n.name for n in program.given("parameter"))
        self.outputs = tuple(own.get(n, n) for n in program.outputs)
        self.wanted = tuple(dict.fromkeys((*self.outputs, *(s.name for s in program.states))))
        self._calls: dict[_Form, Calls] = {}

    def __call__(
        self, args: Sequence[Any], state: Any, how: Streaming | None, parameters: Sequence[Tensor]
    ) -> Sequence[Tensor] | None:
        """Outputs and states of a call that is checked but for its state; None where that is no tensors."""
        row = self.given(args, state)
        return None if row is None else self.calls(row, how)([*row, *parameters])

    def again(
        self, args: Sequence[Any], state: Any, how: Streaming | None, parameters: Sequence[Tensor]
    ) -> Sequence[Tensor] | None:
        """The same where a call with tensors like these was made before, and so is checked; else None."""
        row = self.given(args, state)
        return None if row is None else self.calls(row, how).again([*row, *parameters])

    def given(self, args: Sequence[Any], state: Any) -> list[Tensor] | None:
        """Inputs and states in a row; None where something else is given than so many tensors of each."""
        inputs, states = len(self.arguments.names), len(self.program.states)
        if len(args) == inputs + 1 and state is None:
            args, state = args[:-1], args[-1]
        if len(args) != inputs:
            return None
        if state is None:
            row = [*args]
        elif isinstance(state, (tuple, list)):
            row = [*args, *state]
        else:
            row = [*args, state]
        if state is not None and len(row) != inputs + states:
            return None
        for x in row:  # a loop, since this is done at every call
            if not isinstance(x, Tensor):
                return None
        return row

    def calls(self, given: Sequence[Tensor], how: Streaming | None) -> Calls:
        """The calls by such a row and the parameters: of a sequence, or of one step that ``how`` says."""
        first = self.arguments.inputs[0]
        dim = given[0].dim() + (how is not None and first.name in how.positions)
        form = (len(given) > len(self.arguments.names), dim > len(first.ranges), how is not None)
        found = self._calls.get(form)
        if found is None:
            copied = (*(False for _ in self.outputs), *(True for _ in self.program.states))
            bind, finish = partial(self._bound, form, how), partial(self._results, form)
            found = self._calls[form] = Calls(self.system, self.wanted, bind, finish, copied)
        return found

    def _bound(
        self, form: _Form, how: Streaming | None, tensors: Sequence[Tensor]
    ) -> tuple[dict[str, Tensor], Mapping[str, int]]:
        begun, batched = form[:2]
        names, positions = self.arguments.names, how.positions if how else {}
        inputs: dict[str, Tensor] = {}
        for n, x in zip(names, tensors, strict=False):
            x = x.unsqueeze(positions[n] + batched) if n in positions else x
            inputs[n] = x if batched else x.unsqueeze(0)
        numbers = self.arguments.solve(inputs)
        at = len(names) + (len(self.program.states) if begun else 0)
        given = inputs | dict(zip(self.parameters, tensors[at:], strict=True))
        state = tensors[len(names) : at] if begun else None
        return given | self.states.starts(state, numbers, inputs[names[0]], batched), numbers

    def _results(self, form: _Form, values: Mapping[str, Tensor], _: Mapping[str, int]) -> list[Tensor]:
        batched, step = form[1:]
        outputs = [values[n] for n in self.outputs]
        if step:
            places = places_of_steps(self.program)
            outputs = [y if k is None else y.select(1 + k, -1) for y, k in zip(outputs, places, strict=True)]
        last = [self.states.last(s, values[s.name]) for s in self.program.states]
        return [x if batched else x.squeeze(0) for x in (*outputs, *last)]


_Form = tuple[bool, bool, bool]
"""Whether a row has states to begin with, whether what it has is in a batch, and whether it is one step."""
