"""TensorFlow Lite's LSTM: peepholes, coupled gates, projection, layer norm of each gate's sum."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from .evaluate import evaluated
from .report import Case, NotRunError, Result, compare, judged, tensor

GATES = {"i": "input", "f": "forget", "g": "cell", "o": "output"}
LAYER_NORM_EPSILON = 1e-8


def results(data: Any) -> Iterator[Result]:
    """Every case of the file."""
    for k, case in enumerate(data["cases"]):
        yield judged(f"{k} {case['fixture']}", partial(run, case, float(data["tolerance"])))


def page(features: Any) -> str:
    """The equations with what a case has beside."""
    lines = []
    for g in "ifgo":
        seen = "c[t]" if g == "o" else "c[t-1]"
        peephole = f" + p_{g} ⊙ {seen}" if features["peephole"] and g != "g" else ""
        summed = f"W_{g} x[t] + R_{g} h[t-1]{peephole}"
        if g == "i" and features["cifg"]:
            lines.append("i[t] = 1 - f[t]")
            continue
        if features["layer_norm"]:
            lines += [
                f"s_{g}[t] = {summed}",
                f"d_{g}[t] = s_{g}[t] - mean(s_{g}[t])",
                f"v_{g}[t] = mean(d_{g}[t] ⊙ d_{g}[t]) + {LAYER_NORM_EPSILON:.8f}",
                f"a_{g}[t] = n_{g} ⊙ d_{g}[t] / sqrt(v_{g}[t]) + b_{g}",
            ]
        else:
            lines.append(f"a_{g}[t] = {summed} + b_{g}")
        lines.append(f"{g}[t] = {'tanh' if g == 'g' else 'σ'}(a_{g}[t])")
    lines.append("c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]")
    out = "o[t] ⊙ tanh(c[t])"
    if features["projection"]:
        out = f"P ({out})" + (" + b_P" if features["projection_bias"] else "")
    return "\n".join([*lines, f"h[t] = {out}", "where x[t]: D, c[t]: H, h[t]: O"])


def run(case: Case, tolerance: float) -> int:
    """Compare every step's output."""
    f, dims = case["features"], case["dims"]
    if f["cell_clip"] or f["proj_clip"]:
        raise NotRunError("no page with a clipped cell")
    x = tensor(case["input_T_N_D"]).transpose(0, 1)
    found = evaluated(page(f), {"x": x}, weights(case["weights"], dims))[0]
    compare("h", found.transpose(0, 1), tensor(case["expected_T_N_O"]), tolerance, tolerance)
    return 1


def weights(given: Any, dims: Any) -> dict[str, torch.Tensor]:
    """The flat weights by the names of the page. With coupled gates there are none of the input gate's."""
    found = {}
    coupled = "input_to_input_weights" not in given
    for g, name in GATES.items():
        if coupled and g == "i":
            continue
        for what, key in (
            ("W", f"input_to_{name}_weights"), ("R", f"recurrent_to_{name}_weights"),
            ("b", f"{name}_gate_bias"), ("p", f"cell_to_{name}_weights"),
            ("n", f"{name}_layer_norm_coefficients"),
        ):  # fmt: skip
            if key in given:
                value = tensor(given[key])
                found[f"{what}_{g}"] = value.reshape(dims["n_cell"], -1) if what in "WR" else value
    if "projection_weights" in given:
        found["P"] = tensor(given["projection_weights"]).reshape(dims["n_output"], dims["n_cell"])
    if "projection_bias" in given:
        found["b_P"] = tensor(given["projection_bias"])
    return found
