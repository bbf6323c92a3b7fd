"""A page with a recurrence as a function of tensors, for modules that hold the tensors themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.nn.function import Watch
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
        self._wanted = tuple(dict.fromkeys((*self._outputs, *self.states)))

    def run(
        self,
        x: Tensor,
        parameters: Mapping[str, Tensor],
        starts: Mapping[str, Tensor],
        asked: Asked | None = None,
        batched: bool = True,
        watch: Watch | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The outputs, (batch, steps, features), and the last of each state by name, (batch, features).

        ``x`` is (batch, steps, features); ``starts`` are the first of each state, zero where there are none;
        ``batched`` says whether what is asked for comes in a batch; ``watch`` sees the gradient pass;
        ``masks`` are of the shapes, but for the batch, and of the dtype that the page has for them. Raises
        EquationError for tensors that these equations cannot be about.
        """
        given, numbers = self._bound(x, [parameters[n.name] for n in self.parameters])
        given |= masks or {}
        program = self.program
        first = [starts[n] for n in self.states] if starts else None
        given |= self._states.starts(first, numbers, x, batched=True)
        if asked is None and is_recorded([x]):  # a part of a result would be a copy as another result
            wanted = tuple(dict.fromkeys((*program.outputs, *self.states)))
            values = dict(zip(wanted, self.system(given, numbers, wanted), strict=True))
            outputs = [own_part(self._cuts[n], values[n], numbers) for n in program.outputs]
            return outputs, {s.name: self._states.last(s, values[s.name]) for s in program.states}
        if asked is None:
            found = self.system(given, numbers, self._wanted, watch=watch)
            values = dict(zip(self._wanted, found, strict=True))
            outputs = [values[n] for n in self._outputs]
            return outputs, {s.name: self._states.last(s, values[s.name]) for s in program.states}
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


@lru_cache(maxsize=512)
def recurrence(text: str) -> Recurrence:
    """The recurrence of a text; one for all modules that are written alike."""
    return Recurrence(text)
