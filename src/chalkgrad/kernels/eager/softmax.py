"""A softmax along one axis, and the gradient back through one, found among equations for the library.

A softmax is three of them, ``L = logsumexp[k](s[k])``, ``a[j] = s[j] - L`` and ``A[j] = exp(a[j])``, which
one by one go over the scores eight times. Its gradient is four,

    ∂a[j] = ∂A[j] A[j]      ∂L·1 = Σ[j] ∂a[j]      ∂L = -∂L·1      ∂s[k] = ∂L A[k] + ∂a[k]

which is one call too, whatever A is: only what the equations say is looked at. Where another equation
reads what lies between, they stay apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from chalkgrad.equations.ir import Apply, Equation, Read
from chalkgrad.kernels.eager.among import Among, along, letters_of
from chalkgrad.kernels.eager.functions import negated
from chalkgrad.kernels.eager.steps import Shared
from chalkgrad.kernels.eager.views import arranged


def softmax(among: Among, e: Equation) -> Shared | None:
    """The call of which an equation is the end: ``A[j] = exp(s[j] - logsumexp[k](s[k]))``."""
    match e.value:
        case Apply("exp", (a,)) if gap := among.of(e, a, 1):
            pass
        case _:
            return None
    match gap.value:
        case Apply("add", (Read() as s, minus)) | Apply("add", (minus, Read() as s)):
            whole = among.of(e, negated(minus), 1)
        case _:
            return None
    axis = along(e, whole, "logsumexp", s)
    if not whole or axis is None or not among.is_all(s, e):
        return None
    lay, dim = arranged(letters_of(s), e.axes), e.axes.index(axis)
    name, target = s.name, e.target

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        x = values[name]
        return {target: torch.softmax(lay(x) if lay else x, dim)}

    return Shared((whole, gap, e), "torch.softmax", (name,), (target,), call)


def through_softmax(among: Among, e: Equation) -> Shared | None:
    """The call of which an equation is the end: ``∂s[k] = ∂a[k] - A[k] Σ[j] ∂a[j]``."""
    match e.value:
        case Apply("add", (Read() as own, Apply("mul", (Read() as x, Read() as y)))):
            pass
        case Apply("add", (Apply("mul", (Read() as x, Read() as y)), Read() as own)):
            pass
        case _:
            return None
    share = among.of(e, own, 2)
    match share.value if share else None:
        case Apply("mul", (Read() as first, Read() as second)):
            pass
        case _:
            return None
    for less, out in ((x, y), (y, x)):
        taken = among.of(e, less, 1)
        total = among.of(e, negated(taken.value), 1) if taken else None
        axis = along(e, total, "sum", own)
        if not (share and taken and total and axis) or out not in (first, second):
            continue
        seed = second if out == first else first
        if among.is_all(seed, e) and among.is_all(out, e):
            return _back((share, total, taken, e), seed, out, axis)
    return None


def _back(equations: tuple[Equation, ...], seed: Read, out: Read, axis: str) -> Shared:
    e = equations[-1]
    there, here = arranged(letters_of(seed), e.axes), arranged(letters_of(out), e.axes)
    dim, given, result, target = e.axes.index(axis), seed.name, out.name, e.target

    def call(values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        x, y = values[given], values[result]
        x, y = there(x) if there else x, here(y) if here else y
        return {target: torch.ops.aten._softmax_backward_data(x, y, dim, y.dtype)}

    return Shared(equations, "torch.ops.aten._softmax_backward_data", (given, result), (target,), call)
