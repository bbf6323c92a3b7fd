"""Whether every read of a program looks at what there is, as far as its sizes are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from chalkgrad.equations.ir import Expr, Guard, Index, Program, Range, Read, Reduce
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import children

Ends = tuple[int, int]
"""The least and the largest value."""


@dataclass(frozen=True, slots=True)
class Short:
    """A name that would have fewer than no places along an axis: what is read there ends before."""

    name: str
    size: Size
    number: int


@dataclass(frozen=True, slots=True)
class Outside:
    """A read that goes from ``at`` to ``at`` where its name runs from ``of`` to ``of``."""

    read: Read
    at: Ends
    of: Ends


def outside(program: Program, value: Callable[[Size], int | None]) -> Iterator[Short | Outside]:
    """Every size and read that cannot be, where ``value`` gives the number of a size, None while it is free.

    >>> from chalkgrad.equations.ir import Equation, Name
    >>> i, N = Index.axis("i"), Size.symbol("N")
    >>> y = Equation("y", (Range("i", N),), Read("x", (i + 1,)))
    >>> names = Name("x", "input", (Range("n", N),)), Name("y", "defined", (Range("i", N),))
    >>> p = Program((y,), names, ("y",))
    >>> [(found.at, found.of) for found in outside(p, lambda size: size.value({"N": 4}))]
    [((1, 4), (0, 3))]
    """

    def interval(r: Range) -> Ends | None:
        low, size = value(r.low), value(r.size)
        return None if low is None or size is None else (low, low + size - 1)

    def extent(index: Index, box: Mapping[str, Ends | None]) -> Ends | None:
        shift = value(index.shift)
        if shift is None:
            return None
        first = last = shift
        for axis, k in index.terms:
            ends = box.get(axis)
            if ends is None:
                return None
            first, last = first + k * ends[k < 0], last + k * ends[k > 0]
        return first, last

    def inside(e: Expr, box: Mapping[str, Ends | None], guarded: bool) -> Iterator[Outside]:
        match e:
            case Read(name, at):
                for k, index in enumerate(at):
                    whole, ends = interval(program[name].ranges[k]), extent(index, box)
                    # What a guard holds back is not read.
                    if whole is None or ends is None or (guarded and index.terms):
                        continue
                    if ends[0] <= ends[1] and (ends[0] < whole[0] or ends[1] > whole[1]):
                        yield Outside(e, ends, whole)
            case Guard(_, body):
                yield from inside(body, box, guarded=True)
            case Reduce(_, over, body):
                inner = {**box, **{r.axis: interval(r) for r in over}}
                if all(ends is None or ends[0] <= ends[1] for ends in inner.values()):
                    yield from inside(body, inner, guarded)
            case _:
                for part in children(e):
                    yield from inside(part, box, guarded)

    for e in program.equations:
        for r in e.domain:
            number = value(r.size)
            # An empty input is ordinary; a size that a kernel leaves nothing of is not.
            if number is not None and (number < 0 or (number == 0 and r.size.const)):
                yield Short(e.target, r.size, number)
        yield from inside(e.value, {r.axis: interval(r) for r in e.domain}, guarded=False)
