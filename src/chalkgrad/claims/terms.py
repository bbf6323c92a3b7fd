"""A claim and the derived equation, term by term: the first term that matches none, and what it should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from chalkgrad.claims.ground import agree
from chalkgrad.language.parse.syntax import Big, Binary, Group, Negate, Node

MOST_TERMS = 8
"""Terms of an equation that are matched in groups: what is longer is compared one by one."""


@dataclass(frozen=True)
class Term:
    """A term as it is shown, and its value."""

    shown: str
    value: Tensor


def split(node: Node) -> Iterator[Node]:
    """The terms of a right side, with their signs; a Σ over a bracket goes to each term in it."""
    match node:
        case Group(body):
            yield from split(body)
        case Binary("+", left, right):
            yield from _terms(left)
            yield from _terms(right)
        case Binary("-", left, right):
            yield from _terms(left)
            yield from (_negative(t) for t in _terms(right))
        case Negate(body):
            yield from (_negative(t) for t in _terms(body))
        case Big("sum", _, Group() as body) if len(terms := list(split(body))) > 1:
            yield from (replace(node, body=Group(t, body.span)) for t in terms)
        case _:
            yield node


def _terms(node: Node) -> Iterator[Node]:
    """The terms of a part; a bracket among several terms is one of them."""
    yield from (node,) if isinstance(node, Group) else split(node)


def _negative(node: Node) -> Node:
    return node.body if isinstance(node, Negate) else Negate(node, node.span)


def unmatched(claimed: Sequence[Term], derived: Sequence[Term]) -> tuple[list[Term], list[Term]]:
    """What is left of both when terms with the same value are taken away, one against one, then one against
    the sum of several."""
    left, right = list(claimed), list(derived)
    for sizes in ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1)):
        if sum(sizes) > 2 and max(len(left), len(right)) > MOST_TERMS:
            break
        while pair := _same(left, right, *sizes):
            left = [t for t in left if not any(t is p for p in pair[0])]
            right = [t for t in right if not any(t is p for p in pair[1])]
    return left, right


def _same(
    left: Sequence[Term], right: Sequence[Term], n: int, m: int
) -> tuple[tuple[Term, ...], tuple[Term, ...]] | None:
    for a in combinations(left, n):
        for b in combinations(right, m):
            if agree(total(a), total(b)):
                return a, b
    return None


def total(terms: Sequence[Term]) -> Tensor:
    """The sum of terms of one shape."""
    return torch.stack([t.value for t in terms]).sum(0)
