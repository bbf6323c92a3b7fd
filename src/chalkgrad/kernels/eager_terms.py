"""Expressions as closures: every label, layout and position resolved before the first number arrives.

A :class:`Code` is a closure with the labels of what it returns and the number of loops it must stand in. What a
loop need not repeat runs once before it: reads of what is complete become views over all steps, taken apart along
the loop's axis, and what is computed point by point from such reads alone is computed for all steps at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product as points
from typing import Any

import torch
from torch import Tensor

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
    Size,
)
from chalkgrad.equations.ops import mul
from chalkgrad.equations.walk import free_axes, nodes, reads, substitute
from chalkgrad.kernels.eager_functions import function, inverted, is_polynomial, negated, power
from chalkgrad.kernels.eager_products import Product, product
from chalkgrad.kernels.eager_views import Affine, Interval, View, arranged, leaves, view

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
    """A closure, the labels of its tensor, and how many loops it stands in; ``number`` where it is just that."""

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
    """Where a name lives: its intervals, and the loops that produce it with the position of each one's axis."""

    intervals: tuple[Interval, ...]
    loops: tuple[tuple[Ring, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands.

    ``box`` holds every axis, in the order wanted of labels; ``loops`` those that are numbers here; ``tests`` what
    is known to hold, each with the number of loops it needs; ``mask`` the conditions outside of which values may
    be anything, where ``guarded``.
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
class Terms:
    """Stages expressions for one choice of sizes, dtype and device."""

    sizes: Mapping[str, int]
    places: Mapping[str, Place]
    like: Tensor
    slots: int = 0
    line: str = ""  # the equation at hand, for internal errors

    # --- where things run ------------------------------------------------------------------------------

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

    def steady(self, e: Expr, s: Scope) -> bool:
        """Whether the innermost loop computes nothing that ``e`` reads."""
        ring = s.loops[-1]
        return all(ring not in (r for r, _ in self.places[read.name].loops) for read in reads(e))

    def leaf(self, tensor: Tensor, labels: Labels, s: Scope) -> Code:
        """A tensor known before the run."""
        if s.loops:
            return self.outside(lambda outer: self.leaf(tensor, labels, outer), s)
        return Code(lambda _: tensor, labels)

    # --- expressions -----------------------------------------------------------------------------------

    def code(self, e: Expr, s: Scope) -> Code:
        """The closure for an expression."""
        if s.loops and self._whole(e, s) and self.steady(e, s):
            return self.outside(lambda outer: self.code(e, outer), s)
        match e:
            case Const(value):
                return number(value)
            case At(index):
                return self.positions(Affine.of(index, self.sizes), s)
            case Read(name, at):
                return self.masked(self.read(name, at, s), s)
            case Guard(conditions, body):
                return self.guard(conditions, body, s)
            case Reduce("sum", over, body):
                return self.total(over, body, s)
            case Reduce(op, over, body):
                return self.reduction(op, over, body, s)
            case ArgMax(over, axis, body):
                return self.winner(over, axis, body, s)
            case Apply(op, args):
                return self.apply(op, args, s)

    def _whole(self, e: Expr, s: Scope) -> bool:
        """Whether having ``e`` for all steps of a loop takes no more than the equation's own target does."""
        if isinstance(e, Const):
            return False
        return isinstance(e, Read | At) or set(free_axes(e)) <= s.domain

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

    def apply(self, op: str, args: tuple[Expr, ...], s: Scope) -> Code:
        if op in ("add", "mul") and s.loops and len(args) > 2:
            # What the loop need not repeat is gathered, so that each step adds or multiplies it once.
            still = [a for a in args if not isinstance(a, Const) and self._whole(a, s) and self.steady(a, s)]
            if 1 < len(still) < len(args):
                args = (Apply(op, tuple(still)), *(a for a in args if all(a is not b for b in still)))
        match op, args:
            case "add", _:
                return self._sum(args, s)
            case "mul", _:
                return self._product(args, s)
            case "pow", (base, Const(k)):
                return self.pointwise(power(k), [self.tensor(self.code(base, s))], s)
            case _:
                return self.pointwise(function(op), [self.tensor(self.code(a, s)) for a in args], s)

    def _sum(self, args: tuple[Expr, ...], s: Scope) -> Code:
        total: Code | None = None
        constant = math.fsum(a.value for a in args if isinstance(a, Const))
        terms = sorted((a for a in args if not isinstance(a, Const)), key=lambda a: negated(a) is not None)
        for a in terms:
            opposite = negated(a)
            c = self.code(a if opposite is None else opposite, s)
            if c.number is not None:
                constant += c.number if opposite is None else -c.number
            elif total is not None:
                total = self.pointwise(torch.add if opposite is None else torch.sub, [total, c], s)
            elif opposite is None:
                total = c
            else:
                total, constant = self.pointwise(lambda x, k=constant: k - x, [c], s), 0.0
        if total is None:
            return number(constant)
        return self.pointwise(lambda x: x + constant, [total], s) if constant else total

    def _product(self, args: tuple[Expr, ...], s: Scope) -> Code:
        scale = math.prod(a.value for a in args if isinstance(a, Const))
        factors = [a for a in args if not isinstance(a, Const) and inverted(a) is None]
        total: Code | None = None
        for a in factors:
            c = self.tensor(self.code(a, s))
            total = c if total is None else self.pointwise(torch.mul, [total, c], s)
        for a in args:
            below = inverted(a)
            if below is not None:
                c = self.tensor(self.code(below, s))
                total = (
                    self.pointwise(torch.reciprocal, [c], s)
                    if total is None
                    else self.pointwise(torch.div, [total, c], s)
                )
        if total is None:
            return number(scale)
        return self.scaled(total, scale, s)

    def scaled(self, c: Code, by: float, s: Scope) -> Code:
        if by == 1:
            return c
        return self.pointwise(torch.neg if by == -1 else lambda x: x * by, [self.tensor(c)], s)

    # --- indices as values -----------------------------------------------------------------------------

    def _grid(self, at: Affine, s: Scope) -> tuple[Tensor, Labels]:
        """The index's numerator over the box of its own axes, as integers."""
        labels = s.ordered(set(at.axes))
        total = torch.full((), at.shift, dtype=torch.long, device=self.like.device)
        for k, axis in enumerate(labels):
            low, size = s.box[axis]
            steps = torch.arange(low, low + size, device=self.like.device) * dict(at.terms)[axis]
            total = total + steps.reshape([-1] + [1] * (len(labels) - 1 - k))
        return total, labels

    def positions(self, at: Affine, s: Scope) -> Code:
        if not at.terms:
            return number(at.shift / at.divisor)
        grid, labels = self._grid(at, s)
        return self.leaf(grid.to(self.like.dtype) / at.divisor, labels, s)

    def mask(self, conditions: tuple[Condition, ...], s: Scope) -> Code:
        """Whether every condition holds, over the box of their axes."""
        labels = s.ordered({a for c in conditions for a in c.index.axes})
        holds = torch.ones((), dtype=torch.bool, device=self.like.device)
        for c in conditions:
            grid, own = self._grid(Affine.of(c.index, self.sizes), s)
            lay = arranged(own, labels)
            grid = lay(grid) if lay else grid
            match c.kind:
                case "nonnegative":
                    holds = holds & (grid >= 0)
                case "zero":
                    holds = holds & (grid == 0)
                case "divisible":
                    holds = holds & (grid % c.divisor == 0)
        return self.leaf(holds.expand([s.box[a][1] for a in labels]), labels, s)

    # --- reads -----------------------------------------------------------------------------------------

    def read(self, name: str, at: tuple[Index, ...], s: Scope) -> Code:
        place = self.places[name]
        index = [Affine.of(i, self.sizes) for i in at]
        outside = any(leaves(v, i, s.box) for v, i in zip(place.intervals, index, strict=True))
        if outside and not s.guarded:
            raise AssertionError(f"{name}[{', '.join(map(str, at))}] leaves its range in {self.line}")
        looped = [position for _, position in place.loops[: len(s.loops)]]
        rest = [k for k in range(len(at)) if k not in looped]
        base, front = self._cell(name, [index[k] for k in looped], s)
        steps, labels = view([place.intervals[k] for k in rest], [index[k] for k in rest], s.box)
        if not front:
            return self._stepped(then(base, steps, labels), s)
        # The axes in front belong to several steps at once: each of them is one index of its own.
        own = [Affine(((a, 1),), 0) for a in front]
        intervals = [s.box[a] for a in front] + [place.intervals[k] for k in rest]
        steps, labels = view(intervals, [*own, *(index[k] for k in rest)], s.box)
        return self._stepped(then(base, steps, labels), s)

    def _stepped(self, c: Code, s: Scope) -> Code:
        """A tensor that still has a loop's axis as a label, at the loop's position."""
        for depth, ring in enumerate(s.loops):
            if ring.axis in c.labels:
                dim, low, run = c.labels.index(ring.axis), s.box[ring.axis][0], c.run
                labels = tuple(a for a in c.labels if a != ring.axis)

                def select(
                    f: Frame, run: Run = run, dim: int = dim, d: int = depth, low: int = low
                ) -> Tensor:
                    return run(f).select(dim, f.at[d] - low)

                c = Code(select, labels, max(c.depth, depth + 1))
        return c

    def _cell(self, name: str, at: list[Affine], s: Scope) -> tuple[Code, Labels]:
        """What a name in the making holds at a loop position; stacked where the index has other axes too."""
        depth = len(at)
        front = s.ordered({a for i in at for a in i.axes} - set(s.numbers))
        if depth == 0:
            return Code(lambda f: f.store[name][()]), ()
        if not front:
            if depth == 1 and at[0].terms == ((s.loops[0].axis, 1),) and at[0].divisor == 1:
                shift = at[0].shift
                return Code(lambda f: f.store[name][(f.at[0] + shift,)], depth=1), ()
            keys = [self._evaluator(i, s, {}) for i in at]
            return Code(lambda f: f.store[name][tuple(key(f.at) for key in keys)], depth=depth), ()
        spans = [range(s.box[a][0], s.box[a][0] + s.box[a][1]) for a in front]
        cells = [
            [self._evaluator(i, s, dict(zip(front, point, strict=True))) for i in at]
            for point in points(*spans)
        ]
        place = self.places[name]
        looped = {position for _, position in place.loops[:depth]}
        shape = [size for k, (_, size) in enumerate(place.intervals) if k not in looped]
        counts = [s.box[a][1] for a in front]
        like = self.like

        def stacked(f: Frame) -> Tensor:
            held = f.store[name]
            found = [held.get(tuple(key(f.at) for key in keys)) for keys in cells]
            if all(x is None for x in found):
                return like.new_zeros(counts + shape)
            # A guard keeps what has not been computed yet from counting.
            empty = like.new_zeros(shape)
            return torch.stack([empty if x is None else x for x in found]).reshape(counts + shape)

        return Code(stacked, depth=depth), front

    def _evaluator(self, at: Affine, s: Scope, fixed: Mapping[str, int]) -> Callable[[list[int]], int]:
        """The index as a function of the loops' positions; -2³¹ (no position) where its divisor does not divide."""
        shift = at.shift + sum(k * fixed[a] for a, k in at.terms if a in fixed)
        terms = [(s.numbers.index(a), k) for a, k in at.terms if a not in fixed]
        divisor = at.divisor

        def value(position: list[int]) -> int:
            total = shift
            for d, k in terms:
                total += k * position[d]
            return total // divisor if total % divisor == 0 else -(2**31)

        return value

    def masked(self, c: Code, s: Scope) -> Code:
        """What is read under a guard around a function: one outside of it, where even a slope stays finite."""
        axes = {*c.labels, *s.numbers}
        needed = tuple(m for m in s.mask if m.index.axes and set(m.index.axes) <= axes)
        needed = tuple(m for m in needed if not set(m.index.axes) <= set(s.numbers))
        if not needed:
            return c
        return self.pointwise(lambda hold, x: torch.where(hold, x, 1.0), [self.mask(needed, s), c], s)

    # --- guards ----------------------------------------------------------------------------------------

    def sure(self, c: Condition, s: Scope) -> bool | None:
        """Whether a condition holds everywhere in the box (True), nowhere (False), or somewhere (None)."""
        at = Affine.of(c.index, self.sizes)
        if any(s.box[a][1] == 0 for a in at.axes):
            return False
        low, high = at.bounds(s.box)
        match c.kind:
            case "nonnegative":
                return True if low >= 0 else False if high < 0 else None
            case "zero":
                return low == 0 if low == high else False if low > 0 or high < 0 else None
            case "divisible":
                if all(k % c.divisor == 0 for _, k in at.terms):
                    return at.shift % c.divisor == 0
                return None

    def tightened(self, conditions: tuple[Condition, ...], axes: set[str], s: Scope) -> Scope:
        """The scope with ``axes`` only where the conditions on them alone hold."""
        box = dict(s.box)
        for c in conditions:
            at = Affine.of(c.index, self.sizes)
            if len(at.terms) != 1 or at.axes[0] not in axes or c.kind == "divisible":
                continue
            ((axis, k),) = at.terms
            low, size = box[axis]
            high = low + size - 1
            # k·axis + shift ≥ 0, and ≤ 0 too where it is to be zero.
            for sign in (1, -1) if c.kind == "zero" else (1,):
                a, b = k * sign, at.shift * sign
                low, high = (max(low, -(b // a)), high) if a > 0 else (low, min(high, b // -a))
            box[axis] = (low, max(0, high - low + 1))
        return replace(s, box=box)

    def guard(self, conditions: tuple[Condition, ...], body: Expr, s: Scope) -> Code:
        numbers = set(s.numbers)
        if any(self.sure(c, s) is False for c in conditions):
            return number(0.0)
        conditions = tuple(c for c in conditions if self.sure(c, s) is None)
        if not conditions:
            return self.code(body, s)
        decided = tuple(c for c in conditions if set(c.index.axes) <= numbers)
        rest = tuple(c for c in conditions if c not in decided)
        inner = replace(self.tightened(decided, numbers, s), guarded=True)
        if any(size == 0 for a, (_, size) in inner.box.items() if s.box[a][1]):
            return number(0.0)
        tests = tuple(self._test(c, s) for c in decided)
        inner = replace(inner, tests=inner.tests + tests)
        if is_polynomial(body):
            found = self.code(body, inner)
            rest = tuple(c for c in rest if not self.vanishes(body, c, inner))
        else:
            found = self.code(body, replace(inner, mask=inner.mask + rest))
        if rest:
            found = self.pointwise(
                lambda hold, x: torch.where(hold, x, 0.0), [self.mask(rest, inner), self.tensor(found)], inner
            )
        if not tests:
            return found
        depth = max(found.depth, *(d for d, _ in tests))
        run = self.lifted(self.tensor(found), depth, inner).run
        shape, like = [s.box[a][1] for a in found.labels], self.like
        hold = [test for _, test in tests]

        def decide(f: Frame) -> Tensor:
            return run(f) if all(test(f.at) for test in hold) else like.new_zeros(shape)

        return Code(decide, found.labels, depth)

    def _test(self, c: Condition, s: Scope) -> tuple[int, Test]:
        """A condition on loop axes, and how many loops must have a position for it."""
        at = Affine.of(c.index, self.sizes)
        value = self._evaluator(at, s, {})
        depth = 1 + max(s.numbers.index(a) for a in at.axes)
        match c.kind:
            case "nonnegative":
                return depth, lambda position: value(position) >= 0
            case "zero":
                return depth, lambda position: value(position) == 0
            case "divisible":
                return depth, lambda position: value(position) % c.divisor == 0

    def vanishes(self, e: Expr, c: Condition, s: Scope) -> bool:
        """Whether ``e`` is zero wherever ``c`` fails, because what it reads there is padding."""
        match e:
            case Read(name, at):
                intervals = self.places[name].intervals
                return any(self._misses(i, v, c, s) for i, v in zip(at, intervals, strict=True))
            case Apply("mul", args):
                return any(self.vanishes(a, c, s) for a in args)
            case Apply("add", args):
                return all(self.vanishes(a, c, s) for a in args)
            case Guard(_, body):
                return self.vanishes(body, c, s)
            case Reduce("sum", over, body) if not {r.axis for r in over} & set(c.index.axes):
                return self.vanishes(body, c, self.bound(over, s))
            case _:
                return False

    def _misses(self, index: Index, interval: Interval, c: Condition, s: Scope) -> bool:
        whole = Index(index.terms, index.shift)  # the numerator
        first, last = interval[0] * index.divisor, (interval[0] + interval[1] - 1) * index.divisor
        if set(index.axes) & set(s.numbers):
            return False
        match c.kind:
            case "nonnegative":
                # Where c < 0, one of these is negative too: the read lies before or after the interval.
                ways = (c.index - (whole - first), c.index - (whole * -1 + last))
                return any(Affine.of(way, self.sizes).bounds(s.box)[0] >= 0 for way in ways)
            case "divisible":
                return index.divisor == c.divisor and whole in (c.index, c.index * -1)
            case "zero":
                return False

    # --- reductions ------------------------------------------------------------------------------------

    def bound(self, over: tuple[Range, ...], s: Scope) -> Scope:
        box = {a: v for a, v in s.box.items() if a not in {r.axis for r in over}}
        box |= {r.axis: (r.low.value(self.sizes), r.size.value(self.sizes)) for r in over}
        return replace(s, box=box)

    def total(self, over: tuple[Range, ...], body: Expr, s: Scope) -> Code:
        """A sum: one library product where the body is one."""
        axes = {r.axis for r in over}
        conditions, factors = _factors(body)
        free = tuple(c for c in conditions if not axes & set(c.index.axes))
        if free:
            held = tuple(c for c in conditions if c not in free)
            inner = Guard(held, mul(*factors)) if held else mul(*factors)
            return self.guard(free, Reduce("sum", over, inner), s)
        inner = self.tightened(conditions, axes, self.bound(over, s))
        if any(inner.box[a][1] == 0 for a in axes) or any(self.sure(c, inner) is False for c in conditions):
            return number(0.0)
        conditions = tuple(c for c in conditions if self.sure(c, inner) is None)
        if isinstance(body, Apply) and body.op == "add" and _splits(body):
            return self._sum(tuple(Reduce("sum", over, t) for t in body.args), s)
        factors, conditions = self._forwards(factors, conditions, axes, inner)
        guarded = replace(inner, guarded=inner.guarded or bool(conditions))
        rough = [e for e in factors if not is_polynomial(e)]
        codes: list[Code] = []
        scale = 1.0
        for e in factors:
            if isinstance(e, Const):
                scale *= e.value
                continue
            c = self.code(e, replace(guarded, mask=guarded.mask + conditions) if e in rough else guarded)
            scale *= 1.0 if c.number is None else c.number
            if c.number is None:
                codes.append(self._kept(c, conditions, guarded) if e in rough else c)
        smooth = mul(*(e for e in factors if e not in rough))
        left = tuple(c for c in conditions if not self.vanishes(smooth, c, guarded))
        if left:
            hold = self.mask(left, guarded)
            codes.append(self.pointwise(lambda x, like=self.like: x.to(like.dtype), [hold], guarded))
        for a in axes - {a for c in codes for a in c.labels}:
            scale *= inner.box[a][1]
        if not codes:
            return number(scale)
        kept = tuple(a for a in inner.box if a not in axes)
        return self.scaled(self.contract(codes, kept, inner), scale, s)

    def _kept(self, c: Code, conditions: tuple[Condition, ...], s: Scope) -> Code:
        """A factor that may be infinite, zero where the conditions on its own axes fail."""
        own = tuple(m for m in conditions if set(m.index.axes) <= {*c.labels, *s.numbers})
        if not own:
            return c
        return self.pointwise(lambda hold, x: torch.where(hold, x, 0.0), [self.mask(own, s), c], s)

    def _forwards(
        self, factors: list[Expr], conditions: tuple[Condition, ...], axes: set[str], s: Scope
    ) -> tuple[list[Expr], tuple[Condition, ...]]:
        """The summed axes turned round where a window would run backwards: then only the small operand is flipped."""
        turned: dict[str, Index] = {}
        for a in axes:
            if any(
                i.coefficient(a) < 0 and len(i.terms) > 1 for e in factors for r in reads(e) for i in r.at
            ):
                low, size = s.box[a]
                turned[a] = Index(((a, -1),), Size((), 2 * low + size - 1))
        if not turned:
            return factors, conditions
        guard = substitute(Guard(conditions, mul(*factors)), turned)
        conditions, factors = _factors(guard)
        return factors, conditions

    def contract(self, codes: list[Code], kept: Labels, s: Scope) -> Code:
        """The product of labelled tensors, summed over every label that is not ``kept``."""
        codes = list(codes)
        while len(codes) > 2:
            pair = next(
                (
                    (i, j)
                    for i, a in enumerate(codes)
                    for j, b in enumerate(codes)
                    if i != j and set(a.labels) <= set(b.labels)
                ),
                None,
            )
            if pair is None:
                return self._einsum(codes, kept, s)
            both = [codes[k] for k in pair]
            codes = [c for k, c in enumerate(codes) if k not in pair]
            codes.append(self.pointwise(torch.mul, both, s))
        if len(codes) == 1:
            return self._summed(codes[0], set(kept), s)
        a, b = codes
        a = self._summed(a, {*kept, *b.labels}, s)
        b = self._summed(b, {*kept, *a.labels}, s)
        p: Product = product(a.labels, b.labels, kept, {x: size for x, (_, size) in s.box.items()})
        if p.swapped:
            a, b = b, a
        depth = max(a.depth, b.depth)
        a = self.lifted(then(a, [p.left], a.labels) if p.left else a, depth, s)
        b = self.lifted(then(b, [p.right], b.labels) if p.right else b, depth, s)
        first, second, call = a.run, b.run, p.call
        done = Code(lambda f: call(first(f), second(f)), p.labels, depth)
        return then(done, [p.finish], p.labels) if p.finish else done

    def _summed(self, c: Code, kept: set[str], s: Scope) -> Code:
        dims = [k for k, a in enumerate(c.labels) if a not in kept]
        labels = tuple(a for a in c.labels if a in kept)
        return then(c, [lambda x: x.sum(dims)], labels) if dims else c

    def _einsum(self, codes: list[Code], kept: Labels, s: Scope) -> Code:
        letters = {
            a: chr(ord("a") + k) for k, a in enumerate(dict.fromkeys(a for c in codes for a in c.labels))
        }
        labels = tuple(a for a in kept if a in letters)
        left = ",".join("".join(letters[a] for a in c.labels) for c in codes)
        pattern = f"{left}->{''.join(letters[a] for a in labels)}"
        depth = max(c.depth for c in codes)
        runs = [self.lifted(c, depth, s).run for c in codes]
        return Code(lambda f: torch.einsum(pattern, [run(f) for run in runs]), labels, depth)

    def _flat(self, over: tuple[Range, ...], body: Expr, s: Scope) -> tuple[Code, list[str]]:
        """The body with the reduced axes last and flat, and those of them that it does not depend on."""
        inner = self.bound(over, s)
        c = self.tensor(self.code(body, inner))
        axes = [r.axis for r in over]
        there = [a for a in axes if a in c.labels]
        labels = tuple(a for a in c.labels if a not in there)
        lay = arranged(c.labels, (*labels, *there))
        steps: list[View] = [lay] if lay else []
        if len(there) > 1:
            steps.append(lambda x: x.flatten(len(labels)))
        return then(c, steps, labels), [a for a in axes if a not in there]

    def reduction(self, op: str, over: tuple[Range, ...], body: Expr, s: Scope) -> Code:
        """A maximum, minimum or logsumexp; the gradient of the first two goes to the first winner."""
        c, absent = self._flat(over, body, s)
        more = math.log(math.prod(r.size.value(self.sizes) for r in over if r.axis in absent))
        if len(absent) < len(over):
            call = {
                "max": lambda x: x.max(-1).values,
                "min": lambda x: x.min(-1).values,
                "logsumexp": lambda x: x.logsumexp(-1),
            }[op]
            c = then(c, [call], c.labels)
        return self.pointwise(lambda x: x + more, [c], s) if op == "logsumexp" and more else c

    def winner(self, over: tuple[Range, ...], axis: str, body: Expr, s: Scope) -> Code:
        c, absent = self._flat(over, body, s)
        low = next(r.low.value(self.sizes) for r in over if r.axis == axis)
        if axis in absent:
            return number(low)
        there = [r for r in over if r.axis not in absent]
        place = [r.axis for r in there].index(axis)
        size = there[place].size.value(self.sizes)
        inner = math.prod(r.size.value(self.sizes) for r in there[place + 1 :])
        return then(c, [lambda x: (x.argmax(-1) // inner % size + low).to(x.dtype)], c.labels)


def _factors(e: Expr) -> tuple[tuple[Condition, ...], list[Expr]]:
    """The factors of a product and the conditions of the guards around and in it."""
    match e:
        case Guard(conditions, body):
            more, factors = _factors(body)
            return conditions + more, factors
        case Apply("mul", args):
            conditions: tuple[Condition, ...] = ()
            factors: list[Expr] = []
            for a in args:
                more, found = _factors(a)
                conditions, factors = conditions + more, factors + found
            return conditions, factors
        case _:
            return (), [e]


def _splits(body: Expr) -> bool:
    """Whether a sum of terms should be summed term by term: point by point it would have more axes than any read."""
    whole = set(free_axes(body))
    return not any(whole <= set(free_axes(n)) for n in nodes(body) if isinstance(n, Read))


__all__ = ["Code", "Frame", "Place", "Ring", "Scope", "Terms"]
