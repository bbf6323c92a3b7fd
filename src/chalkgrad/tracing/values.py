"""Numbers by name, from a JSON file or from Python: every list whole, every number a number."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from chalkgrad.language.source import EquationError, Span

Values = Mapping[str, Any]

EXAMPLE = '{"x": [[1, 0], [0, 1]], "W": [[0.5, -1], [0.2, 0.3]]}'


def load(path: str | Path) -> dict[str, Any]:
    """The names and lists of a JSON file. Raises EquationError with the place where it is not one."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise EquationError(
            f"there is no file {path}", help=f"write one, such as {EXAMPLE}, or use --random"
        ) from None
    except IsADirectoryError:
        raise EquationError(f"{path} is a folder", help="name the file with the values") from None
    except UnicodeDecodeError as e:
        raise EquationError(f"{path} is not UTF-8 text (byte {e.start})", help="save it as UTF-8") from None
    except OSError as e:
        raise EquationError(f"{path} cannot be read: {e.strerror}", help="check the path") from None
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as e:
        at = ((Span(e.pos, e.pos + 1), "here"),)
        raise EquationError(f"{path} is not JSON: {e.msg}", text, at, f"a file such as {EXAMPLE}") from None
    except RecursionError:
        raise EquationError(
            f"{path} is nested too deep to hold numbers", help=f"a file such as {EXAMPLE}"
        ) from None
    except ValueError as e:  # a whole number of more digits than Python reads
        raise EquationError(f"{path}: {e}", help="give numbers") from None
    if not isinstance(found, dict):
        raise EquationError(
            f"{path} holds {_kind(found)}, not values by name", help=f"a file such as {EXAMPLE}"
        )
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [n for n, _ in pairs]
        twice = next(n for n in names if names.count(n) > 1)
        raise EquationError(f"`{twice}` is given twice", help="give each name once")
    return found


def tensor(name: str, value: Any) -> Tensor:
    """A number, or lists of lists of numbers, as a float64 tensor.

    Raises EquationError for lists of different lengths and for what is no finite number.

    >>> tensor("x", [[1, 2.5]])
    tensor([[1.0000, 2.5000]], dtype=torch.float64)
    """
    if hasattr(value, "tolist"):  # a tensor, or an array of NumPy's
        value = value.tolist()
    shape, at = [], value
    while isinstance(at, list | tuple):
        shape.append(len(at))
        at = at[0] if at else None
        if len(shape) > 12:
            raise EquationError(
                f"`{name}` is nested too deep to hold numbers", help=f"values such as {EXAMPLE}"
            )
    flat: list[float] = []
    _collect(name, value, shape, "", flat)
    return torch.tensor(flat, dtype=torch.float64).reshape(shape)


def _collect(name: str, value: Any, shape: list[int], at: str, flat: list[float]) -> None:
    if isinstance(value, list | tuple):
        if not shape:
            raise EquationError(
                f"`{name}{at}` is a list where its first neighbour is a number",
                help="give numbers, or lists, of one shape",
            )
        if not value:
            raise EquationError(f"`{name}{at}` is empty", help="give at least one number")
        if len(value) != shape[0]:
            raise EquationError(
                f"`{name}{at}` has {len(value)} entries, and the first list beside it has {shape[0]}",
                help="give every row the same length",
            )
        for k, part in enumerate(value):
            _collect(name, part, shape[1:], f"{at}[{k}]", flat)
        return
    if shape:
        raise EquationError(
            f"`{name}{at}` is {_kind(value)} where its first neighbour is a list",
            help="give numbers, or lists, of one shape",
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        _no_number(name, at, _kind(value))
    try:
        number = float(value)
    except OverflowError:
        _no_number(name, at, "too large a number")
    if not math.isfinite(number):
        _no_number(name, at, "not a number (NaN)" if math.isnan(number) else "infinite")
    flat.append(number)


def _no_number(name: str, at: str, kind: str) -> NoReturn:
    raise EquationError(f"`{name}{at}` is {kind}, and a number is needed", help="give numbers")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return f'the text "{value[:20]}"'
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case _:
            return type(value).__name__


def plain(name: str) -> str:
    """A name as it may be typed: ``h0`` for h₀, ``y_bar`` and ``ybar`` for ȳ.

    >>> plain("h₀"), plain("ȳ"), plain("y_bar")
    ('h0', 'ybar', 'ybar')
    """
    shown = unicodedata.normalize("NFD", name.strip()).translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
    return shown.replace("\u0304", "bar").replace("_bar", "bar")
