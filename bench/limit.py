"""How much of the machine's multiply-adds a layer uses: the whole step, and the compiled loops alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any
from unittest.mock import patch

import torch

import chalkgrad
from bench.cells import GRID, Size, side
from bench.fresh import fresh
from bench.measure import median, peak
from bench.tables import Job, Kind, Plan, Row
from bench.torch_nn import PEERS
from chalkgrad.kernels.c import loops
from chalkgrad.nn.layer import Layer

SIZES = tuple(size for size in GRID if size[1] >= 32 and size[2] >= 256)


def jobs(plan: Plan) -> list[Job]:
    def job(name: str, size: Size) -> Iterator[Row]:
        for kind, *figures in fresh(measured, name, size, plan.threads, plan.seconds / 2):
            yield (name, kind, *size, *figures)

    names, sizes = (("lstm",), SIZES[:1]) if plan.quick else (PEERS, SIZES)
    return [lambda name=name, size=size: job(name, size) for name in names for size in sizes]


def flops(net: Layer, T: int, B: int, training: bool) -> int:
    """Of the matrix products: a multiply-add for each entry of a matrix, step and example; the gradients of
    the weights and of what they are multiplied by cost as much again each."""
    entries = sum(p.numel() for p in net.parameters() if p.dim() == 2)
    return 2 * T * B * entries * (3 if training else 1)


def recurrent_flops(net: Layer, T: int, B: int, training: bool) -> int:
    """The part of them that stands in the loops: the state's products, and in the way back their transposes.

    These layers' matrices are H×H, and half of them are the state's.
    """
    return flops(net, T, B, False) // 2 * (2 if training else 1)


def measured(name: str, size: Size, threads: int, seconds: float) -> list[tuple[Any, ...]]:
    """For training and forward: GFLOP, milliseconds and share of the peak; the same two of the loops."""
    torch.set_num_threads(threads)
    T, B, H = size
    spent = [0.0]
    with patch.object(loops, "load", _timed(loops.load, spent)):
        net = chalkgrad.layer(name, D=H, H=H)
        both = side(net, [*net.parameters()], torch.randn(B, T, H))
        both.training()
        both.forward()
    found: list[tuple[Any, ...]] = []
    for training, do in ((True, both.training), (False, both.forward)):
        most = peak(threads) * 1e9
        inside: list[float] = []

        def step(do: Callable[[], Any] = do, inside: list[float] = inside) -> None:
            spent[0] = 0.0
            do()
            inside.append(spent[0])

        whole, loop = median(step, seconds), sorted(inside)[len(inside) // 2]
        work, recurrent = flops(net, T, B, training), recurrent_flops(net, T, B, training)
        found.append((
            "training" if training else "forward",
            work / 1e9, whole * 1e3, work / whole / most, loop * 1e3, recurrent / loop / most,
        ))  # fmt: skip
    return found


def _timed(load: Callable[[str, str], Any], spent: list[float]) -> Callable[[str, str], Any]:
    """``load``, giving functions that add the seconds of each call to ``spent[0]``."""

    class Timed:
        def __init__(self, function: Any) -> None:
            self.function = function

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "function":
                object.__setattr__(self, name, value)
            else:
                setattr(self.function, name, value)  # the types of its arguments

        def __call__(self, *arguments: Any) -> Any:
            at = perf_counter()
            result = self.function(*arguments)
            spent[0] += perf_counter() - at
            return result

    return lambda source, entry: Timed(load(source, entry))


KIND = Kind(
    name="limit",
    says="Multiply-adds of the matrix products (two FLOP each; input, state and, in training, all gradients) "
    "as a share of what the machine does when it does nothing else, measured on all threads at once just "
    "before. `loops` is the time in the compiled loops alone, and their share with the products in them.",
    columns=("layer", "kind", "T", "B", "H", "GFLOP", "ours (ms)", "share", "loops (ms)", "loops' share"),
    named=2,
    figure="share",
    unit="of the peak",
    worst=min,
    jobs=jobs,
    left_out="the limit but for an LSTM at one size",
)
