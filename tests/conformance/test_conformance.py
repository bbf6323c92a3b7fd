"""The runner finds what is wrong: a tiny case passes, and fails when a weight or a gate moves."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conformance.__main__ import main
from torch import nn

T, N, D, H = 3, 2, 2, 3
ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}
"""torch's gates in ONNX's order."""


def array(value: torch.Tensor) -> dict[str, Any]:
    return {"shape": list(value.shape), "data": value.detach().flatten().tolist()}


def case(kind: str) -> dict[str, Any]:
    """A case by torch's own layer, in both directions, its weights in ONNX's layout."""
    torch.manual_seed(4)
    made: nn.RNNBase = getattr(nn, kind)(D, H, bidirectional=True, dtype=torch.float64)
    x = torch.randn(T, N, D, dtype=torch.float64)
    y, last = made(x)
    last = last if isinstance(last, tuple) else (last,)

    def stacked(name: str) -> torch.Tensor:
        found = []
        for end in ("", "_reverse"):
            parts = getattr(made, name + "_l0" + end).chunk(len(ORDER[kind]))
            found.append(torch.cat([parts[k] for k in ORDER[kind]]))
        return torch.stack(found)

    bias = torch.cat([stacked("bias_ih"), stacked("bias_hh")], 1)
    return {
        "test": "tiny",
        "op": kind,
        "attrs": {"direction": "bidirectional", "hidden_size": H, "linear_before_reset": 1},
        "inputs": [array(v) for v in (x, stacked("weight_ih"), stacked("weight_hh"), bias)],
        "outputs": [array(v) for v in (y.reshape(T, N, 2, H).transpose(1, 2), *last)],
    }


def ran(folder: Path, one: dict[str, Any]) -> int:
    data = {"cases": [one], "expected_failures": [], "training_gradients": []}
    (folder / "ort_vectors.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    return main([str(folder), "ort_vectors.json.gz"])


@pytest.mark.parametrize("kind", ORDER)
def test_a_case_passes_as_it_is(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path, case(kind)) == 0
    assert "1 passed    0 failed" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("which", [1, 2])
def test_swapped_gates_fail(kind: str, which: int, tmp_path: Path) -> None:
    one = case(kind)
    weights, rows = one["inputs"][which]["data"], H * (D if which == 1 else H)
    one["inputs"][which]["data"] = weights[rows : 2 * rows] + weights[:rows] + weights[2 * rows :]
    assert ran(tmp_path, one) == 1


def test_the_other_direction_fails(tmp_path: Path) -> None:
    one = case("RNN")
    one["attrs"]["direction"] = "reverse"
    assert ran(tmp_path, one) == 1


def test_another_number_and_no_number_fail(tmp_path: Path) -> None:
    one = case("RNN")
    one["outputs"][1]["data"][0] += 1e-3
    assert ran(tmp_path, one) == 1
    assert ran(tmp_path, {**one, "outputs": []}) == 1


def test_a_folder_without_the_files_fails(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
