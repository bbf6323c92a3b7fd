"""Reads printed equations back and computes them with NumPy, so that what is printed can be held to its word.

It knows nothing of how they were printed: only what a reader knows who sees the text, the arrays, and whether
vectors are rows or columns. A name with as many indices as axes is a number, with its written ones alone a
vector or a matrix. A term that reads a computed name outside its range is absent (:class:`Absent`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from chalkgrad.equations.ir import Name

FUNCTIONS = {
    "tanh": np.tanh,
    "σ": lambda v: 1 / (1 + np.exp(-v)),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "relu": lambda v: np.maximum(v, 0),
    "max": np.max,
    "softmax": lambda v: np.exp(v - np.logaddexp.reduce(v.ravel())),
    "logsoftmax": lambda v: v - np.logaddexp.reduce(v.ravel()),
    "diag": lambda v: np.diag(v.ravel()),
}
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
NAME = r"(?:∂[₀-₉]*)*[^\W\d](?:[^\W⁰¹²³⁴-⁹ᵀ]|['′\u0304₋])*"


class Absent(Exception):  # noqa: N818
    """A computed name outside its range, or a fact that does not hold: the term is not there."""


@dataclass(frozen=True)
class Reader:
    """The arrays (axes as in the names' ranges), the sizes, and how vectors lie."""

    names: Mapping[str, Name]
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, int]
    columns: bool

    def points(self, left: str) -> list[dict[str, int]]:
        """Every value of the indices on a left side."""
        name, at = _groups(rf"({NAME})(?:\[(.*)\])?", left)
        letters = at.split(",") if at else []
        intervals = [self.interval(name, i) for i in range(len(letters))]
        return [dict(zip(letters, point, strict=True)) for point in product(*intervals)]

    def interval(self, name: str, position: int) -> range:
        r = self.names[name].ranges[position]
        return range(r.low.value(self.numbers), r.high.value(self.numbers))

    def value(self, text: str, where: Mapping[str, int]) -> np.ndarray:
        """The value of a side of an equation, zero where every term is absent."""
        try:
            value, rest = Parse(self, text, dict(where)).sum()
        except Absent:
            return np.array(0.0)
        assert not rest, f"cannot read on at {rest!r}"
        return value


class Parse:
    """One reading of one text at one point. Every method returns a value and the text that is left."""

    def __init__(self, reader: Reader, text: str, where: dict[str, int]) -> None:
        self.reader, self.text, self.where = reader, text, where

    def again(self, text: str) -> Parse:
        return Parse(self.reader, text, self.where)

    def sum(self) -> tuple[np.ndarray, str]:
        terms, signs, rest = [], [], self.text
        sign = 1
        if rest.startswith("-"):
            sign, rest = -1, rest[1:]
        while True:
            term, rest = _cut(rest)
            try:
                value, left = self.again(term).term()
                assert not left, f"cannot read on at {left!r}"
                terms.append(value)
                signs.append(sign)
            except Absent:
                pass
            if not rest:
                break
            sign, rest = (1 if rest.startswith(" + ") else -1), rest[3:]
        if not terms:
            raise Absent
        total = signs[0] * terms[0]
        for s, v in zip(signs[1:], terms[1:], strict=True):
            rows = not self.reader.columns and total.shape[1:] == v.shape[1:]
            assert total.shape == v.shape or () in (total.shape, v.shape) or rows, (total.shape, v.shape)
            total = total + s * v
        return total, ""

    def term(self) -> tuple[np.ndarray, str]:
        if self.text.startswith("Σ["):
            return self.big_sum()
        top, rest = self.elements()
        if rest.startswith(" / "):
            bottom, rest = self.again(rest[3:]).factor()
            assert () in (top.shape, bottom.shape) or top.shape == bottom.shape
            top = top / bottom
        return top, rest

    def elements(self) -> tuple[np.ndarray, str]:
        value, rest = self.chain()
        while rest.startswith(" ⊙ "):
            other, rest = self.again(rest[3:]).chain()
            assert value.shape == other.shape, "⊙ between different shapes"
            value = value * other
        return value, rest

    def chain(self) -> tuple[np.ndarray, str]:
        value, rest = self.factor()
        while rest.startswith(" ") and rest[1] not in "⊙/":
            if rest.startswith(" Σ["):
                other, rest = self.again(rest[1:]).big_sum()
            else:
                other, rest = self.again(rest[1:]).factor()
            if () in (value.shape, other.shape):
                value = value * other
            else:
                value = value @ other
                value = value.reshape(()) if value.shape == (1, 1) else value
        return value, rest

    def big_sum(self) -> tuple[np.ndarray, str]:
        over, rest = _groups(r"Σ\[([^\]]*)\] (.*)", self.text)
        letters, extents = self.extents(over, rest)
        total = None
        for point in product(*extents):
            inner = Parse(self.reader, rest, {**self.where, **dict(zip(letters, point, strict=True))})
            try:
                value, left = inner.term()
            except Absent:
                continue
            assert not left
            total = value if total is None else total + value
        if total is None:
            raise Absent
        return total, ""

    def extents(self, over: str, body: str) -> tuple[list[str], Sequence[Sequence[int]]]:
        """The letters under a Σ and where each runs: ``p<2``, or ``t`` for as far as the names read at it."""
        parts = [axis.partition("<")[::2] for axis in over.split(",")]
        runs = [range(self.index(bound)) if bound else self.extent(axis, body) for axis, bound in parts]
        return [axis for axis, _ in parts], runs

    def extent(self, letter: str, body: str) -> list[int]:
        """Where a summed index runs: inside every name that is read at it, bare."""
        found = None
        for name, at in re.findall(rf"({NAME})\[([^\[\]]*)\]", body):
            for position, index in enumerate(at.split(",")):
                if index == letter and name in self.reader.names:
                    interval = set(self.reader.interval(name, position))
                    found = interval if found is None else found & interval
        assert found is not None, f"nothing says where {letter} runs in {body}"
        return sorted(found)

    def factor(self) -> tuple[np.ndarray, str]:
        value, rest = self.atom()
        while rest and (rest[0] in "ᵀ" or rest[0].translate(RAISED) != rest[0]):
            if rest[0] == "ᵀ":
                assert value.ndim == 2, "a number has no transpose"
                value, rest = value.T, rest[1:]
            else:
                (digits, _) = _groups(r"([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)(.*)", rest)
                assert value.ndim == 0 or 1 in value.shape, "the power of a matrix"
                value, rest = value ** int(digits.translate(RAISED)), rest[len(digits) :]
        return value, rest

    def atom(self) -> tuple[np.ndarray, str]:
        text = self.text
        if text[0] in "([":
            inner, rest = _inside(text)
            return (self.again(inner).sum()[0] if text[0] == "(" else self.square(inner)), rest
        if m := re.match(r"\d+(\.\d+)?", text):
            return np.array(float(m[0])), text[m.end() :]
        if text.startswith("Σ("):
            inner, rest = _inside(text[1:])
            return np.sum(self.again(inner).sum()[0]), rest
        name, rest = _groups(rf"({NAME})(.*)", text)
        if name in self.reader.names:
            at, rest = _inside(rest) if rest.startswith("[") else ("", rest)
            return self.read(name, at.split(",") if at else []), rest
        if name in self.reader.numbers:
            return np.array(float(self.reader.numbers[name])), rest
        if name == "argmax":
            return self.argmax(rest), ""
        if name == "logsumexp" and rest.startswith("["):
            letter, rest = _inside(rest)
            inner, rest = _inside(rest)
            values = [
                Parse(self.reader, inner, {**self.where, letter: v}).sum()[0]
                for v in self.extent(letter, inner)
            ]
            return np.logaddexp.reduce(values), rest
        inner, rest = _inside(rest)
        value = self.again(inner).sum()[0]
        if name == "logsumexp":
            return np.logaddexp.reduce(value.ravel()), rest
        return FUNCTIONS[name](value), rest

    def argmax(self, text: str) -> np.ndarray:
        """``argmax.q[p<2,q<3] x[…]``: the coordinate q of the first maximum, row by row."""
        axis, over, body = _groups(r"(?:\.(\w+))?\[([^\]]*)\] (.*)", text)
        letters, extents = self.extents(over, body)
        points = [dict(zip(letters, p, strict=True)) for p in product(*extents)]
        values = [Parse(self.reader, body, {**self.where, **p}).sum()[0] for p in points]
        return np.array(float(points[int(np.argmax(values))][axis or letters[0]]))

    def square(self, inner: str) -> np.ndarray:
        """Iverson's bracket or a concatenation."""
        if ";" in inner:
            parts = [self.again(p).sum()[0] for p in inner.split("; ")]
            return np.concatenate(parts, axis=0 if self.reader.columns else 1)
        if left := re.fullmatch(r"(.*?) ?> ?0", inner):
            return (self.again(left[1]).sum()[0] > 0).astype(float)
        if "]=" in inner:
            left, right = inner.rsplit("=", 1)
            return (self.again(left).sum()[0] == self.index(right)).astype(float)
        for fact in inner.split(", "):
            left, sign, right = _groups(r"(.*?)([≥≤<=|])(.*)", fact)
            a, b = self.index(left), self.index(right)
            if sign == "|":
                holds = b % a == 0
            else:
                holds = {"≥": a >= b, "≤": a <= b, "<": a < b, "=": a == b}[sign]
            if not holds:
                raise Absent
        return np.array(1.0)

    def read(self, name: str, at: list[str]) -> np.ndarray:
        known, array = self.reader.names[name], self.reader.arrays[name]
        key: list[int | slice] = []
        outside = False
        for position, index in enumerate(at):
            interval = self.reader.interval(name, position)
            if ":" in index:
                low, high = (self.index(i) if i else None for i in index.split(":"))
                key.append(slice(low, high))
                continue
            value = self.index(index)
            if value not in interval:
                if known.role in ("defined", "seed"):
                    raise Absent
                outside = True  # of something given: not a number, unless another factor is absent
            key.append(0 if outside else value - interval.start)
        value = np.asarray(array[tuple(key)]) * (np.nan if outside else 1)
        assert value.ndim in (0, len(known.ranges) - known.written), f"{name}[{at}] leaves {value.ndim} axes"
        if value.ndim == 1:
            return value[:, None] if self.reader.columns else value[None, :]
        return value

    def index(self, text: str) -> int:
        top, _, divisor = text.partition("/")
        total = 0
        for sign, count, letter in re.findall(r"([+-]?)(\d*)([^\W\d]?′*)", top.strip("()")):
            letters = {**self.reader.numbers, **self.where}
            value = int(count or 1) * (letters[letter] if letter else 1) if count or letter else 0
            total += -value if sign == "-" else value
        if total % int(divisor or 1):
            raise Absent  # a fraction is no index
        return total // int(divisor or 1)


def _groups(pattern: str, text: str) -> tuple[str, ...]:
    found = re.fullmatch(pattern, text)
    assert found, f"cannot read {text!r}"
    return tuple(g or "" for g in found.groups())


def _cut(text: str) -> tuple[str, str]:
    """The first term and what follows it: up to a plus or minus outside brackets."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if depth == 0 and text[i : i + 3] in (" + ", " - "):
            return text[:i], text[i:]
    return text, ""


def _inside(text: str) -> tuple[str, str]:
    """What stands in the brackets at the beginning, and what follows them."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if depth == 0:
            return text[1:i], text[i + 1 :]
    raise AssertionError(f"brackets do not close in {text!r}")
