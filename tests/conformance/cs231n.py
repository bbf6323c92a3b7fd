"""CS231n's notebooks: forward values, gradients, losses; row vectors, gates in the order i, f, o, g."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .evaluate import evaluated, one_hot
from .report import Case, NotRunError, Result, compare, judged, tensor
from .windows import Window, convolved, largest

PRINTED = 1e-6
"""Values that are printed with eight digits."""
EXACT = 1e-9
"""Gradients by complex steps, losses by their own tolerance."""

RNN = "h[t] = tanh(x[t] Wx + h[t-1] Wh + b)\nwhere x[t]: D, h[t]: H"
GATES = "ifog"
LSTM = "\n".join(
    [f"{g}[t] = {'tanh' if g == 'g' else 'σ'}(x[t] Wx_{g} + h[t-1] Wh_{g} + b_{g})" for g in GATES]
    + ["c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]", "h[t] = o[t] ⊙ tanh(c[t])", "where x[t]: D, h[t]: H"]
)
LOSS = """
s[t] = h[t] W_vocab + b_vocab
L = -Σ[t,v] y[t,v] logsoftmax[v](s[t,v])
"""


def results(data: Any) -> Iterator[Result]:
    """Every case of the file."""
    for case in data["forward"]:
        yield judged(case["name"], partial(forward, case))
    for case in data["backward"]:
        yield judged(case["name"], partial(backward, case))
    for k, case in enumerate(data["losses"]):
        yield judged(f"{case['name']} {k}", partial(loss, case))


def gates(w: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stacked weights by the names of the page."""
    return {f"{n}_{g}": part for n, v in w.items() for g, part in zip(GATES, v.chunk(4, -1), strict=True)}


def rnn(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return (evaluated(RNN, {"x": g["x"]}, weights(g), state={"h": g["h0"]})[0],)


def rnn_step(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return (evaluated(RNN, {"x": g["x"][:, None]}, weights(g), state={"h": g["prev_h"]})[1].h,)


def lstm(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    start = {"h": g["h0"], "c": torch.zeros_like(g["h0"])}
    return (evaluated(LSTM, {"x": g["x"]}, gates(weights(g)), state=start)[0],)


def lstm_step(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    start = {"h": g["prev_h"], "c": g["prev_c"]}
    last = evaluated(LSTM, {"x": g["x"][:, None]}, gates(weights(g)), state=start)[1]
    return last.h, last.c


def weights(g: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: g[n] for n in ("Wx", "Wh", "b")}


def embedding(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    chosen = one_hot(g["x"].long(), g["W"].shape[0])
    return (evaluated("e[t,d] = Σ[v] u[t,v] W[v,d]", {"u": chosen}, {"W": g["W"]}),)


def affine(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    rows = g["x"].flatten(1)
    return (evaluated("y = x w + b\nwhere x: D, w: D×H", {"x": rows}, {"w": g["w"], "b": g["b"]}),)


def temporal_affine(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return (evaluated("y[t] = x[t] w + b\nwhere w: D×H", {"x": g["x"]}, {"w": g["w"], "b": g["b"]}),)


def relu(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return (evaluated("y = relu(x)", {"x": g["x"]}, {}),)


def conv(g: dict[str, Tensor], stride: int = 1, margin: int = 1) -> tuple[Tensor, ...]:
    window = Window(g["w"].shape[2:], (stride,) * 2, (1, 1), ((margin, margin),) * 2)
    return (convolved(g["x"], g["w"], g["b"], window),)


def max_pool(g: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return (largest(g["x"], Window((2, 2), (2, 2), (1, 1), ((0, 0),) * 2)),)


LAYERS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "rnn_step": rnn_step,
    "rnn": rnn,
    "lstm_step": lstm_step,
    "lstm": lstm,
    "word_embedding": embedding,
    "conv": conv,
    "max_pool": max_pool,
    "affine": affine,
    "temporal_affine": temporal_affine,
    "relu": relu,
}


def layer_of(name: str, direction: str) -> Callable[..., tuple[Tensor, ...]]:
    what = name.split(f"_{direction}")[0]
    if what not in LAYERS:
        raise NotRunError(f"no page for {what}")
    return LAYERS[what]


def forward(case: Case) -> int:
    """Compare what a layer gives."""
    inputs, found = dict(case["inputs"]), layer_of(case["name"], "forward")
    if "conv_param" in inputs:
        said = inputs.pop("conv_param")
        found = partial(found, stride=said["stride"], margin=said["pad"])
    if "pool_param" in inputs:
        said = inputs.pop("pool_param")
        assert said == {"pool_width": 2, "pool_height": 2, "stride": 2}, f"another window: {said}"
    values = found({n: tensor(v) for n, v in inputs.items()})
    for (name, expected), value in zip(case["expected"].items(), values, strict=True):
        compare(name, value, tensor(expected), PRINTED, PRINTED)
    return len(values)


def backward(case: Case) -> int:
    """Compare the gradients to everything that is given, from those that arrive."""
    given = {n: tensor(v).requires_grad_() for n, v in case["inputs"].items()}
    values = layer_of(case["name"], "backward")(given)
    arriving = [tensor(v) for v in case["upstream"]]
    wanted = case["expected_grads"]
    found = torch.autograd.grad(values, [given[n[1:]] for n in wanted], arriving)
    for (name, expected), value in zip(wanted.items(), found, strict=True):
        compare(name, value, tensor(expected), EXACT, EXACT)
    return len(found)


def loss(case: Case) -> int:
    if case["name"] == "temporal_softmax_loss":
        return temporal_softmax(case)
    return captioning(case)


def captioning(case: Case) -> int:
    """A page from picture and words to its loss, and the mean of it over the examples."""
    cell, named = (RNN, dict) if "[rnn]" in case["name"] else (LSTM, gates)
    made = {n: line(-1.4, 1.3, s) for n, s in case["shapes"].items()}
    low, high = (float(v) for v in case["features"].split("linspace(")[1].split(",")[:2])
    captions = (torch.arange(130) % 3).reshape(10, 13)
    own = {n: made.pop(n) for n in ("Wx", "Wh", "b")}
    page = "h[0] = features W_proj + b_proj\nx[t] = u[t] W_embed\n"
    page += cell.split("\nwhere")[0] + LOSS + "where u[t]: V, h[t]: H, x[t]: D, y[t]: V, features: F"
    words = one_hot(captions, 3)
    found = evaluated(
        page,
        {"features": line(low, high, (10, 20)), "u": words[:, :-1],
         "y": words[:, 1:] * (captions[:, 1:, None] != 0)},
        {**made, **named(own)},
    )  # fmt: skip
    total = found[0] if isinstance(found, tuple) else found
    compare("loss", total.mean(), tensor(case["expected_loss"]), case["tolerance"], 0.0)
    return 1


def temporal_softmax(case: Case) -> int:
    """The loss of words drawn anew: as many digits as the notebook says."""
    n, steps, words, share = case["N,T,V,p"]
    random = torch.Generator().manual_seed(231)
    x = 0.001 * torch.randn(n, steps, words, generator=random, dtype=torch.float64)
    right = one_hot(torch.randint(words, (n, steps), generator=random), words)
    kept = torch.rand(n, steps, generator=random, dtype=torch.float64) < share
    page = "L = -Σ[t,v] y[t,v] logsoftmax[v](x[t,v])"
    found = evaluated(page, {"x": x, "y": right * kept[..., None]}, {}).mean()
    digit = 0.5 if case["expected_about"] == int(case["expected_about"]) else 0.05
    compare("loss", found, tensor(case["expected_about"]), digit, 0.0)
    return 1


def line(low: float, high: float, shape: Any) -> Tensor:
    """Evenly spaced numbers in a shape."""
    return torch.linspace(low, high, int(torch.tensor(shape).prod()), dtype=torch.float64).reshape(*shape)
