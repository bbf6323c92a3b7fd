"""Convolutions and poolings, and what is built of them, beside torch's; what torch has no call for beside
unfold and einsum, a convolutional recurrence beside the loop one writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

import chalkgrad
from bench.cells import Cell, agree, side, spread
from bench.measure import Pair, pair
from bench.tables import Job, Kind, Plan, Row
from chalkgrad.zoo import source_of

FLAT = "y[k,i] = Σ[c,p] w[k,c,p] x[c,{at}]{bias}\nwhere x: input C×N{outside}, w: K×C×P"
PICTURE = "y[k,i,j] = Σ[c,p,q] w[k,c,p,q] x[c,{at}]{bias}\nwhere x: input C×M×N{outside}, w: K×C×P×Q"


def written(page: str, at: str, padding: int = 0, bias: str = "") -> str:
    return page.format(at=at, bias=bias, outside=f" zero outside ±{padding}" if padding else "")


@dataclass(frozen=True)
class Case:
    """A page with its sizes and the shape of its input, and its peer: a function of input and parameters."""

    name: str
    peer: str
    text: str
    sizes: Mapping[str, int | tuple[int, ...]]
    shape: tuple[int, ...]
    call: Callable[..., Tensor]


def locally_connected(x: Tensor, w: Tensor) -> Tensor:
    """What an image is at each place times the weights of that place."""
    windows = x.unfold(2, w.shape[4], 1).unfold(3, w.shape[5], 1)
    return torch.einsum("bcijpq,kijcpq->bkij", windows, w)


def distances(x: Tensor, w: Tensor) -> Tensor:
    """How far each window of an image is from each kernel: squares added up."""
    windows = x.unfold(2, w.shape[2], 1).unfold(3, w.shape[3], 1)
    return (windows[:, None] - w[None, :, :, None, None]).square().sum((2, 5, 6))


def conv_pool(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """As torch.nn's modules do it one after another."""
    return functional.max_pool2d(functional.relu(functional.conv2d(x, w, b, padding=1)), 2)


def conv_lstm(x: Tensor, *weights: Tensor) -> Tensor:
    """The loop one writes: each step one convolution of picture and state side by side, for all gates."""
    i, f, g, o = weights[:4], weights[4:8], weights[8:11], weights[11:]
    kernel = torch.cat([torch.cat(gate[:2], 1) for gate in (i, f, g, o)])
    bias = torch.cat([gate[-1] for gate in (i, f, g, o)])
    maps, side = bias.shape[0] // 4, x.shape[3:]
    h = c = x.new_zeros(x.shape[0], maps, *side)
    found: list[Tensor] = []
    for picture in x.unbind(1):
        a = functional.conv2d(torch.cat([picture, h], 1), kernel, bias, padding=1).split(maps, 1)
        c = torch.sigmoid(a[1] + f[2] * c) * c + torch.sigmoid(a[0] + i[2] * c) * torch.tanh(a[2])
        h = torch.sigmoid(a[3] + o[2] * c) * torch.tanh(c)
        found.append(h)
    return torch.stack(found, 1)


TORCH, UNFOLD, LOOP = "torch.nn.functional", "unfold and einsum", "a loop in torch"
SIDES = (8, 16, 32, 56)
"""Of a picture."""


def cases(n: int) -> list[Case]:
    """Everything at pictures of n × n, and at sequences of n² / 4."""
    long = n * n // 4
    two, one, wide = {"w": (64, 32, 3, 3)}, {"w": (64, 32, 3)}, (16, 32, n, n)
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
            {"w": (32, 3, 3)}, wide, lambda x, w: functional.conv2d(x, w.unsqueeze(1), groups=32),
        ),
        Case(
            "ConvTranspose1d", TORCH, "y[k,i] = Σ[c,a∈ℤ] w[c,k,a] x[c,i-a] where x: input",
            {"w": (32, 64, 3)},
            (16, 32, long), functional.conv_transpose1d,
        ),
        Case(
            "AvgPool2d", TORCH, "y[c,i,j] = Σ[p<2,q<2] x[c,2i+p,2j+q]/4 where x: input", {}, wide,
            lambda x: functional.avg_pool2d(x, 2),
        ),
        Case(
            "MaxPool2d", TORCH, "y[c,i,j] = max[p<2,q<2] x[c,2i+p,2j+q] where x: input", {}, wide,
            lambda x: functional.max_pool2d(x, 2),
        ),
        Case(
            "convolution, relu, maxima", TORCH, source_of("conv_pool"), {"C": 32, "K": 64}, wide, conv_pool,
        ),
        Case(
            "convolutional LSTM, 10 steps", LOOP, source_of("conv_lstm"), {"D": 8, "K": 16, "M": n, "N": n},
            (4, 10, 8, n, n), conv_lstm,
        ),
        Case(
            "locally connected", UNFOLD, "y[k,i,j] = Σ[c,p,q] w[k,i,j,c,p,q] x[c,i+p,j+q] where x: input",
            {"w": (8, n - 2, n - 2, 8, 3, 3)}, (16, 8, n, n), locally_connected,
        ),
        Case(
            "distances", UNFOLD, "y[k,i,j] = Σ[c,p,q] (x[c,i+p,j+q] - w[k,c,p,q])² where x: input",
            {"w": (8, 8, 3, 3)}, (4, 8, n, n), distances,
        ),
    ]  # fmt: skip


def beside(case: Case) -> Cell:
    """The page's layer and its peer, with the same weights."""
    torch.manual_seed(0)
    ours = spread(chalkgrad.layer(case.text, **case.sizes))
    weights = [*ours.parameters()]
    x = torch.randn(case.shape)
    mine, theirs = side(ours, weights, x), side(lambda x: case.call(x, *weights), weights, x)
    channels, long = case.shape[-3:-1] if len(case.shape) > 3 else case.shape[1:]
    return agree(Cell(f"{case.peer}: {case.name}", (case.shape[0], channels, long), mine, theirs))


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
