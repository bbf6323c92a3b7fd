"""How NumPy and PyTorch write the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chalkgrad.kernels.script.pieces import ATOM, Piece

Dialect = Literal["numpy", "torch"]

_SAME = ("tanh", "exp", "log", "sqrt", "abs", "sign")
_WITH_MATH = ("tanh", "exp", "log", "sqrt")

HELPERS: dict[str, str] = {
    "sigmoid": """\
def sigmoid(x):
    return 1 / (1 + np.exp(-x))
""",
    "softplus": """\
def softplus(x):
    return np.logaddexp(0, x)
""",
    "erf": """\
erf = np.vectorize(math.erf, otypes=[float])
""",
    "elu": """\
def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
""",
    "leaky_relu": """\
def leaky_relu(x):
    return np.where(x > 0, x, 0.01 * x)
""",
    "logsumexp": """\
def logsumexp(x, axis):
    most = x.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0)  # so that no overflow, and no ∞ - ∞, spoils the result
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - most).sum(axis=axis)) + most.squeeze(axis)
""",
    "softmax": """\
def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
""",
}
"""What NumPy lacks: written at the top of a script that needs it."""


@dataclass
class Library:
    """The calls of one dialect; ``used`` collects what a script must import or define for them."""

    dialect: Dialect
    used: set[str]

    @property
    def torch(self) -> bool:
        return self.dialect == "torch"

    @property
    def name(self) -> str:
        return "torch" if self.torch else "np"

    @property
    def axis(self) -> str:
        """What the two call an axis."""
        return "dim" if self.torch else "axis"

    def helper(self, name: str) -> str:
        self.used.add(name)
        return name

    # --- functions of one value, point by point ---------------------------------------------------------

    def function(self, op: str, p: Piece) -> str:
        """The call of a function of one argument."""
        x = p.code
        if self.torch and p.number:
            if op in _WITH_MATH:
                return f"{self.helper('math')}.{op}({x})"
            x = f"torch.tensor({x})"
        match op:
            case "relu":
                return f"torch.relu({x})" if self.torch else f"np.maximum({x}, 0)"
            case "softplus" if self.torch:
                # torch goes over to the identity at 20 where float64 still sees a difference.
                return f"torch.nn.functional.softplus({x}, threshold=40)"
            case "elu" | "leaky_relu" if self.torch:
                return f"torch.nn.functional.{op}({x})"
            case "sigmoid" | "erf" if self.torch:
                return f"torch.{op}({x})"
            case "erf":
                self.used.add("math")
                return f"{self.helper(op)}({x})"
            case "sigmoid" | "softplus" | "elu" | "leaky_relu":
                return f"{self.helper(op)}({x})"
            case _:
                assert op in _SAME, op
                return f"{self.name}.{op}({x})"

    def extreme(self, op: str, a: Piece, b: Piece) -> str:
        """The larger or the smaller of two, ``maximum`` or ``minimum``."""
        if not self.torch:
            return f"np.{op}({a.code}, {b.code})"
        if a.number or b.number:
            tensor, number = (b, a) if a.number else (a, b)
            # The larger of x and 3 is x, but at least 3.
            bound = "min" if op == "maximum" else "max"
            return f"{tensor.at(ATOM)}.clamp({bound}={number.code})"
        return f"torch.{op}({a.code}, {b.code})"

    def selected(self, m: str, a: str, b: str) -> str:
        """The one where m is 1, the other where it is 0."""
        return f"{self.name}.where({m} != 0, {a}, {b})"

    def stopped(self, m: str, x: str) -> str:
        """x, through which torch's autograd does not go where m is 1."""
        return f"torch.where({m} != 0, {x}.detach(), {x})"

    def counted(self, code: str, like: str) -> str:
        """True and false as 1 and 0."""
        return f"{code}.to({like}.dtype)" if self.torch else f"{code}.astype(float)"

    # --- whole arrays -----------------------------------------------------------------------------------

    def zeros(self, shape: Sequence[str], like: str) -> str:
        sizes = ", ".join(shape)
        if self.torch:
            return f"{like}.new_zeros({sizes})" if shape else f"{like}.new_zeros(())"
        return f"np.zeros({sizes})" if len(shape) == 1 else f"np.zeros(({sizes}))"

    def several_zeros(self, count: int, shape: Sequence[str], like: str) -> str:
        """Several arrays of zeros, to be unpacked. (torch lets nobody write into parts of one tensor.)"""
        if self.torch:
            return f"({self.zeros(shape, like)} for _ in range({count}))"
        return self.zeros([str(count), *shape], like)

    def total(self, p: Piece, places: Sequence[int]) -> str:
        if len(places) == len(p.axes):
            return f"{p.at(ATOM)}.sum()"
        return f"{p.at(ATOM)}.sum({self.axis}={_places(places)})"

    def most(self, op: str, code: str, places: Sequence[int]) -> str:
        """The maximum, minimum or logsumexp over some axes."""
        if op == "logsumexp":
            function = "torch.logsumexp" if self.torch else self.helper(op)
            return f"{function}({code}, {self.axis}={_places(places)})"
        return f"{code}.{'a' if self.torch else ''}{op}({self.axis}={_places(places)})"

    def softmax(self, code: str, place: int) -> str:
        function = "torch.softmax" if self.torch else self.helper("softmax")
        return f"{function}({code}, {self.axis}={place})"

    def flipped(self, code: str, place: int) -> str:
        return f"torch.flip({code}, dims=({place},))" if self.torch else f"np.flip({code}, axis={place})"

    def argmax(self, code: str) -> str:
        return f"{code}.argmax({self.axis}=0)"

    def roll(self, code: str, by: str, place: int) -> str:
        return f"{self.name}.roll({code}, {by}, {self.axis}{'s' if self.torch else ''}={place})"

    def positions(self, low: str, high: str, like: str) -> str:
        ends = high if low == "0" else f"{low}, {high}"
        return f"torch.arange({ends}, dtype={like}.dtype)" if self.torch else f"np.arange({ends})"

    @property
    def infinity(self) -> str:
        return f"{self.helper('math')}.inf" if self.torch else "np.inf"


def _places(places: Sequence[int]) -> str:
    return str(places[0]) if len(places) == 1 else f"({', '.join(map(str, places))})"
