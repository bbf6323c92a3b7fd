"""One function of the script while it is written: its lines, its identifiers, its sizes, its arrays.

A loop's variable is a symbol of sizes like any other (``@t``), so that where a slice
begins and ends, ``p`` to ``p + n_i``, is arithmetic on sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from chalkgrad.equations.ir import ONE, Expr, Index, Range, Size
from chalkgrad.equations.size import Floor
from chalkgrad.kernels.script.dialect import Library
from chalkgrad.kernels.script.identifiers import Identifiers, identifier, of_size

UNKNOWN = -(10**9)
"""How low a size may be of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Array:
    """How a name lies in memory: its identifier and the interval of each axis.

    A start is given without its axis of one step (``dropped``). Along an axis that begins before zero the
    steps before it lie at the end (``wrapped``), where Python's ``h[-1]`` finds them.
    """

    name: str
    ranges: tuple[Range, ...]
    dropped: tuple[bool, ...]
    wrapped: tuple[bool, ...]
    note: bool = False  # whether to say so where it is made

    def position(self, k: int, value: Size) -> Size:
        """Where along its axis number ``k`` the value of an index lies."""
        return value if self.wrapped[k] else value - self.ranges[k].low


def array(
    name: str, ranges: tuple[Range, ...], *, start: bool = False, wraps: bool = False, note: bool = False
) -> Array:
    """The layout of a name; only a ``start`` drops axes, and only along constant lows does one wrap."""
    dropped = tuple(start and r.size == ONE for r in ranges)
    low = (r.low.constant for r in ranges)
    return Array(name, ranges, dropped, tuple(wraps and c is not None and c < 0 for c in low), note)


def scalar(symbol: str) -> Index:
    """A loop's variable as an index."""
    return Index((), Size.symbol(symbol))


class Fill(Protocol):
    """Statements that give an array its values over a box."""

    def __call__(
        self, b: Body, a: Array, at: tuple[Index, ...], box: Mapping[str, Range], value: Expr, /
    ) -> None: ...


@dataclass
class Body:
    """The function being written."""

    library: Library
    names: Identifiers
    arrays: dict[str, Array]
    parameters: frozenset[str]  # the size symbols of parameters: what a kernel's sizes are made of
    derived: dict[Size, str]  # sizes that get a name of their own, n_i = M - P + 1
    like: str = ""  # torch: a tensor whose dtype and device new ones take
    lines: list[str] = field(default_factory=lambda: list[str]())
    depth: int = 1
    loops: dict[str, Range] = field(default_factory=lambda: dict[str, Range]())
    spelled: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    used: dict[str, None] = field(default_factory=lambda: dict[str, None]())
    made: set[str] = field(default_factory=lambda: set[str]())
    written: set[str] = field(default_factory=lambda: set[str]())
    rolled: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    fill: Fill = field(kw_only=True)  # how an array gets its values: an expression may need one of its own

    # --- lines ------------------------------------------------------------------------------------------

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def comment(self, text: str) -> None:
        """A comment, broken where it is too long."""
        if "\n" in text:
            for part in text.split("\n"):
                self.comment(part)
            return
        room, line, depth = 110 - 4 * self.depth - 2, "", 0
        for word in text.split(" "):
            if len(line) + 1 + len(word) > room or (word in "+-" and depth == 0 and len(line) > 0.8 * room):
                self.write(f"# {line}")
                line = "   "
            line += " " + word if line else word
            depth += sum(word.count(c) for c in "([") - sum(word.count(c) for c in ")]")
        self.write(f"# {line}")

    def assign(self, target: str, sign: str, value: str, terms: Sequence[str] = ()) -> None:
        """``target = value``, a term on each line where it is too long for one."""
        line = f"{target} {sign} {value}"
        if len(line) + 4 * self.depth <= 110:
            self.write(line)
            return
        call = _CALL.fullmatch(value)
        head, inner, tail = ("(", terms or (value,), ")")
        if call and not terms:
            head, inner, tail = f"{call[1]}(", tuple(f"{x}," for x in _arguments(call[2])), ")"
        self.write(f"{target} {sign} {head}")
        for term in inner:
            self.write(f"    {term}")
        self.write(tail)

    @contextmanager
    def indented(self, head: str) -> Iterator[None]:
        self.write(head)
        self.depth += 1
        yield
        self.depth -= 1

    @contextmanager
    def loop(self, r: Range, reverse: bool = False) -> Iterator[str]:
        """``for axis in range(…):``; gives the loop variable's symbol."""
        symbol = self.symbol(r.axis, r)
        ends = self.size(r.high) if r.low == Size() else f"{self.size(r.low)}, {self.size(r.high)}"
        steps = f"reversed(range({ends}))" if reverse else f"range({ends})"
        with self.indented(f"for {self.spelled[symbol]} in {steps}:"):
            yield symbol
        self.names.taken.discard(self.spelled[symbol])

    def symbol(self, wish: str, r: Range) -> str:
        """A new symbol for a whole number within a range."""
        symbol = f"@{wish}{len(self.loops)}"
        self.loops[symbol] = r
        self.spelled[symbol] = self.names.free(identifier(wish.rstrip("′°")))
        return symbol

    # --- sizes ------------------------------------------------------------------------------------------

    def size(self, s: Size) -> str:
        """The size as Python: ``T - 1``, ``p + n_i``."""
        shorter = [known for known in self.derived if _length(s - known) < _length(s) - 1]
        if s in self.derived or shorter:
            known = s if s in self.derived else min(shorter, key=lambda k: _length(s - k))
            name = self.derived[known]
            self.used[name] = None
            if s == known:
                return name
            rest = self.size(s - known)
            return f"{name} - {rest[1:]}" if rest.startswith("-") else f"{rest} + {name}"
        parts = sorted(s.terms, key=lambda term: (term[1] < 0, not str(term[0]).startswith("@")))
        leads = s.const > 0 and all(k < 0 for _, k in parts)  # 1 - p, not -p + 1
        text = str(s.const) if leads or not parts else ""
        for atom, k in parts:
            shown = self._atom(atom)
            if abs(k) != 1 or (k < 0 and not text and isinstance(atom, Floor)):  # -n // 2 is not -(n // 2)
                shown = f"({shown})" if " " in shown else shown
            shown = f"{abs(k)} * {shown}" if abs(k) != 1 else shown
            text += (" - " if k < 0 else " + ") + shown if text else ("-" if k < 0 else "") + shown
        if s.const and parts and not leads:
            text += f" {'-' if s.const < 0 else '+'} {abs(s.const)}"
        return text

    def _atom(self, atom: str | Floor) -> str:
        if isinstance(atom, Floor):
            inner = self.size(atom.numerator)
            return f"{f'({inner})' if ' ' in inner else inner} // {atom.divisor}"
        if atom.startswith("@"):
            return self.spelled[atom]
        self.used[atom] = None
        return self.names.call(f"size {atom}", of_size(atom))

    # --- what is known of sizes and loops ---------------------------------------------------------------

    def nonnegative(self, s: Size) -> bool:
        """Whether it is certainly ≥ 0, wherever the loops stand. False means "not sure"."""
        return any(
            self._least(s - fact * k).surely_nonnegative() for k in (0, 1, 2, 3) for fact in self._facts
        )

    @cached_property
    def _facts(self) -> list[Size]:
        """What is ≥ 0 because every size is at least 1: of ⌊n/d⌋ + c, also n - d (1 - c)."""
        facts = [Size()]
        for s in dict.fromkeys(r.size for a in self.arrays.values() for r in a.ranges):
            if _length(s) > 1 or s in self.derived:
                facts.append(s - 1)
            match s.terms:
                case ((Floor(numerator, divisor), 1),):
                    facts.append(numerator - divisor * (1 - s.const))
                case _:
                    pass
        return facts

    def _least(self, s: Size) -> Size:
        """A size without loop variables, and no larger; its floors are not negative."""
        while True:
            total, changed = Size((), s.const), False
            for atom, k in s.terms:
                if isinstance(atom, str):
                    r = self.loops.get(atom)
                    total = total + (Size.symbol(atom) if r is None else r.low if k > 0 else r.high - 1) * k
                    changed |= r is not None
                elif k % atom.divisor == 0:  # d ⌊n/d⌋ lies between n - d + 1 and n
                    whole = atom.numerator if k < 0 else atom.numerator - (atom.divisor - 1)
                    total, changed = total + whole * (k // atom.divisor), True
                elif k < 0 or self.nonnegative(atom.numerator):
                    total = total + Size.of({atom: k})
                else:  # of a floor that may be negative, only a number says how low it is
                    low = self._least(atom.numerator).constant
                    total = total + (UNKNOWN if low is None else low // atom.divisor * k)
            if not changed:
                return total
            s = total

    def larger(self, a: Size, b: Size) -> Size | None:
        """The larger of two sizes, where that can be told."""
        return a if self.nonnegative(a - b) else b if self.nonnegative(b - a) else None

    # --- arrays -----------------------------------------------------------------------------------------

    def shape(self, a: Array) -> list[str]:
        return [self.size(r.size) for r, gone in zip(a.ranges, a.dropped, strict=True) if not gone]

    def make(self, *arrays: Array) -> None:
        """Zeros for arrays that will be filled part by part; those of one shape are made together."""
        alike: dict[tuple[str, ...], dict[str, Array]] = {}
        for a in arrays:
            if a.name not in self.made:
                self.made.add(a.name)
                alike.setdefault(tuple(self.shape(a)), {})[a.name] = a
        for shape, group in alike.items():
            note = "".join(self._note(a) for a in group.values())
            if len(group) == 1 or not shape:
                for name in group:
                    self.write(f"{name} = {self.library.zeros(shape, self.like)}{note}")
                continue
            names = list(group)
            while names:
                some = next(k for k in range(len(names), 0, -1) if k == 1 or self._fits(names[:k], shape))
                self.write(self._several(names[:some], shape))
                names = names[some:]

    def _several(self, names: Sequence[str], shape: Sequence[str]) -> str:
        if len(names) == 1:
            return f"{names[0]} = {self.library.zeros(shape, self.like)}"
        return f"{', '.join(names)} = {self.library.several_zeros(len(names), shape, self.like)}"

    def _fits(self, names: Sequence[str], shape: Sequence[str]) -> bool:
        return len(self._several(names, shape)) + 4 * self.depth <= 110

    def _note(self, a: Array) -> str:
        """Where the steps before zero lie."""
        places = [k for k, w in enumerate(a.wrapped) if w]
        if len(places) != 1 or not a.note:
            return ""
        depth = -a.ranges[places[0]].low.const
        if depth > 1:
            return f"  # the last {depth} places hold the start"
        return f"  # {a.name}[{':, ' * places[0]}-1], the last place, holds the start"

    def stack(self, call: str, body: str) -> str:
        """A stack of slices: the name of one that is there already, else of a new one."""
        key = call + body
        if key in self.rolled and self.depth == 1:
            return self.rolled[key]
        name = self.names.free("windows")
        if len(f"{name} = {key})") + 4 * self.depth <= 110:
            self.write(f"{name} = {key})")
        else:
            self.write(f"{name} = {call}")
            self.write(f"    {body}")
            self.write(")")
        if self.depth == 1:
            self.rolled[key] = name
        return name

    def temporary(self, wish: str, ranges: tuple[Range, ...]) -> Array:
        return array(self.names.free(wish), ranges)


_CALL = re.compile(r"([\w.]+\.einsum)\((.*)\)")


def _arguments(inner: str) -> list[str]:
    """The arguments of a call, cut at its own commas.

    >>> _arguments('"bi,ij->bj", x[:, t], W')
    ['"bi,ij->bj"', 'x[:, t]', 'W']
    """
    found, depth, quoted = [""], 0, False
    for c in inner:
        quoted ^= c == '"'
        depth += 0 if quoted else (c in "([") - (c in ")]")
        if c == "," and not depth and not quoted:
            found.append("")
        else:
            found[-1] += c
    return [x.strip() for x in found]


def _length(s: Size) -> int:
    """How many terms a size is written with."""
    return len(s.terms) + bool(s.const)


def ranges_of(axes: Iterable[str], box: Mapping[str, Range]) -> tuple[Range, ...]:
    return tuple(box[a] for a in axes)
