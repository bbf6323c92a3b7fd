"""The product of two labelled tensors summed over some labels, as the library call that it is.

    batch: in both and kept     rows: in the left only     columns: in the right only     inner: in both and
    summed

One matrix product (mm, mv), a batch of them (bmm), or, where there is nothing to contract, a product point by
point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from chalkgrad.kernels.eager.views import View, arranged

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """How to multiply: each operand laid out, one call, and the result's labels (after ``finish``).

    ``swapped`` says that the operands change places. A layout of None means: as it is.
    """

    swapped: bool
    left: View | None
    right: View | None
    call: Callable[[Tensor, Tensor], Tensor]
    finish: View | None
    labels: Labels


def product(
    a: Labels,
    b: Labels,
    kept: Sequence[str],
    sizes: Mapping[str, int],
    mm: Callable[[Tensor, Tensor], Tensor] = torch.mm,
) -> Product:
    """The product of tensors labelled ``a`` and ``b``; labels in neither's partner must be among ``kept``.

    ``kept`` is also the order wanted of the result's labels, ``mm`` what multiplies two matrices.
    """
    inner = [x for x in a if x in b and x not in kept]
    batch = [x for x in kept if x in a and x in b]
    rows = [x for x in kept if x in a and x not in b]
    columns = [x for x in kept if x in b and x not in a]
    if rows and columns and kept.index(columns[0]) < kept.index(rows[0]):
        swapped = product(b, a, kept, sizes, mm)
        return Product(True, swapped.left, swapped.right, swapped.call, swapped.finish, swapped.labels)
    if not inner or not (rows or columns):
        return _pointwise(a, b, inner, batch, rows, columns, kept)
    if not rows and not batch:
        turned = product(b, a, kept, sizes, mm)
        return Product(True, turned.left, turned.right, turned.call, turned.finish, turned.labels)
    labels = (*batch, *rows, *columns)
    if batch:
        left = _grouped(a, (batch, rows, inner), sizes)
        right = _grouped(b, (batch, inner, columns), sizes)
        call: Callable[[Tensor, Tensor], Tensor] = torch.bmm
        plain = len(batch) == len(rows) == len(columns) == 1
    elif columns and max(len(rows), len(inner), len(columns)) > 1:
        call = _as_it_lies(a, b, rows, inner, columns, kept, sizes, mm)
        return Product(False, None, None, call, None, tuple(x for x in kept if x in labels))
    elif columns:
        left, right = _grouped(a, (rows, inner), sizes), _grouped(b, (inner, columns), sizes)
        call, plain = mm, True
    else:
        left, right = _grouped(a, (rows, inner), sizes), _grouped(b, (inner,), sizes)
        call, plain = torch.mv, len(rows) == 1
    shape = tuple(sizes[x] for x in labels)
    order = [labels.index(x) for x in kept if x in labels]
    moved = order != sorted(order)

    def finish(x: Tensor) -> Tensor:
        x = x if plain else x.reshape(shape)
        return x.permute(order) if moved else x

    ordered = tuple(labels[k] for k in order)
    return Product(False, left, right, call, None if plain and not moved else finish, ordered)


def _as_it_lies(
    a: Labels,
    b: Labels,
    rows: list[str],
    inner: list[str],
    columns: list[str],
    kept: Sequence[str],
    sizes: Mapping[str, int],
    mm: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor], Tensor]:
    """A matrix product whose axes are flattened in the order in which the operands lie in memory.

    What is summed is flattened in the order of the larger operand: where they differ, the smaller is copied.
    """
    order = [x for x in kept if x in rows or x in columns]

    def lying(x: Tensor, labels: Labels, axes: list[str]) -> list[str]:
        return sorted(axes, key=lambda label: -x.stride(labels.index(label)))

    def flat(x: Tensor, labels: Labels, first: list[str], second: list[str]) -> Tensor:
        # Where that is a copy, what lies side by side stays so: the matrix is turned, not its numbers.
        turned = lying(x, labels, [*labels])[-1] in first
        above, below = (second, first) if turned else (first, second)
        x = x.permute([labels.index(label) for label in above + below])
        x = x.reshape([prod(sizes[label] for label in group) for group in (above, below)])
        return x.t() if turned else x

    def call(x: Tensor, y: Tensor) -> Tensor:
        over = lying(x, a, inner) if x.numel() >= y.numel() else lying(y, b, inner)
        above, beside = lying(x, a, rows), lying(y, b, columns)
        z = mm(flat(x, a, above, over), flat(y, b, over, beside))
        found = [*above, *beside]
        return z.reshape([sizes[label] for label in found]).permute([found.index(label) for label in order])

    return call


def _grouped(labels: Labels, groups: Sequence[Sequence[str]], sizes: Mapping[str, int]) -> View | None:
    """One dimension per group; None where the tensor has them as it is."""
    order = [x for g in groups for x in g]
    lay = arranged(labels, order)
    if all(len(g) == 1 for g in groups):
        return lay
    shape = tuple(prod(sizes[x] for x in g) for g in groups)
    return (lambda x: x.reshape(shape)) if lay is None else (lambda x: lay(x).reshape(shape))


def _pointwise(
    a: Labels,
    b: Labels,
    inner: list[str],
    batch: list[str],
    rows: list[str],
    columns: list[str],
    kept: Sequence[str],
) -> Product:
    result = [x for x in kept if x in batch or x in rows or x in columns]
    together = [*result, *inner]
    left, right = arranged(a, together), arranged(b, together)
    dims = list(range(len(result), len(together)))
    if dims and not result:
        return Product(False, left, right, lambda x, y: (x * y).sum(), None, ())
    finish: View | None = (lambda x: x.sum(dims)) if dims else None
    return Product(False, left, right, torch.mul, finish, tuple(result))
