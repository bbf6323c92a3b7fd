"""Named tuples of tensors that can be pickled, whatever the names in the equations."""

from __future__ import annotations

import keyword
from collections import namedtuple
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=256)
def named_tuple(title: str, names: tuple[str, ...]) -> Any:
    """A NamedTuple class with these fields; a prime becomes ``_prime``.

    >>> named_tuple("State", ("h", "c"))(1, 2)
    State(h=1, c=2)
    """
    fields = [n.replace("'", "_prime").replace("′", "_prime") for n in names]
    fields = [f"{f}_" if keyword.iskeyword(f) else f for f in fields]
    base = namedtuple(title, fields, rename=True)
    return type(
        title, (base,), {"__slots__": (), "__reduce__": lambda self: (_rebuilt, (title, names, tuple(self)))}
    )


def _rebuilt(title: str, names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return named_tuple(title, names)(*values)
