"""Initial values of parameters, chosen by the part each plays in the equations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, Expr, Name, Program, Read, Reduce
from chalkgrad.equations.walk import children, nodes


def initialise(tensor: Tensor, name: Name, program: Program) -> None:
    """Fill a parameter in place.

    Matrices: uniform with bound √(6 / (fan in + fan out)) (Glorot and Bengio, AISTATS 2010, eq. 16); square
    ones that multiply a state of an earlier step: orthogonal (Saxe, McClelland and Ganguli, ICLR 2014). What
    is only ever added, a bias: zero. A vector or scalar that multiplies: uniform in ±1/√size.
    """
    with torch.no_grad():
        if _is_recurrent(name.name, program) and tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1]:
            torch.nn.init.orthogonal_(tensor)
        elif tensor.dim() >= 2:
            bound = math.sqrt(6 / max(1, sum(_fans(name.name, tensor, program))))
            tensor.uniform_(-bound, bound)
        elif _multiplies(name.name, program):
            bound = 1 / math.sqrt(max(1, tensor.numel()))
            tensor.uniform_(-bound, bound)
        else:
            tensor.zero_()


def _products(name: str, program: Program) -> list[Reduce]:
    """The sums of products in which a parameter stands."""
    return [
        e
        for equation in program.equations
        for e in nodes(equation.value)
        if isinstance(e, Reduce) and any(isinstance(r, Read) and r.name == name for r in _factors(e.body))
    ]


def _factors(e: Expr) -> tuple[Expr, ...]:
    return tuple(f for a in e.args for f in _factors(a)) if isinstance(e, Apply) and e.op == "mul" else (e,)


def _is_recurrent(name: str, program: Program) -> bool:
    """Whether the parameter multiplies a state read at a shift."""
    states = {s.name: s.position for s in program.states}
    return any(
        isinstance(r, Read) and r.name in states and r.at[states[r.name]].plain() is None
        for product in _products(name, program)
        for r in nodes(product.body)
    )


def _fans(name: str, tensor: Tensor, program: Program) -> tuple[int, int]:
    """How many inputs reach one output, and how many outputs one input reaches.

    Summed axes are inputs and the others outputs; a summed axis that shifts a read, as a kernel's does,
    counts as both (torch.nn.init counts a convolution's receptive field so).
    """
    product = next(iter(_products(name, program)), None)
    if product is None:
        return tensor.shape[-1], tensor.shape[0]
    read = next(r for r in _factors(product.body) if isinstance(r, Read) and r.name == name)
    summed = {r.axis for r in product.over}
    shifting = {
        a for r in nodes(product.body) if isinstance(r, Read) for i in r.at if len(i.axes) > 1 for a in i.axes
    }
    inputs = outputs = 1
    for index, size in zip(read.at, tensor.shape, strict=True):
        axes = set(index.axes)
        inputs *= size if axes & summed else 1
        outputs *= size if not axes & summed or axes & shifting else 1
    return inputs, outputs


def _multiplies(name: str, program: Program) -> bool:
    """Whether a parameter is ever more than a term of a sum."""

    def multiplied(e: Expr) -> bool:
        if isinstance(e, Apply) and e.op == "mul":
            return any(isinstance(a, Read) and a.name == name for a in e.args) or any(map(multiplied, e.args))
        return any(map(multiplied, children(e)))

    return any(multiplied(e.value) for e in program.equations)
