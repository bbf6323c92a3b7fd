"""Is the derived gradient right? Compared with torch's autograd and with differences, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Name
from chalkgrad.language.resolve import read
from chalkgrad.nn.claims import hold_claims
from chalkgrad.nn.operator import System
from chalkgrad.nn.sizes import Given, own_cuts, own_part, small_numbers
from chalkgrad.zoo import source_of

AGAINST_AUTOGRAD, AGAINST_DIFFERENCES = 1e-9, 1e-6
"""Largest relative errors of a right gradient in float64: rounding, and the error of a central difference."""

STEP = 1e-5
"""Step of the differences: its error is about STEP² + 1e-16 / STEP, relative."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter, input or start: relative errors of its derived gradient."""

    name: str
    shape: tuple[int, ...]
    autograd: float
    differences: float

    @property
    def right(self) -> bool:
        # Written so that a NaN is wrong.
        return self.autograd <= AGAINST_AUTOGRAD and self.differences <= AGAINST_DIFFERENCES


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of :func:`check`: a row per gradient; ``str()`` is a table, truth is that all are right."""

    rows: tuple[Row, ...]
    sizes: Mapping[str, int]

    @property
    def right(self) -> bool:
        return all(r.right for r in self.rows)

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        names = [f"∂{r.name}" for r in self.rows]
        shapes = ["×".join(map(str, r.shape)) or "scalar" for r in self.rows]
        wide, long = max(map(len, names)), max(map(len, shapes))
        lines = [
            f"{n:<{wide}}  {s:<{long}}  autograd {r.autograd:8.1e}  differences {r.differences:8.1e}  "
            + ("right" if r.right else "WRONG")
            for n, s, r in zip(names, shapes, self.rows, strict=True)
        ]
        return "\n".join(lines)


def check(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **sizes: Given,
) -> Check:
    """Whether the derived gradient of every input, parameter and start is right.

    The gradient of a random weighting of outputs and states, two examples, float64, is compared with torch's
    autograd through the forward equations and with central differences. Sizes that are not given are small.
    Raises EquationError.

    >>> print(check("h[t] = tanh(x[t] W)", x=2, h=3))  # doctest: +ELLIPSIS
    ∂x  2×5×2  autograd ...  differences ...  right
    ∂W  2×3    autograd ...  differences ...  right
    """
    counts = {n: k for n, k in sizes.items() if isinstance(k, int)}
    resolved = read(source_of(what), inputs, functions, counts)
    sizes = {n: k for n, k in sizes.items() if n not in resolved.axes}
    hold_claims(resolved)
    numbers = small_numbers(resolved, sizes)
    system = System(normalise(batch(resolved.program)))
    states = (s.name for s in resolved.program.states)
    wanted = tuple(dict.fromkeys((*resolved.program.outputs, *states)))
    random = torch.Generator().manual_seed(seed)

    def own(values: Iterable[Tensor]) -> list[Tensor]:
        return [own_part(own_cuts(resolved, n), v, numbers) for n, v in zip(wanted, values, strict=True)]

    def forward(given: Mapping[str, Tensor]) -> list[Tensor]:
        """The forward equations run as they are, so that torch's autograd goes through them."""
        return own(system.runner(given, numbers, wanted)[n] for n in wanted)

    given = _drawn(system, numbers, forward, random)
    weights = [torch.randn(v.shape, generator=random, dtype=v.dtype) for v in forward(given)]

    def loss(values: Iterable[Tensor]) -> Tensor:
        return torch.stack([(v * w).sum() for v, w in zip(values, weights, strict=True)]).sum()

    def plainly() -> Tensor:
        return loss(forward(given))

    derived = _gradients(loss(own(system(given, numbers, wanted))), given)
    through_torch = _gradients(plainly(), given)
    total, done = sum(x.numel() for x in given.values()), 0
    rows: list[Row] = []
    for name, x in given.items():
        by_difference = torch.zeros_like(x)
        flat, out = x.data.view(-1), by_difference.view(-1)
        with torch.no_grad():
            for k in range(flat.numel()):
                here = flat[k].item()
                flat[k] = here + STEP
                above = plainly()
                flat[k] = here - STEP
                out[k] = (above - plainly()) / (2 * STEP)
                flat[k] = here
                done += 1
                if progress is not None:
                    progress(done, total)
        ours = derived[name]
        shape = tuple(x.shape)
        rows.append(Row(name, shape, _error(ours, through_torch[name]), _error(ours, by_difference)))
    return Check(tuple(rows), {s: n for s, n in numbers.items() if s != "batch"})


def _drawn(
    system: System,
    numbers: Mapping[str, int],
    forward: Callable[[Mapping[str, Tensor]], list[Tensor]],
    random: torch.Generator,
) -> dict[str, Tensor]:
    """Values for everything given: normal, or positive where the equations need that (a logarithm)."""

    def shape(n: Name) -> list[int]:
        return [r.size.value(numbers) for r in n.ranges]

    names = system.program.given("input", "parameter", "start")
    given = {n.name: torch.randn(shape(n), generator=random, dtype=torch.float64) * 0.7 for n in names}
    if not all(v.isfinite().all() for v in forward(given)):
        given = {
            n: torch.rand(x.shape, generator=random, dtype=torch.float64) + 0.2 for n, x in given.items()
        }
    return {n: x.requires_grad_() for n, x in given.items()}


def _gradients(loss: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not loss.requires_grad:  # to torch a function of steps is a constant
        return {n: torch.zeros_like(x) for n, x in given.items()}
    found = torch.autograd.grad(loss, list(given.values()), allow_unused=True)
    return {
        n: torch.zeros_like(x) if g is None else g for (n, x), g in zip(given.items(), found, strict=True)
    }


def _error(a: Tensor, b: Tensor) -> float:
    """‖a - b‖ relative to the larger of both, largest element; 0 where both are zero."""
    scale = max(a.abs().max().item(), b.abs().max().item()) if a.numel() else 0.0
    return (a - b).abs().max().item() / scale if scale else 0.0
