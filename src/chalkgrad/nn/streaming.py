"""One step of a sequence at a time: which equations can go on from a state, and what they carry.

A step is the layer's call on a sequence of one step. Where the equations look back at an input too,
``x[t-2]``, the state carries as many of its last steps, and the call is on those and the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import At, Equation, Guard, Name, Program
from chalkgrad.equations.walk import nodes, reads
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.sizes import Numbers, own_ranges
from chalkgrad.nn.states import named_tuple


@dataclass(frozen=True)
class Streaming:
    """How a layer goes a step: where each input has its steps, and how many of its last ones it looks at.

    ``positions`` has the inputs with steps; others are the same at each step. Without ``back`` nothing is
    carried but the states.
    """

    positions: Mapping[str, int]
    back: int
    fields: tuple[str, ...]

    @property
    def carried(self) -> tuple[str, ...]:
        """What the inputs that are carried are called in the state."""
        return tuple(f"{n}_before" for n in self.positions) if self.back else ()


def streaming(resolved: Resolved, numbers: Numbers, fields: tuple[str, ...]) -> Streaming:
    """How equations go a step. Raises EquationError for those that cannot."""
    program = resolved.program
    ahead = [s.name for s in program.states if not s.forward]
    if ahead:
        raise numbers.fail(
            f"`{ahead[0]}` is computed from the end, so its first step waits for the last one",
            ahead[0],
            help="call layer(x) with the whole sequence",
        )
    letters = {program[s.name].ranges[s.position].axis for s in program.states}
    if len(letters) != 1:
        problem = "these equations have no state" if not letters else "these equations run along two indices"
        raise numbers.fail(problem, *(s.name for s in program.states), help="call layer(x)")
    [letter] = letters
    position = {n.name: _position(n, letter) for n in program.names}
    begins: dict[str, int] = {}
    for n in program.names:
        k = position[n.name]
        if n.role == "defined" and k is not None:
            begins[n.name] = own_ranges(resolved, n)[k].low.const
    for e in program.equations:
        _refuse(e, program, position, numbers)
    back = max((begins[s.name] for s in program.states), default=0)
    uneven = [s.name for s in program.states if begins[s.name] != back]
    if uneven:
        raise numbers.fail(f"`{uneven[0]}` begins before another state does", uneven[0], help="call layer(x)")
    beyond = [n for n, low in begins.items() if low > back]
    if beyond:
        raise numbers.fail(
            f"`{beyond[0]}` looks back at what is no state",
            beyond[0],
            help="call layer(x) with the whole sequence",
        )
    inputs = {n.name: k for n in program.given("input") if (k := position[n.name]) is not None}
    return Streaming(inputs, back, fields)


def _position(n: Name, letter: str) -> int | None:
    """Which axis of a name the steps are along."""
    return next((k for k, r in enumerate(n.ranges) if r.axis == letter), None)


def _refuse(e: Equation, program: Program, position: Mapping[str, int | None], numbers: Numbers) -> None:
    """Refuse an equation whose value at a step depends on what that step's number is, or on all steps."""
    k = position[e.target]
    own = "" if k is None else e.domain[k].axis
    for r in reads(e.value):
        there = position[r.name]
        index = r.at[there] if there is not None else None
        if index is not None and own and (index.terms != ((own, 1),) or index.divisor != 1):
            raise numbers.fail(
                f"`{e.target}` reads `{r.name}` at {index}, not at a fixed number of steps back",
                e.target,
                help="call layer(x) with the whole sequence",
            )
    for n in nodes(e.value):
        guarded = isinstance(n, Guard) and any(own in c.index.axes for c in n.conditions)
        if own and (guarded or (isinstance(n, At) and own in n.index.axes)):
            what = next((r.name for r in reads(n) if isinstance(n, Guard)), e.target)
            raise numbers.fail(
                f"`{e.target}` asks which step it is at, where it reads `{what}`",
                e.target,
                help="call layer(x) with the whole sequence",
            )


def one_step(layer: Any, how: Streaming, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """A step of each input as a sequence of one, and whether there is a batch before it."""
    numbers, program = layer._numbers, layer.program
    batch = 0
    for n, x in tensors.items():
        rank = len(program[n].ranges) - (n in how.positions)
        if not isinstance(x, Tensor) or x.dim() not in (rank, rank + 1):
            said = f"{x.dim()} axes" if isinstance(x, Tensor) else type(x).__name__
            raise numbers.fail(
                f"one step of `{n}` has {rank} axes, or one more for the batch, and is given {said}",
                n,
                help="give a step without the axis of steps, or call layer(x) with a sequence",
            )
        batch = x.dim() - rank
    now = {n: x.unsqueeze(batch + how.positions[n]) if n in how.positions else x for n, x in tensors.items()}
    return now, batch


def stepped(layer: Any, how: Streaming, now: dict[str, Tensor], batch: int, state: Any) -> tuple[Any, Any]:
    """The output of a step and the state after it, by a call of ``layer`` on so many steps as it looks at.

    While there are fewer than the equations look back there is no output: it is None.
    """
    numbers, program = layer._numbers, layer.program
    if not how.back:
        result, last = layer(*now.values(), state=state)
        return _at_the_step(result, program, batch), last
    if state is not None and (
        not isinstance(state, tuple) or len(state) != len(how.fields) + len(how.carried)
    ):
        raise numbers.fail(
            f"a step goes on from ({', '.join((*how.fields, *how.carried))})",
            help="pass the state that an earlier step returned",
        )
    own = None if state is None else state[: len(how.fields)]
    before: Any = (None,) * len(how.carried) if state is None else state[len(how.fields) :]
    for (n, k), earlier in zip(how.positions.items(), before, strict=True):
        if earlier is not None:
            now[n] = torch.cat([earlier, now[n]], batch + k)
    made = named_tuple("State", (*how.fields, *how.carried))
    steps = {n: now[n].shape[batch + k] for n, k in how.positions.items()}
    kept = [now[n].narrow(batch + k, max(0, steps[n] - how.back), min(steps[n], how.back)).clone()
            for n, k in how.positions.items()]  # fmt: skip
    if min(steps.values()) <= how.back:
        starts = own or [None] * len(how.fields)
        return None, made(*starts, *kept)
    result, last = layer(*now.values(), state=None if own is None or own[0] is None else own)
    return _at_the_step(result, program, batch), made(*last, *kept)


def _at_the_step(result: Any, program: Program, batch: int) -> Any:
    """The last step of each output that has steps."""
    places = places_of_steps(program)
    if isinstance(result, Tensor):
        return result if places[0] is None else result.select(batch + places[0], -1)
    return result._make(
        x if k is None else x.select(batch + k, -1) for x, k in zip(result, places, strict=True)
    )


def places_of_steps(program: Program) -> list[int | None]:
    """Which axis of each output the steps are along, in a program that runs along one."""
    [letter] = {program[s.name].ranges[s.position].axis for s in program.states}
    return [_position(program[n], letter) for n in program.outputs]
