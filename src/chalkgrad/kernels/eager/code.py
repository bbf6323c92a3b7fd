"""What a plan is made of: closures that know their labels and how many loops they stand in.

A :class:`Stage` builds them for one choice of sizes. What a loop need not repeat runs once before it: reads
of what is complete become views over all steps, taken apart along the loop's axis, and so is what is computed
from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, neg

from chalkgrad.equations.ir import Condition, Expr, Range
from chalkgrad.kernels.eager.views import Interval, View, arranged

Labels = tuple[str, ...]
Key = tuple[int, ...]


class Frame:
    """What changes while a plan runs: values by name and loop position, the loops' positions, saved views."""

    __slots__ = ("at", "slots", "store")

    def __init__(self, loops: int, slots: int) -> None:
        self.store: dict[str, dict[Key, Tensor]] = {}
        self.at: list[int] = [0] * loops
        self.slots: list[Any] = [None] * slots


Run = Callable[[Frame], Any]
Test = Callable[[list[int]], bool]


@dataclass(frozen=True, slots=True)
class Code:
    """A closure, its tensor's labels, and how many loops it stands in; ``number`` where it is just that."""

    run: Run
    labels: Labels = ()
    depth: int = 0
    number: float | None = None


@dataclass(eq=False, slots=True)
class Ring:
    """A loop while it is staged: its axis, and what runs once before its first step."""

    axis: str
    before: list[Run] = field(default_factory=list)
    saved: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name lives: its intervals, and the loops that make it, each with its axis's position."""

    intervals: tuple[Interval, ...]
    loops: tuple[tuple[Ring, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands.

    ``box`` holds every axis, in the order wanted of labels; ``loops`` those that are numbers here; ``tests``
    what is known to hold, each with the number of loops it needs; ``mask`` the conditions outside of which
    values may be anything, where ``guarded``.
    """

    box: Mapping[str, Interval]
    domain: frozenset[str]
    loops: tuple[Ring, ...] = ()
    guarded: bool = False
    mask: tuple[Condition, ...] = ()
    tests: tuple[tuple[int, Test], ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        return tuple(ring.axis for ring in self.loops)

    def ordered(self, labels: Mapping[str, None] | set[str]) -> Labels:
        return tuple(a for a in self.box if a in labels)


def number(value: float) -> Code:
    return Code(lambda _: value, number=value)


def then(code: Code, steps: list[View], labels: Labels) -> Code:
    """``code`` followed by view steps."""
    if not steps:
        return replace(code, labels=labels)
    run, first = code.run, steps[0]
    if len(steps) == 1:
        return Code(lambda f: first(run(f)), labels, code.depth)

    def all_steps(f: Frame) -> Tensor:
        x = run(f)
        for step in steps:
            x = step(x)
        return x

    return Code(all_steps, labels, code.depth)


@dataclass(slots=True)
class Stage:
    """Makes closures for given sizes and the dtype and device of ``like``; ``of`` stages any expression.

    ``mm`` multiplies two matrices; ``library`` says that convolutions and pools are given to the library;
    the values of ``spent`` names nothing holds after their only reader.
    """

    sizes: Mapping[str, int]
    places: Mapping[str, Place]
    like: Tensor
    of: Callable[[Stage, Expr, Scope], Code]
    mm: Callable[[Tensor, Tensor], Tensor]
    library: bool = True
    spent: frozenset[str] = frozenset()
    slots: int = 0
    line: str = ""  # the equation at hand, for internal errors
    common: dict[object, int] = field(default_factory=dict[object, int])  # slots by what they hold

    def code(self, e: Expr, s: Scope) -> Code:
        """The closure for an expression."""
        return self.of(self, e, s)

    def save(self, code: Code, s: Scope, run: Run | None = None) -> int:
        """A slot filled before the loop that ``code`` stands just outside of."""
        ring, slot = s.loops[code.depth], self.slots
        self.slots += 1
        run = run or code.run
        tests = [test for depth, test in s.tests if depth <= code.depth]

        def fill(f: Frame) -> None:
            if all(test(f.at) for test in tests):
                f.slots[slot] = run(f)

        ring.before.append(fill)
        ring.saved.append(slot)
        return slot

    def shared(self, what: object) -> int:
        """The slot of what several equations outside of loops need; the first of them to run fills it."""
        if what not in self.common:
            self.common[what] = self.slots
            self.slots += 1
        return self.common[what]

    def lifted(self, code: Code, depth: int, s: Scope) -> Code:
        """``code`` made available inside ``depth`` loops, without being run again there."""
        if code.depth >= depth or code.number is not None:
            return code
        slot = self.save(code, s)
        return Code(lambda f: f.slots[slot], code.labels, depth)

    def outside(self, make: Callable[[Scope], Code], s: Scope) -> Code:
        """What ``make`` stages outside the innermost loop, for all its steps, as seen from one step."""
        ring, depth = s.loops[-1], len(s.loops) - 1
        inner = make(replace(s, loops=s.loops[:-1]))
        if ring.axis not in inner.labels:
            return inner
        dim, low, run = inner.labels.index(ring.axis), s.box[ring.axis][0], inner.run
        slot = self.save(Code(run, depth=depth), s, lambda f: run(f).unbind(dim))
        labels = tuple(a for a in inner.labels if a != ring.axis)
        return Code(lambda f: f.slots[slot][f.at[depth] - low], labels, depth + 1)

    def leaf(self, tensor: Tensor, labels: Labels, s: Scope) -> Code:
        """A tensor known before the run."""
        if s.loops:
            return self.outside(lambda outer: self.leaf(tensor, labels, outer), s)
        return Code(lambda _: tensor, labels)

    def pointwise(self, call: Callable[..., Tensor], codes: list[Code], s: Scope) -> Code:
        """``call`` of tensors that broadcast."""
        labels = s.ordered({a for c in codes for a in c.labels})
        depth = max(c.depth for c in codes)
        runs: list[Run] = []
        for c in codes:
            lay = arranged(c.labels, labels)
            c = then(c, [lay], labels) if lay else c
            runs.append(self.lifted(c, depth, s).run)
        if len(runs) == 1:
            (a,) = runs
            return Code(lambda f: call(a(f)), labels, depth)
        if len(runs) == 2:
            a, b = runs
            return Code(lambda f: call(a(f), b(f)), labels, depth)
        return Code(lambda f: call(*(run(f) for run in runs)), labels, depth)

    def tensor(self, c: Code) -> Code:
        """A number as a tensor."""
        if c.number is None:
            return c
        value = self.like.new_tensor(c.number)
        return Code(lambda _: value)

    def scaled(self, c: Code, by: float, s: Scope) -> Code:
        if by == 1:
            return c
        return self.pointwise(neg if by == -1 else lambda x: x * by, [self.tensor(c)], s)

    def bound(self, over: tuple[Range, ...], s: Scope) -> Scope:
        """The scope inside a reduction over ``over``."""
        box = {a: v for a, v in s.box.items() if a not in {r.axis for r in over}}
        box |= {r.axis: r.interval(self.sizes) for r in over}
        return replace(s, box=box)
