"""A right side as a sum of parts, each a product under sums and conditions; conditions as narrower ranges.

``Σ[p] [0 ≤ n-p < I] ∂y[n-p] w[p]`` is, for each p, a product over a stretch of n: from p to p + I. Where a
condition speaks of one axis, that axis runs over less; where it speaks of several, one must become a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from chalkgrad.equations.ir import Apply, At, Condition, Const, Expr, Guard, Index, Range, Read, Reduce, Size
from chalkgrad.equations.ops import mul
from chalkgrad.equations.walk import bound_axes, nodes, substitute, substitute_condition
from chalkgrad.kernels.script.body import Body

Box = Mapping[str, Range]


@dataclass(frozen=True)
class Part:
    """``target[at] += Σ[over] [conditions] body`` over the points of ``box``."""

    at: tuple[Index, ...]
    box: Box
    over: Box
    conditions: tuple[Condition, ...]
    body: Expr

    def put(self, axis: str, value: Index) -> Part:
        """The part with an index in place of an axis, which is gone from its ranges."""
        values = {axis: value}
        return Part(
            tuple(i.substitute(values) for i in self.at),
            {a: r for a, r in self.box.items() if a != axis},
            {a: r for a, r in self.over.items() if a != axis},
            tuple(substitute_condition(c, values) for c in self.conditions),
            substitute(self.body, values),
        )

    def running(self, r: Range) -> Part:
        """The part with an axis that runs elsewhere."""
        if r.axis in self.box:
            return replace(self, box={**self.box, r.axis: r})
        return replace(self, over={**self.over, r.axis: r})

    def range(self, axis: str) -> Range:
        return self.box[axis] if axis in self.box else self.over[axis]

    def without(self, c: Condition) -> Part:
        return replace(self, conditions=tuple(d for d in self.conditions if d is not c))


# --- taking apart --------------------------------------------------------------------------------------


def parts_of(value: Expr, at: tuple[Index, ...], box: Box) -> list[Part]:
    """The parts of a right side."""
    return [Part(at, box, {r.axis: r for r in over}, cs, body) for over, cs, body in _split(value)]


_Split = tuple[tuple[Range, ...], tuple[Condition, ...], Expr]


def _split(e: Expr) -> list[_Split]:
    match e:
        case Apply("add", args):
            return [part for a in args for part in _split(a)]
        case Guard(conditions, body):
            return [(over, conditions + cs, b) for over, cs, b in _split(body)]
        case Reduce("sum", over, body):
            return [(over + more, cs, b) for more, cs, b in _split(body)]
        case Apply("mul", args):
            for k, a in enumerate(args):
                others = (*args[:k], *args[k + 1 :])
                alone = isinstance(a, Reduce) and a.op == "sum" and all(_still(o) for o in others)
                if alone or _guarded(a):
                    return [
                        (over + more, cs + also, b)
                        for over, cs, inner in _split(a)
                        for more, also, b in _split(mul(*args[:k], inner, *args[k + 1 :]))
                    ]
            return [((), (), e)]
        case _:
            return [((), (), e)]


def _guarded(e: Expr) -> bool:
    match e:
        case Guard():
            return True
        case Apply("add" | "mul", args):
            return any(_guarded(a) for a in args)
        case Reduce("sum", _, body):
            return _guarded(body)
        case _:
            return False


def _still(e: Expr) -> bool:
    """Whether it is a number: it reads nothing, and no axis."""
    return not any(isinstance(n, Read) or (isinstance(n, At) and n.index.terms) for n in nodes(e))


# --- narrowing -----------------------------------------------------------------------------------------


def settled(b: Body, p: Part) -> Part | None:
    """The part with every condition turned into ranges that can be; None where it is nothing at all."""
    again = True
    while again:
        again = False
        for c in p.conditions:
            axes = c.index.axes
            if not axes:
                if c.kind == "nonnegative" and not b.nonnegative(c.index.shift):
                    if b.nonnegative(c.index.shift * -1 - 1):
                        return None
                    continue
                if c.kind == "zero" and c.index.shift != Size():
                    continue
                if c.kind == "divisible" and not _divides(c.divisor, c.index.shift):
                    continue
                p, again = p.without(c), True
                break
            if len(axes) == 1 and (narrow := _narrowed(b, p, c, axes[0])) is not None:
                p, again = narrow, True
                if any(b.nonnegative(r.size * -1) for r in (*p.box.values(), *p.over.values())):
                    return None
                break
    return p


def _narrowed(b: Body, p: Part, c: Condition, axis: str) -> Part | None:
    """The part with an axis that runs only where the condition holds, if that can be said."""
    r, k = p.range(axis), c.index.coefficient(axis)
    rest = c.index.shift
    match c.kind:
        case "nonnegative":
            low, high = bounds(c, axis)
            first = r.low if low is None else b.larger(r.low, low)
            last = r.high if high is None else _smaller(b, r.high, high)
            if first is None or last is None:
                return None
            found = p.without(c).running(Range(axis, last - first, first))
            if (first, last) != (r.low, r.high) and not b.nonnegative(last - first):
                # There may be nothing left of the axis, which a slice would take for something else.
                some = Condition(Index((), last - first - 1))
                found = replace(found, conditions=(*found.conditions, some))
            return found
        case "zero" if abs(k) == 1:
            value = Index((), rest * -k)
            inside = (Condition(value - r.low), Condition(value * -1 + (r.high - 1)))
            found = p.without(c)
            return replace(found, conditions=(*found.conditions, *inside)).put(axis, value)
        case "divisible" if abs(k) == 1:
            # Every so many steps: axis + k·rest = divisor·m, over the m that leave it in its range.
            offset, step = rest * k, c.divisor
            low = ceiling(r.low + offset, step)
            count = (r.high - 1 + offset).floordiv(step) + 1 - low
            moved = p.without(c).put(axis, Index.of({axis: step}, offset * -1))
            new = Range(axis, count, low)
            if axis in p.box:
                return replace(moved, box={a: new if a == axis else q for a, q in p.box.items()})
            return replace(moved, over={a: new if a == axis else q for a, q in p.over.items()})
        case _:
            return None


def bounds(c: Condition, axis: str) -> tuple[Size | None, Size | None]:
    """The low and the high (exclusive) of an axis that ``k·axis + rest ≥ 0`` says."""
    k, rest = c.index.coefficient(axis), c.index.shift
    return (ceiling(rest * -1, k), None) if k > 0 else (None, rest.floordiv(-k) + 1)


def ceiling(s: Size, divisor: int) -> Size:
    """⌈s / divisor⌉, as a floor of what is likely not negative: ⌊(p + 1)/2⌋, and -⌊p/2⌋ for a negative p."""
    if any(k < 0 for _, k in s.terms):
        return (s * -1).floordiv(divisor) * -1
    return (s + (divisor - 1)).floordiv(divisor)


def _smaller(b: Body, x: Size, y: Size) -> Size | None:
    return x if b.nonnegative(y - x) else y if b.nonnegative(x - y) else None


def _divides(d: int, s: Size) -> bool:
    return all(k % d == 0 for k in (*(k for _, k in s.terms), s.const))


# --- what must be a loop -------------------------------------------------------------------------------


def tangled(e: Expr | Condition, axes: Iterable[str]) -> list[tuple[str, ...]]:
    """The sets of axes that no slice can follow: several in one index, or one in two indices of a read."""
    here = set(axes)
    if isinstance(e, Condition):
        found = tuple(a for a in e.index.axes if a in here)
        return [found] if len(found) > 1 else []
    groups: list[tuple[str, ...]] = []
    inner = bound_axes(e)
    for n in nodes(e):
        if not isinstance(n, Read):
            continue
        seen: set[str] = set()
        for index in n.at:
            mine = tuple(a for a in index.axes if a in here - inner)
            if len(mine) > 1:
                groups.append(mine)
            groups += [(a,) for a in mine if a in seen]
            seen |= set(mine)
    return groups


def to_loop(b: Body, p: Part) -> str | None:
    """The axis of a part that must become a loop, if one must: of a kernel rather than of a picture."""
    axes = [*p.box, *p.over]
    groups = tangled(p.body, axes) + [g for c in p.conditions for g in tangled(c, axes)]
    # An index that is divided, or taken several times, and a condition on it that no slice says.
    groups += [c.index.axes for c in p.conditions if c.kind != "nonnegative" and len(c.index.axes) == 1]
    if not groups:
        return None

    def reluctance(axis: str) -> tuple[int, bool, int]:
        symbols = set(p.range(axis).size.symbols)
        kind = 0 if not symbols else 1 if symbols <= b.parameters else 2
        return kind, axis not in p.over, axes.index(axis)

    # The axes that are in most of the tangles first where they are alike.
    return min((a for g in groups for a in g), key=reluctance)


def constants(args: Iterable[Expr]) -> tuple[float, list[Expr]]:
    """The number among some factors, and the rest."""
    number, rest = 1.0, list[Expr]()
    for a in args:
        if isinstance(a, Const):
            number *= a.value
        else:
            rest.append(a)
    return number, rest
