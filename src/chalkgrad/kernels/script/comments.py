"""Equations as comments: as the page and the derivation write them, about one example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from chalkgrad.calculus.matrix import matrix_form
from chalkgrad.equations.formula import Symbol, text
from chalkgrad.equations.ir import ONE, Equation, Expr, Index, Name, Range, Read, Reduce
from chalkgrad.equations.show import Page, box, formula, left_side
from chalkgrad.equations.walk import bound_axes, free_axes, rewrite, substitute

BATCH = "batch"


def line(e: Equation, names: Mapping[str, Name], columns: bool, where: bool = False) -> str:
    """The equation on one line, in matrix notation where its ranks allow that.

    ``names`` are those of the batched program; the batch is left out. ``where`` adds the box it holds on.
    """
    plain, one = _one_example(e), {n: _of_one(k) for n, k in names.items()}
    if one[one[e.target].of or e.target].role == "start":
        plain, one = _at_its_step(plain, one)
    page = Page(one)
    left, right = matrix_form(plain, page, columns) or (left_side(plain), formula(plain.value, page))
    shown = _with_softmax(f"{text(left)} = {text(right)}")
    return f"{shown}  for {box(plain.domain)}" if where and plain.domain else shown


_SOFTMAX = re.compile(r"exp\((\S+) - logsumexp(?:\[(\w+)\])?\((\S+)\)\)")


def _with_softmax(shown: str) -> str:
    """``exp(e - logsumexp(e))`` by its name."""

    def named(found: re.Match[str]) -> str:
        score, axis, other = found.groups()
        if score == other:
            return f"softmax({score})"
        mine, theirs = (re.split(r"\W+", s) for s in (score, other))
        differing = [a for a, b in zip(mine, theirs, strict=False) if a != b]
        if axis and len(differing) == 1 and len(mine) == len(theirs):
            return f"softmax[{differing[0]}]({score})"
        return found.group()

    return _SOFTMAX.sub(named, shown)


def share(e: Equation, at: tuple[Index, ...], names: Mapping[str, Name], columns: bool) -> str:
    """What an equation's right side adds to its target at another index: ``∂h[t-1] += ∂a[t] W_hᵀ``."""
    shown = line(e, names, columns)
    written = names[e.target].written
    whole = shown.count("[") and not shown.startswith(f"{e.target} ")
    places = at[:written] if len(shown.partition(" = ")[0].split(",")) < len(e.axes) else at
    places = tuple(i for i in places if BATCH not in i.axes)
    left = text(Symbol(e.target, places)) if whole else e.target
    right = shown.partition(" = ")[2]
    if right.startswith("-") and not _is_sum(right):
        return f"{left} -= {right[1:]}"
    return f"{left} += {right}"


def _is_sum(shown: str) -> bool:
    depth = 0
    for word in shown.split(" "):
        if word in "+-" and not depth:
            return True
        depth += sum(word.count(c) for c in "([") - sum(word.count(c) for c in ")]")
    return False


def _one_example(e: Equation) -> Equation:
    def rule(part: Expr) -> Expr:
        match part:
            case Read(name, (first, *rest)) if BATCH in first.axes:
                return Read(name, tuple(rest))
            case Reduce(op, over, body) if any(r.axis == BATCH for r in over):
                kept = tuple(r for r in over if r.axis != BATCH)
                return Reduce(op, kept, body) if kept else body
            case _:
                return part

    domain = tuple(r for r in e.domain if r.axis != BATCH)
    return Equation(e.target, domain, rewrite(rewrite(e.value, rule), lambda part: _unprimed(part, domain)))


def _unprimed(e: Expr, domain: tuple[Range, ...]) -> Expr:
    """A sum over p′ as one over p, where no p is near."""
    match e:
        case Reduce(op, over, body):
            taken = {*free_axes(body), *bound_axes(body), *(r.axis for r in (*domain, *over))}
            for r in over:
                if (letter := r.axis.rstrip("′")) not in taken:
                    body = substitute(body, {r.axis: Index.axis(letter)})
                    over = tuple(replace(q, axis=letter) if q == r else q for q in over)
                    taken.add(letter)
            return Reduce(op, over, body)
        case _:
            return e


def _at_its_step(e: Equation, names: Mapping[str, Name]) -> tuple[Equation, Mapping[str, Name]]:
    """The gradient of a start without the axis along which it has one step: ``∂h₀ = ∂h[-1]``."""
    single = {r.axis: Index((), r.low) for r in e.domain if r.size == ONE}
    n = names[e.target]
    ranges = tuple(r for r in n.ranges if r.size != ONE)
    bare = replace(n, ranges=ranges, written=max(0, n.written - len(single)))
    domain = tuple(r for r in e.domain if r.axis not in single)
    return Equation(e.target, domain, substitute(e.value, single)), {**names, e.target: bare}


def _of_one(n: Name) -> Name:
    if not n.ranges or n.ranges[0].axis != BATCH:
        return n
    return Name(n.name, n.role, n.ranges[1:], n.written - 1, n.of, n.generated)
