"""How values of a page are handed to a function: what its arguments are, and the arrays as it has them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import Parameter
from itertools import product
from typing import Any, Literal

import numpy as np
from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.claims.ground import BATCH, Draw, Ground, Page
from chalkgrad.claims.loading import Function, called
from chalkgrad.claims.results import Result, flattened
from chalkgrad.claims.spelling import arrives, folded, same
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.sizes import Given

EXAMPLES = 11
"""The size of the batch: no other size, so that an axis of it is known by its length."""

Steps = Literal["every", "last"]
Meaning = tuple[Literal["value", "arriving", "size", "cache"], str]
"""What an argument is: the value of h, the gradient arriving at y, the size T, what rnn_forward keeps."""


@dataclass(frozen=True)
class Passing:
    """How values are handed over: a batch in front (or second, behind the time), or one example; states with
    their start in front; a gradient that arrives at the last step only."""

    layout: Literal["batch", "one", "time"]
    start: bool
    last: bool


class Calling:
    """A function with what its arguments are. Raises EquationError for one that the page does not have."""

    def __init__(
        self,
        resolved: Resolved,
        function: Function,
        functions: Mapping[str, str],
        at: Steps | None,
        sizes: Mapping[str, Given],
        seed: int,
    ) -> None:
        self.resolved, self.function, self.at = resolved, function, at
        self.functions, self.sizes, self.seed = functions, sizes, seed
        self.page = Page(resolved, functions)
        self._grounds: dict[tuple[bool, Draw, int], Ground] = {}
        self.arguments = {p.name: self.argument(p.name) for p in function.parameters if self.passed(p)}

    @cached_property
    def batched(self) -> Page:
        return Page(replace(self.resolved, program=batch(self.resolved.program)), self.functions)

    # --- what an argument is -----------------------------------------------------------------------------

    def passed(self, p: Parameter) -> bool:
        """Whether a parameter is handed a value: not if it is unknown and has one of its own."""
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            return False
        return p.default is p.empty or self.meaning(p.name) is not None

    def meaning(self, name: str) -> Meaning | None:
        outputs = self.page.forward.outputs
        own = same(name, self.page.names)
        if own is not None:
            return "value", own
        for s in self.resolved.program.states:
            state = folded(s.name)
            if s.start and folded(name) in {f"prev{state}", f"{state}prev", f"{state}init", f"init{state}"}:
                return "value", s.start
        output = arrives(name, outputs)
        if output is not None:
            return "arriving", output
        if name in self.resolved.program.symbols:
            return "size", name
        forward = self.function.name.replace("backward", "forward")
        if name in ("cache", "caches") and forward != self.function.name and self.function.beside(forward):
            return "cache", forward
        return None

    def argument(self, name: str) -> Meaning:
        found = self.meaning(name)
        if found is None:
            outputs = self.page.forward.outputs
            near = difflib.get_close_matches(name, self.page.names, n=2, cutoff=0.5)
            known = ", ".join(n.name for n in self.page.forward.names if not n.generated)
            raise self.function.at(
                f"`{self.function.name}` takes `{name}`, and the page has no such name",
                self.function.place(),
                f"`{name}` is not known",
                ("did you mean " + " or ".join(near) + "? " if near else f"the page has {known}; ")
                + f"the gradient that arrives is grad_out, dout or d{outputs[0]}",
            )
        return found

    # --- ways to call it ---------------------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether a start is among the arguments."""
        given = {name for kind, name in self.arguments.values() if kind != "arriving"}
        return any(s.start in given for s in self.resolved.program.states) or any(
            kind == "cache" for kind, _ in self.arguments.values()
        )

    def passings(self) -> Iterator[Passing]:
        """Every way to call it, the likelier before."""
        states = {s.name for s in self.resolved.program.states}
        read = states & {name for kind, name in self.arguments.values() if kind == "value"}
        fronts = [False, True] if self.begun else [True, False] if read else [False]
        steps = any(
            kind == "arriving" and self.step_axis(n) is not None for kind, n in self.arguments.values()
        )
        lasts = [self.at == "last"] if self.at else [False, True]
        for layout, start, last in product(("batch", "one", "time"), fronts, lasts if steps else [False]):
            yield Passing(layout, start, last)

    def ground(self, passing: Passing, examples: int = EXAMPLES) -> Ground:
        """The values that a call is made with; a start that the function does not get is zero."""
        arriving = any(kind == "arriving" for kind, _ in self.arguments.values())
        rest = not self.begun and not passing.start
        draw = Draw(ones=not arriving, free=arriving, last=passing.last, rest=rest)
        key = (passing.layout == "one", draw, examples)
        if key not in self._grounds:
            page = self.page if passing.layout == "one" else self.batched
            self._grounds[key] = Ground(page, self.sizes, self.seed, draw, examples)
        return self._grounds[key]

    def results(self, ground: Ground, passing: Passing) -> tuple[Result, ...]:
        """What it returns when it is called so. Raises EquationError."""
        values = {n: self.value(m, ground, passing) for n, m in self.arguments.items()}
        returned = called(self.function, values)
        help = "return the gradients: a tuple of arrays, or a dict"
        try:
            results = flattened(returned, self.function.returned())
        except (TypeError, ValueError) as error:
            problem = f"`{self.function.name}` returns what is no gradient: {error}"
            raise self.function.at(problem, self.function.place(), "this function", help) from None
        if not results:
            problem = f"`{self.function.name}` returns nothing"
            raise self.function.at(problem, self.function.place(), "this function", help)
        return results

    def value(self, meaning: Meaning, ground: Ground, passing: Passing) -> Any:
        """An argument's value, of the function's own: arrays are copies."""
        kind, name = meaning
        match kind:
            case "size":
                return ground.numbers[name]
            case "cache":
                forward = self.function.beside(name)
                assert forward is not None
                found = {p.name: self.meaning(p.name) for p in forward.parameters}
                values = {n: self.value(m, ground, passing) for n, m in found.items() if m is not None}
                made = called(forward, values)
                return made[-1] if isinstance(made, tuple) else made
            case "arriving":
                x = ground.values[ground.page.seeds[name]][ground.place(name)]
                axis = self.step_axis(name)
                if passing.last and axis is not None:
                    return _array(x.select(axis + (passing.layout != "one"), -1))
                return _array(self.laid(name, x, passing))
            case "value":
                return _array(self.shaped(name, ground.values[name], ground, passing)[0])

    def said(self, ground: Ground, passing: Passing) -> tuple[str, ...]:
        """How the function is called, a line per argument."""
        states = {s.name for s in self.resolved.program.states}
        wide = max(map(len, self.arguments), default=0)
        said: list[str] = []
        for argument, (kind, name) in self.arguments.items():
            if kind == "cache":
                what = f"what {name} returns last"
            else:
                what = shape_of(self.value((kind, name), ground, passing))
            if kind == "arriving":
                what += f", what arrives at {name}" + (" at its last step" if passing.last else "")
            elif passing.start and name in states:
                what += ", its start in front"
            said.append(f"  {argument:<{wide}}  {what}")
        examples = {"batch": f"a batch of {EXAMPLES}", "one": "one example", "time": "the time in front"}
        return (f"{self.function.name} is called with {examples[passing.layout]}:", *said)

    # --- forms -------------------------------------------------------------------------------------------

    def step_axis(self, name: str) -> int | None:
        """Which axis of a name, without the batch, are its steps."""
        n = self.page.forward[name]
        steps = (k for k, r in enumerate(n.ranges[: n.written]) if r.axis in self.resolved.recurrence)
        return next(steps, None)

    def shaped(self, name: str, value: Tensor, ground: Ground, passing: Passing) -> list[Tensor]:
        """A value (or gradient) of a name as a function may hold it: the likeliest form first."""
        n = ground.page.forward[name]
        if n.role == "start":
            axis = next((k for k, r in enumerate(n.ranges) if r.axis != BATCH and r.size.constant == 1), None)
            return [value if axis is None else value.squeeze(axis)]
        own, whole = self.laid(name, value[ground.place(name)], passing), self.laid(name, value, passing)
        if own.shape == whole.shape:
            return [own]
        return [whole, own] if passing.start else [own, whole]

    def laid(self, name: str, value: Tensor, passing: Passing) -> Tensor:
        """The axes in the order of the layout: the time before the batch."""
        axis = self.step_axis(name)
        varies = any(r.axis == BATCH for r in self.batched.forward[name].ranges)
        return (
            value.movedim(axis + 1, 0) if passing.layout == "time" and axis is not None and varies else value
        )


def shape_of(x: Any) -> str:
    """The shape of an array, in words."""
    return "×".join(map(str, np.shape(x))) or "a number"


def _array(x: Tensor) -> Any:
    """An array of the function's own, or a number."""
    return x.detach().clone().numpy() if x.dim() else x.item()
