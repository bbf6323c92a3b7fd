"""Cells as users write them today: a loop in Python, its steps torch's operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import chalkgrad
from bench.cells import Cell, Size, agree, side
from chalkgrad.nn.layer import Layer

PEEPHOLE = """
i[t] = σ(x[t] W_xi + h[t-1] W_hi + c[t-1] ⊙ w_ci + b_i)
f[t] = σ(x[t] W_xf + h[t-1] W_hf + c[t-1] ⊙ w_cf + b_f)
g[t] = tanh(x[t] W_xg + h[t-1] W_hg + b_g)
c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]
o[t] = σ(x[t] W_xo + h[t-1] W_ho + c[t] ⊙ w_co + b_o)
h[t] = o[t] ⊙ tanh(c[t])
where x[t]: D, h[t]: H
"""

NORMALISED = """
i[t] = σ(layernorm(x[t] W_xi + h[t-1] W_hi) ⊙ s_i + b_i)
f[t] = σ(layernorm(x[t] W_xf + h[t-1] W_hf) ⊙ s_f + b_f)
g[t] = tanh(layernorm(x[t] W_xg + h[t-1] W_hg) ⊙ s_g + b_g)
o[t] = σ(layernorm(x[t] W_xo + h[t-1] W_ho) ⊙ s_o + b_o)
c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]
h[t] = o[t] ⊙ tanh(c[t])
where x[t]: D, h[t]: H
"""

MINIMAL = """
f[t] = σ(x[t] W_xf + h[t-1] W_hf + b_f)
g[t] = tanh(x[t] W_xg + (f[t] ⊙ h[t-1]) W_hg + b_g)
h[t] = (1 - f[t]) ⊙ h[t-1] + f[t] ⊙ g[t]
where x[t]: D, h[t]: H
"""


class Loop(nn.Module):
    """A cell called for each step: the gates' weights side by side, the input's product before the loop."""

    def __init__(self, cell: str, size: int) -> None:
        super().__init__()
        self.cell, gates = cell, {"peephole": 4, "layer norm": 4, "minimal gated": 2}[cell]
        self.W_x = nn.Parameter(torch.randn(size, gates * size) / size**0.5)
        self.W_h = nn.Parameter(torch.randn(size, gates * size) / size**0.5)
        self.b = nn.Parameter(torch.randn(gates * size) / size**0.5)
        if cell == "peephole":
            self.peep = nn.Parameter(torch.randn(3, size) / size**0.5)
        if cell == "layer norm":
            self.scale = nn.Parameter(1 + torch.randn(gates * size) / size**0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], x.shape[2])
        before = x @ self.W_x
        found: list[Tensor] = []
        for a in before.unbind(1):
            h, c = getattr(self, self.cell.replace(" ", "_"))(a, h, c)
            found.append(h)
        return torch.stack(found, 1)

    def peephole(self, a: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = (a + h @ self.W_h + self.b).chunk(4, 1)
        i, f = torch.sigmoid(i + c * self.peep[0]), torch.sigmoid(f + c * self.peep[1])
        c = f * c + i * torch.tanh(g)
        return torch.sigmoid(o + c * self.peep[2]) * torch.tanh(c), c

    def layer_norm(self, a: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        size = h.shape[1]
        gates = (a + h @ self.W_h).unflatten(1, (4, size))
        gates = nn.functional.layer_norm(gates, (size,)).flatten(1) * self.scale + self.b
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def minimal_gated(self, a: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        size = h.shape[1]
        f = torch.sigmoid(a[:, :size] + h @ self.W_h[:, :size] + self.b[:size])
        g = torch.tanh(a[:, size:] + (f * h) @ self.W_h[:, size:] + self.b[size:])
        return (1 - f) * h + f * g, c


LOOPS = {"peephole": (PEEPHOLE, "ifgo"), "layer norm": (NORMALISED, "ifgo"), "minimal gated": (MINIMAL, "fg")}


def twins(cell: str, size: int) -> tuple[Layer, Loop]:
    """A layer from equations and the same cell as a loop, with the same weights."""
    torch.manual_seed(0)
    text, gates = LOOPS[cell]
    loop, ours = Loop(cell, size), chalkgrad.layer(text, D=size, H=size)
    with torch.no_grad():
        for k, gate in enumerate(gates):
            part = slice(k * size, (k + 1) * size)
            getattr(ours, f"W_x{gate}").copy_(loop.W_x[:, part])
            getattr(ours, f"W_h{gate}").copy_(loop.W_h[:, part])
            getattr(ours, f"b_{gate}").copy_(loop.b[part])
        if cell == "peephole":
            for k, gate in enumerate("ifo"):
                getattr(ours, f"w_c{gate}").copy_(loop.peep[k])
        if cell == "layer norm":
            for k, gate in enumerate(gates):
                getattr(ours, f"s_{gate}").copy_(loop.scale[k * size : (k + 1) * size])
    return ours, loop


def against_loop(cell: str, size: Size) -> Cell:
    T, B, H = size
    ours, loop = twins(cell, H)
    x = torch.randn(B, T, H)
    mine, theirs = side(ours, [*ours.parameters()], x), side(loop, [*loop.parameters()], x)
    return agree(Cell(f"{cell} as a loop", size, mine, theirs))
