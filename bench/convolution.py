"""Convolutions beside torch.nn.functional's; those that torch has no call for beside unfold and einsum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

import chalkgrad
from bench.cells import Cell, agree, side, spread
from bench.measure import Pair, pair
from bench.tables import Job, Kind, Plan, Row

FLAT = "y[k,i] = Σ[c,p] w[k,c,p] x[c,{at}]{bias}\nwhere x: input C×N{outside}, w: K×C×P"
PICTURE = "y[k,i,j] = Σ[c,p,q] w[k,c,p,q] x[c,{at}]{bias}\nwhere x: input C×M×N{outside}, w: K×C×P×Q"


def written(page: str, at: str, padding: int = 0, bias: str = "") -> str:
    return page.format(at=at, bias=bias, outside=f" zero outside ±{padding}" if padding else "")


@dataclass(frozen=True)
class Case:
    """A page with the shapes of its kernel (empty where it has none) and input, and its peer."""

    name: str
    peer: str
    text: str
    kernel: tuple[int, ...]
    shape: tuple[int, ...]
    call: Callable[..., Tensor]


def locally_connected(x: Tensor, w: Tensor) -> Tensor:
    """What an image is at each place times the weights of that place."""
    windows = x.unfold(2, w.shape[4], 1).unfold(3, w.shape[5], 1)
    return torch.einsum("bcijpq,kijcpq->bkij", windows, w)


TORCH, UNFOLD = "torch.nn.functional", "unfold and einsum"
SIDES = (8, 16, 32, 56)
"""Of a picture."""


def cases(n: int) -> list[Case]:
    """Everything at pictures of n × n, and at sequences of n² / 4."""
    long = n * n // 4
    two, one, wide = (64, 32, 3, 3), (64, 32, 3), (16, 32, n, n)
    return [
        Case("Conv1d", TORCH, written(FLAT, "i+p", bias=" + b[k]"), one, (16, 32, long), functional.conv1d),
        Case("Conv2d", TORCH, written(PICTURE, "i+p,j+q", bias=" + b[k]"), two, wide, functional.conv2d),
        Case(
            "Conv2d, padded", TORCH, written(PICTURE, "i+p-1,j+q-1", 1), two, wide,
            lambda x, w: functional.conv2d(x, w, padding=1),
        ),
        Case(
            "Conv2d, stride 2", TORCH, written(PICTURE, "2i+p,2j+q"), two, wide,
            lambda x, w: functional.conv2d(x, w, stride=2),
        ),
        Case(
            "Conv1d, dilated", TORCH, written(FLAT, "i+4p"), one, (16, 32, long),
            lambda x, w: functional.conv1d(x, w, dilation=4),
        ),
        Case(
            "Conv2d, depthwise", TORCH, "y[c,i,j] = Σ[p,q] w[c,p,q] x[c,i+p,j+q] where x: input",
            (32, 3, 3), wide, lambda x, w: functional.conv2d(x, w.unsqueeze(1), groups=32),
        ),
        Case(
            "ConvTranspose1d", TORCH, "y[k,i] = Σ[c,a∈ℤ] w[c,k,a] x[c,i-a] where x: input", (32, 64, 3),
            (16, 32, long), functional.conv_transpose1d,
        ),
        Case(
            "AvgPool2d", TORCH, "y[c,i,j] = Σ[p<2,q<2] x[c,2i+p,2j+q]/4 where x: input", (), wide,
            lambda x: functional.avg_pool2d(x, 2),
        ),
        Case(
            "MaxPool2d", TORCH, "y[c,i,j] = max[p<2,q<2] x[c,2i+p,2j+q] where x: input", (), wide,
            lambda x: functional.max_pool2d(x, 2),
        ),
        Case(
            "locally connected", UNFOLD, "y[k,i,j] = Σ[c,p,q] w[k,i,j,c,p,q] x[c,i+p,j+q] where x: input",
            (8, n - 2, n - 2, 8, 3, 3), (16, 8, n, n), locally_connected,
        ),
    ]  # fmt: skip


def beside(case: Case) -> Cell:
    """The page's layer and its peer, with the same weights."""
    torch.manual_seed(0)
    sizes = {"w": case.kernel} if case.kernel else {}
    ours = spread(chalkgrad.layer(case.text, **sizes))
    weights = [*ours.parameters()]
    x = torch.randn(case.shape)
    mine, theirs = side(ours, weights, x), side(lambda x: case.call(x, *weights), weights, x)
    batch, channels, *rest = case.shape
    return agree(Cell(f"{case.peer}: {case.name}", (batch, channels, rest[0]), mine, theirs))


def row(cell: Cell, kind: str, m: Pair) -> Row:
    return (cell.peer, kind, *cell.size, m.ours * 1e3, m.theirs * 1e3, m.ratio)


def jobs(plan: Plan) -> list[Job]:
    def job(case: Case) -> Iterator[Row]:
        cell = beside(case)
        yield row(cell, "training", pair(cell.ours.training, cell.theirs.training, plan.seconds))
        yield row(cell, "forward", pair(cell.ours.forward, cell.theirs.forward, plan.seconds))

    return [lambda c=c: job(c) for n in (SIDES[2:3] if plan.quick else SIDES) for c in cases(n)]


KIND = Kind(
    name="convolution",
    says="Time of the peer / ours, medians of runs in turn, float32. Training is forward and all gradients, "
    "the input's too. Kernels are 3 wide; a sequence is as long as a quarter of the picture's area.",
    columns=("peer", "kind", "batch", "channels", "side or length", "ours (ms)", "theirs (ms)", "ratio"),
    named=2,
    figure="ratio",
    unit="× as long",
    worst=min,
    jobs=jobs,
    left_out="convolutions of pictures of 8, 16 and 56",
)
