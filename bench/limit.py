"""How much of the machine's multiply-adds a layer uses: the whole step, and the loop by itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import chalkgrad
from bench.cells import GRID, Size, side
from bench.measure import median, peak
from bench.tables import Job, Kind, Plan, Row

SIZES = tuple(size for size in GRID if size[1] >= 32 and size[2] >= 256)

LOOPS_ALONE = {
    "lstm": """
        i[t] = σ(x_i[t] + h[t-1] W_i + b_i)
        f[t] = σ(x_f[t] + h[t-1] W_f + b_f)
        g[t] = tanh(x_g[t] + h[t-1] W_g + b_g)
        o[t] = σ(x_o[t] + h[t-1] W_o + b_o)
        c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]
        h[t] = o[t] ⊙ tanh(c[t])
        where x_i[t]: H, x_f[t]: H, x_g[t]: H, x_o[t]: H, h[t]: H
    """,
    "gru_after": """
        z[t] = σ(x_z[t] + U_z h[t-1])
        r[t] = σ(x_r[t] + U_r h[t-1])
        n[t] = tanh(x_n[t] + r[t] ⊙ (U h[t-1] + b_u))
        h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ n[t]
        where x_z[t]: H, x_r[t]: H, x_n[t]: H, h[t]: H
    """,
    "rnn": """
        h[t] = tanh(x_h[t] + h[t-1] W_h)
        where x_h[t]: H, h[t]: H
    """,
}
"""The same recurrences when the input has been multiplied already. Where the weights need no gradient
either, all products stand in the loops: the state's, and on the way back the gradient's."""


def jobs(plan: Plan) -> list[Job]:
    names, sizes = (("lstm",), SIZES[:1]) if plan.quick else (LOOPS_ALONE, SIZES)
    return [lambda name=name, size=size: rows(name, size, plan) for name in names for size in sizes]


def multiplied(net: nn.Module, T: int, B: int) -> int:
    """FLOPs of a forward pass's products: a multiply-add for each entry of a matrix, step and example."""
    return 2 * T * B * sum(p.numel() for p in net.parameters() if p.dim() == 2)


def rows(name: str, size: Size, plan: Plan) -> Iterator[Row]:
    T, B, H = size
    net, alone = chalkgrad.layer(name, D=H, H=H), chalkgrad.layer(LOOPS_ALONE[name], H=H)
    whole = side(net, [*net.parameters()], torch.randn(B, T, H))
    gates = [torch.randn(B, T, H, requires_grad=True) for _ in range(LOOPS_ALONE[name].count("x_") // 2)]
    alone.requires_grad_(False)

    def forward() -> Tensor:
        with torch.no_grad():
            return alone(*gates)[0]

    def training() -> object:
        return torch.autograd.grad(alone(*gates)[0].sum(), gates)

    # Each gradient of a product costs as much as the product: two of them in training, one in a loop.
    for kind, do, in_loop, products, in_loops in (
        ("training", whole.training, training, 3, 2),
        ("forward", whole.forward, forward, 1, 1),
    ):
        most = peak(plan.threads) * 1e9
        work, inside = products * multiplied(net, T, B), in_loops * multiplied(alone, T, B)
        took, loop = median(do, plan.seconds / 2), median(in_loop, plan.seconds / 2)
        yield name, kind, *size, work / 1e9, took * 1e3, work / took / most, loop * 1e3, inside / loop / most


KIND = Kind(
    name="limit",
    says="Multiply-adds of the matrix products (two FLOP each; input, state and, in training, all gradients) "
    "as a share of what the machine does when it does nothing else, measured on all threads at once just "
    "before. `loop` is the recurrence by itself: its input multiplied already, no gradients of its weights.",
    columns=("layer", "kind", "T", "B", "H", "GFLOP", "ours (ms)", "share", "loop (ms)", "loop's share"),
    named=2,
    figure="share",
    unit="of the peak",
    worst=min,
    jobs=jobs,
    left_out="the limit but for an LSTM at one size",
)
