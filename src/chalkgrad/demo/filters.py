"""Kernels that do something to a picture, by how much, and pages whose results differ in size."""

from __future__ import annotations

import torch
from torch import Tensor

import chalkgrad

MAPS = "y[k,i,j] = Σ[p,q] w[k,p,q] x[i+p,j+q] where x: input M×N, w: K×3×3"

BLUR = [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]]
SHARPEN = [[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]]
# Sobel and Feldman, "A 3×3 isotropic gradient operator for image processing", 1968: upright edges.
EDGE = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]

SIZES = {
    "as it stands": "y[i] = Σ[p] w[p] x[i+p] where x: input N, w: P",
    "one of padding": "y[i] = Σ[p] w[p] x[i+p-1] where x: input N zero outside ±1, w: P",
    "every second place": "y[i] = Σ[p] w[p] x[2i+p] where x: input N, w: P",
    "a gap in the kernel": "y[i] = Σ[p] w[p] x[i+2p] where x: input N, w: P",
}


def maps(x: Tensor, *kernels: list[list[float]]) -> Tensor:
    """``(K, M-2, N-2)``: a picture ``(M, N)`` as each kernel sees it."""
    net = chalkgrad.layer(MAPS, K=len(kernels), init={"w": torch.tensor(kernels)})
    with torch.no_grad():
        return net(x)


def jump(x: Tensor) -> float:
    """By how much a pixel differs from the next one in its row, on average."""
    return x.diff(dim=-1).abs().mean().item()
