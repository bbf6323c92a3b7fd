"""``a - Σa/n``: an expression less its own mean, as a layer norm has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chalkgrad.calculus.simplify import canonical
from chalkgrad.equations.ir import Apply, Expr, Index, Range, Reduce
from chalkgrad.equations.ops import add, mul
from chalkgrad.equations.walk import free_axes, nodes, reads, substitute


@dataclass(frozen=True, slots=True)
class LessItsMean:
    """``score`` less a multiple of its sum over ``axis``, where the sum has a letter of its own."""

    score: Expr
    axis: str
    total: Reduce
    scale: tuple[Expr, ...]

    def of(self, score: Expr) -> Expr:
        """The same of another score."""
        there = substitute(score, {self.axis: Index.axis(self.total.over[0].axis)})
        return add(score, mul(Reduce("sum", self.total.over, there), *self.scale))


def less_its_mean(e: Apply, ranges: Iterable[Range]) -> LessItsMean | None:
    """A score that is a sum, less its own mean along one of ``ranges``; None for anything else."""
    match e:
        case Apply("add", (_, *_, Apply("mul", factors))):
            score = add(*e.args[:-1])
        case _:
            return None
    sums = [f for f in factors if isinstance(f, Reduce) and f.op == "sum"]
    scale = tuple(f for f in factors if f not in sums)
    if len(sums) != 1 or any(True for f in scale for _ in reads(f)):
        return None
    [total] = sums
    if len(total.over) != 1 or not any(isinstance(n, Reduce) for n in nodes(score)):
        return None
    [r] = total.over
    for own in ranges:
        if own.axis in free_axes(score) and (own.low, own.size) == (r.low, r.size):
            body = substitute(total.body, {r.axis: Index.axis(own.axis)})
            if canonical(body) == canonical(score):
                return LessItsMean(score, own.axis, total, scale)
    return None
