"""What is wrong with a claim: the first element and term that differ, and the slip that explains them.

A slip is named only where it is certain: where the claim with that one thing changed is right in numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice

from torch import Tensor

from chalkgrad.claims.changes import MOST_TRIED, alike, changes
from chalkgrad.claims.claim import Claim
from chalkgrad.claims.grader import Found, Grader
from chalkgrad.claims.ground import BATCH, Draw, agree
from chalkgrad.claims.outcome import figure
from chalkgrad.claims.readings import Reading, readings
from chalkgrad.claims.terms import Term, split, unmatched
from chalkgrad.equations.ops import OPS
from chalkgrad.language.parse.syntax import Big, Group, Negate, Node
from chalkgrad.language.parse.written import written
from chalkgrad.language.source import EquationError


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
        return
    for other in readings(grader.claims, grader.page):
        if other.sense == reading.sense and other.draw.shares:
            again = grader.found(found.claim, other)
            if isinstance(again, EquationError) or again.value.shape != again.right.shape:
                continue
            if slip := _as_a_whole(grader, again):
                yield f"{slip}, {other.notes(grader.page)[-1]}"
                return


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
    derived = [
        Term(page.shown(claim.about, e), grader.at_steps(claim, v, reading))
        for e, v in zip(equations, whole, strict=True)
    ]
    left, right = unmatched(claimed, derived)
    name = grader.place(claim, at, reading)
    if left and right:
        meant = right if len(left) == 1 else right[:1]
        figures = figure(left[0].value[at].item()), figure(sum(t.value[at].item() for t in meant))
        yield f"its term {left[0].shown} gives {name} {figures[0]}"
        more = ", and there are more" if len(left) > 1 else ""
        yield f"it should be {' + '.join(t.shown for t in meant)}, which gives {figures[1]}{more}"
    elif left:
        yield f"its term {left[0].shown} is one too many: it gives {name} {figure(left[0].value[at].item())}"
    elif right:
        yield f"the term {right[0].shown} is missing: it gives {name} {figure(right[0].value[at].item())}"


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
    factor = factor_between(found.value, found.right)
    if factor is not None:
        numbers = {s: n for s, n in grader.ground(Draw()).numbers.items() if s != BATCH}
        return f"it is {times(factor, numbers)} the right one"
    a = found.value
    if a.dim() > 1 and agree(a.mT, found.right):
        return f"it is transposed: {_turned(grader, found.claim)}"
    return None


def factor_between(a: Tensor, b: Tensor) -> float | None:
    """k where a = k b throughout, not 0 and not 1."""
    scale = (b * b).sum().item()
    if not scale or not a.isfinite().all():
        return None
    k = ((a * b).sum() / scale).item()
    near = Fraction(k).limit_denominator(12)
    if b.numel() == 1 and (abs(near - k) > 1e-9 or abs(near) > 12):
        return None  # of two numbers one is always some multiple of the other
    return k if abs(k) > 1e-6 and abs(k - 1) > 1e-6 and agree(a, k * b) else None


def times(k: float, sizes: Mapping[str, int]) -> str:
    """A factor in words: minus, 2 times, T times, 1/T times."""
    if abs(k + 1) < 1e-9:
        return "minus"
    numbers = {n: s for s, n in sizes.items()}
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
        if not alike(page, name, claim.about):
            continue
        if not agree(found.value, ground.gradient(name)):
            continue
        if page.slope_leads(name, claim.about):
            op = OPS[page.slopes[claim.about][0]].shown
            return f"this is ∂{name}: the derivative of {op} is missing, from ∂{name} to ∂{claim.about}"
        if page.slope_leads(claim.about, name):
            op = OPS[page.slopes[name][0]].shown
            return f"this is ∂{name}: the derivative of {op} has no place in ∂{claim.about} yet"
        return f"this is ∂{name}, not ∂{claim.about}"
    return None


def _another_slope(grader: Grader, found: Found, reading: Reading) -> str | None:
    """The slope of another function than the page's: σ's for tanh's."""
    page, ground, claim = grader.page, grader.ground(reading.draw), found.claim
    if claim.about not in page.slopes:
        return None
    op, result = page.slopes[claim.about]
    upstream, y = (ground.values[n][ground.place(result)] for n in (f"∂{result}", result))
    if upstream.shape != found.right.shape:
        return None
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
    trials = list(islice(changes(claim.right, grader.page, grader.claims.shown), MOST_TRIED))
    for k, change in enumerate(trials):
        grader.progress(k, len(trials))
        result = grader.found(replace(claim, right=change.right), reading)
        if not isinstance(result, EquationError) and result.agrees:
            return change.said
    return None
