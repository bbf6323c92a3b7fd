"""A page with a recurrence as a function of tensors, for modules that hold the tensors themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.nn.calls import Calls
from chalkgrad.nn.function import Watch
from chalkgrad.nn.graphed import graphed
from chalkgrad.nn.masks import Variants
from chalkgrad.nn.operator import system_of
from chalkgrad.nn.page import Page
from chalkgrad.nn.recording import is_recorded
from chalkgrad.nn.sizes import own_cuts, own_names, own_part, with_own_parts
from chalkgrad.nn.states import States

Asked = Mapping[str, Any]
"""``lengths``, ``resets`` and ``truncate`` of a call; None for what is not asked for."""


class Recurrence(Page):
    """Equations with one input, masks, outputs and states; every size is that of the tensors of a call."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        program = self.program
        self._own = own_names(program)
        self.system = system_of(normalise(batch(with_own_parts(program, self._own))), "c")
        self._outputs = tuple(self._own.get(n, n) for n in program.outputs)
        self._cuts = {n: own_cuts(self.resolved, n) for n in program.outputs}
        self._states = States(program, self._unsolved)
        self._variants = Variants(program, self._unsolved, "c")
        self.states = tuple(s.name for s in program.states)
        self._known: dict[object, Calls] = {}
        self._wanted = tuple(dict.fromkeys((*self._outputs, *self.states)))

    def run(
        self,
        x: Tensor,
        stacks: Stacks,
        starts: Mapping[str, Tensor],
        asked: Asked | None = None,
        batched: bool = True,
        watch: Watch | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
        """The outputs, (batch, steps, features), and the last of each state by name, (batch, features).

        ``x`` is (batch, steps, features); ``stacks`` are the parameters; ``starts`` are the first of each
        state, zero where there are none; ``batched`` says whether what is asked for comes in a batch;
        ``watch`` sees the gradient pass; ``masks`` are of the shapes, but for the batch, and of the dtype
        that the page has for them. Raises EquationError for tensors that these equations cannot be about.
        """
        if asked is None and watch is None and not masks:
            first = [starts[n] for n in self.states] if starts else []
            form = (stacks.names, self.states, len(first), False)
            calls, tensors = self._calls(form), [x, *first, *stacks.tensors]
            recorded = is_recorded([x])
            found = graphed(calls, repr((self.text, form)), tensors) if recorded else calls(tensors)
        else:
            found = None
        if found is not None:
            outputs = found[: len(self._outputs)]
            return outputs, dict(zip(self.states, found[len(outputs) :], strict=True))
        parameters = stacks.apart()
        given, numbers = self._bound(x, [parameters[n.name] for n in self.parameters])
        given |= masks or {}
        program = self.program
        first = [starts[n] for n in self.states] if starts else None
        given |= self._states.starts(first, numbers, x, batched=True)
        if asked is None and is_recorded([x]):  # a part of a result would be a copy as another result
            wanted = tuple(dict.fromkeys((*program.outputs, *self.states)))
            values = dict(zip(wanted, self.system(given, numbers, wanted, watch=watch), strict=True))
            outputs = [own_part(self._cuts[n], values[n], numbers) for n in program.outputs]
            return outputs, self._last(values)
        if asked is None:
            found = self.system(given, numbers, self._wanted, watch=watch)
            values = dict(zip(self._wanted, found, strict=True))
            return [values[n] for n in self._outputs], self._last(values)
        variant, more = self._variants.masks(asked, numbers, x, batched)
        carried = variant.written.carried
        last = [carried.get(s.start, s.name) for s in program.states]
        wanted = tuple(dict.fromkeys((*program.outputs, *last)))
        found = variant.system(given | more, numbers, wanted, watch=watch)
        values = dict(zip(wanted, found, strict=True))
        outputs = [own_part(self._cuts[n], values[n], numbers) for n in program.outputs]
        ends = {
            s.name: self._states.last(s, values[n]) if n == s.name else self._states.steps(s, values[n])
            for n, s in zip(last, program.states, strict=True)
        }
        return outputs, ends

    def _last(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {s.name: self._states.last(s, values[s.name]) for s in self.program.states}

    # --- one step ----------------------------------------------------------------------------------------

    def step(
        self, x: Tensor, stacks: Stacks, states: tuple[str, ...], starts: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """These ``states`` after one step, from their ``starts`` or zero; the first of them is the output.

        All are (batch, features).
        """
        if is_recorded([x]):
            (y,), last = self.run(x.unsqueeze(1), stacks, dict(zip(states, starts, strict=False)))
            # A state is kept from call to call; as a view it would keep its start with it.
            return [y.squeeze(1), *(last[n].clone() for n in states[1:])]
        form = (stacks.names, states, len(starts), True)
        return self._calls(form)([x, *starts, *stacks.tensors])

    def step_again(
        self, x: Tensor, stacks: Stacks, states: tuple[str, ...], starts: Sequence[Tensor]
    ) -> Sequence[Tensor] | None:
        """The same where tensors like these have come before, so that all is checked; None where not."""
        form = (stacks.names, states, len(starts), True)
        return self._calls(form).again([x, *starts, *stacks.tensors])

    def _calls(self, form: _Form) -> Calls:
        """The calls by the input, the starts of states if there are any, and the stacks, in a row."""
        found = self._known.get(form)
        if found is None:
            step, states = form[3], form[1]
            finish = partial(self._after_a_step if step else self._after_all, states)
            copied = (False, *(True for _ in states[1:])) if step else (False,) * len(self._outputs + states)
            found = Calls(self.system, self._wanted, partial(self._given, form), finish, copied)
            self._known[form] = found
        return found

    def _given(self, form: _Form, tensors: Sequence[Tensor]) -> tuple[dict[str, Tensor], Mapping[str, int]]:
        names, states, many, step = form
        x = tensors[0].unsqueeze(1) if step else tensors[0]
        parameters = Stacks(tensors[1 + many :], names).apart()
        given, numbers = self._bound(x, [parameters[n.name] for n in self.parameters])
        starts = dict(zip(states, tensors[1:], strict=False))
        first = [starts[n] for n in self.states] if many else None
        return given | self._states.starts(first, numbers, x, batched=True), numbers

    def _after_all(
        self, states: tuple[str, ...], values: Mapping[str, Tensor], _: Mapping[str, int]
    ) -> list[Tensor]:
        last = self._last(values)
        return [*(values[n] for n in self._outputs), *(last[n] for n in states)]

    def _after_a_step(
        self, states: tuple[str, ...], values: Mapping[str, Tensor], _: Mapping[str, int]
    ) -> list[Tensor]:
        last = self._last(values)
        return [values[self._outputs[0]].squeeze(1), *(last[n] for n in states[1:])]


_Form = tuple[tuple[tuple[str, ...], ...], tuple[str, ...], int, bool]
"""What is in a row: the names in the stacks, the states' names, how many have starts, if it is one step."""


class Stacks(NamedTuple):  # made at every call, in half of a dataclass's time
    """Parameters that hold several names' values each, one below the other."""

    tensors: Sequence[Tensor]
    names: tuple[tuple[str, ...], ...]

    def apart(self) -> dict[str, Tensor]:
        """The values by name."""
        found: dict[str, Tensor] = {}
        for whole, names in zip(self.tensors, self.names, strict=True):
            if len(names) == 1:
                found[names[0]] = whole
            else:
                found |= zip(names, whole.chunk(len(names)), strict=False)  # no units, no parts
        return found


def joined(*stacks: Stacks) -> Stacks:
    """Those of several directions in one row."""
    if len(stacks) == 1:
        return stacks[0]
    return Stacks([t for s in stacks for t in s.tensors], tuple(n for s in stacks for n in s.names))


@lru_cache(maxsize=512)
def recurrence(text: str) -> Recurrence:
    """The recurrence of a text; one for all modules that are written alike."""
    return Recurrence(text)
