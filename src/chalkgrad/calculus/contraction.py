"""A sum of products of vectors and matrices, as a chain of matrix products.

The factors of a term are a graph: its implicit axes are the vertices, its matrices the edges, and its vectors
hang on the vertices. A tree of these is folded up from the leaves into matrix products and ⊙; anything else
has no matrix form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chalkgrad.equations.formula import (
    Call,
    Formula,
    Number,
    hadamard,
    product,
    quotient,
    transposed,
)


class NoMatrixForm(Exception):  # noqa: N818
    """The term is not a chain of matrix products and ⊙."""


@dataclass(frozen=True)
class Tensor:
    """A formula and its implicit axes: none for a number, one for a vector, two for a matrix."""

    formula: Formula
    axes: tuple[str, ...] = ()

    def turned(self, axes: tuple[str, ...]) -> Tensor:
        """The same with its axes in this order. Raises NoMatrixForm for other axes."""
        if self.axes == axes or len(self.axes) < 2:
            return self
        if self.axes != axes[::-1]:
            raise NoMatrixForm
        return Tensor(transposed(self.formula), axes)


@dataclass(frozen=True)
class Factor:
    """A factor of a term, above or below the line, and where it stood."""

    place: int
    value: Tensor
    below: bool = False


def contract(factors: list[Factor], out: tuple[str, ...], columns: bool, diagonals: bool = False) -> Tensor:
    """The product of the factors, summed over every axis but ``out``: in that order, if there are two.

    With ``columns`` vectors are columns (``W v``, outer product ``a bᵀ``), else rows (``v W``, ``aᵀ b``).
    With ``diagonals`` a vector along an axis of a chain is ``diag(v)``, else that has no matrix form.
    Raises NoMatrixForm.
    """
    used = tuple(dict.fromkeys(a for f in factors for a in f.value.axes))
    if len(out) > 2:
        raise NoMatrixForm
    matrices = _edges([f for f in factors if len(f.value.axes) == 2], out)
    if not _is_forest(matrices):
        raise NoMatrixForm
    graph = Graph(
        {a: [f for f in factors if f.value.axes == (a,)] for a in used},
        matrices,
        frozenset(out),
        columns,
        diagonals,
    )
    core = [graph.matrix(*out)] if len(out) == 2 else [graph.vector(out[0])] if out else []
    scalars = [(f.place, f.value.formula) for f in factors if not f.value.axes and not f.below]
    for axis in used:
        if axis not in graph.seen:
            scalars.append(graph.scalar(axis))
    top = [f for _, f in (*_in_order(scalars), *core)]
    bottom = [f.value.formula for f in factors if not f.value.axes and f.below]
    return Tensor(quotient(product(*top), product(*bottom)), out)


# --- matrices ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edge:
    """A matrix between two axes."""

    place: int
    axes: tuple[str, ...]
    formula: Formula

    def other(self, axis: str) -> str:
        """The axis at the other end."""
        return self.axes[0] if self.axes[1] == axis else self.axes[1]

    def from_(self, axis: str) -> Formula:
        """The matrix with ``axis`` as its rows."""
        return self.formula if self.axes[0] == axis else transposed(self.formula)


def _edges(matrices: list[Factor], out: tuple[str, ...]) -> list[Edge]:
    """The matrices; those on the same two axes are multiplied element by element."""
    pairs: dict[frozenset[str], list[Factor]] = {}
    for f in matrices:
        if f.below:
            raise NoMatrixForm
        pairs.setdefault(frozenset(f.value.axes), []).append(f)
    found: list[Edge] = []
    for pair, group in pairs.items():
        axes = out if len(group) > 1 and pair == frozenset(out) else group[0].value.axes
        whole = hadamard(*(f.value.turned(axes).formula for f in group))
        found.append(Edge(group[0].place, axes, whole) if len(group) > 1 else _edge(group[0]))
    return found


def _edge(f: Factor) -> Edge:
    return Edge(f.place, f.value.axes, f.value.formula)


def _is_forest(edges: Iterable[Edge]) -> bool:
    group: dict[str, str] = {}
    for e in edges:
        a, b = (_root(group, x) for x in e.axes)
        if a == b:
            return False
        group[a] = b
    return True


def _root(group: Mapping[str, str], axis: str) -> str:
    while axis in group:
        axis = group[axis]
    return axis


# --- the fold ------------------------------------------------------------------------------------------

Placed = tuple[int, Formula]


def _in_order(placed: list[Placed]) -> list[Placed]:
    return sorted(placed, key=lambda p: p[0])


@dataclass
class Graph:
    """A term's vectors by axis, its matrices, the axes that are not summed, and those ``seen``."""

    vectors: Mapping[str, list[Factor]]
    edges: list[Edge]
    out: frozenset[str]
    columns: bool
    diagonals: bool = False
    seen: set[str] = field(default_factory=lambda: set[str]())

    def vector(self, axis: str, came: Edge | None = None) -> Placed:
        """Everything that hangs on an axis, folded up into one vector along it."""
        top, bottom = self.hanging(axis, came)
        return min(p for p, _ in top + bottom), _element_by_element(top, bottom)

    def scalar(self, axis: str) -> Placed:
        """A component of which nothing is left over: a dot product, or the sum of a vector's elements."""
        top, bottom = self.hanging(axis, None)
        if len(top) < 2 or bottom:
            return min(p for p, _ in top + bottom), Call("sum", (_element_by_element(top, bottom),))
        (place, first), *rest = top
        return place, self.pair(first, _element_by_element(rest, []), dot=True)

    def hanging(self, axis: str, came: Edge | None) -> tuple[list[Placed], list[Placed]]:
        """The vectors along an axis, above and below the line; those that come through a matrix too."""
        if came and axis in self.out:
            raise NoMatrixForm
        self.seen.add(axis)
        top = [(f.place, f.value.formula) for f in self.vectors[axis] if not f.below]
        bottom = [(f.place, f.value.formula) for f in self.vectors[axis] if f.below]
        for edge in self.edges:
            if axis in edge.axes and edge is not came:
                place, inner = self.vector(edge.other(axis), edge)
                top.append((min(place, edge.place), self.through(inner, edge, axis)))
        if not top and not bottom:
            raise NoMatrixForm  # a matrix summed along one axis: only an index says which
        return _in_order(top), bottom

    def through(self, v: Formula, edge: Edge, to: str) -> Formula:
        """A vector times a matrix, which is turned as it must be."""
        return product(edge.from_(to), v) if self.columns else product(v, edge.from_(edge.other(to)))

    def matrix(self, row: str, column: str) -> Placed:
        """A matrix along two axes: a chain of matrices between them, or the outer product of two vectors."""
        path = self.path(row, column, None)
        if path is None:
            place, first = self.vector(row)
            other, second = self.vector(column)
            return min(place, other), self.pair(first, second, dot=False)
        on_the_way = {a for e in path for a in e.axes}
        branches = [e for e in self.edges if e not in path and on_the_way & set(e.axes)]
        if (branches or any(self.vectors[a] for a in on_the_way)) and not self.diagonals:
            raise NoMatrixForm  # would need a diagonal matrix
        self.seen |= on_the_way
        turned = self.diagonal(row, path)
        for edge in path:
            turned.append(edge.from_(row))
            row = edge.other(row)
            turned += self.diagonal(row, path)
        return min(e.place for e in path), product(*turned)

    def diagonal(self, axis: str, path: list[Edge]) -> list[Formula]:
        """What hangs on an axis that a path of matrices goes through, as a diagonal matrix."""
        top = [(f.place, f.value.formula) for f in self.vectors[axis] if not f.below]
        bottom = [(f.place, f.value.formula) for f in self.vectors[axis] if f.below]
        for edge in self.edges:
            if axis in edge.axes and edge not in path:
                _, inner = self.vector(edge.other(axis), edge)
                top.append((edge.place, self.through(inner, edge, axis)))
        return [Call("diag", (_element_by_element(_in_order(top), bottom),))] if top or bottom else []

    def path(self, axis: str, end: str, came: Edge | None) -> list[Edge] | None:
        """The matrices that lead from one axis to another, or None."""
        for edge in self.edges:
            if axis in edge.axes and edge is not came:
                there = edge.other(axis)
                rest = [] if there == end else self.path(there, end, edge)
                if rest is not None:
                    return [edge, *rest]
        return None

    def pair(self, a: Formula, b: Formula, *, dot: bool) -> Formula:
        """The dot product of two vectors, or the outer one."""
        return product(transposed(a), b) if dot is self.columns else product(a, transposed(b))


def _element_by_element(top: list[Placed], bottom: list[Placed]) -> Formula:
    above = hadamard(*(f for _, f in top)) if top else Number(1)
    return quotient(above, hadamard(*(f for _, f in bottom)) if bottom else Number(1))
