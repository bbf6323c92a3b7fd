"""Keras' convolution and pooling: channels last, depthwise, transposed, causal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor

from .report import Case, Result, compare, judged, tensor
from .windows import Window, average, convolved, largest, same, transposed


def results(data: Any) -> Iterator[Result]:
    """Every case of the file."""
    for case in data["cases"]:
        yield judged(f"{case['id']} {case['test'].split('::')[-1]}", partial(run, case))


def run(case: Case) -> int:
    """Compare the output of the only call."""
    first = case["config"]["data_format"] == "channels_first"
    x = tensor(case["calls"][0]["input"])
    found = computed(case, x if first else x.movedim(-1, 1))
    if case["config"].get("global_") and not case["config"]["keepdims"]:
        found = found.flatten(1)
    elif not first:
        found = found.movedim(1, -1)
    for expected in case["expect"]:
        assert (expected["of"], expected["index"]) == ("call0.output", []), "another output"
        atol, rtol = (max(expected[n], 1e-5) for n in ("keras_atol", "keras_rtol"))
        compare("output", found, tensor(expected["value"]).reshape(expected["shape"]), atol, rtol)
    return len(case["expect"])


def computed(case: Case, x: Tensor) -> Tensor:
    """What a layer gives, channels first."""
    c, size = case["config"], list(x.shape[2:])
    ones = [1] * len(size)
    kernel = c.get("kernel_size") or c.get("pool_size") or size
    strides, dilations = c["strides"] or ones, c.get("dilation_rate", ones)
    none = [(0, 0)] * len(size)
    margins = same(size, kernel, strides, dilations) if c["padding"] == "same" else none
    if c["padding"] == "causal":
        margins = [(dilations[0] * (kernel[0] - 1), 0)]
    window = Window(kernel, strides, dilations, margins)
    if "kind" in c:
        if c["kind"] == "max":
            return largest(x, window)
        mask = case["calls"][0].get("mask")
        return average(x, window, there=None if mask is None else tensor(mask))
    w, b = (tensor(case["weights"][n]) for n in ("kernel", "bias"))
    if c["transpose"]:
        window = Window(kernel, strides, dilations, [(lo, hi) for lo, hi in c["explicit_crop_lo_hi"]])
        y = transposed(x, w.movedim((-1, -2), (0, 1)), window, c["out_spatial"])
        return y + b.reshape(-1, *ones)
    if c["depthwise"]:
        own = w.flatten(-2).movedim(-1, 0).unsqueeze(1)
        return convolved(x, own, b, window, groups=x.shape[1])
    return convolved(x, w.movedim((-1, -2), (0, 1)), b, window, c["groups"])
