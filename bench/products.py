"""The kernels' own product of matrices beside torch's."""

from __future__ import annotations

import torch

from bench.cells import distance
from bench.measure import Do
from chalkgrad.kernels.c import matrix

PRODUCTS = ((3200, 256, 1024), (800, 128, 512), (100, 64, 256))
"""(M, K, N) of products before and after a loop."""


def against_torch_mm(size: tuple[int, int, int]) -> tuple[Do, Do]:
    m, k, n = size
    a, b = torch.randn(m, k), torch.randn(k, n)
    if not distance(matrix.mm(a, b), torch.mm(a, b)) < 1e-4:
        raise AssertionError(f"the product at {size} is not torch's")
    return lambda: matrix.mm(a, b), lambda: torch.mm(a, b)
