"""onnxruntime's RNN, GRU and LSTM: activations, clip, peepholes, directions, lengths, starts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import chalkgrad

from .gates import Activation, Cell
from .report import Case, compare, tensor

GATES = {"RNN": "h", "GRU": "zrn", "LSTM": "iofg"}
DEFAULTS = {"RNN": ("tanh",), "GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}
ALPHAS = ("leakyrelu", "scaledtanh")
BETAS = ("scaledtanh",)
TOLERANCE = 1e-4
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def run(case: Case) -> int:
    """Compare every output that a case expects, in float64; returns how many."""
    given = arrays(case["inputs"], INPUTS)
    kind, attrs, x = case["op"], case["attrs"], given["X"]
    directions = given["W"].shape[0]
    lengths = given.get("sequence_lens", torch.full((x.shape[1],), x.shape[0])).long()
    found = [
        one(
            kind, attrs, {n: v[k] for n, v in given.items() if n not in ("X", "sequence_lens")}, x, lengths, k
        )
        for k in range(directions)
    ]
    names: tuple[str, ...] = ("Y", "Y_h", "Y_c")[: 3 if kind == "LSTM" else 2]
    whole: dict[str, Tensor] = dict(
        zip(
            names,
            (torch.stack(v, 1 if n == 0 else 0) for n, v in enumerate(zip(*found, strict=True))),
            strict=True,
        )
    )
    expected = arrays(case["outputs"], names)
    for name, value in expected.items():
        compare(name, whole[name], value, TOLERANCE, TOLERANCE)
    return len(expected)


def arrays(given: Any, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The arrays that are there, by their names."""
    return {name: tensor(a["data"]).reshape(a["shape"]) for name, a in zip(names, given, strict=False) if a}


def one(kind: str, attrs: Any, w: dict[str, Tensor], x: Tensor, lengths: Tensor, k: int) -> list[Tensor]:
    """One direction: every step (T, N, H), then the last states (N, H).

    A sequence of no steps has no place in equations: its rows are left out, and are zero in ONNX.
    """
    backward = attrs.get("direction") == "reverse" or k == 1
    cell = Cell(
        kind,
        activations(kind, attrs, k),
        clip=attrs.get("clip") if 0 < (attrs.get("clip") or 0) < 999 else None,
        coupled=bool(attrs.get("input_forget")),
        peephole="P" in w,
        reset_after=bool(attrs.get("linear_before_reset")),
        backward=backward,
    )
    hidden = attrs["hidden_size"]
    net = chalkgrad.layer(cell.page(), D=x.shape[2], H=hidden, dtype=torch.float64)
    with torch.no_grad():
        for name, value in weights(kind, w, cell).items():
            if name in dict(net.named_parameters()):
                net.get_parameter(name).copy_(value)
    live = lengths > 0
    y = x.new_zeros(x.shape[0], x.shape[1], hidden)
    zero = x.new_zeros(x.shape[1], hidden)
    starts = {"h": w.get("initial_h", zero), "c": w.get("initial_c", zero)}
    state = tuple(starts[s.name][live] for s in net.program.states)
    found, last = net(x[:, live].transpose(0, 1), state, lengths=lengths[live])
    y[:, live] = found.detach().transpose(0, 1)
    ends = [zero.clone() for _ in range(2 if kind == "LSTM" else 1)]
    for end, name in zip(ends, "hc", strict=False):
        end[live] = getattr(last, name).detach()
    return [y, *ends]


def activations(kind: str, attrs: Any, k: int) -> list[Activation]:
    """The functions of one direction; alpha and beta are handed out, in order, to those that take them."""
    count = len(DEFAULTS[kind])
    names = attrs.get("activations") or DEFAULTS[kind] * 2
    alphas, betas = iter(attrs.get("activation_alpha", [])), iter(attrs.get("activation_beta", []))
    made = [
        Activation(
            n,
            next(alphas, None) if n.lower() in ALPHAS else None,
            next(betas, None) if n.lower() in BETAS else None,
        )
        for n in names
    ]
    return made[count * k : count * (k + 1)] if len(made) > count else made


def weights(kind: str, w: dict[str, Tensor], cell: Cell) -> dict[str, Tensor]:
    """ONNX's stacked weights by the names of the page."""
    gates, hidden = GATES[kind], w["R"].shape[1]
    bias = w.get("B", w["W"].new_zeros(2 * len(gates) * hidden))
    input_bias, own_bias = (b.chunk(len(gates)) for b in bias.chunk(2))
    found: dict[str, Tensor] = {}
    for gate, a, r, b, d in zip(
        gates, w["W"].chunk(len(gates)), w["R"].chunk(len(gates)), input_bias, own_bias, strict=True
    ):
        apart = gate == "n" and cell.reset_after
        found |= {f"W_{gate}": a, f"R_{gate}": r, f"b_{gate}": b if apart else b + d}
        found |= {f"d_{gate}": d} if apart else {}
    if "P" in w:
        found |= dict(zip(("p_i", "p_o", "p_f"), w["P"].chunk(3), strict=True))
    return found
