"""Equations looked at together: what one reads, written in its letters, so that they may be one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chalkgrad.equations.ir import Apply, Equation, Expr, Index, Range, Read, Reduce
from chalkgrad.equations.walk import read_counts, substitute
from chalkgrad.kernels.eager.steps import Plain, equations_of, read_by
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.schedule import Block


@dataclass(frozen=True, slots=True)
class Among:
    """What is looked among.

    ``made`` are the equations that alone make a name, ``read`` is how often each name is read (or wanted),
    ``place`` where each of the equations stands and ``readers`` where each name is read.
    """

    made: Mapping[str, Equation]
    read: Mapping[str, int]
    place: Mapping[str, int]
    readers: Mapping[str, Collection[int]]
    numbers: Mapping[str, int]
    intervals: Mapping[str, tuple[Interval, ...]]

    @staticmethod
    def steps(
        steps: Sequence[Plain],
        wanted: Collection[str],
        numbers: Mapping[str, int],
        intervals: Mapping[str, tuple[Interval, ...]],
    ) -> Among:
        """The equations that are steps by themselves, among all steps."""
        times = Counter(e.target for step in steps for e in equations_of(step))
        blocks = {k: s.equation for k, s in enumerate(steps) if isinstance(s, Block)}
        read = Counter(name for s in steps if not isinstance(s, Block) for name in read_by(s))
        read += read_counts(blocks.values()) + Counter(wanted)
        place = {e.target: k for k, e in blocks.items() if times[e.target] == 1}
        readers: dict[str, list[int]] = {}
        for k, step in enumerate(steps):
            for name in read_by(step):
                readers.setdefault(name, []).append(k)
        made = {name: blocks[k] for name, k in place.items()}
        return Among(made, read, place, readers, numbers, intervals)

    def of(self, e: Equation, read: Expr | None, times: int | None = None) -> Equation | None:
        """The equation of what is read, in the letters of ``e``, if all of it is, and ``times`` in all."""
        if not isinstance(read, Read) or not self.is_all(read, e):
            return None
        maker = self.made.get(read.name)
        if maker is None or (times is not None and self.read[read.name] != times):
            return None
        letters = dict(zip(maker.axes, read.at, strict=True))
        domain = tuple(Range(letters[r.axis].axes[0], r.size, r.low) for r in maker.domain)
        return Equation(maker.target, domain, substitute(maker.value, letters))

    def is_all(self, read: Read, e: Equation) -> bool:
        """Whether a name is read at all of its points, each along axes of ``e`` of its own."""
        box = {r.axis: r.interval(self.numbers) for r in e.domain}
        letters = letters_of(read)
        found = tuple(box.get(a) for a in letters)
        return len({*letters}) == len(letters) and found == self.intervals[read.name]


def letters_of(read: Read) -> tuple[str, ...]:
    """The axis by which each dimension is read; "" where it is more than one."""
    return tuple(i.plain() or "" for i in read.at)


def along(e: Equation, whole: Equation | None, op: str, of: Expr) -> str | None:
    """The axis of ``e`` along all of which ``whole`` reduces what ``of`` is; None where there is none."""
    if whole is None or len(whole.domain) != len(e.domain) - 1:
        return None
    match whole.value:
        case Reduce(kind, (over,), body) if kind == op:
            (axis,) = (r for r in e.domain if r.axis not in whole.axes)
            same = (over.size, over.low) == (axis.size, axis.low)
            there = substitute(body, {over.axis: Index.axis(axis.axis)})
            return axis.axis if same and there == of else None
        case _:
            return None


def same(a: Expr, b: Expr) -> bool:
    """Whether two expressions say the same but for an order of terms and letters summed over."""
    return _key(a, {}) == _key(b, {})


def _key(e: Expr, letters: Mapping[str, Index]) -> object:
    match e:
        case Apply("add" | "mul" as op, args):
            return op, *sorted((_key(a, letters) for a in args), key=repr)
        case Apply(op, args):
            return op, *(_key(a, letters) for a in args)
        case Reduce(op, over, body):
            inner = {r.axis: Index.axis(f"#{len(letters) + k}") for k, r in enumerate(over)}
            return op, *((r.low, r.size) for r in over), _key(body, {**letters, **inner})
        case Read(name, at):
            return name, *(i.substitute(letters) for i in at)
        case _:
            return e
