"""A right side with one thing changed: the slips that are made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chalkgrad.claims.claim import Claim, rebuilt
from chalkgrad.claims.ground import Page
from chalkgrad.claims.terms import split
from chalkgrad.equations.ops import OPS
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Binder,
    Group,
    Indexed,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
)
from chalkgrad.language.parse.written import written
from chalkgrad.language.resolve.roles import index_symbols
from chalkgrad.language.source import EquationError, Span

Shown = Callable[[Span], str]
"""What stands in the claim at a place."""


MOST_TRIED = 150
"""Changed claims that are tried, so that a long one is answered at once."""


@dataclass(frozen=True)
class Change:
    """A right side with one thing changed: the sentence for it, and what stands at ``span`` then (empty where
    the change is none of words)."""

    said: str
    right: Node
    span: Span
    spelled: str = ""


@dataclass(frozen=True)
class _Slip:
    """A part that may have been meant; the less ``likely``, the larger."""

    likely: int
    said: str
    part: Node
    spelled: str


def changes(node: Node, page: Page, shown: Shown) -> Iterator[Change]:
    """The node with one thing changed: likely slips first."""
    terms = list(split(node))
    if len(terms) > 1:
        for k, t in enumerate(terms):
            said = f"the sign of {shown(t.span)} is wrong"
            yield Change(said, _sum([*terms[:k], _minus(t), *terms[k + 1 :]]), t.span)
    for t in terms if len(terms) > 1 else []:
        for k in (2, 0.5):
            said = "half" if k == 2 else "twice"
            changed = [
                Binary("·", Number(k, u.span), Group(u, u.span), u.span, u.span) if u is t else u
                for u in terms
            ]
            yield Change(f"{shown(t.span)} is {said} of what it should be", _sum(changed), t.span)
    found = [
        (slip.likely, Change(slip.said, put(slip.part), part.span, slip.spelled))
        for part, put in places(node)
        for slip in _part_changes(part, page, shown)
    ]
    found.sort(key=lambda change: change[0])
    yield from (change for _, change in found)


def _minus(node: Node) -> Node:
    return node.body if isinstance(node, Negate) else Negate(node, node.span)


def _sum(terms: list[Node]) -> Node:
    first, *rest = terms
    for t in rest:
        first = Binary("+", first, Group(t, t.span), first.span.to(t.span), t.span)
    return first


def places(node: Node):
    """Every part that is a value, outermost first, and how the whole is with another one there."""
    yield node, lambda new: new
    inner: list[Node] = []
    rebuilt(node, lambda part: (inner.append(part), part)[1])
    for child in inner:
        for part, put in places(child):
            yield (
                part,
                lambda new, child=child, put=put: rebuilt(node, lambda p: put(new) if p is child else p),
            )


def _part_changes(part: Node, page: Page, shown: Shown) -> Iterator[_Slip]:
    """What a part may have been meant to be."""
    here = shown(part.span)

    def instead(likely: int, new: Node, spelled: str) -> _Slip:
        return _Slip(likely, f"it would be right with {spelled} in place of {here}", new, spelled)

    match part:
        case Symbol() | Indexed():
            yield from _shifted(part, here)
            yield from _renamed(part, page, here)
            yield instead(2, Transpose(part, part.span), f"{here}ᵀ")
            yield instead(3, Power(part, Number(2, part.span), part.span), f"{here}²")
        case Transpose(body):
            yield instead(2, body, shown(body.span))
        case Power(base, _):
            yield instead(3, base, shown(base.span))
        case Binary("·", left, right):
            between = f"{shown(left.span)} ⊙ {shown(right.span)}"
            yield instead(3, replace(part, op="⊙"), between)
            said = f"it would be right with the factors of {here} changed round"
            turned = f"{shown(right.span)} {shown(left.span)}"
            yield _Slip(5, said, replace(part, left=right, right=left), turned)
        case _:
            return


def _shifted(part: Symbol | Indexed, here: str) -> Iterator[_Slip]:
    """One index, one step before or after."""
    if isinstance(part, Symbol):
        return
    gradient = part.base.name.startswith(("∂", "δ"))  # it is the value beside it that is mostly misplaced
    for k, item in enumerate(part.at):
        if isinstance(item, Number) or not list(index_symbols(item)):
            continue
        for step in (-1, 1):
            at = (*part.at[:k], _moved(item, step), *part.at[k + 1 :])
            changed = Indexed(part.base, at, part.span)
            way = "late" if step < 0 else "early"
            said = f"{here} is one step too {way}: it would be right with {spelled(changed)}"
            yield _Slip(int(gradient), said, changed, spelled(changed))


def spelled(node: Symbol | Indexed) -> str:
    """A read as one would write it: x[n-p+1]."""
    return node.name if isinstance(node, Symbol) else f"{node.base.name}[{','.join(map(_index, node.at))}]"


def _index(node: Node) -> str:
    match node:
        case Binary("+" | "-" as op, left, right):
            behind = _index(right)
            return _index(left) + op + (f"({behind})" if isinstance(right, Binary) and op == "-" else behind)
        case Group(Binary("+" | "-") as body):
            return f"({_index(body)})"
        case _:
            return written(node).replace(" · ", "").replace(" ", "")


def _moved(item: Node, step: int) -> Node:
    """An index with a step added, written as one would: t, t-1, t+1, i+j-2."""
    match item:
        case Binary("+" | "-" as op, left, Number(k)) if float(k).is_integer():
            total = (k if op == "+" else -k) + step
        case _:
            left, total = item, step
    if not total:
        return left
    sign = "+" if total > 0 else "-"
    return Binary(sign, left, Number(abs(total), item.span), item.span, item.span)


def _renamed(part: Symbol | Indexed, page: Page, here: str) -> Iterator[_Slip]:
    """Another name with the same axes: the gradient before the activation for the one behind it first."""
    base = part if isinstance(part, Symbol) else part.base
    derivative = base.name in page.derived.table and base.name not in page.forward.table
    about = page.derived[base.name].of if derivative else base.name
    if about not in page.forward.table:
        return
    for n in page.names:
        called = f"∂{n}" if derivative else n
        if n == about or called not in page.derived.table or not alike(page, n, about):
            continue
        symbol = Symbol(called, base.span)
        changed = symbol if isinstance(part, Symbol) else Indexed(symbol, part.at, part.span)
        new = spelled(changed)
        of = [x for x, (_, result) in page.slopes.items() if result == n and page.forward[n].generated]
        if of and not derivative:  # what the page writes as a function, and has no name for
            new = f"{OPS[page.slopes[of[0]][0]].shown}({new.replace(n, of[0], 1)})"
        said = f"it would be right with {new} in place of {here}"
        if derivative and page.slope_leads(about, n):
            op = OPS[page.slopes[n][0]].shown
            yield _Slip(1, f"the derivative of {op} is missing: {said}", changed, new)
        else:
            yield _Slip(4, said, changed, new)


def alike(page: Page, a: str, b: str) -> bool:
    """Whether two names have the same axes: as many, of the same sizes, in the same place."""
    first, second = page.own(a), page.own(b)
    return [(r.size, r.low) for r in first] == [(r.size, r.low) for r in second]


def summed(claim: Claim, error: EquationError) -> Iterator[tuple[str, Node]]:
    """The right side under a Σ that it lacks, where what is wrong with it is a loose index."""
    if not error.problem.startswith("the index `"):
        return
    letter = error.problem.split("`")[1]
    span = claim.right.span
    binder = Binder(Symbol(letter, span), None, None, False, span)
    yield letter, Big("sum", (binder,), Group(claim.right, span), span)
