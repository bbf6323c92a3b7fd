"""The functions of :mod:`chalkgrad.equations.ops` in torch, and where it has a shorter call."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, ArgMax, At, Const, Expr, Guard, Read, Reduce
from chalkgrad.equations.ops import OPS, mul
from chalkgrad.equations.walk import free_axes


def _step(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


def _equal(a: Tensor, b: Tensor) -> Tensor:
    return torch.eq(a, b).to(a.dtype)


def _softplus(x: Tensor) -> Tensor:
    # torch goes over to the identity at 20 where float64 still sees a difference.
    return torch.nn.functional.softplus(x, threshold=40)


def _select(m: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(m != 0, a, b)


def _stop(m: Tensor, x: Tensor) -> Tensor:
    return torch.where(m != 0, x.detach(), x)


_LOCAL: dict[str, Callable[..., Tensor]] = {
    "step": _step,
    "equal": _equal,
    "softplus": _softplus,
    "select": _select,
    "stop": _stop,
}


IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
}
"""Functions that need not keep what they are of, not even for a slope."""

ALIKE = frozenset({"add", "mul", "relu", "tanh", "sigmoid", "exp", "erf", "softplus"})
"""Functions whose slope torch has as it is derived, at every point."""


def function(op: str) -> Callable[..., Tensor]:
    """The torch function for an operation.

    >>> function("elu")(torch.tensor(-0.0)).item()
    -0.0
    """
    if op in _LOCAL:
        return _LOCAL[op]
    return reduce(getattr, OPS[op].torch.split("."), torch)  # type: ignore[arg-type, return-value]


def power(exponent: float) -> Callable[[Tensor], Tensor]:
    """``x ↦ x^exponent``, by the cheapest call for it."""
    match exponent:
        case 2:
            return lambda x: x * x
        case 3:
            return lambda x: x * x * x
        case -1:
            return torch.reciprocal
        case -2:
            return lambda x: torch.reciprocal(x * x)
        case 0.5:
            return torch.sqrt
        case -0.5:
            return torch.rsqrt
        case _:
            return lambda x: torch.pow(x, exponent)


def negated(e: Expr) -> Expr | None:
    """What ``e`` is the negative of, where it is written as one."""
    if isinstance(e, Apply) and e.op == "mul" and e.args[0] == Const(-1):
        return mul(*e.args[1:])
    return None


def inverted(e: Expr) -> Expr | None:
    """What ``e`` is one over, where it is written so."""
    return e.args[0] if isinstance(e, Apply) and e.op == "pow" and e.args[1] == Const(-1) else None


def where_positive(factors: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], Expr] | None:
    """``x [z > 0]``, a rectifier's gradient, as the factors of x and z, where both have the same axes."""
    steps = [a for a in factors if isinstance(a, Apply) and a.op == "step"]
    rest = tuple(a for a in factors if not isinstance(a, Const) and a not in steps)
    if len(steps) != 1 or not rest:
        return None
    z = steps[0].args[0]
    return (rest, z) if {*free_axes(Apply("mul", rest))} == {*free_axes(z)} else None


def through_sigmoid(
    factors: tuple[Expr, ...],
) -> tuple[tuple[Expr, ...], Read, Callable[[Tensor, Tensor], Tensor]] | None:
    """``x z (1 - z)`` or ``x (1 - z²)``, a sigmoid's or tanh's gradient, as the factors of x, z and the call.

    x and z have the same axes.
    """
    for a in factors:
        match _one_minus(a):
            case Apply("pow", (Read() as z, Const(2))):
                rest, call = tuple(b for b in factors if b is not a), torch.ops.aten.tanh_backward
            case Read() as z if z in factors:
                k = factors.index(z)
                rest = tuple(b for n, b in enumerate(factors) if n != k and b is not a)
                call = torch.ops.aten.sigmoid_backward
            case _:
                continue
        rest = tuple(b for b in rest if not isinstance(b, Const))
        if rest and {*free_axes(Apply("mul", rest))} == {*free_axes(z)}:
            return rest, z, call
    return None


def _one_minus(e: Expr) -> Expr | None:
    match e:
        case Apply("add", (Const(1), b)) | Apply("add", (b, Const(1))):
            return negated(b)
        case _:
            return None


def is_polynomial(e: Expr) -> bool:
    """Whether ``e`` is finite wherever what it reads is."""
    match e:
        case Const() | At() | Read():
            return True
        case Apply("add" | "mul", args):
            return all(is_polynomial(a) for a in args)
        case Apply("pow", (base, Const(k))):
            return k >= 0 and float(k).is_integer() and is_polynomial(base)
        case Guard(_, body) | Reduce("sum", _, body):
            return is_polynomial(body)
        case Apply() | Reduce() | ArgMax():
            return False
