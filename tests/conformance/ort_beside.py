"""What onnxruntime's file has beside its cases: calls that must fail, and its training operators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import chalkgrad
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import system_of

from .evaluate import evaluated
from .gates import Activation, Cell
from .ort_recurrent import DEFAULTS, GATES, TOLERANCE, activations, arrays, weights
from .report import Case, NotRunError, compare
from .windows import Window, convolved

FORWARD = {
    "GRUTraining": ("HAll", "final_h", "zrh"),
    "LSTMTraining": ("HAll", "final_h", "final_c", "CAll", "iofc"),
}
GIVEN = {
    "GRUTraining": ("X", "W", "R", "B"),
    "GRUGrad": ("X", "W", "R", "B", "", "", "HAll", "zrh", "grad"),
    "LSTMTraining": ("X", "W", "R", "B"),
    "LSTMGrad": ("X", "W", "R", "", "", "", "HAll", "CAll", "iofc", "grad"),
}
WRT = ("X", "W", "R", "B")


# --- what must fail ------------------------------------------------------------------------------------


def fails(case: Case) -> int:
    """Have the equations refuse what onnxruntime refuses, by an error of their own."""
    try:
        attempted(case)
    except chalkgrad.EquationError:
        return 1
    raise AssertionError("no error")


def attempted(case: Case) -> None:
    """The call of a case, on numbers of its shapes."""
    attrs, shapes = case["attrs"], case["shapes"]
    given = [torch.ones(shape, dtype=torch.float64) for shape in shapes]
    match case["op"]:
        case "Conv":
            rank = len(attrs["kernel_shape"])
            pads = attrs["pads"]
            margins = [*zip(pads[:rank], pads[rank:], strict=True)]
            window = Window(attrs["kernel_shape"], attrs["strides"], attrs["dilations"], margins)
            convolved(given[0], given[1], None, window)
        case "RNN":
            cell = Cell("RNN", [Activation(n) for n in attrs["activations"]])
            name = attrs["activations"][0]
            known = name.lower() in ("tanh", "sigmoid", "relu")
            page = cell.page() if known else f"h[t] = {name}(x[t] W + h[t-1] R)\nwhere x[t]: D, h[t]: H"
            net = chalkgrad.layer(page, D=shapes[0][2], H=attrs["hidden_size"], dtype=torch.float64)
            net(given[0].transpose(0, 1), lengths=case["lens"][0])
        case other:
            raise NotRunError(f"not expressible: {other}'s kernel_shape beside a kernel of another shape")


# --- gradients -----------------------------------------------------------------------------------------


def trained(case: Case) -> int:
    """Compare what a training operator gives: every step's gates forward, the gradients backward."""
    op, given = case["op"], arrays(case["inputs"], GIVEN[case["op"]])
    if op in FORWARD:
        return forward(op[:-8], case, given)
    return from_saved(case, given) if op == "LSTMGrad" else backward(case, given)


def cell_of(kind: str) -> Cell:
    return Cell(kind, activations(kind, {"activations": [*DEFAULTS[kind]]}, 0))


def named(kind: str, given: dict[str, Tensor]) -> dict[str, Tensor]:
    return weights(kind, {n: given[n][0] for n in ("W", "R", "B") if n in given}, cell_of(kind))


def forward(kind: str, case: Case, given: dict[str, Tensor]) -> int:
    """Every step, and the gates of every step, which are outputs of the page too."""
    gates, size = GATES[kind], case["attrs"]["hidden_size"]
    shown = [*gates, "h", *(["c"] if kind == "LSTM" else [])]
    asked = ", ".join(f"{n}[t]: output {size}" for n in shown)
    page = f"{cell_of(kind).page().split(chr(10) + 'where')[0]}\nwhere x[t]: D, {asked}"
    y, last = evaluated(page, {"x": given["X"].transpose(0, 1)}, used(page, named(kind, given)))
    order = gates if kind == "GRU" else "iofg"
    steps = {n: getattr(y, n).transpose(0, 1)[:, None] for n in shown}
    found = {
        "HAll": steps["h"], "final_h": last.h[None],
        "zrh" if kind == "GRU" else "iofc": torch.cat([steps[g] for g in order], -1),
    }  # fmt: skip
    if kind == "LSTM":
        found |= {"CAll": steps["c"], "final_c": last.c[None]}
    expected = arrays(case["outputs"], FORWARD[case["op"]])
    for name, value in expected.items():
        compare(name, found[name], value, TOLERANCE, TOLERANCE)
    return len(expected)


def used(page: str, given: dict[str, Tensor]) -> dict[str, Tensor]:
    parameters = {n.name for n in read(page).program.given("parameter")}
    return {n: v for n, v in given.items() if n in parameters}


def backward(case: Case, given: dict[str, Tensor]) -> int:
    """The gradients of Σ grad · h by what is given, through ONNX's stacked weights."""
    leaves = {n: given[n].requires_grad_() for n in WRT}
    page = cell_of("GRU").page()
    y, _ = evaluated(page, {"x": given["X"].transpose(0, 1)}, named("GRU", given))
    arriving = given["grad"][:, 0].transpose(0, 1)
    found = torch.autograd.grad(y, [*leaves.values()], arriving)
    expected = arrays(case["outputs"], WRT)
    for (name, value), own in zip(expected.items(), found, strict=True):
        compare(f"d{name}", own, value, TOLERANCE, TOLERANCE)
    return len(expected)


def from_saved(case: Case, given: dict[str, Tensor]) -> int:
    """The derived equations from saved values, which need not be those of a forward pass."""
    page = cell_of("LSTM").page()
    program = normalise(batch(read(page).program))
    system = system_of(program, "c")
    parameters = named("LSTM", {**given, "B": given["W"].new_zeros(1, 8 * case["attrs"]["hidden_size"])})
    wrt = ("x", *parameters)
    derived = system.derived(wrt)
    rows = {n: given[n][:, 0].transpose(0, 1) for n in ("HAll", "CAll", "iofc", "grad")}
    saved = dict(zip("iofg", rows["iofc"].chunk(4, -1), strict=True))
    start = rows["HAll"].new_zeros(rows["HAll"][:, :1].shape)
    known: dict[str, Tensor] = {
        **saved,
        **{n: torch.cat([start, rows[k]], 1) for n, k in (("h", "HAll"), ("c", "CAll"))},
    }
    for e in program.equations:  # tanh of the cell, by whatever name
        if e.target in system.saved_for(wrt) and e.target not in known:
            known[e.target] = rows["CAll"].tanh()
    names = {
        "batch": start.shape[0], "T": rows["grad"].shape[1], "|x|": given["X"].shape[2],
        "|h|": start.shape[2], "D": given["X"].shape[2], "H": start.shape[2],
    }  # fmt: skip
    numbers = {s: names[s] for s in ("batch", *derived.program.symbols)}
    seed = torch.cat([start, rows["grad"]], 1) if _from_the_start(derived.program, "h") else rows["grad"]
    inputs = {"x": given["X"].transpose(0, 1), **parameters, "h₀": start, "c₀": start}
    inputs |= {derived.seeds["h"]: seed}
    values = dict(zip(wrt, derived(inputs, numbers, derived.program.outputs, known), strict=True))
    stacked = {
        "X": values["x"].transpose(0, 1),
        **{k: torch.cat([values[f"{k}_{g}"] for g in GATES["LSTM"]])[None] for k in "WR"},
    }
    bias = torch.cat([values[f"b_{g}"] for g in GATES["LSTM"]])
    stacked["B"] = torch.cat([bias, bias])[None]
    expected = arrays(case["outputs"], WRT)
    for name, value in expected.items():
        compare(f"d{name}", stacked[name], value, TOLERANCE, TOLERANCE)
    return len(expected)


def _from_the_start(program: Any, name: str) -> bool:
    """Whether a name's gradient comes in for the steps before its first too."""
    return bool(program[name].ranges[1].low.const)
