"""Names of the page as names of Python: ``∂h`` becomes ``dh``, ``h₀`` ``h0``, ``y'`` ``y_prime``."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable
from itertools import count

_SPELLED = str.maketrans(
    {
        "∂": "d",
        "'": "_prime",
        "′": "_",
        "·": "_",
        "°": "_",
        "(": "",
        ")": "",
        "∗": "_star_",
        **dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)),
    }
)

RESERVED = frozenset(
    (
        *keyword.kwlist,
        *("np", "torch", "math", "sys", "range", "reversed", "print", "max", "min", "zip", "abs"),
        *("forward", "backward", "check", "saved", "sigmoid", "softplus", "erf", "elu", "leaky_relu"),
        *("softmax", "logsumexp", "loss", "given", "draw", "rng", "_"),
        *("l", "O", "I"),  # read as digits, so Python's style guide asks for others
    )
)
"""What a script needs for itself, and what would hide something of Python's."""


def identifier(name: str) -> str:
    """The name as a Python identifier.

    >>> [identifier(n) for n in ("∂W_h", "h₀", "y'", "σ", "lambda", "(f∗g)")]
    ['dW_h', 'h0', 'y_prime', 'σ', 'lambda_', 'f_star_g']
    """
    # Python itself reads identifiers in this normal form.
    plain = unicodedata.normalize("NFKC", name.translate(_SPELLED))
    plain = "".join(c if ("_" + c).isidentifier() else "_" for c in plain)
    plain = plain if plain.isidentifier() else "_" + plain
    return plain + "_" if plain in RESERVED else plain


def of_size(symbol: str) -> str:
    """A size symbol as an identifier: ``|x|``, how long x is, is n_x; a letter of the page is itself.

    >>> of_size("|x|"), of_size("T"), of_size("|x|₂")
    ('n_x', 'T', 'n_x2')
    """
    bare = symbol.replace("|", "")
    return identifier(f"n_{bare}" if bare != symbol or bare in ("I", "O", "l") else symbol)


class Identifiers:
    """The identifiers of one function: no two names share one.

    >>> names = Identifiers()
    >>> names["∂x"], names["dx"], names["∂x"]
    ('dx', 'dx_', 'dx')
    """

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.taken: set[str] = set(RESERVED)

    def __getitem__(self, name: str) -> str:
        if name not in self.of:
            self.of[name] = self.free(identifier(name))
        return self.of[name]

    def call(self, name: str, wish: str) -> str:
        """Let ``name`` be written like ``wish``, or as near to that as is free."""
        if name not in self.of:
            self.of[name] = self.free(identifier(wish))
        return self.of[name]

    def free(self, wish: str) -> str:
        """An identifier that nothing has yet, taken."""
        tries = (wish + "_" * k for k in count())
        found = next(t for t in tries if t not in self.taken)
        self.taken.add(found)
        return found

    def take(self, words: Iterable[str]) -> None:
        """Words that no name may have."""
        self.taken |= set(words)
