"""torch.nn's own layers, with the weights of ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import chalkgrad
from bench.cells import Cell, Size, agree, side, spread
from chalkgrad.nn.layer import Layer

PEERS: dict[str, type[Any]] = {"lstm": nn.LSTM, "gru_after": nn.GRU, "rnn": nn.RNN}


def gates(name: str, net: Layer) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each gate, in torch's order, the input's matrix (D×H), the state's (H×H) and the bias."""
    p = {n: v.detach() for n, v in net.named_parameters()}
    match name:
        case "rnn":
            return [(p["W_x"], p["W_h"], p["b"])]
        case "lstm":
            return [(p[f"W_x{g}"], p[f"W_h{g}"], p[f"b_{g}"]) for g in "ifgo"]
        case _:
            return [(p[f"W{g}"].T, p[f"U{g}"].T, p[f"b{g}"]) for g in ("_r", "_z", "")]


def against_torch_nn(name: str, size: Size) -> Cell:
    T, B, H = size
    torch.manual_seed(0)
    ours, peer = spread(chalkgrad.layer(name, D=H, H=H)), PEERS[name](H, H, batch_first=True)
    with torch.no_grad():
        for k, (w, u, b) in enumerate(gates(name, ours)):
            # Where torch's z keeps the old state the page's z lets the new one in: 1 - σ(a) = σ(-a).
            sign = -1 if name == "gru_after" and k == 1 else 1
            part = slice(k * H, (k + 1) * H)
            peer.weight_ih_l0[part] = sign * w.T
            peer.weight_hh_l0[part] = sign * u.T
            peer.bias_ih_l0[part] = sign * b
        peer.bias_hh_l0.zero_()
        if name == "gru_after":
            peer.bias_hh_l0[2 * H :] = ours.get_parameter("b_u")
    x = torch.randn(B, T, H)
    mine, theirs = side(ours, [*ours.parameters()], x), side(peer, [*peer.parameters()], x)
    return agree(Cell(f"torch.nn.{type(peer).__name__}", size, mine, theirs))
