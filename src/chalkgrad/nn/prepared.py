"""Calls that earlier ones have prepared, for tensors of some shapes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from chalkgrad.kernels.eager.straight import Again, Straight

_SHAPES = 256
"""For how many shapes calls are kept."""


class _Plain(NamedTuple):
    call: Straight


class Prepared:
    """Functions of tensors, by the numbers that they are about and the tensors' shapes, dtype and device.

    >>> ready = Prepared()
    >>> ready.add(2, [torch.zeros(3)], lambda x: x * 2)
    >>> ready(2, [torch.ones(3)]), ready(2, [torch.ones(4)])
    (tensor([2., 2., 2.]), None)
    """

    def __init__(self) -> None:
        self._calls: dict[object, Again | _Plain] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __call__(self, numbers: Hashable, tensors: Sequence[Tensor]) -> Tensor | None:
        """What the function makes of the tensors; None where there is none, or more is to be looked at.

        That is so under autocast, of what is only like a tensor, and of mixed dtypes and devices.
        """
        first = tensors[0]
        dtype, device = first.dtype, first.device
        ready = self._calls.get((numbers, dtype, device, *[t.shape for t in tensors]))
        if ready is None or torch._C._is_any_autocast_enabled():
            return None
        for t in tensors:
            if (type(t) is not Tensor and type(t) is not Parameter) or t.dtype is not dtype:
                return None
            if t.device != device:
                return None
        return ready.call(*tensors)

    def add(self, numbers: Hashable, tensors: Sequence[Tensor], run: Straight, whole: bool = True) -> None:
        """Keep a function for tensors like these; ``whole`` says that it is library calls alone."""
        if len(self._calls) >= _SHAPES:
            self._calls.clear()
        first = tensors[0]
        self._calls[(numbers, first.dtype, first.device, *[t.shape for t in tensors])] = (
            Again(run) if whole else _Plain(run)
        )
