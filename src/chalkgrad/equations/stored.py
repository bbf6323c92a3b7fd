"""Programs as text, for files and other processes: JSON that says of every node its class and its fields."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, cast

from chalkgrad.equations import ir, size

_CLASSES = (
    *(ir.Index, ir.Range, ir.Condition, ir.Const, ir.At, ir.Read, ir.Apply, ir.Reduce, ir.ArgMax, ir.Guard),
    *(ir.Equation, ir.Name, ir.State, ir.Program, size.Size, size.Floor),
)
_BY_NAME: dict[str, Any] = {c.__name__: c for c in _CLASSES}


def stored(program: ir.Program) -> str:
    """A program as text; :func:`restored` gives an equal one. Equal programs may have different texts.

    >>> from chalkgrad.equations.ir import Equation, Index, Name, Program, Range, Read, Size
    >>> n = Range("n", Size.symbol("N"))
    >>> y = Equation("y", (n,), Read("x", (Index.axis("n"),)))
    >>> p = Program((y,), (Name("x", "input", (n,)),), ("y",))
    >>> stored(p)[:60]
    '{"Program":[[{"Equation":["y",[{"Range":["n",{"Size":[[["N",'
    >>> restored(stored(p)) == p
    True
    """
    return json.dumps(_plain(program), ensure_ascii=False, separators=(",", ":"))


def restored(text: str) -> ir.Program:
    """The program of a text. Raises ValueError for a text that is none."""
    try:
        found = _node(json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no stored program: {text[:60]}…") from error
    if not isinstance(found, ir.Program):
        raise ValueError(f"this is no stored program: {text[:60]}…")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in cast(tuple[Any, ...], value)]
    if isinstance(value, _CLASSES):
        found = [_plain(getattr(value, f.name)) for f in fields(value)]
        defaults = [f.default for f in fields(value)]
        while found and getattr(value, fields(value)[len(found) - 1].name) == defaults[len(found) - 1]:
            found.pop()  # what a class has by default need not be said
        return {type(value).__name__: found}
    return value


def _node(value: Any) -> Any:
    match value:
        case list():
            return tuple(_node(v) for v in cast(list[Any], value))
        case dict():
            ((name, arguments),) = cast(dict[str, Any], value).items()
            return _BY_NAME[name](*_node(arguments))
        case str() | int() | float() | bool():
            return value
        case _:
            raise ValueError(f"{value!r} is no part of a stored program")
