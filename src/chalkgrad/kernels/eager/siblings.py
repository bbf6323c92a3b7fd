"""Products with the same left side: ``x W_i``, ``x W_f``, … as x times the weights side by side.

What is shared may be read through windows, and then the products are convolutions of one picture; or it is
read as it lies, and they are the gradients of several weights. In a loop too: the state of the step before
times the weights of all gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalkgrad.equations.ir import Equation, Index, Range, Read, Size, range_of
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.eager.joins import Around, Joins, Product, axes_of, dim_of, goes_over, renamed
from chalkgrad.kernels.eager.steps import Merged, Parted, made_at
from chalkgrad.kernels.schedule import Block


@dataclass(frozen=True, slots=True)
class _Sibling:
    """One equation ``target = Σ shared · own`` with letters of its own: what must agree to be merged."""

    equation: Equation
    own: Read
    letter: str  # the axis that only ``own`` has
    key: object
    size: int
    lone: bool  # nothing is shared: a table is added up


def siblings(
    steps: Sequence[Merged],
    state: Joins,
    once: frozenset[str],
    numbers: Mapping[str, int],
    around: Around | None = None,
) -> list[Merged]:
    """The steps, products with the same left side as one; ``once`` are the names that one equation makes."""
    last = made_at(steps)
    groups: dict[object, list[tuple[int, _Sibling]]] = {}
    for k, step in enumerate(steps):
        if isinstance(step, Block) and step.equation.target in once:
            for s in _readings(step.equation, state, numbers, around):
                groups.setdefault(s.key, []).append((k, s))
    taken: set[int] = set()
    instead: dict[int, list[Merged]] = {}
    for members in sorted(groups.values(), key=lambda found: (found[0][1].lone, -len(found))):
        members = [(k, s) for k, s in members if k not in taken]
        first = min((k for k, _ in members), default=0)
        members = [
            (k, s)
            for k, s in members
            if all(
                last.get(r.name, -1) < first or (around and around.carried(r))
                for r in reads(s.equation.value)
            )
        ]
        if len(members) < 2 or len({s.own.name for _, s in members}) < len(members):
            continue
        found = [s for _, s in members]
        # Tables that nothing else wants side by side are added up where they lie.
        if found[0].lone and _place(found) not in state.joined:
            continue
        taken |= {k for k, _ in members}
        instead[min(k for k, _ in members)] = _together(found, state)
    return [m for k, step in enumerate(steps) for m in instead.get(k, [] if k in taken else [step])]


def _place(members: Sequence[_Sibling]) -> tuple[tuple[str, ...], int]:
    """What their own tables are side by side: the parts and the dimension."""
    first = members[0]
    return tuple(s.own.name for s in members), dim_of(first.own, first.letter)


def _together(members: Sequence[_Sibling], state: Joins) -> list[Merged]:
    first = members[0]
    e, position = first.equation, first.equation.axes.index(first.letter)
    whole = state.join(*_place(members))
    sizes = tuple(s.size for s in members)
    name = f"{e.target}⋆"
    total = Range(first.letter, Size((), sum(sizes)))
    domain = tuple(total if k == position else r for k, r in enumerate(e.domain))
    value = renamed(e.value, {first.own.name: whole})
    old = state.intervals[e.target]
    state.intervals[name] = tuple((0, sum(sizes)) if k == position else i for k, i in enumerate(old))
    parts = tuple(s.equation.target for s in members)
    return [Block(Equation(name, domain, value)), Parted(name, parts, sizes, position)]


def _readings(e: Equation, state: Joins, numbers: Mapping[str, int], around: Around | None) -> list[_Sibling]:
    """The equation as ``Σ shared · own``, in each way that it is one."""
    p = Product.of(e)
    if p is None:
        return []
    match p.factors:
        case (a, b):
            pairs = [(a, b), (b, a)]
        case _:
            pairs = [(None, p.factors[0])]
    found: list[_Sibling] = []
    for shared, own in pairs:
        letters = [a for a in e.axes if a in axes_of(own) and (shared is None or a not in axes_of(shared))]
        if len(letters) != 1 or letters[0] in p.guarded or (around and own.name in around.position):
            continue
        (letter,) = letters
        mine, whole = range_of(e.domain, letter).interval(numbers), state.intervals[own.name]
        if (around and letter == around.axis) or not goes_over(own, letter, mine, whole):
            continue
        key = _key(p, shared, own, letter, state, around)
        found.append(_Sibling(e, own, letter, key, mine[1], shared is None))
    return found


def _key(
    p: Product, shared: Read | None, own: Read, letter: str, state: Joins, around: Around | None
) -> object:
    """All that must be the same: what is shared, how both are read, over what; letters numbered."""
    e = p.equation
    order = [*(shared.at if shared else ()), *own.at, *(Index.axis(a) for a in e.axes)]
    numbered = {a: f"#{k}" for k, a in enumerate(dict.fromkeys(a for i in order for a in i.axes))}
    if around:
        numbered[around.axis] = around.axis
    rename = {a: Index.axis(b) for a, b in numbered.items()}
    dim = dim_of(own, letter)
    return (
        shared and (shared.name, tuple(i.substitute(rename) for i in shared.at)),
        tuple(i.substitute(rename) for i in own.at),
        p.conditions(rename),
        frozenset((numbered.get(r.axis, r.axis), r.low, r.size) for r in p.over),
        tuple((numbered[r.axis], *(() if r.axis == letter else (r.low, r.size))) for r in e.domain),
        tuple(i for k, i in enumerate(state.intervals[own.name]) if k != dim),
    )


__all__ = ["siblings"]
