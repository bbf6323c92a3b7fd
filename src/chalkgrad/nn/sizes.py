"""Numbers for the size symbols of a program, from keywords and from the shapes of tensors."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from chalkgrad.equations.ir import (
    Equation,
    Expr,
    Guard,
    Index,
    Name,
    Program,
    Range,
    Read,
    Reduce,
    full,
)
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import children, fresh
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.resolve.scope import declared_size
from chalkgrad.language.resolve.sizes import Interval, Unknowns
from chalkgrad.language.source import EquationError

Given = int | Sequence[int]
"""What a keyword may say: a size, or a shape."""


def own_ranges(resolved: Resolved, name: Name) -> tuple[Range, ...]:
    """The axes of a name without the steps before its start."""
    return resolved.program.defining(name.name)[-1].domain if name.role == "defined" else name.ranges


Cut = tuple[int, Size, Size]
"""What is kept along one axis of a batched value: the dimension, the first element, how many."""


def own_cuts(resolved: Resolved, name: str) -> tuple[Cut, ...]:
    """Where a name has steps before its start, what is its own."""
    whole, own = resolved.program[name].ranges, own_ranges(resolved, resolved.program[name])
    return tuple(
        (1 + k, kept.low - all_of_it.low, kept.size)
        for k, (all_of_it, kept) in enumerate(zip(whole, own, strict=True))
        if all_of_it.size != kept.size
    )


def own_part(cuts: Sequence[Cut], value: Tensor, numbers: Mapping[str, int]) -> Tensor:
    """A batched value of a name without the steps before its start."""
    for dim, first, size in cuts:
        value = value.narrow(dim, first.value(numbers), size.value(numbers))
    return value


def own_names(program: Program) -> dict[str, str]:
    """For each output with steps before its start a name for what is its own."""
    taken = {n.name for n in program.names}
    found: dict[str, str] = {}
    for n in program.outputs:
        if program.defining(n)[-1].domain != program[n].ranges:
            found[n] = fresh(f"{n}·own", taken)
    return found


def with_own_parts(program: Program, own: Mapping[str, str]) -> Program:
    """The program with those names, so that a gradient comes in for them and not for whole tables."""
    equations: list[Equation] = []
    names: list[Name] = []
    for n, name in own.items():
        domain = program.defining(n)[-1].domain
        equations.append(Equation(name, domain, Read(n, full(domain))))
        names.append(replace(program[n], name=name, ranges=domain))
    return replace(program, equations=(*program.equations, *equations), names=(*program.names, *names))


def still_axes(resolved: Resolved, name: Name) -> tuple[Range, ...]:
    """The axes of a name that no recurrence runs along: what ``h=128`` and ``W=(3, 4)`` speak of."""
    ranges = own_ranges(resolved, name)
    return tuple(r for k, r in enumerate(ranges) if not (k < name.written and r.axis in resolved.recurrence))


class Numbers:
    """Size symbols with their numbers, found by solving what keywords and shapes say."""

    def __init__(self, resolved: Resolved, keywords: Mapping[str, Given]) -> None:
        self.resolved = resolved
        self.program = resolved.program
        self.unknowns = Unknowns(self.conflict)
        for key, given in keywords.items():
            self.say(key, given)
        for symbol, number in self.known.items():
            if number < 1:
                raise self.fail(
                    f"these sizes leave {number} for {symbol}",
                    self._holder(symbol),
                    help="give sizes that agree",
                )
        self.check_reads()

    def fail(self, problem: str, *names: str, help: str = "") -> EquationError:
        """An error that points at where these names first stand."""
        places = self.resolved.places
        labels = tuple((places[n], "") for n in names if n in places)
        return EquationError(problem, self.resolved.source, labels, help)

    def conflict(self, a: Interval, b: Interval) -> EquationError:
        return EquationError(
            f"{a.what} and {b.what} disagree",
            self.resolved.source,
            ((a.span, a.what), (b.span, b.what)),
            "give sizes that agree",
        )

    def say(self, key: str, given: Given) -> None:
        """Take ``key=given``: a size symbol with its number, or a name with its size or shape."""
        shape = (given,) if isinstance(given, int) else given
        if (
            isinstance(shape, str)
            or not isinstance(shape, Sequence)
            or any(isinstance(n, bool) or not isinstance(n, int) for n in shape)
        ):
            raise EquationError(
                f"{key}={given!r}: a size is a whole number or a tuple of them", help=f"{key}=64"
            )
        if any(n < 1 for n in shape):
            raise EquationError(f"{key}={given!r}: a size is at least 1", help=f"{key}=64")
        if key in self.program.symbols or key in self.resolved.sizes:
            if len(shape) != 1:
                raise EquationError(
                    f"{key}={given!r}: `{key}` is one size", help=f"{key}={shape[0] if shape else 64}"
                )
            # A symbol of the page may have come to be another one, or a number.
            size = self.resolved.sizes.get(key, Size.symbol(key))
            self.equate(size, shape[0], f"{key}={shape[0]}", self._holder(key))
            return
        if key not in self.program.table or self.program[key].role in ("start", "seed"):
            symbols = [s for s in self.program.symbols if s.isidentifier()]
            known = [*symbols, *(n.name for n in self.program.names if n.role != "start")]
            near = difflib.get_close_matches(key, known, n=1)
            raise EquationError(
                f"{key}={given!r}: these equations have no size and no name `{key}`",
                help=f"did you mean {near[0]}?" if near else "they have " + ", ".join(known),
            )
        axes = still_axes(self.resolved, self.program[key])
        if len(shape) != len(axes):
            form = "×".join(str(r.size) for r in axes) or "a scalar"
            raise self.fail(
                f"{key}={given!r}: `{key}` is {form}, so it takes "
                f"{len(axes)} size{'s' if len(axes) != 1 else ''}",
                key,
                help=f"{key}=({', '.join('3' for _ in axes)})"
                if len(axes) > 1
                else f"{key}=3"
                if axes
                else "leave it out",
            )
        for r, n in zip(axes, shape, strict=True):
            self.equate(r.size, n, f"{key}={given!r}", key)

    def check_reads(self) -> None:
        """Refuse a read outside of what it reads, as far as the sizes are known yet."""
        for e in self.program.equations:
            box = {r.axis: self._interval(r) for r in e.domain}
            for r in e.domain:
                size = self.value(r.size)
                # An empty input is ordinary; a size that a kernel leaves nothing of is not.
                if size is not None and (size < 0 or (size == 0 and r.size.const)):
                    raise self.fail(
                        f"`{e.target}` would read outside of its input: its size "
                        + (f"{r.size} is " if r.size.symbols else "is ")
                        + f"{size}",
                        e.target,
                        help="give larger inputs or smaller kernels, or let zeros be read: "
                        "where x: input zero outside",
                    )
            for read, position, (first, last) in self._outside(e.value, box, guarded=False):
                r = self.program[read.name].ranges[position]
                low, high = self._interval(r) or (0, 0)
                where = f"{first}" if first == last else f"{first} to {last}"
                raise self.fail(
                    f"`{read.name}[{','.join(map(str, read.at))}]` reads at {where}, and `{read.name}` "
                    f"runs from {low} to {high}",
                    read.name,
                    help="an index begins at 0; there is none from the end",
                )

    def _interval(self, r: Range) -> tuple[int, int] | None:
        """The first and last value of an axis; None while its size is free."""
        low, size = self.value(r.low), self.value(r.size)
        return None if low is None or size is None else (low, low + size - 1)

    def _outside(
        self, e: Expr, box: Mapping[str, tuple[int, int] | None], guarded: bool
    ) -> Iterator[tuple[Read, int, tuple[int, int]]]:
        """Reads that leave their name, where they go along that axis. What a guard holds back is not read."""
        match e:
            case Read(name, at):
                for k, index in enumerate(at):
                    whole = self._interval(self.program[name].ranges[k])
                    ends = self._extent(index, box)
                    if whole is None or ends is None or (guarded and index.terms):
                        continue
                    if ends[0] <= ends[1] and (ends[0] < whole[0] or ends[1] > whole[1]):
                        yield e, k, ends
            case Guard(_, body):
                yield from self._outside(body, box, guarded=True)
            case Reduce(_, over, body):
                inner = {**box, **{r.axis: self._interval(r) for r in over}}
                if all(ends is None or ends[0] <= ends[1] for ends in inner.values()):
                    yield from self._outside(body, inner, guarded)
            case _:
                for part in children(e):
                    yield from self._outside(part, box, guarded)

    def _extent(self, index: Index, box: Mapping[str, tuple[int, int] | None]) -> tuple[int, int] | None:
        """The least and largest value of an index over a box; None while a size in it is free."""
        shift = self.value(index.shift)
        if shift is None:
            return None
        first = last = shift
        for axis, k in index.terms:
            ends = box.get(axis)
            if ends is None:
                return None
            first, last = first + k * ends[k < 0], last + k * ends[k > 0]
        return first, last

    def _holder(self, symbol: str) -> str:
        """A name with this size: one that it was declared for, where it came to be another size."""
        for n in self.program.names:
            if any(symbol in r.size.symbols for r in n.ranges):
                return n.name
        for d in self.resolved.text.declarations:
            if any(symbol in size.symbols for size in map(declared_size, d.dims or ()) if size is not None):
                return d.name.name
        return ""

    def equate(self, size: Size, number: int, what: str, name: str) -> None:
        """Make a size this number. Raises the error that names both where it has another already."""
        if not self.unknowns.unify(size, Size((), number)):
            known = self.value(size)
            raise self.fail(
                f"{what} does not fit: that size of `{name}` is {known} already"
                if known is not None
                else f"{what} does not fit: the size of `{name}` is {size}",
                name,
                help="give sizes that agree" if known is not None else f"give {size.symbols[0]} itself",
            )

    def value(self, size: Size) -> int | None:
        """The number of a size; None while something in it is free."""
        return self.unknowns.reduce(size).constant

    @property
    def known(self) -> dict[str, int]:
        """The symbols whose numbers are fixed."""
        sizes = {s: Size.symbol(s) for s in self.program.symbols} | dict(self.resolved.sizes)
        values = {s: self.value(size) for s, size in sizes.items()}
        return {s: n for s, n in values.items() if n is not None}


def small_numbers(resolved: Resolved, sizes: Mapping[str, Given]) -> dict[str, int]:
    """A number for every size symbol: those given, and small ones, all different, for the rest."""
    numbers = Numbers(resolved, sizes)
    program = resolved.program
    in_parameters = {s for n in program.given("parameter") for r in n.ranges for s in r.size.symbols}
    small = iter((3, 4, 2, 5, 6, 7, 3, 4, 2, 5, 6, 7) * 8)
    for symbol in sorted(program.symbols, key=lambda s: s not in in_parameters):
        if numbers.value(Size.symbol(symbol)) is None:
            # What only inputs have is long enough for every kernel before it.
            number = (
                next(small) if symbol in in_parameters else 5 if symbol.lower() in resolved.recurrence else 9
            )
            numbers.equate(Size.symbol(symbol), number, f"{symbol}={number}", "")
    known = {**numbers.known, "batch": 2}
    for n in program.names:
        for r in n.ranges:
            if r.size.value(known) < 1:
                chosen = ", ".join(f"{s}={known[s]}" for s in program.symbols)
                raise EquationError(
                    f"with {chosen} the size {r.size} of `{n.name}` is {r.size.value(known)}",
                    help="give larger inputs or smaller kernels",
                )
    numbers.check_reads()
    return known
