"""Keras' runner, and that of training operators, pass what torch computes and see what is wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.conformance import keras_recurrent, ort_beside
from torch import Tensor, nn

B, T, D, H = 2, 4, 3, 2


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def verdict(case: dict[str, Any]) -> str:
    [result] = keras_recurrent.results({"cases": [case]})
    return result.verdict


def lstm(mask: Tensor | None, backward: bool) -> dict[str, Any]:
    """A case by torch's cell; where the mask is false a step is passed over."""
    cell = nn.LSTMCell(D, H, dtype=torch.float64)
    nn.init.zeros_(cell.bias_hh)
    x, h, c, ys = normal(B, T, D), torch.zeros(B, H).double(), torch.zeros(B, H).double(), []
    for t in reversed(range(T)) if backward else range(T):
        new_h, new_c = cell(x[:, t], (h, c))
        live = torch.ones(B, 1, dtype=torch.bool) if mask is None else mask[:, t, None]
        h, c = new_h.where(live, h), new_c.where(live, c)
        ys.append(h)
    of_keras = {
        "kernel": cell.weight_ih.T.tolist(), "recurrent_kernel": cell.weight_hh.T.tolist(),
        "bias": cell.bias_ih.tolist(),
    }  # fmt: skip
    expected = {"of": "call0.output", "index": [], "value": torch.stack(ys, 1).tolist(), "shape": [B, T, H],
                "keras_atol": 0, "keras_rtol": 0}  # fmt: skip
    call = {"input": x.tolist(), "initial_state": None, "mask": None if mask is None else mask.tolist()}
    config = {"units": H, "use_bias": True, "return_sequences": True, "go_backwards": backward}
    return {"id": 1, "test": "tiny", "layer": "LSTM", "config": config, "weights": of_keras, "calls": [call],
            "expect": [expected]}  # fmt: skip


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_keras_layers_are_read_gate_by_gate(masked: bool, backward: bool) -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[True, False, True, True], [False, True, True, False]]) if masked else None
    case = lstm(mask, backward)
    assert verdict(case) == "passed"
    for at in ("kernel", "recurrent_kernel"):  # two gates for each other
        moved = copy.deepcopy(case)
        moved["weights"][at] = [row[H : 2 * H] + row[:H] + row[2 * H :] for row in moved["weights"][at]]
        assert verdict(moved) == "failed"
    case["config"]["go_backwards"] = not backward
    assert verdict(case) == "failed"
    if masked:
        case = lstm(mask, backward)
        case["calls"][0]["mask"][0][1] = True
        assert verdict(case) == "failed"


def test_attention_leaves_out_what_is_masked() -> None:
    q, k, v = normal(1, 2, 3, seed=2), normal(1, 4, 3, seed=3), normal(1, 4, 2, seed=4)
    score = (q @ k.mT).masked_fill(torch.tensor([False, True, False, False]), -torch.inf)
    value = (score.softmax(-1) @ v).tolist()
    expected = {"of": "call0.output", "index": [], "value": value, "shape": [1, 2, 2],
                "keras_atol": 0, "keras_rtol": 0}  # fmt: skip
    call = {"query": q.tolist(), "key": k.tolist(), "value": v.tolist(), "query_mask": None,
            "value_mask": [[True, False, True, True]]}  # fmt: skip
    case = {"id": 1, "test": "tiny", "layer": "Attention", "config": {"score_mode": "dot"}, "calls": [call],
            "weights": {}, "expect": [expected]}  # fmt: skip
    assert verdict(case) == "passed"
    call["value_mask"] = [[True, True, True, True]]
    assert verdict(case) == "failed"


def array(value: Tensor) -> dict[str, Any]:
    return {"shape": list(value.shape), "data": value.detach().flatten().tolist()}


def test_a_training_operator_s_gradients_are_compared() -> None:
    x, w, r = normal(T, B, D), normal(1, 3 * H, D, seed=2), normal(1, 3 * H, H, seed=3)
    b, grad = normal(1, 6 * H, seed=4), normal(T, 1, B, H, seed=5)
    leaves = [v.requires_grad_() for v in (x, w, r, b)]
    h, total = torch.zeros(B, H).double(), torch.zeros(()).double()
    (wz, wr, wn), (rz, rr, rn) = w[0].chunk(3), r[0].chunk(3)
    bias = sum(b[0].chunk(2)).chunk(3)
    for t in range(T):
        z = (x[t] @ wz.T + h @ rz.T + bias[0]).sigmoid()
        reset = (x[t] @ wr.T + h @ rr.T + bias[1]).sigmoid()
        h = (1 - z) * (x[t] @ wn.T + (reset * h) @ rn.T + bias[2]).tanh() + z * h
        total = total + (h * grad[t, 0]).sum()
    found = torch.autograd.grad(total, leaves)
    case = {
        "op": "GRUGrad", "attrs": {"hidden_size": H},
        "inputs": [*map(array, leaves), None, None, array(grad), array(grad.repeat(1, 1, 1, 3)), array(grad)],
        "outputs": [*map(array, found)],
    }  # fmt: skip
    assert ort_beside.trained(case) == 4
    case["outputs"][2]["data"][0] += 1e-2
    with pytest.raises(AssertionError, match="dR"):
        ort_beside.trained(case)


def test_what_must_fail_and_does_not_is_a_failure() -> None:
    attrs = {"activations": ["Tanh"], "hidden_size": H}
    case = {"op": "RNN", "attrs": attrs, "shapes": [[T, B, D]], "lens": [[5, 1]]}
    assert ort_beside.fails(case) == 1
    with pytest.raises(AssertionError, match="no error"):
        ort_beside.fails(case | {"lens": [[4, 1]]})
    assert ort_beside.fails(case | {"lens": [[4, 1]], "attrs": attrs | {"activations": ["Bent"]}}) == 1
