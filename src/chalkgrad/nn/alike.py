"""Whether tensors are like those of an earlier call in all that is not their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from chalkgrad.kernels.c.loops import kernels_wanted

_dynamos = getattr(getattr(torch._C, "_dynamo", None), "guards", None)
_guards: Callable[..., Any] | None = getattr(_dynamos, "TensorGuards", None)
"""What Dynamo tells tensors apart with: type, dtype, device, shape, strides, if one needs a gradient."""


class Alike:
    """Tensors are alike, and as many; a row that is not alike may yet be laid out in the same way."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        made = _guards and _guards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None)
        self._check = made.check if made else _never

    def __call__(self, tensors: Sequence[Tensor]) -> bool:
        return kernels_wanted() and not torch._C._are_functorch_transforms_active() and self._check(*tensors)


def _never(*_: Tensor) -> bool:
    return False
