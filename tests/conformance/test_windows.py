"""Pages of windows give what torch gives, and the runners of pictures and gates see a planted mistake."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.conformance import cs231n, keras_windows, ort_windows, roelants, tf_windows, tflite
from tests.conformance.windows import Window, average, convolved, largest, same, transposed
from torch.nn import functional

MARGINS = [((1, 1), (1, 1)), ((0, 1), (2, 0)), ((0, 0), (0, 0))]


def drawn(*shape: int) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_torch_s(margins: Any, groups: int) -> None:
    x, w, b = drawn(2, 4, 6, 7), drawn(6, 4 // groups, 2, 3), drawn(6)
    window = Window((2, 3), (2, 1), (1, 2), margins)
    around = functional.pad(x, [*margins[1], *margins[0]])
    expected = functional.conv2d(around, w, b, stride=(2, 1), dilation=(1, 2), groups=groups)
    torch.testing.assert_close(convolved(x, w, b, window, groups), expected)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_is_torch_s(groups: int) -> None:
    x, w = drawn(2, 4, 3, 3), drawn(4, 3, 3, 3)
    expected = functional.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1, groups=groups)
    window = Window((3, 3), (2, 2), (1, 1), ((1, 1), (1, 1)))
    torch.testing.assert_close(transposed(x, w, window, (6, 6), groups), expected)


def test_pools_are_torch_s() -> None:
    x, window = drawn(2, 3, 6, 7), Window((3, 3), (2, 2), (1, 1), ((1, 1), (1, 1)))
    torch.testing.assert_close(largest(x, window), functional.max_pool2d(x, 3, 2, 1))
    torch.testing.assert_close(average(x, window, margins_count=True), functional.avg_pool2d(x, 3, 2, 1))
    without = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(average(x, window), without)


def test_an_average_is_of_what_is_there() -> None:
    x, there = drawn(1, 2, 3), torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64)
    found = average(x, Window((3,), (1,), (1,), ((0, 0),)), there=there)
    torch.testing.assert_close(found[..., 0], (x[..., 0] + x[..., 2]) / 2)


def test_an_odd_margin_stands_where_it_is_said() -> None:
    assert same([4], [2], [1], [1]) == [(0, 1)]
    assert same([4], [2], [1], [1], "before") == [(1, 0)]


def verdicts(results: Any) -> list[str]:
    return [r.verdict for r in results]


def wrong(data: Any, *path: Any) -> Any:
    """The data with one expected number moved."""
    moved = copy.deepcopy(data)
    at = moved
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] += 1e-3
    return moved


def test_cs231n_sees_a_wrong_gradient_and_a_wrong_value() -> None:
    x, up = drawn(3, 4), drawn(1, 3, 2)
    w, b = drawn(4, 2), drawn(2)
    forward = {"name": "affine_forward", "inputs": {"x": x.tolist(), "w": w.tolist(), "b": b.tolist()},
               "expected": {"out": (x @ w + b).tolist()}}  # fmt: skip
    grads = {"dx": (up[0] @ w.T).tolist(), "dw": (x.T @ up[0]).tolist(), "db": up[0].sum(0).tolist()}
    back = {"name": "affine_backward", "inputs": forward["inputs"], "upstream": up.tolist(),
            "expected_grads": grads}  # fmt: skip
    data = {"forward": [forward], "backward": [back], "losses": []}
    assert verdicts(cs231n.results(data)) == ["passed", "passed"]
    moved = wrong(data, "forward", 0, "expected", "out", 0, 0)
    assert verdicts(cs231n.results(moved)) == ["failed", "passed"]
    moved = wrong(data, "backward", 0, "expected_grads", "dw", 0, 0)
    assert verdicts(cs231n.results(moved)) == ["passed", "failed"]


def test_tensorflow_s_gradient_to_a_kernel_is_in_its_layout() -> None:
    x = torch.arange(1.0, 19).double().reshape(1, 2, 3, 3).movedim(-1, 1)
    arriving = torch.arange(1.0, 7).double().reshape(1, 1, 2, 3).movedim(-1, 1)
    w = drawn(3, 3, 2, 2).requires_grad_()
    (found,) = torch.autograd.grad(functional.conv2d(x, w), w, arriving)
    case = {
        "test": "tiny", "kind": "conv2d_backprop_filter", "input_shape": [1, 2, 3, 3],
        "filter_shape": [2, 2, 3, 3], "output_shape": [1, 1, 2, 3], "strides": [1, 1], "padding": "VALID",
        "fill": "input and dout = 1..n", "expected": found.permute(2, 3, 1, 0).flatten().tolist(),
    }  # fmt: skip
    assert verdicts(tf_windows.results({"cases": [case]})) == ["passed"]
    assert verdicts(tf_windows.results(wrong({"cases": [case]}, "cases", 0, "expected", 0))) == ["failed"]


def test_a_ceiling_reads_the_last_window_whole() -> None:
    x = drawn(1, 1, 4)
    shaped = {
        "shape": [1, 1, 2],
        "data": functional.max_pool1d(x, 3, 2, ceil_mode=True).flatten().tolist(),
        "name": "Y",
    }
    case = {
        "op": "MaxPool", "attrs": {"kernel_shape": [3], "strides": [2], "ceil_mode": 1},
        "inputs": [{"shape": [1, 1, 4], "data": x.flatten().tolist()}], "outputs": [shaped],
    }  # fmt: skip
    assert ort_windows.run(case) == 1
    with pytest.raises(AssertionError):
        ort_windows.run(wrong(case, "outputs", 0, "data", 0))


def test_keras_reads_back_only_where_it_is_causal() -> None:
    x, w, b = drawn(1, 5, 2), drawn(2, 2, 3), drawn(3)
    y = functional.conv1d(functional.pad(x.movedim(-1, 1), [1, 0]), w.permute(2, 1, 0), b).movedim(1, -1)
    config = {"kernel_size": [2], "strides": [1], "padding": "causal", "data_format": "channels_last",
              "dilation_rate": [1], "groups": 1, "transpose": False, "depthwise": False}  # fmt: skip
    expected = {"of": "call0.output", "index": [], "value": y.tolist(), "shape": [1, 5, 3],
                "keras_atol": 0, "keras_rtol": 0}  # fmt: skip
    case = {"id": 1, "test": "tiny", "config": config, "calls": [{"input": x.tolist()}],
            "weights": {"kernel": w.tolist(), "bias": b.tolist()}, "expect": [expected]}  # fmt: skip
    assert verdicts(keras_windows.results({"cases": [case]})) == ["passed"]
    case["config"] = config | {"padding": "same"}
    assert verdicts(keras_windows.results({"cases": [case]})) == ["failed"]


def test_roelants_gradients_are_by_hand() -> None:
    data = {"X": [[1.0, 2.0]], "t": [1.0], "points": [
        {"wx": 2.0, "wRec": 3.0, "loss": 81.0, "dwx": 90.0, "dwRec": 36.0}]}  # fmt: skip
    x, t = (torch.tensor(data[n], dtype=torch.float64) for n in ("X", "t"))
    assert roelants.gradient(data["points"][0], x, t) == 3
    with pytest.raises(AssertionError):
        roelants.gradient(wrong(data["points"][0], "dwRec"), x, t)


def test_coupled_gates_are_not_two() -> None:
    features = {"cifg": True, "peephole": False, "layer_norm": False, "projection": False}
    coupled, apart = tflite.page(features), tflite.page(features | {"cifg": False})
    assert "i[t] = 1 - f[t]" in coupled
    assert "W_i" not in coupled
    assert "W_i" in apart
