"""Numbers for the size symbols of a program, from keywords and from the shapes of tensors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from torch import Tensor

from chalkgrad.equations.bounds import Outside, Short, outside
from chalkgrad.equations.ir import Equation, Name, Program, Range, Read, full
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import fresh
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
        found = next(outside(self.program, self.value), None)
        match found:
            case None:
                return
            case Short(target, size, number):
                raise self.fail(
                    f"`{target}` would read outside of its input: its size "
                    + (f"{size} is " if size.symbols else "is ")
                    + f"{number}",
                    target,
                    help="give larger inputs or smaller kernels, or let zeros be read: "
                    "where x: input zero outside",
                )
            case Outside(read, (first, last), (low, high)):
                where = f"{first}" if first == last else f"{first} to {last}"
                raise self.fail(
                    f"`{read.name}[{','.join(map(str, read.at))}]` reads at {where}, and `{read.name}` "
                    f"runs from {low} to {high}",
                    read.name,
                    help="an index begins at 0; there is none from the end",
                )
        assert_never(found)

    def open(self, sizes: Iterable[tuple[Size, Any]]) -> dict[str, Any] | None:
        """Every symbol, of sizes and the numbers that they are, where numbers may be symbols of torch's.

        None where that takes more than to subtract; raises EquationError for sizes that do not agree.
        """
        found: dict[str, Any] = dict(self.known)
        left = [(self.unknowns.reduce(size), number) for size, number in sizes]
        while left:
            later = [pair for pair in left if not self._settled(*pair, found)]
            if len(later) == len(left):
                return None
            left = later
        return found if all(s in found for s in self.program.symbols) else None

    def _settled(self, size: Size, number: Any, found: dict[str, Any]) -> bool:
        """Whether a size is of symbols that are found, but for one that then is, and is added."""
        match [s for s in size.symbols if s not in found]:
            case []:
                if size.value(found) != number:
                    raise self.fail(f"an input has size {number} where {size} is {size.value(found)}")
                return True
            case [symbol] if dict(size.terms).get(symbol) == 1:
                rest = size - Size.symbol(symbol)
                if symbol in rest.symbols:
                    return False
                found[symbol] = number - rest.value(found)
                return True
            case _:
                return False

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
