"""A sum of products, ``∂a_i W_iᵀ + ∂a_f W_fᵀ + …``, as one product over an axis as long as all of theirs.

A sum of convolutions is one as well, of pictures with the channels of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalkgrad.equations.ir import Apply, Equation, Expr, Index, Range, Read, Reduce, Size, extents
from chalkgrad.equations.walk import rewrite
from chalkgrad.kernels.eager.joins import Around, Joins, Product, dim_of, goes_over, renamed
from chalkgrad.kernels.eager.steps import Merged
from chalkgrad.kernels.schedule import Block

Term = tuple[Product, Range]
"""A product and which of its summed axes is to be longer."""


def sums_of_products(
    steps: Sequence[Merged],
    state: Joins,
    single: frozenset[str],
    numbers: Mapping[str, int],
    around: Around | None = None,
) -> list[Merged]:
    """The steps with each ``a = p + q + …``, where products p = Σ u v, q = Σ w z are alike, as one product.

    ``single`` are the names that one equation makes and one reads.
    """
    made = {
        step.equation.target: k
        for k, step in enumerate(steps)
        if isinstance(step, Block) and step.equation.target in single
    }
    dropped: set[int] = set()
    instead: dict[int, list[Merged]] = {}
    for k, step in enumerate(steps):
        if not isinstance(step, Block) or not isinstance(step.equation.value, Apply):
            continue
        e, terms = step.equation, step.equation.value.args
        if step.equation.value.op != "add":
            continue
        here = tuple(Index.axis(a) for a in e.axes)
        alike: dict[object, list[tuple[Read, Term, int]]] = {}
        for term in terms:
            if not isinstance(term, Read) or term.at != here or term.name not in made:
                continue
            producer = steps[made[term.name]]
            assert isinstance(producer, Block)
            for key, found in _longest(producer.equation, state, numbers, around):
                alike.setdefault(key, []).append((term, found, made[term.name]))
        for group in alike.values():
            group = [member for member in group if member[2] not in dropped]
            if len(group) < 2:
                continue
            new = _longer([p for _, p, _ in group], state)
            gone = {t.name for t, _, _ in group}
            terms = (
                Read(new.equation.target, here),
                *(t for t in terms if not (isinstance(t, Read) and t.name in gone)),
            )
            instead.setdefault(k, []).append(new)
            dropped |= {at for _, _, at in group}
        if k in instead:
            value = terms[0] if len(terms) == 1 else Apply("add", terms)
            instead[k].append(Block(Equation(e.target, e.domain, value)))
    return [m for k, step in enumerate(steps) if k not in dropped for m in instead.get(k, [step])]


def _longest(
    e: Equation, state: Joins, numbers: Mapping[str, int], around: Around | None
) -> list[tuple[object, Term]]:
    """Each axis along which a product may be longer, and what another must share with it to be summed in one.

    That is everything but the size of that axis.
    """
    p = Product.of(e)
    if p is None or len(p.factors) != 2:
        return []
    inside = [around is not None and f.name in around.position for f in p.factors]
    if around and any(i and f.name not in around.alone for i, f in zip(inside, p.factors, strict=True)):
        return []
    found: list[tuple[object, Term]] = []
    for over in p.over:
        whole = [state.intervals[f.name] for f in p.factors]
        mine = over.interval(numbers)
        if over.axis in p.guarded or not all(
            goes_over(f, over.axis, mine, own) for f, own in zip(p.factors, whole, strict=True)
        ):
            continue
        dims = [dim_of(f, over.axis) for f in p.factors]
        if around and any(
            i and around.position[f.name] == d for i, f, d in zip(inside, p.factors, dims, strict=True)
        ):
            continue
        order = [*e.axes, over.axis, *(a for f in p.factors for i in f.at for a in i.axes)]
        numbered = {a: f"#{k}" for k, a in enumerate(dict.fromkeys(order))}
        rename = {a: Index.axis(n) for a, n in numbered.items()}
        key = (
            tuple(inside),
            tuple(tuple(i.substitute(rename) for i in f.at) for f in p.factors),
            p.conditions(rename),
            frozenset((numbered.get(r.axis, r.axis), r.low, r.size) for r in p.over if r is not over),
            tuple(tuple(i for k, i in enumerate(own) if k != d) for own, d in zip(whole, dims, strict=True)),
            extents(e.domain),
        )
        found.append((key, (p, over)))
    return found


def _longer(members: Sequence[Term], state: Joins) -> Block:
    (first, over), e = members[0], members[0][0].equation
    names: dict[str, str] = {}
    total = 0
    for n, read in enumerate(first.factors):
        dim, parts = dim_of(read, over.axis), [p.factors[n].name for p, _ in members]
        names[read.name] = state.join(parts, dim)
        total = sum(state.intervals[part][dim][1] for part in parts)
    long = Range(over.axis, Size((), total))

    def rule(n: Expr) -> Expr:
        if isinstance(n, Reduce) and over in n.over:
            return Reduce(n.op, tuple(long if r == over else r for r in n.over), n.body)
        return n

    name = f"{e.target}⋆"
    state.intervals[name] = state.intervals[e.target]
    return Block(Equation(name, e.domain, rewrite(renamed(e.value, names), rule)))


__all__ = ["sums_of_products"]
