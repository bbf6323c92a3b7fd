"""Peter Roelants' linear recurrence with two weights: loss, gradients, and what Rprop reaches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .evaluate import evaluated
from .report import Case, Result, compare, judged, tensor

PAGE = "s[t] = s[t-1] wRec + x[t] wx\nwhere x[t]: scalar, s[t]: scalar, wRec: scalar, wx: scalar"
CLOSE = 1e-8


def results(data: Any) -> Iterator[Result]:
    """A line for each point, one for what Rprop reaches."""
    x, t = tensor(data["X"]), tensor(data["t"])
    for point in data["points"]:
        yield judged(f"({point['wx']}, {point['wRec']})", partial(gradient, point, x, t))
    yield judged("Rprop", partial(rprop, data["rprop"], x, t))


def graded(wx: float, recurrent: float, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients."""
    w = {"wx": tensor(wx).requires_grad_(), "wRec": tensor(recurrent).requires_grad_()}
    s, _ = evaluated(PAGE, {"x": x}, w)
    loss = (s[:, -1] - t).square().mean()
    by_input, by_last = torch.autograd.grad(loss, [*w.values()])
    return loss, by_input, by_last


def gradient(point: Case, x: Tensor, t: Tensor) -> int:
    """Compare the loss and both gradients at a point."""
    found = graded(point["wx"], point["wRec"], x, t)
    for name, value in zip(("loss", "dwx", "dwRec"), found, strict=True):
        compare(name, value.detach(), tensor(point[name]), CLOSE, CLOSE)
    return 3


def rprop(said: Case, x: Tensor, t: Tensor) -> int:
    """Follow the signs of the gradients, with a step of its own for each weight."""
    w, step, sign = list(map(float, said["W0"])), [said["delta0"]] * 2, [0.0, 0.0]
    for _ in range(said["iters"]):
        grads = graded(w[0], w[1], x, t)[1:]
        for k, g in enumerate(grads):
            now = float(g.sign())
            step[k] *= said["eta_p"] if sign[k] * now > 0 else said["eta_n"]
            sign[k] = now
            w[k] -= now * step[k]
    compare("weights", tensor(w), tensor(said["final"]), CLOSE, CLOSE)
    s, _ = evaluated(
        PAGE, {"x": tensor(said["test_input"])[None]}, {"wx": tensor(w[0]), "wRec": tensor(w[1])}
    )
    compare("test", s[0, -1], tensor(said["test_output"]), CLOSE, CLOSE)
    return 2
