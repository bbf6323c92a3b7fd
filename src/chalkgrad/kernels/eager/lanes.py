"""How a loop nest runs: which axis its vectors go along, which has several sums at a time, what is copied.

Every pair of axes is weighed by what it costs: arithmetic and loads for each point, copies of what moves
along the lanes and does not lie so, and results that are stored one lane at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c.nest import Bound, Key, Load, Nest, Terms
from chalkgrad.kernels.eager.forms import Fact, Form, Operand, stays, vanishes
from chalkgrad.kernels.eager.views import Affine, Interval

_LINE = 64
"""Bytes of a vector and of a line of memory: copies are a whole number of them wide."""

_TALL = (8, 4, 2)
"""How many sums may be in registers at a time."""

_RUN = 96
"""How many results of each lane are put together before they are stored."""

_FAR = 4096
"""Numbers from one to the next beyond which each lies on a page of its own."""

_APART = 16
"""How many points at least are added up by themselves before they are added to the rest."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A table with one dimension last, from ``starts`` on; along that one ``width`` places with zeros around.

    The places ``first`` to ``last`` hold what the table has from ``begin`` on, in steps of ``sign``.
    """

    dim: int
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    sign: int
    width: int
    first: int
    last: int
    begin: int
    origin: int  # the index that the first place stands for
    line: int  # how many numbers a line of memory holds

    @property
    def others(self) -> tuple[int, ...]:
        return tuple(d for d in range(len(self.sizes)) if d != self.dim)

    @property
    def room(self) -> int:
        others = self.others
        return self.strides()[others[0]] * self.sizes[others[0]] if others else self.width

    def strides(self) -> dict[int, int]:
        """How far apart neighbours lie, by dimension.

        An odd number of lines, where there are many: an even one has them share a few places in a cache.
        """
        found, step = {self.dim: self.sign}, self.width
        for d in reversed(self.others):
            found[d], step = step, step * self.sizes[d]
            if step // self.line > 8 and step // self.line % 2 == 0:
                step += self.line
        return found


@dataclass(frozen=True)
class Plan:
    """A form with its lanes and its block, and the copies that its operands need."""

    form: Form
    lanes: str
    block: str
    tall: int
    copies: tuple[Copy | None, ...]
    facts: tuple[Fact, ...]  # that zeros in a copy do not stand for
    cost: float = 0.0

    def nest(self, double: bool) -> Nest:
        """What C is to be written."""
        form, number = self.form, {a: k for k, a in enumerate((*self.form.outs, *self.form.over))}

        def terms(at: Affine) -> Terms:
            return tuple((number[a], k) for a, k in at.terms)

        def load(o: Operand, copy: Copy | None) -> Load:
            axes = sorted(number[a] for a in {a for i in o.at if i.divisor == 1 for a in i.axes})
            parts = tuple((terms(i), i.divisor) for i in o.at if i.divisor > 1)
            return Load(tuple(axes), self.lanes in o.axes, parts, len(copy.sizes) if copy else 0)

        return Nest(
            outs=len(form.outs),
            overs=len(form.over),
            lanes=number[self.lanes],
            block=number[self.block] if self.block else -1,
            tall=self.tall,
            loads=tuple(map(load, form.operands, self.copies)),
            bounds=tuple(Bound(terms(f.at), f.kind, f.divisor) for f in self.facts),
            body=form.body,
            scale=form.scale,
            shared=self.shared,
            apart=self.apart,
            run=len(self.run),
            double=double,
        )

    @property
    def outer(self) -> tuple[str, ...]:
        return tuple(a for a in self.form.outs if a not in (self.lanes, self.block, *self.run))

    @property
    def run(self) -> tuple[str, ...]:
        """The last axes of the result, if lanes lie far apart: along these it is put together."""
        form, found, total = self.form, list[str](), 1
        before = prod(form.sizes[a] for a in form.outs if a not in (self.lanes, self.block))
        for a in reversed(form.outs):
            total *= form.sizes[a]
            if a in (self.lanes, self.block) or (found and total > _RUN) or before < 4 * total:
                break
            found.insert(0, a)
        return tuple(found)

    @property
    def shared(self) -> Literal["outer", "lanes", "block"]:
        """Which loops threads share out: those with the most parts, the outer ones if they have enough."""
        sizes = self.form.sizes
        outer = prod(sizes[a] for a in self.outer[:2]) if self.outer else 0
        tiles, blocks = sizes[self.lanes] // 16, sizes[self.block] // self.tall if self.block else 0
        if outer and outer >= min(16, max(outer, tiles, blocks)):
            return "outer"
        return "block" if blocks >= tiles else "lanes"

    @property
    def apart(self) -> int:
        """How many of the innermost sums make enough points to be added up by themselves."""
        sizes = [self.form.sizes[a] for a in self.form.over]
        for n in range(1, len(sizes)):
            if prod(sizes[-n:]) >= _APART:
                return n
        return 0

    def numbers(self, strides: tuple[tuple[int, ...], ...], keys: tuple[Key, ...]) -> list[int]:
        """What the C is called with, where the operands lie so."""
        form, axes = self.form, (*self.form.outs, *self.form.over)
        found: dict[Key, int] = {("size", k): form.sizes[a] for k, a in enumerate(axes)}
        step = 1
        for k in reversed(range(len(form.outs))):
            found["to", k], step = step, step * form.sizes[axes[k]]
        if self.run:
            rest = prod(form.sizes[a] for a in self.run[1:])
            found["piece",] = piece = min(form.sizes[self.run[0]], max(1, _RUN // rest))
            found["results",] = piece * rest * (_LINE // 4)
        for k, f in enumerate(self.facts):
            found["bound", k] = f.at.shift
        for k, (o, copy, along) in enumerate(zip(form.operands, self.copies, strides, strict=True)):
            places, base = dict(enumerate(along)), 0
            if copy:
                places = copy.strides()
                base = -copy.sign * copy.origin - sum(copy.starts[d] * places[d] for d in copy.others)
                found["room", k], found["width", k] = copy.room, copy.width
                found["first", k], found["last", k] = copy.first, copy.last
                found["along", k] = copy.sign * along[copy.dim]
                begins = (copy.begin if d == copy.dim else s for d, s in enumerate(copy.starts))
                found["from", k] = sum(b * s for b, s in zip(begins, along, strict=True))
                for j, d in enumerate(copy.others):
                    found["rows", k, j], found["by", k, j], found["row", k, j] = (
                        copy.sizes[d],
                        along[d],
                        places[d],
                    )
            for n, a in enumerate(axes):
                moves = (
                    places[d] * c for d, i in enumerate(o.at) if i.divisor == 1 for b, c in i.terms if b == a
                )
                found["step", k, n] = sum(moves)
            quotients = [(d, i) for d, i in enumerate(o.at) if i.divisor > 1]
            for j, (d, i) in enumerate(quotients):
                found["shift", k, j], found["stride", k, j] = i.shift, places[d]
            found["base", k] = base + sum(i.shift * places[d] for d, i in enumerate(o.at) if i.divisor == 1)
        return [found[key] for key in keys]


def plans(form: Form, bytes: int) -> Iterator[Plan]:
    """Every way to run a form."""
    for lanes in form.outs:
        facts = tuple(f for f in form.facts if lanes not in f.at.axes)
        if not all(f in facts or vanishes(form, f, lanes) for f in form.facts):
            continue
        if not any(lanes in o.axes for o in form.operands):
            continue
        if not all(_can_be_vectors(o, lanes, facts, form.box) for o in form.operands):
            continue
        width = _LINE // bytes
        whole = len(facts) == len(form.facts)
        copies = tuple(_copy(o, lanes, form, width, whole) for o in form.operands)
        for block in (*reversed(form.outs), ""):
            if block == lanes or any(block in f.at.axes for f in facts):
                continue
            if any(block in i.axes and i.divisor > 1 for o in form.operands for i in o.at):
                continue
            tall = next((n for n in _TALL if n <= form.sizes[block]), 1) if block else 1
            if block and tall == 1:
                continue
            plan = Plan(form, lanes, block, tall, copies, facts)
            yield replace(plan, cost=_cost(form, plan, width))


def best(form: Form, bytes: int) -> Plan | None:
    """The cheapest way to run a form; None where no axis can be the lanes."""
    return min(plans(form, bytes), key=lambda p: p.cost, default=None)


def _can_be_vectors(o: Operand, lanes: str, facts: tuple[Fact, ...], box: Mapping[str, Interval]) -> bool:
    """Whether an operand moves by one place along the lanes or not at all, and reads only what is there."""
    own = [i for i in o.at if lanes in i.axes]
    if len(own) > 1 or any(i.divisor > 1 or abs(dict(i.terms)[lanes]) > 1 for i in own):
        return False
    # What the lanes' own facts kept inside must be inside without them: a copy has zeros along one dimension.
    others = ((i, size) for i, size in zip(o.at, o.shape, strict=True) if lanes not in i.axes)
    return all(stays(i, size, facts, box) for i, size in others)


def _copy(o: Operand, lanes: str, form: Form, width: int, whole: bool) -> Copy | None:
    """The copy that an operand needs; None where it has no lanes, or they lie side by side as they are."""
    if lanes not in o.axes:
        return None
    dim = next(d for d, i in enumerate(o.at) if lanes in i.axes)
    sign, size = dict(o.at[dim].terms)[lanes], form.sizes[lanes]
    if whole and sign == 1 and dim == len(o.at) - 1 and size % width == 0:
        return None
    full = {**form.box, lanes: (0, -(-size // width) * width)}
    bounds = [i.bounds(full) for i in o.at]
    spans = [
        (max(0, low // i.divisor), min(n - 1, high // i.divisor))
        for (low, high), i, n in zip(bounds, o.at, o.shape, strict=True)
    ]
    low, high = bounds[dim]
    wide = -(-(high - low + 1) // width) * width
    origin, last = (low, o.shape[dim] - 1) if sign > 0 else (high, 0)
    # Place r stands for the index origin + sign · r.
    first = max(0, -origin) if sign > 0 else max(0, origin - (o.shape[dim] - 1))
    end = min(wide, (last - origin) * sign + 1)
    first = min(first, wide)
    end = max(first, end)
    return Copy(
        dim,
        tuple(a for a, _ in spans),
        tuple(max(0, b - a + 1) for a, b in spans),
        sign,
        wide,
        first,
        end,
        origin + sign * first,
        origin,
        width,
    )


def _cost(form: Form, plan: Plan, width: int) -> float:
    """Roughly how many cycles on one core."""
    sizes, block, tall = form.sizes, plan.block, plan.tall
    vectors = -(-sizes[plan.lanes] // width)
    blocks = -(-sizes[block] // tall) if block else 1
    outer = prod(sizes[a] for a in form.outs if a not in (plan.lanes, block))
    inner = prod(sizes[a] for a in form.over)
    moved = [block in o.axes for o in form.operands]
    own = sum(any(moved[int(r.name)] for r in reads(f)) for f in form.factors)
    multiply = max(1, own) * tall + len(form.factors) - own
    far = (_step(o, copy, block) > _FAR for o, copy in zip(form.operands, plan.copies, strict=True))
    loads = sum(tall * (0.6 if f else 0.5) if m else 0.5 for m, f in zip(moved, far, strict=True))
    point = max(2.0, multiply + loads)
    together = prod(sizes[a] for a in plan.run) if plan.run else tall if block == form.outs[-1] else 1
    store = tall * (width * (1 + 4 / together) if plan.lanes != form.outs[-1] else 1)
    copied = sum(c.room * (0.125 if c.dim == len(c.sizes) - 1 else 1.5) for c in plan.copies if c)
    return outer * vectors * blocks * (inner * point + store + 10) + copied


def _step(o: Operand, copy: Copy | None, axis: str) -> int:
    """How far an operand moves from one value of an axis to the next, where a table lies in order."""
    strides = copy.strides() if copy else {d: prod(o.shape[d + 1 :]) for d in range(len(o.shape))}
    return sum(abs(strides[d] * k) for d, i in enumerate(o.at) for a, k in i.terms if a == axis)
