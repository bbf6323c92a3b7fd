"""Chains ``A = B = C``: A is defined as B, and every further side is held against it in numbers."""

from __future__ import annotations

import torch

from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Program
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.source import EquationError
from chalkgrad.nn.sizes import small_numbers

TOLERANCE = 1e-9
"""Largest difference between two sides that mean the same, relative, in float64."""


def hold_claims(resolved: Resolved) -> None:
    """Compare the sides of every chain at random values and small sizes.

    Raises EquationError with the first place and both numbers where two sides differ.
    """
    program = resolved.program
    if not resolved.claims:
        return
    numbers = small_numbers(resolved, {})
    random = torch.Generator().manual_seed(0)
    given = {
        n.name: torch.rand([r.size.value(numbers) for r in n.ranges], generator=random, dtype=torch.float64)
        for n in program.given("input", "parameter", "start")
    }
    own = Runner(normalise(program))
    for equation, span in resolved.claims:
        name = equation.target
        if name not in program.table:
            continue
        main = program.defining(name)[-1]
        equations = tuple(equation if e is main else e for e in program.equations)
        other = Program(equations, program.names, (name,), program.states, program.columns)
        first = own(given, numbers, [name])[name]
        second = Runner(normalise(other))(given, numbers, [name])[name]
        wrong = ((first - second).abs() > TOLERANCE * (1 + first.abs())).nonzero()
        if len(wrong):
            place = tuple(wrong[0].tolist())
            lows = [r.low.value(numbers) for r in program[name].ranges]
            at = ",".join(str(low + k) for low, k in zip(lows, place, strict=True))
            raise EquationError(
                f"the sides of this chain differ: {name}[{at}] is {first[place]:.6g} by the first "
                f"and {second[place]:.6g} by this one (at random values)",
                resolved.source,
                ((span, "this side"),),
                "correct it, or give it a name and an equation of its own",
            )
