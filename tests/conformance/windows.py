"""Pages of convolution and pooling in any number of axes, from strides, dilations, margins, groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from .evaluate import evaluated

PLACES, TAPS, SIZES = "ijl", "pqr", "LMN"
Margins = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """How a kernel of a shape goes over a picture: steps, gaps, and what is added before and after."""

    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    margins: Margins

    @property
    def rank(self) -> int:
        return len(self.kernel)

    def reads(self, before: int = 0) -> str:
        """The indices of a read: ``2i+3p,j+q``; the first one is so many places before the picture."""
        return ",".join(
            f"{s if s > 1 else ''}{i}+{d if d > 1 else ''}{p}{f'-{before}' if before else ''}"
            for i, p, s, d in zip(PLACES, TAPS, self.strides, self.dilations, strict=False)
        )

    def places(self) -> str:
        return ",".join(PLACES[: self.rank])

    def taps(self) -> str:
        return ",".join(TAPS[: self.rank])

    def bounded(self) -> str:
        """The taps with their ranges, where no kernel gives them: ``p<2,q<2``."""
        return ",".join(f"{p}<{k}" for p, k in zip(TAPS, self.kernel, strict=False))

    def around(self, x: Tensor, value: float) -> Tensor:
        """x with a value in its margins; a negative margin takes away."""
        flat = [n for margin in reversed(self.margins) for n in margin]
        return pad(x, flat, value=value) if any(flat) else x

    def out(self, size: Sequence[int]) -> list[int]:
        """How many places a picture of a size has."""
        return [
            (n + sum(m) - d * (k - 1) - 1) // s + 1
            for n, m, d, k, s in zip(
                size, self.margins, self.dilations, self.kernel, self.strides, strict=True
            )
        ]


def same(size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
         extra: Literal["after", "before"] = "after") -> list[tuple[int, int]]:  # fmt: skip
    """The margins for ⌈size / stride⌉ places; an odd one stands after, or before."""
    found = []
    for n, k, s, d in zip(size, kernel, strides, dilations, strict=True):
        whole = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        found.append((whole // 2, whole - whole // 2))
    return found if extra == "after" else [(b, a) for a, b in found]


def convolved(x: Tensor, w: Tensor, b: Tensor | None, window: Window, groups: int = 1) -> Tensor:
    """A convolution of x (N, C, …) with w (K, C/groups, …): y (N, K, …)."""
    group = "g," if groups > 1 else ""
    taps, axes = window.taps(), window.places()
    before, *others = {n for m in window.margins for n in m}
    before = before if not others and before > 0 and groups == 1 else 0
    said = f" zero outside ±{before}" if before else ""
    page = f"y[{group}k,{axes}] = Σ[c,{taps}] w[{group}k,c,{taps}] x[{group}c,{window.reads(before)}]"
    page += f" + b[{group}k]" if b is not None else ""
    sizes = "×".join(SIZES[: window.rank])
    kernel = "×".join("PQR"[: window.rank])
    page += f"\nwhere x: input {'G×' if group else ''}C×{sizes}{said}, w: {'G×' if group else ''}K×C×{kernel}"
    inner = x if said else window.around(x, 0.0)
    given = {"w": w} | ({"b": b} if b is not None else {})
    if group:
        inner = inner.unflatten(1, (groups, -1))
        given = {n: v.unflatten(0, (groups, -1)) for n, v in given.items()}
    y: Tensor = evaluated(page, {"x": inner}, given)
    return y.flatten(1, 2) if group else y


def transposed(x: Tensor, w: Tensor, window: Window, size: Sequence[int], groups: int = 1) -> Tensor:
    """A transposed convolution of x (N, K, …) with w (K, C/groups, …): what a convolution's derivation gives
    for the gradient to a picture of ``size``, when x arrives at its output."""
    picture = x.new_zeros(x.shape[0], w.shape[1] * groups, *size, requires_grad=True)
    with torch.enable_grad():
        y = convolved(picture, w, None, window, groups)
    assert y.shape == x.shape, f"{tuple(y.shape)} places for {tuple(x.shape)}"
    return torch.autograd.grad(y, picture, x)[0]


def largest(x: Tensor, window: Window) -> Tensor:
    """The maximum under a window."""
    page = f"y[c,{window.places()}] = max[{window.bounded()}] x[c,{window.reads()}]"
    return _pooled(page, x, window, float("-inf"))


def average(x: Tensor, window: Window, margins_count: bool = False, there: Tensor | None = None) -> Tensor:
    """The average under a window: of what is ``there`` (N, …: 1 or 0, by default all of x), or with the
    margins' zeros."""
    margins = any(n for m in window.margins for n in m)
    if there is None and (margins_count or not margins):
        total = f"Σ[{window.bounded()}] x[c,{window.reads()}]"
        return _pooled(f"y[c,{window.places()}] = {total} / {prod(window.kernel)}", x, window, 0.0)
    there = torch.ones_like(x[:, 0]) if there is None else there
    sizes, over = "×".join(SIZES[: window.rank]), f"Σ[{window.bounded()}] u[{window.reads()}]"
    page = f"y[c,{window.places()}] = ({over} x[c,{window.reads()}]) / ({over})"
    page += f"\nwhere x: input C×{sizes}, u: input {sizes}"
    return evaluated(page, {"x": window.around(x, 0.0), "u": window.around(there, 0.0)}, {})


def norm(x: Tensor, window: Window, p: int) -> Tensor:
    """The p-norm under a window, for p of 1, 2 or, by way of a logarithm, 3."""
    total = f"Σ[{window.bounded()}] abs(x[c,{window.reads()}])^{p}"
    root = {1: total, 2: f"sqrt({total})"}.get(p, f"exp(log({total}) / {p})")
    return _pooled(f"y[c,{window.places()}] = {root}", x, window, 0.0)


def _pooled(page: str, x: Tensor, window: Window, outside: float) -> Tensor:
    page += f"\nwhere x: input C×{'×'.join(SIZES[: window.rank])}"
    return evaluated(page, {"x": window.around(x, outside)}, {})
