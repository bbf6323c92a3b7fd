"""Chalkgrad: equations in, backpropagation shown, PyTorch layer out.

>>> import torch, chalkgrad
>>> net = chalkgrad.layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=64, h=128)
>>> y, state = net(torch.zeros(8, 20, 64))  # batch, time, features
>>> print(chalkgrad.derive("h[i] = Σ[j] V[j] x[i+j] where x: input"))
∂x[n] = Σ[j] ∂h[n-j] V[j]
∂V[j] = Σ[i] ∂h[i] x[i+j]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chalkgrad.language.source import EquationError, EquationWarning
from chalkgrad.late import once_loaded

if TYPE_CHECKING:
    from chalkgrad.claims.check import check
    from chalkgrad.drawing.draw import draw
    from chalkgrad.flowing.guard import guard
    from chalkgrad.flowing.record import flow
    from chalkgrad.nn.accelerate import accelerate
    from chalkgrad.nn.cells import GRUCell, LSTMCell, RNNCell
    from chalkgrad.nn.combine import Bidirectional, Stack
    from chalkgrad.nn.convolution import (
        Conv1d,
        Conv2d,
        Conv3d,
        ConvTranspose1d,
        ConvTranspose2d,
        ConvTranspose3d,
    )
    from chalkgrad.nn.layer import Layer, layer
    from chalkgrad.nn.pooling import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d
    from chalkgrad.nn.recompute import recompute
    from chalkgrad.nn.recurrent import GRU, LSTM, RNN
    from chalkgrad.pipeline import derive
    from chalkgrad.tracing.trace import trace

# Loaded when first asked for: deriving needs no torch, and `chalkgrad --help` should not wait for it.
_WHERE = {
    "accelerate": "chalkgrad.nn.accelerate",
    "Bidirectional": "chalkgrad.nn.combine",
    "check": "chalkgrad.claims.check",
    "derive": "chalkgrad.pipeline",
    "draw": "chalkgrad.drawing.draw",
    "flow": "chalkgrad.flowing.record",
    "guard": "chalkgrad.flowing.guard",
    "Layer": "chalkgrad.nn.layer",
    "layer": "chalkgrad.nn.layer",
    "Stack": "chalkgrad.nn.combine",
    "recompute": "chalkgrad.nn.recompute",
    "trace": "chalkgrad.tracing.trace",
    **{f"{kind}{n}d": "chalkgrad.nn.convolution" for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3)},
    **dict.fromkeys(("RNN", "LSTM", "GRU"), "chalkgrad.nn.recurrent"),
    **dict.fromkeys(("RNNCell", "LSTMCell", "GRUCell"), "chalkgrad.nn.cells"),
    **{f"{kind}Pool{n}d": "chalkgrad.nn.pooling" for kind in ("Max", "Avg") for n in (1, 2, 3)},
}


# A file that torch.export has written holds our operator by name, and is read by torch alone.
once_loaded("torch", lambda: import_module("chalkgrad.nn.library"))


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'chalkgrad' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "Bidirectional",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "EquationError",
    "EquationWarning",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "RNNCell",
    "Stack",
    "accelerate",
    "check",
    "derive",
    "draw",
    "flow",
    "guard",
    "layer",
    "recompute",
    "trace",
]
