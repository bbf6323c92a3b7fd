"""How a state begins: a start that the caller passes, ``h[0] = …``, or values along the edges of a table."""

from __future__ import annotations

from chalkgrad.equations.ir import Condition, Const, Equation, Expr, Guard, Index, Range, State
from chalkgrad.equations.ops import add
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import fresh
from chalkgrad.language.parse.syntax import Declaration, Node, Symbol
from chalkgrad.language.resolve.define import Attempt, Defined
from chalkgrad.language.resolve.naming import SizeMap, resize
from chalkgrad.language.resolve.scope import declared_size


def states_of(
    attempt: Attempt, d: Defined, ranges: tuple[Range, ...], taken: set[str]
) -> tuple[list[tuple[State, tuple[Range, ...]]], tuple[Range, ...]]:
    """The states of a definition, each with the box that its start fills, and the ranges with all starts."""
    found: list[tuple[State, tuple[Range, ...]]] = []
    box_ranges = ranges
    positions = attempt.states.get(d.name, {})
    for position, shifts in sorted(positions.items()):
        forward = shifts[0][0] < 0
        other = next(((s, span) for s, span in shifts if (s < 0) != forward), None)
        if other is not None:
            raise attempt.roles.fail(
                f"`{d.name}` is read both behind and ahead of itself",
                (shifts[0][1], "here"),
                (other[1], "and here the other way"),
                help="a recurrence runs one way: use two names, one for each direction",
            )
        depth = max(abs(s) for s, _ in shifts)
        r = box_ranges[position]
        low = r.low - depth if forward else r.high
        box = (*box_ranges[:position], Range(r.axis, Size((), depth), low), *box_ranges[position + 1 :])
        start = fresh(f"{d.name}₀" if len(positions) == 1 else f"{d.name}₀{d.axes[position]}", taken)
        taken.add(start)
        fixed = d.name in attempt.starts or d.name in attempt.roles.edges
        found.append((State(d.name, position, depth, forward, "" if fixed else start), box))
        # The next direction's start covers the corner too.
        widened = Range(r.axis, r.size + depth, low if forward else r.low)
        box_ranges = (*box_ranges[:position], widened, *box_ranges[position + 1 :])
    return found, box_ranges


def given_start(start: Defined, d: Defined, box: tuple[Range, ...], position: int, size: SizeMap) -> Equation:
    """``h[0] = …`` as an equation on the box before the recurrence, which lies at ``position``."""
    axes = [*start.axes[:position], box[position].axis, *start.axes[position:]]
    renamed = tuple(Range(a, r.size, r.low) for a, r in zip(axes, box, strict=True))
    return Equation(d.name, renamed, resize(start.value, size))


def edge_values(attempt: Attempt, d: Defined, own: tuple[Range, ...], box: tuple[Range, ...]) -> Expr:
    """``r[-1,·] = ∞`` on the box before the recurrence: zero where the page says nothing."""
    edges = attempt.roles.edges[d.name]
    patterns = [
        tuple(_edge_index(attempt, item, r, e) for item, r in zip(e.at, own, strict=False)) for e in edges
    ]
    terms: list[Expr] = []
    for e, pattern in zip(edges, patterns, strict=True):
        conditions: list[Condition] = []
        for k, (fixed, r) in enumerate(zip(pattern, own, strict=False)):
            here = Index.axis(r.axis)
            if fixed is not None:
                conditions.append(Condition(here - fixed, "zero"))
            elif any(_more_specific(p, pattern, k) for p in patterns):
                conditions.append(Condition(here - r.low))  # the corner has a value of its own
        if e.edge:
            terms.append(Guard(tuple(conditions), Const(e.edge)) if conditions else Const(e.edge))
    return add(*terms) if terms else Const(0)


def _more_specific(other: tuple[int | None, ...], pattern: tuple[int | None, ...], k: int) -> bool:
    """Whether ``other`` fixes index k as well as all that ``pattern`` fixes."""
    return other[k] is not None and all(p is None or p == o for p, o in zip(pattern, other, strict=True))


def _edge_index(attempt: Attempt, item: Node, r: Range, d: Declaration) -> int | None:
    """The index of an edge, None for `·`. Raises EquationError for one that is not just before the start."""
    if isinstance(item, Symbol) and item.name == "·":
        return None
    size = declared_size(item)
    number = None if size is None else size.constant
    if number is None or r.low.constant is None or number >= r.low.constant:
        raise attempt.roles.fail(
            f"an edge lies before the first index, which is {r.low}",
            (d.span, "declared here"),
            help=f"write {d.name.name}[-1,·] = … for what stands before the first row",
        )
    return number
