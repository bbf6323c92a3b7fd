"""The standard layers compute what torch's own do, from the same weights: outputs, states, every gradient."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, relu

import chalkgrad
from chalkgrad.nn.layer import Layer

F64 = torch.float64
B, T, D, H = 3, 5, 4, 6

GATES = {"LSTM": "ifgo", "GRU": "rzn", "RNN": "h"}
"""In what order torch stacks the gates."""


def parts(kind: str, theirs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Per gate: input matrix, recurrent matrix (rows are units) and the two biases."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    chunks = zip(*(theirs[n].chunk(len(GATES[kind])) for n in names), strict=True)
    return dict(zip(GATES[kind], chunks, strict=True))  # pyright: ignore[reportReturnType]


def in_our_names(kind: str, theirs: Mapping[str, Tensor], bias: str) -> dict[str, Tensor]:
    """torch's weights, or the gradients of them, by the names of the page.

    torch adds two biases where the page has one: its value is their sum, its gradient that of either.
    """
    gates = parts(kind, theirs)

    def one(a: Tensor, b: Tensor) -> Tensor:
        return a + b if bias == "sum" else a

    match kind:
        case "RNN":
            w, u, a, b = gates["h"]
            return {"W_x": w.T, "W_h": u.T, "b": one(a, b)}
        case "LSTM":
            found: dict[str, Tensor] = {}
            for gate, (w, u, a, b) in gates.items():
                found |= {f"W_x{gate}": w.T, f"W_h{gate}": u.T, f"b_{gate}": one(a, b)}
            return found
        case _:
            # torch's z says how much of the old state is kept, the page's how much of the new one comes in:
            # σ(-a) = 1 - σ(a).
            (wr, ur, ar, br), (wz, uz, az, bz), (w, u, a, b) = gates["r"], gates["z"], gates["n"]
            return {
                "W_r": wr,
                "U_r": ur,
                "b_r": one(ar, br),
                "W_z": -wz,
                "U_z": -uz,
                "b_z": -one(az, bz),
                "W": w,
                "U": u,
                "b": a,
                "b_u": b,
            }


@pytest.fixture(params=[("rnn", "RNN"), ("lstm", "LSTM"), ("gru_after", "GRU")], ids=lambda p: p[0])
def pair(request: pytest.FixtureRequest) -> tuple[str, Layer, nn.RNNBase]:
    name, kind = request.param
    torch.manual_seed(1)
    theirs: nn.RNNBase = getattr(nn, kind)(D, H, batch_first=True, dtype=F64)
    ours = chalkgrad.layer(name, D=D, H=H, dtype=F64)
    ours.load_state_dict(
        {k: v.detach() for k, v in in_our_names(kind, dict(theirs.named_parameters()), "sum").items()}
    )
    return kind, ours, theirs


def close(a: Tensor | None, b: Tensor | None, what: str = "") -> None:
    assert a is not None
    assert b is not None
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=lambda m: f"{what}: {m}")


@pytest.mark.parametrize("given_state", [False, True])
def test_a_standard_recurrence_is_that_of_torch(
    pair: tuple[str, Layer, nn.RNNBase], given_state: bool, rng: torch.Generator
) -> None:
    kind, ours, theirs = pair
    x = torch.randn(B, T, D, generator=rng, dtype=F64).requires_grad_()
    _, form = ours(x)
    start = form._make(torch.randn(B, H, generator=rng, dtype=F64).requires_grad_() for _ in form)
    their_x = x.detach().clone().requires_grad_()
    their_start = {n: s.detach().clone().requires_grad_() for n, s in form._make(start)._asdict().items()}
    first = [their_start[n][None] for n in ("h", "c") if n in their_start]

    y, state = ours(x, start) if given_state else ours(x)
    hx = (tuple(first) if kind == "LSTM" else first[0]) if given_state else None
    their_y, last = theirs(their_x, hx)
    their_state = dict(zip("hc", last if kind == "LSTM" else (last,), strict=False))
    close(y, their_y, "output")
    assert set(state._fields) == set(their_state)
    for name, value in state._asdict().items():
        close(value, their_state[name][0], name)

    # Every result counts, each with weights of its own.
    weights = {n: torch.randn(B, H, generator=rng, dtype=F64) for n in state._fields}
    δ = torch.randn(B, T, H, generator=rng, dtype=F64)
    ((y * δ).sum() + sum((getattr(state, n) * w).sum() for n, w in weights.items())).backward()
    ((their_y * δ).sum() + sum((their_state[n][0] * w).sum() for n, w in weights.items())).backward()
    close(x.grad, their_x.grad, "∂x")
    gradients = {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None}
    for name, gradient in in_our_names(kind, gradients, "either").items():
        close(ours.get_parameter(name).grad, gradient, f"∂{name}")
    if given_state:
        for name, value in start._asdict().items():
            close(value.grad, their_start[name].grad, f"∂{name} at the start")


def test_a_standard_convolution_is_that_of_torch(rng: torch.Generator) -> None:
    for name, convolve, window, shape in [
        ("conv1d", conv1d, (3,), (11,)),
        ("conv2d", conv2d, (3, 2), (6, 7)),
    ]:
        net = chalkgrad.layer(name, w=(4, 2, *window), dtype=F64, init={"b": nn.init.normal_})
        x = torch.randn(B, 2, *shape, generator=rng, dtype=F64).requires_grad_()
        w, b = (p.detach().clone().requires_grad_() for p in (net.w, net.b))
        ours, theirs = net(x), convolve(x, w, b)
        close(ours, theirs, name)
        δ = torch.randn(ours.shape, generator=rng, dtype=F64)
        found = torch.autograd.grad(ours, [x, net.w, net.b], δ)
        expected = torch.autograd.grad(theirs, [x, w, b], δ)
        for label, a, e in zip("xwb", found, expected, strict=True):
            close(a, e, f"{name} ∂{label}")


@pytest.mark.parametrize(
    ("stride", "dilation", "padding"), [(1, 1, 0), (2, 1, 0), (1, 3, 0), (2, 2, 1), (3, 1, 2)]
)
def test_strides_dilations_and_padding_are_those_of_torch(
    stride: int, dilation: int, padding: int, rng: torch.Generator
) -> None:
    outside = f" zero outside ±{padding}" if padding else ""
    read = f"x[c,{stride}i+{dilation}p-{padding}]"
    text = f"y[k,i] = Σ[c,p] w[k,c,p] {read}\nwhere x: input C×N{outside}, w: K×C×P"
    net = chalkgrad.layer(text, K=3, C=2, P=2, dtype=F64)
    x = torch.randn(B, 2, 12, generator=rng, dtype=F64).requires_grad_()
    theirs = conv1d(x, net.w, stride=stride, dilation=dilation, padding=padding)
    close(net(x), theirs)
    δ = torch.randn(theirs.shape, generator=rng, dtype=F64)
    for a, e in zip(
        torch.autograd.grad(net(x), [x, net.w], δ), torch.autograd.grad(theirs, [x, net.w], δ), strict=True
    ):
        close(a, e)


def test_the_perceptron_is_two_linear_layers(rng: torch.Generator) -> None:
    net = chalkgrad.layer("mlp", D=D, H=H, O=2, dtype=F64)
    x = torch.randn(B, D, generator=rng, dtype=F64)
    close(net(x), relu(x @ net.W_1 + net.b_1) @ net.W_2 + net.b_2)


def test_float32_stays_near_float64(rng: torch.Generator) -> None:
    single, double = (chalkgrad.layer("lstm", D=D, H=H, dtype=dtype) for dtype in (torch.float32, F64))
    single.load_state_dict(double.state_dict())
    theirs = nn.LSTM(D, H, batch_first=True)
    x = torch.randn(B, 50, D, generator=rng)
    y, _ = single(x)
    assert y.dtype == torch.float32
    assert theirs(x)[0].dtype == y.dtype
    torch.testing.assert_close(y.double(), double(x.double())[0], rtol=0, atol=2e-6)
