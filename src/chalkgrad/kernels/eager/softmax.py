"""A softmax along one axis, and the gradient back through one, found among equations for the library.

A softmax is three of them, ``L = logsumexp[k](s[k])``, ``a[j] = s[j] - L`` and ``A[j] = exp(a[j])``, which
one by one go over the scores eight times. Its gradient is four,

    ∂a[j] = ∂A[j] A[j]      ∂L·1 = Σ[j] ∂a[j]      ∂L = -∂L·1      ∂s[k] = ∂L A[k] + ∂a[k]

which is one call too, whatever A is: only what the equations say is looked at. Where another equation
reads what lies between, they stay apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, Equation, Expr, Index, Range, Read, Reduce
from chalkgrad.equations.walk import read_counts, substitute
from chalkgrad.kernels.eager.functions import negated
from chalkgrad.kernels.eager.steps import Plain, Shared, equations_of, read_by
from chalkgrad.kernels.eager.views import Interval, arranged
from chalkgrad.kernels.schedule import Block


def softmaxes(
    steps: Sequence[Plain],
    wanted: Collection[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[Interval, ...]],
) -> list[Plain]:
    """The steps, those that are a softmax together, or the gradient through one, as one call each.

    The call stands where the last of them stood. What only they read and is not ``wanted`` is not made.
    """
    found = _Equations.among(steps, wanted, numbers, intervals)
    instead: dict[str, Shared] = {}
    gone: set[str] = set()
    for e in found.made.values():
        if call := found.softmax(e) or found.gradient(e):
            instead[e.target] = call
            gone |= {q.target for q in call.equations}
    return [
        instead.get(s.equation.target, s) if isinstance(s, Block) else s
        for s in steps
        if not isinstance(s, Block) or s.equation.target in instead or s.equation.target not in gone
    ]


@dataclass(frozen=True, slots=True)
class _Equations:
    """What is looked among: names that one equation makes, and how often each name is read (or wanted)."""

    made: Mapping[str, Equation]
    read: Mapping[str, int]
    numbers: Mapping[str, int]
    intervals: Mapping[str, tuple[Interval, ...]]

    @staticmethod
    def among(
        steps: Sequence[Plain],
        wanted: Collection[str],
        numbers: Mapping[str, int],
        intervals: Mapping[str, tuple[Interval, ...]],
    ) -> _Equations:
        times = Counter(e.target for step in steps for e in equations_of(step))
        blocks = [s.equation for s in steps if isinstance(s, Block)]
        read = Counter(name for s in steps if not isinstance(s, Block) for name in read_by(s))
        read += read_counts(blocks) + Counter(wanted)
        return _Equations({e.target: e for e in blocks if times[e.target] == 1}, read, numbers, intervals)

    def softmax(self, e: Equation) -> Shared | None:
        """The call of which an equation is the end: ``A[j] = exp(s[j] - logsumexp[k](s[k]))``."""
        gap = self.of(e, 1, e.value.args[0]) if isinstance(e.value, Apply) and e.value.op == "exp" else None
        match gap.value if gap else None:
            case Apply("add", (Read() as s, minus)) | Apply("add", (minus, Read() as s)):
                whole = self.of(e, 1, negated(minus))
            case _:
                return None
        along = _along(e, whole, "logsumexp", s)
        if not (gap and whole and along and self.is_all(s, e)):
            return None
        lay, dim = arranged(_letters(s), e.axes), e.axes.index(along)
        name, target = s.name, e.target

        def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
            x = values[name]
            return {target: torch.softmax(lay(x) if lay else x, dim)}

        return Shared((whole, gap, e), "torch.softmax", (name,), (target,), call)

    def gradient(self, e: Equation) -> Shared | None:
        """The call of which an equation is the end: ``∂s[k] = ∂a[k] - A[k] Σ[j] ∂a[j]``."""
        match e.value:
            case Apply("add", (Read() as own, Apply("mul", (Read() as x, Read() as y)))):
                pass
            case Apply("add", (Apply("mul", (Read() as x, Read() as y)), Read() as own)):
                pass
            case _:
                return None
        share = self.of(e, 2, own)
        match share.value if share else None:
            case Apply("mul", (Read() as first, Read() as second)):
                pass
            case _:
                return None
        for less, out in ((x, y), (y, x)):
            taken = self.of(e, 1, less)
            total = self.of(e, 1, negated(taken.value)) if taken else None
            along = _along(e, total, "sum", own)
            if not (share and taken and total and along) or out not in (first, second):
                continue
            seed = second if out == first else first
            if self.is_all(seed, e) and self.is_all(out, e):
                return _back((share, total, taken, e), seed, out, along)
        return None

    def of(self, e: Equation, times: int, read: Expr | None) -> Equation | None:
        """The equation of what is read, in the letters of ``e``, if all of it is, and ``times`` in all."""
        if not isinstance(read, Read) or self.read[read.name] != times or not self.is_all(read, e):
            return None
        maker = self.made.get(read.name)
        if maker is None:
            return None
        domain = tuple(Range(i.axes[0], r.size, r.low) for i, r in zip(read.at, maker.domain, strict=True))
        return Equation(
            maker.target, domain, substitute(maker.value, dict(zip(maker.axes, read.at, strict=True)))
        )

    def is_all(self, read: Read, e: Equation) -> bool:
        """Whether a name is read at all of its points, each along axes of ``e`` of its own."""
        box = {r.axis: r.interval(self.numbers) for r in e.domain}
        letters = _letters(read)
        found = tuple(box.get(a) for a in letters)
        return len({*letters}) == len(letters) and found == self.intervals[read.name]


def _letters(read: Read) -> tuple[str, ...]:
    return tuple(i.plain() or "" for i in read.at)


def _along(e: Equation, whole: Equation | None, op: str, of: Read) -> str | None:
    """The axis of ``e`` along all of which ``whole`` reduces what ``of`` reads; None where there is none."""
    if whole is None or len(whole.domain) != len(e.domain) - 1:
        return None
    match whole.value:
        case Reduce(kind, (over,), Read() as body) if kind == op:
            (along,) = (r for r in e.domain if r.axis not in whole.axes)
            same = (over.size, over.low) == (along.size, along.low)
            there = substitute(body, {over.axis: Index.axis(along.axis)})
            return along.axis if same and there == of else None
        case _:
            return None


def _back(equations: tuple[Equation, ...], seed: Read, out: Read, along: str) -> Shared:
    e = equations[-1]
    there, here = arranged(_letters(seed), e.axes), arranged(_letters(out), e.axes)
    dim, given, result, target = e.axes.index(along), seed.name, out.name, e.target

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        x, y = values[given], values[result]
        x, y = there(x) if there else x, here(y) if here else y
        return {target: torch.ops.aten._softmax_backward_data(x, y, dim, y.dtype)}

    return Shared(equations, "torch.ops.aten._softmax_backward_data", (given, result), (target,), call)
