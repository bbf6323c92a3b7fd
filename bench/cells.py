"""What is measured: a layer of ours beside a peer that computes the same.

A peer gives the same numbers as ours, which is checked before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import chalkgrad
from chalkgrad.kernels.c import matrix

GRID = (
    (100, 1, 64), (100, 1, 256), (100, 8, 128), (100, 32, 128),
    (100, 32, 256), (50, 64, 512), (50, 64, 1024), (100, 128, 128),
)  # fmt: skip
"""(T, B, D = H)."""

QUICK = ((100, 1, 64), (100, 8, 128), (100, 32, 256))

Module = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Cell:
    """One place of the table: the size, and what is called in turn."""

    peer: str
    size: tuple[int, int, int]
    ours: Module
    theirs: Module
    parameters: tuple[list[Tensor], list[Tensor]]
    x: Tensor

    def training(self, own: bool) -> Callable[[], object]:
        """Forward and backward: all gradients, the input's too."""
        module = self.ours if own else self.theirs
        given = [self.x.detach().requires_grad_(), *self.parameters[0 if own else 1]]

        def do() -> object:
            return torch.autograd.grad(output_of(module(given[0])).sum(), given)

        return do

    def forward(self, own: bool) -> Callable[[], object]:
        module = self.ours if own else self.theirs

        def do() -> object:
            with torch.no_grad():
                return module(self.x)

        return do


def output_of(result: Any) -> Tensor:
    return result if isinstance(result, Tensor) else result[0]


# --- torch.nn ------------------------------------------------------------------------------------------


def against_torch_nn(name: str, size: tuple[int, int, int]) -> Cell:
    T, B, H = size
    torch.manual_seed(0)
    peer = {"lstm": nn.LSTM, "gru_after": nn.GRU, "rnn": nn.RNN}[name](H, H, batch_first=True)
    ours = chalkgrad.layer(name, D=H, H=H)
    return Cell(
        f"torch.nn.{type(peer).__name__}",
        size,
        ours,
        peer,
        (list(ours.parameters()), list(peer.parameters())),
        torch.randn(B, T, H),
    )


# --- loops in Python, as users write them today --------------------------------------------------------

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
        self.b = nn.Parameter(torch.zeros(gates * size))
        if cell == "peephole":
            self.peep = nn.Parameter(torch.randn(3, size) / size**0.5)
        if cell == "layer norm":
            self.scale = nn.Parameter(torch.ones(gates * size))

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


def against_loop(cell: str, size: tuple[int, int, int], compiled: bool = False) -> Cell:
    T, B, H = size
    torch.manual_seed(0)
    text, gates = LOOPS[cell]
    peer, ours = Loop(cell, H), chalkgrad.layer(text, D=H, H=H)
    with torch.no_grad():
        for k, gate in enumerate(gates):
            part = slice(k * H, (k + 1) * H)
            getattr(ours, f"W_x{gate}").copy_(peer.W_x[:, part])
            getattr(ours, f"W_h{gate}").copy_(peer.W_h[:, part])
            getattr(ours, f"b_{gate}").copy_(peer.b[part])
        if cell == "peephole":
            for k, gate in enumerate("ifo"):
                getattr(ours, f"w_c{gate}").copy_(peer.peep[k])
        if cell == "layer norm":
            for gate in gates:
                getattr(ours, f"s_{gate}").fill_(1)
    x = torch.randn(B, T, H)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[0], peer(x), rtol=1e-3, atol=1e-4)
    theirs: Module = torch.compile(peer) if compiled else peer
    name = f"{cell} as a loop" + (" under torch.compile" if compiled else "")
    return Cell(name, size, ours, theirs, (list(ours.parameters()), list(peer.parameters())), x)


PRODUCTS = ((3200, 256, 1024), (800, 128, 512), (100, 64, 256))
"""(M, K, N) of products before and after a loop."""


def against_torch_mm(size: tuple[int, int, int]) -> tuple[Callable[[], object], Callable[[], object]]:
    """The kernels' own product of matrices beside torch's."""
    m, k, n = size
    a, b = torch.randn(m, k), torch.randn(k, n)
    torch.testing.assert_close(matrix.mm(a, b), a @ b, rtol=1e-4, atol=1e-3)
    return lambda: matrix.mm(a, b), lambda: torch.mm(a, b)


def cells(sizes: tuple[tuple[int, int, int], ...]) -> Iterator[Callable[[], Cell]]:
    """Every cell of the table, each made when it is its turn."""
    for name in ("lstm", "gru_after", "rnn"):
        for size in sizes:
            yield lambda name=name, size=size: against_torch_nn(name, size)
    for cell in LOOPS:
        for size in sizes:
            yield lambda cell=cell, size=size: against_loop(cell, size)
