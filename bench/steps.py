"""One step at a time: cells, and steps of a stream, beside torch.nn's own. What is small costs its call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import chalkgrad
from bench.cells import distance
from bench.measure import Do, pair
from bench.tables import Job, Kind, Plan, Row

SIZES = ((1, 16), (1, 64), (8, 128), (32, 128), (32, 256))
"""(B, D = H)."""

QUICK = ((1, 64), (8, 128))

CELLS = ("RNNCell", "GRUCell", "LSTMCell")
LAYERS: dict[str, type[Any]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

STEPS = 20
"""Steps in a measurement: one by itself is near what the clock costs."""


def jobs(plan: Plan) -> list[Job]:
    sizes = QUICK if plan.quick else SIZES
    found: list[Job] = [lambda n=n, s=s: cell(n, *s, plan.seconds) for n in CELLS for s in sizes]
    return found + [lambda n=n, s=s: stream(n, *s, plan.seconds) for n in LAYERS for s in sizes]


def cell(name: str, batch: int, width: int, seconds: float) -> Iterator[Row]:
    torch.manual_seed(0)
    ours, theirs = getattr(chalkgrad, name)(width, width), getattr(nn, name)(width, width)
    theirs.load_state_dict(ours.state_dict())
    x, h, c = (torch.randn(batch, width) for _ in range(3))
    state = (h, c) if name == "LSTMCell" else h

    def forward(module: Any) -> Do:
        def do() -> Any:
            with torch.no_grad():
                for _ in range(STEPS):
                    found = module(x, state)
            return found

        return do

    def training(module: Any) -> Do:
        parameters = [*module.parameters()]

        def do() -> Any:
            for _ in range(STEPS):
                h, *_ = found if isinstance(found := module(x, state), tuple) else (found,)
                grads = torch.autograd.grad(h.sum(), parameters)
            return grads

        return do

    a, b = forward(ours)(), forward(theirs)()
    agree(name, a[0] if isinstance(a, tuple) else a, b[0] if isinstance(b, tuple) else b)
    for kind, make in (("forward", forward), ("training", training)):
        yield row(f"torch.nn.{name}", kind, batch, width, make(ours), make(theirs), seconds)


def stream(page: str, batch: int, width: int, seconds: float) -> Iterator[Row]:
    torch.manual_seed(0)
    net, layer = chalkgrad.layer(page, D=width, H=width), LAYERS[page](width, width)
    x = torch.randn(batch, width)
    sequence = x[None]

    def do(step: Callable[[Tensor, Any], tuple[Any, Any]], x: Tensor) -> Do:
        def run() -> Any:
            with torch.no_grad():
                state = None
                for _ in range(STEPS):
                    y, state = step(x, state)
            return y

        return run

    name = f"torch.nn.{LAYERS[page].__name__} on one step"
    yield row(name, "a stream's step", batch, width, do(net.step, x), do(layer, sequence), seconds)


def agree(what: str, ours: Tensor, theirs: Tensor) -> None:
    """Raise AssertionError where the two compute something else."""
    if not distance(ours, theirs) < 1e-3:
        raise AssertionError(f"{what} computes something else")


def row(peer: str, kind: str, batch: int, width: int, ours: Do, theirs: Do, seconds: float) -> Row:
    m = pair(ours, theirs, seconds)
    return (peer, kind, batch, width, m.ours * 1e6 / STEPS, m.theirs * 1e6 / STEPS, m.ratio)


KIND = Kind(
    name="steps",
    says=f"Time of the peer / ours, medians of {STEPS} calls in turn, float32. A cell's training step is "
    "forward and the gradients of its parameters. A stream's step goes on from the state of the "
    "one before; the peer is torch.nn's layer, called on a sequence of one step.",
    columns=("peer", "kind", "B", "D = H", "ours (µs)", "theirs (µs)", "ratio"),
    named=2,
    figure="ratio",
    unit="× as long",
    worst=min,
    jobs=jobs,
    left_out="small steps but for two sizes",
)
