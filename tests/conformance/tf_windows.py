"""TensorFlow's convolution and pooling, and their gradients; channels last, numbers counted up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from .report import Case, NotRunError, Result, compare, judged, tensor
from .windows import Window, average, convolved, largest, same

CLOSE = 1e-6


def results(data: Any) -> Iterator[Result]:
    """Every case of the file."""
    for k, case in enumerate(data["cases"]):
        yield judged(f"{k} {case['test']}", partial(run, case))


def run(case: Case) -> int:
    """Compare what a case expects, in the file's flat order."""
    expected = tensor(case["expected"])
    if not expected.numel():
        raise NotRunError("nothing is expected: an empty picture or kernel")
    found = computed(case)
    compare(case["kind"], last(found).flatten(), expected, CLOSE, CLOSE)
    return 1


def computed(case: Case) -> Tensor:
    """What the case asks for, with its last axis second."""
    kind, shape = case["kind"], case["input_shape"]
    kernel = case["filter_shape"][:-2] if "filter_shape" in case else case.get("ksize", case.get("window"))
    strides = case["strides"] if isinstance(case["strides"], list) else [case["strides"]] * len(kernel)
    dilations = case.get("dilations", [1] * len(kernel))
    size = shape[1:-1]
    margins = same(size, kernel, strides, dilations) if case["padding"] == "SAME" else [(0, 0)] * len(size)
    window = Window(kernel, strides, dilations, margins)
    x = first(filled(case, shape)).requires_grad_()
    if kind == "avgpool_forward":
        return average(x, window)
    if kind == "maxpool_forward":
        return largest(x, window)
    if kind == "maxpool_grad":
        x = first(tensor(case["input"]).reshape(shape)).requires_grad_()
        arriving = first(tensor(case["dout"]).reshape(case["output_shape"]))
        return torch.autograd.grad(largest(x, window), x, arriving)[0]
    w = filled(case, case["filter_shape"]).movedim((-1, -2), (0, 1)).contiguous().requires_grad_()
    y = convolved(x, w, None, window)
    if kind.endswith("forward"):
        return y
    arriving = first(filled(case, case["output_shape"]))
    wrt = {"conv2d_backprop_input": x, "conv2d_backprop_filter": w}[kind]
    found = torch.autograd.grad(y, wrt, arriving)[0]
    # A kernel stands as (…, C, K) in the file, and what is returned has its last axis second.
    return found if wrt is x else first(found.movedim((0, 1), (-1, -2)))


def filled(case: Case, shape: list[int]) -> Tensor:
    """The numbers that a case counts up."""
    n = prod(shape)
    ramp = torch.arange(1, n + 1, dtype=torch.float64)
    match case.get("fill", "1..n"):
        case "(1..n)/n":
            ramp = ramp / n
        case "[((f+128)%255)-127 for f in range(n)]":
            ramp = (ramp - 1 + 128) % 255 - 127
        case "1..n" | "input and dout = 1..n" | "filter and dout = 1..n":
            pass
        case other:
            raise NotRunError(f"no numbers for {other}")
    return ramp.reshape(shape)


def first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)
