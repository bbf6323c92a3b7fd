"""onnxruntime's Conv, ConvTranspose and pooling."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .report import Case, NotRunError, compare, tensor
from .windows import Margins, Window, average, convolved, largest, norm, same, transposed

POOLS = ("MaxPool", "AveragePool", "LpPool")
OPS = ("Conv", "ConvTranspose", *POOLS, *(f"Global{p}" for p in POOLS))
TOLERANCE = 1e-4


def run(case: Case) -> int:
    """Compare the output; where a maximum's places are expected beside, say that there is none for them."""
    x, *rest = [tensor(a["data"]).reshape(a["shape"]) for a in case["inputs"] if a]
    expected = case["outputs"][0]
    value = tensor(expected["data"]).reshape(expected["shape"])
    op, attrs = case["op"], case["attrs"]
    found = computed(op.removeprefix("Global"), attrs, x, rest, whole=op.startswith("Global"))
    if not value.numel():  # an empty batch has a shape, and nothing else
        assert found.shape == value.shape, f"{tuple(found.shape)} for {tuple(value.shape)}"
        return 1
    compare(expected["name"], found, value, TOLERANCE, TOLERANCE)
    if len(case["outputs"]) > 1:
        raise NotRunError("not expressible: the places of a maximum (its values agree)")
    return 1


def computed(op: str, attrs: Any, x: Tensor, rest: list[Tensor], whole: bool) -> Tensor:
    """The output of an operator; ``whole`` takes the picture as the window."""
    size = list(x.shape[2:])
    rank = len(size)
    kernel = size if whole else attrs["kernel_shape"]
    strides, dilations = (attrs.get(n, [1] * rank) for n in ("strides", "dilations"))
    if op == "ConvTranspose":
        return spread(attrs, x, rest, strides, dilations)
    window = Window(kernel, strides, dilations, around(attrs, size, kernel, strides, dilations))
    match op:
        case "Conv":
            return convolved(x, rest[0], rest[1] if len(rest) > 1 else None, window, attrs.get("group", 1))
        case "MaxPool":
            return largest(x, window)
        case "AveragePool":
            return average(x, window, margins_count=bool(attrs.get("count_include_pad")))
        case _:
            return norm(x, window, attrs.get("p", 2))


def around(
    attrs: Any, size: list[int], kernel: list[int], strides: list[int], dilations: list[int]
) -> Margins:
    """The margins that are given or follow; with ``ceil_mode`` the last window is read whole."""
    auto = attrs.get("auto_pad") or "NOTSET"
    if auto.startswith("SAME"):
        return same(size, kernel, strides, dilations, "after" if auto == "SAME_UPPER" else "before")
    rank = len(size)
    pads = attrs.get("pads", [0] * 2 * rank)
    found = []
    for n, k, s, d, b, a in zip(size, kernel, strides, dilations, pads[:rank], pads[rank:], strict=True):
        beyond = -(n + a + b - d * (k - 1) - 1) % s if attrs.get("ceil_mode") else 0
        found.append((b, a + beyond))
    return found


def spread(attrs: Any, x: Tensor, rest: list[Tensor], strides: list[int], dilations: list[int]) -> Tensor:
    """ConvTranspose: margins take away from the output, whose size is given or follows."""
    rank, kernel = x.dim() - 2, attrs["kernel_shape"]
    auto = attrs.get("auto_pad") or "NOTSET"
    pads = attrs.get("pads", [0] * 2 * rank)
    extra = attrs.get("output_padding", [0] * rank)
    wanted = attrs.get("output_shape", [])[-rank:]
    size, margins = [], []
    for k in range(rank):
        full = strides[k] * (x.shape[2 + k] - 1) + dilations[k] * (kernel[k] - 1) + 1 + extra[k]
        before, after = pads[k], pads[rank + k]
        if wanted or auto.startswith("SAME"):
            over = full - (wanted[k] if wanted else x.shape[2 + k] * strides[k])
            before = over // 2 if auto == "SAME_UPPER" else over - over // 2
            after = over - before
        size.append(full - before - after)
        margins.append((before, after))
    window = Window(kernel, strides, dilations, margins)
    y = transposed(x, rest[0], window, size, attrs.get("group", 1))
    return y + rest[1].reshape(-1, *[1] * rank) if len(rest) > 1 else y
