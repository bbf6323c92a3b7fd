"""What a backward function returns, taken apart, each array with the name that the function has for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Result:
    """An array, ``value``, as ``label``: a variable's name, a key, or ``result 2``; the names in its
    expression are ``spelled``."""

    label: str
    spelled: tuple[str, ...]
    value: Tensor
    exact: bool  # in float64


def flattened(value: Any, returned: ast.expr | None) -> tuple[Result, ...]:
    """The arrays in what a function returned, nested tuples, lists and dicts gone through in order.

    Raises TypeError for what is no number.

    >>> code = ast.parse("(dW, (db, h))", mode="eval").body
    >>> [r.label for r in flattened((1.0, (2.0, [3.0, 4.0])), code)]
    ['dW', 'db', 'h']
    """
    found = tuple(_parts(value, returned, ()))
    return tuple(
        Result(label or f"result {k}", spelled, x, exact)
        for k, (label, spelled, x, exact) in enumerate(found, 1)
    )


def _parts(
    value: Any, node: ast.expr | None, spelled: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...], Tensor, bool]]:
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _parts(inner, None, (str(key),))
        return
    elements = node.elts if isinstance(node, ast.Tuple | ast.List) else None
    nested = (
        isinstance(value, tuple)
        or (isinstance(value, list) and not _is_array(value))
        or (isinstance(value, list) and elements is not None and len(elements) == len(value))
    )
    if nested:
        fields = getattr(value, "_fields", None)
        for k, inner in enumerate(value):
            below = elements[k] if elements is not None and len(elements) == len(value) else None
            yield from _parts(inner, below, (fields[k],) if fields else ())
        return
    names = spelled or tuple(_names(node))
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{type(value).__name__} is no array of numbers")
    exact = array.dtype.kind != "f" or array.dtype.itemsize >= 8
    yield (names[0] if 0 < len(names) <= 2 else "", names, torch.tensor(array, dtype=torch.float64), exact)


def _is_array(value: list[Any]) -> bool:
    """Whether nested lists are the rows of one array of plain numbers."""
    return bool(value) and all(
        _is_array(v) if isinstance(v, list) else isinstance(v, int | float) for v in value
    )


def _names(node: ast.expr | None) -> Iterator[str]:
    """The names in an expression: its own, or those that it is computed from."""
    match node:
        case None:
            return
        case ast.Name(name):
            yield name
        case ast.Attribute(inner, name):
            yield from _names(inner)
            yield name
        case ast.Call(_, arguments):
            for inner in arguments:
                yield from _names(inner)
        case ast.Subscript(_, ast.Constant(str() as key)):
            yield key
        case _:
            for inner in ast.iter_child_nodes(node):
                if isinstance(inner, ast.expr):
                    yield from _names(inner)
