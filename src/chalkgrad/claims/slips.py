"""What is wrong with a claim: the first element and term that differ, and the slip that explains them.

A slip is named only where it is certain: where the claim with that one thing changed is right in numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor

from chalkgrad.claims.ground import Draw, Page, agree
from chalkgrad.claims.outcome import figure
from chalkgrad.claims.terms import Term, split, unmatched
from chalkgrad.claims.written import Claim, rebuilt
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

if TYPE_CHECKING:
    from chalkgrad.claims.grade import Found, Grader, Reading

Shown = Callable[[Span], str]
"""What stands in the claim at a place."""

MOST_TRIED = 150
"""Changed claims that are tried, so that a long one is answered at once."""


def findings(grader: Grader, found: Found, reading: Reading) -> Iterator[str]:
    """The first element that differs; the first term that does; the slip, where one explains it all."""
    if found.value.shape != found.right.shape:
        sizes = " and ".join("×".join(map(str, x.shape)) for x in (found.value, found.right))
        here, there = sizes.split(" and ")
        yield f"its shape is {here}, and ∂{found.claim.about} is {there}"
        if agree(found.value.mT, found.right):
            yield f"it is transposed: {_turned(grader, found.claim)}"
        return
    said, at = grader.difference(found, reading)
    yield said
    yield from _terms(grader, found, reading, at)
    slip = (
        _as_a_whole(grader, found)
        or _another_gradient(grader, found, reading)
        or _another_slope(grader, found, reading)
        or _one_change(grader, found, reading)
    )
    if slip:
        yield slip


def _turned(grader: Grader, claim: Claim) -> str:
    inner = grader.claims.shown(claim.right.span)
    return f"({inner})ᵀ is right"


# --- terms -----------------------------------------------------------------------------------------------


def _terms(grader: Grader, found: Found, reading: Reading, at: tuple[int, ...]) -> Iterator[str]:
    """The first term that is wrong, too many or missing, where there is more than one."""
    claim = found.claim
    page, ground = grader.page, grader.ground(reading.draw)
    nodes = list(split(claim.right))
    equations = page.terms(claim.about)
    if len(nodes) < 2 and len(equations) < 2:
        return
    try:
        values = grader.values(claim, nodes, reading)
    except EquationError:  # a term that has no meaning without the others: the whole is all there is to say
        return
    shapes = [_expanded(v, found.right) for v in values]
    if any(s is None for s in shapes):
        return
    claimed = [Term(_shown(grader, n), s) for n, s in zip(nodes, shapes, strict=True) if s is not None]
    whole = ground.term_values(claim.about, equations)
    fixed = [_at_step(grader, claim, reading, v) for v in whole]
    derived = [Term(page.shown(e), v) for e, v in zip(equations, fixed, strict=True)]
    left, right = unmatched(claimed, derived)
    name = grader.place(claim, at, reading)
    if left and right:
        a, b = left[0], right[0]
        more = " (there are more)" if len(left) > 1 or len(right) > 1 else ""
        yield (
            f"its term {a.shown} gives {name} {figure(a.value[at].item())}, and should be "
            f"{' + '.join(t.shown for t in right) if len(left) == 1 else b.shown}, which gives "
            f"{figure(sum(t.value[at].item() for t in right) if len(left) == 1 else b.value[at].item())}"
            + (more if len(left) > 1 else "")
        )
    elif left:
        yield f"its term {left[0].shown} is one too many: it gives {name} {figure(left[0].value[at].item())}"
    elif right:
        yield f"the term {right[0].shown} is missing: it gives {name} {figure(right[0].value[at].item())}"


def _at_step(grader: Grader, claim: Claim, reading: Reading, value: Tensor) -> Tensor:
    """A value over the own part of a name, at the steps that the left side fixes."""
    index: list[int | slice] = []
    place = grader.ground(reading.draw).place(claim.about)
    for k, part in enumerate(place):
        step = grader.step(claim, k, claim.at[k], reading) if k < len(claim.at) else None
        index.append(slice(None) if step is None else step - part.start)
    return value[tuple(index)]


def _expanded(value: Tensor, like: Tensor) -> Tensor | None:
    """A term that is the same along some axes (a number, a vector beside a matrix), written out."""
    try:
        return value.expand(like.shape)
    except RuntimeError:  # torch's word for shapes that do not go together
        return None


def _shown(grader: Grader, node: Node) -> str:
    """A term as the claim writes it, or, where the sign in front of it was taken along, written anew."""
    if isinstance(node, Negate):
        return f"-{_shown(grader, node.body)}"
    if isinstance(node, Big) and isinstance(node.body, Group):
        return written(node)
    return grader.claims.shown(node.span)


# --- slips of the whole ----------------------------------------------------------------------------------


def _as_a_whole(grader: Grader, found: Found) -> str | None:
    """A factor, a sign, a transposition."""
    factor = _factor(found.value, found.right)
    if factor is not None:
        return f"it is {_times(factor, grader)} the right one"
    a = found.value
    if a.dim() > 1 and agree(a.mT, found.right):
        return f"it is transposed: {_turned(grader, found.claim)}"
    return None


def _factor(a: Tensor, b: Tensor) -> float | None:
    """k where a = k b throughout, not 0 and not 1."""
    scale = (b * b).sum().item()
    if not scale:
        return None
    k = ((a * b).sum() / scale).item()
    return k if abs(k) > 1e-6 and abs(k - 1) > 1e-6 and agree(a, k * b) else None


def _times(k: float, grader: Grader) -> str:
    """A factor in words: minus, 2 times, T times, 1/T times."""
    if abs(k + 1) < 1e-9:
        return "minus"
    numbers = {n: s for s, n in grader.ground(Draw()).numbers.items() if s != "batch"}
    near = Fraction(k).limit_denominator(100)
    if abs(near - k) > 1e-9:
        return f"{figure(k)} times"
    whole, under = near.numerator, near.denominator
    said = f"{whole}" if under == 1 else f"{whole}/{under}"
    if under == 1 and whole in numbers and whole > 2:
        said += f" (= {numbers[whole]})"
    elif whole == 1 and under in numbers and under > 2:
        said += f" (= 1/{numbers[under]})"
    return f"{said} times"


def _another_gradient(grader: Grader, found: Found, reading: Reading) -> str | None:
    """The claim is right, for another name: most often the activation's, its slope forgotten."""
    page, ground, claim = grader.page, grader.ground(reading.draw), found.claim
    for name in page.names:
        if name == claim.about or f"∂{name}" not in ground.values:
            continue
        if not _alike(page, name, claim.about):
            continue
        if not agree(found.value, _at_step(grader, claim, reading, ground.gradient(name))):
            continue
        if page.slope_leads(name, claim.about):
            op = OPS[page.slopes[claim.about][0]].shown
            return f"this is ∂{name}: the derivative of {op} is missing, from ∂{name} to ∂{claim.about}"
        if page.slope_leads(claim.about, name):
            op = OPS[page.slopes[name][0]].shown
            return f"this is ∂{name}: the derivative of {op} has no place in ∂{claim.about} yet"
        return f"this is ∂{name}, not ∂{claim.about}"
    return None


def _alike(page: Page, a: str, b: str) -> bool:
    """Whether two names have the same axes: as many, of the same sizes, in the same place."""
    first, second = page.own(a), page.own(b)
    return [(r.size, r.low) for r in first] == [(r.size, r.low) for r in second]


def _another_slope(grader: Grader, found: Found, reading: Reading) -> str | None:
    """The slope of another function than the page's: σ's for tanh's."""
    page, ground, claim = grader.page, grader.ground(reading.draw), found.claim
    if claim.about not in page.slopes:
        return None
    op, result = page.slopes[claim.about]
    upstream, y = (
        _at_step(grader, claim, reading, ground.values[n][ground.place(result)])
        for n in (f"∂{result}", result)
    )
    wrong = {"σ": y * (1 - y), "tanh": 1 - y * y, "relu": (y > 0).double(), "exp": y}
    for name, slope in wrong.items():
        if name != OPS[op].shown and agree(found.value, upstream * slope):
            return f"that is the derivative of {name}, and the page has {OPS[op].shown}"
    if agree(found.value, upstream * (1 - y)):
        return "1 - y is no derivative: " + ("1 - y² is" if op == "tanh" else f"{OPS[op].shown} has another")
    return None


# --- one change ------------------------------------------------------------------------------------------


def _one_change(grader: Grader, found: Found, reading: Reading) -> str | None:
    """The one thing that, changed, makes the claim right; None where there is no such thing."""
    claim = found.claim
    for said, right in islice(changes(claim.right, grader.page, grader.claims.shown), MOST_TRIED):
        result = grader.found(replace(claim, right=right), reading)
        if not isinstance(result, EquationError) and result.agrees:
            return said
    return None


def changes(node: Node, page: Page, shown: Shown) -> Iterator[tuple[str, Node]]:
    """The node with one thing changed, and the sentence for it: likely slips first."""
    terms = list(split(node))
    if len(terms) > 1:
        for k, t in enumerate(terms):
            yield f"the sign of {shown(t.span)} is wrong", _sum([*terms[:k], _minus(t), *terms[k + 1 :]])
    for t in terms if len(terms) > 1 else []:
        for k in (2, 0.5):
            said = "half" if k == 2 else "twice"
            changed = [
                Binary("·", Number(k, u.span), Group(u, u.span), u.span, u.span) if u is t else u
                for u in terms
            ]
            yield f"{shown(t.span)} is {said} of what it should be", _sum(changed)
    found = [
        (likely, said, put(new))
        for part, put in places(node)
        for likely, said, new in _part_changes(part, page, shown)
    ]
    found.sort(key=lambda change: change[0])
    yield from ((said, new) for _, said, new in found)


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


def _part_changes(part: Node, page: Page, shown: Shown) -> Iterator[tuple[int, str, Node]]:
    """What a part may have been meant to be: how far down the list, the sentence, the part."""
    here = shown(part.span)

    def instead(likely: int, new: Node, said: str = "") -> tuple[int, str, Node]:
        return likely, f"it would be right with {said or written(new)} in place of {here}", new

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
            said = f"it would be right with the factors of {here} changed round"
            yield 5, said, replace(part, left=right, right=left)
        case _:
            return


def _shifted(part: Symbol | Indexed, here: str) -> Iterator[tuple[int, str, Node]]:
    """One index, one step before or after."""
    if isinstance(part, Symbol):
        return
    for k, item in enumerate(part.at):
        if isinstance(item, Number) or not list(index_symbols(item)):
            continue
        for step in (-1, 1):
            at = (*part.at[:k], _moved(item, step), *part.at[k + 1 :])
            changed = Indexed(part.base, at, part.span)
            way = "late" if step < 0 else "early"
            yield 0, f"{here} is one step too {way}: it would be right with {written(changed)}", changed


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


def _renamed(part: Symbol | Indexed, page: Page, here: str) -> Iterator[tuple[int, str, Node]]:
    """Another name with the same axes: the gradient before the activation for the one behind it first."""
    base = part if isinstance(part, Symbol) else part.base
    derivative = base.name in page.derived.table and base.name not in page.forward.table
    about = page.derived[base.name].of if derivative else base.name
    if about not in page.forward.table:
        return
    for n in page.names:
        spelled = f"∂{n}" if derivative else n
        if n == about or spelled not in page.derived.table or not _alike(page, n, about):
            continue
        symbol = Symbol(spelled, base.span)
        changed: Node = symbol if isinstance(part, Symbol) else Indexed(symbol, part.at, part.span)
        shown = written(changed)
        of = [x for x, (_, result) in page.slopes.items() if result == n and page.forward[n].generated]
        if of and not derivative:  # what the page writes as a function, and has no name for
            shown = f"{OPS[page.slopes[of[0]][0]].shown}({shown.replace(n, of[0], 1)})"
        said = f"it would be right with {shown} in place of {here}"
        if derivative and page.slope_leads(about, n):
            yield 1, f"the derivative of {OPS[page.slopes[n][0]].shown} is missing: {said}", changed
        else:
            yield 4, said, changed


def summed(claim: Claim, error: EquationError, page: Page) -> Iterator[tuple[str, Node]]:
    """The right side under a Σ that it lacks, where what is wrong with it is a loose index."""
    if not error.problem.startswith("the index `"):
        return
    letter = error.problem.split("`")[1]
    span = claim.right.span
    binder = Binder(Symbol(letter, span), None, None, False, span)
    yield letter, Big("sum", (binder,), Group(claim.right, span), span)
