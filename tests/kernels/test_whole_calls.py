"""What is one library call runs as that and nothing else, whatever runs the rest; its gradient too."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.kernels.comparing import Calls, drawn, normal
from torch import Tensor
from torch.nn import functional

from chalkgrad import layer
from chalkgrad.kernels.backends import BACKENDS
from chalkgrad.language.source import EquationError

Peer = Callable[..., Tensor]

WITH_BIAS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], Peer]] = {
    "one dimension": (
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] + b[k] where x: input",
        {"w": (3, 2, 3)},
        (2, 2, 9),
        functional.conv1d,
    ),
    "padded, strided": (
        "y[k,i,j] = b[k] + Σ[c,p,q] w[k,c,p,q] x[c,2i+p-1,2j+q-1]\n"
        "where x: input C×M×N zero outside ±1, w: K×C×P×Q",
        {"w": (3, 2, 3, 3)},
        (2, 2, 9, 7),
        lambda x, w, b: functional.conv2d(x, w, b, stride=2, padding=1),
    ),
    "depthwise": (
        "y[c,i] = Σ[p] w[c,p] x[c,i+p] + b[c] where x: input",
        {"w": (3, 3)},
        (2, 3, 8),
        lambda x, w, b: functional.conv1d(x, w.unsqueeze(1), b, groups=3),
    ),
    "one channel": (
        "y[i,j] = Σ[p,q] w[p,q] x[i+p,j+q] + b where x: input, b: scalar",
        {"w": (3, 2)},
        (2, 6, 7),
        lambda x, w, b: functional.conv2d(x[:, None], w[None, None], b[None])[:, 0],
    ),
    "true convolution": (
        "y[k,i] = Σ[c,a∈ℤ] w[c,k,a] x[c,i-a] + b[k] where x: input",
        {"w": (2, 4, 3)},
        (2, 2, 6),
        functional.conv_transpose1d,
    ),
}


@pytest.mark.parametrize("name", WITH_BIAS)
def test_what_is_added_to_each_channel_is_the_bias_of_the_call(name: str) -> None:
    text, sizes, shape, peer = WITH_BIAS[name]
    net = drawn(text, **sizes)
    parameters = [net.get_parameter("w"), net.get_parameter("b")]
    x = normal(*shape).requires_grad_()
    with Calls() as calls:
        y = net(x)
    assert not {"add", "add_"} & {*calls.names}
    assert sum(n == "convolution" for n in calls.names) == 1
    z = peer(x, *parameters)
    torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-12)
    seed = normal(*y.shape, seed=1)
    ours = torch.autograd.grad(y, [x, *parameters], seed, retain_graph=True)
    with Calls() as calls:
        torch.autograd.grad(y, [x, *parameters], seed)
    assert sum("convolution" in n for n in calls.names) == 1, "all gradients come from one call"
    for a, b in zip(ours, torch.autograd.grad(z, [x, *parameters], seed), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x)


SCALED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a mean of what is there": (
        "y[c,i] = (Σ[p<3] x[c,2i+p-1]) / n[i] where x: input C×N zero outside ±1",
        {"N": 8},
        "avg_pool",
    ),
    "a convolution, each channel times a number": (
        "y[k,i] = g[k] (Σ[c,p] w[k,c,p] x[c,i+p]) where x: input",
        {"w": (3, 2, 3)},
        "convolution",
    ),
}


@pytest.mark.parametrize("name", SCALED)
def test_what_scales_the_result_of_a_call_leaves_it_one(name: str) -> None:
    text, sizes, call = SCALED[name]
    net, plain = drawn(text, **sizes), drawn(text, "eager", **sizes)
    given = [normal(2, 2, 8).requires_grad_(), *net.parameters()]
    with Calls() as calls:
        y = net(given[0])
        ours = torch.autograd.grad(y.square().sum(), given)
    assert sum(call in n for n in calls.names) == 2, "one forward, one backward"
    z = plain(given[0])
    torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-12)
    wanted = torch.autograd.grad(z.square().sum(), [given[0], *plain.parameters()])
    for a, b in zip(ours, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-11)
    with torch.no_grad():
        torch.testing.assert_close(net(given[0]), y)
    assert torch.autograd.gradgradcheck(net, given[0])


@pytest.mark.parametrize(
    "text",
    [
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] + b[i] where x: input, w: 3×2×3",
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] + b[k,i] where x: input, w: 3×2×3, b: 3×7",
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] b[k] where x: input, w: 3×2×3",
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] + x[k,i] where x: input 2×9, w: 2×2×3",
    ],
)
def test_what_is_no_bias_is_added_by_itself(text: str) -> None:
    x = normal(2, 2, 9)
    sizes = {"b": 7} if "b[i]" in text else {}
    net, plain = drawn(text, "torch", **sizes), drawn(text, "eager", **sizes)
    with Calls() as calls:
        y = net(x)
    torch.testing.assert_close(y, plain(x), rtol=1e-12, atol=1e-12)
    assert {"add", "mul"} & {*calls.names}


CASES = {
    "convolution": ("y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] + b[k] where x: input 2×9, w: 3×2×3", (2, 2, 9)),
    "a chain": (
        "h[k,i] = relu(Σ[c,p] w[k,c,p] x[c,i+p] + b[k])\n"
        "y[k,i] = max[p<2] h[k,2i+p]\nwhere x: input 2×9, w: 3×2×3",
        (2, 2, 9),
    ),
    "recurrence": ("h[t] = tanh(x[t] W + h[t-1] U + b) where W: 2×3", (2, 5, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_backend_gives_the_same_and_keeps_it_in_a_copy(name: str) -> None:
    text, shape = CASES[name]
    x = normal(*shape).requires_grad_()
    outputs: list[Tensor] = []
    for backend in BACKENDS:
        net = drawn(text, backend)
        for one in (net, pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert one.backend == backend
            y = one(x)
            y = y[0] if isinstance(y, tuple) else y
            grads = torch.autograd.grad(y.square().sum(), [x, *one.parameters()])
            outputs.append(torch.cat([y.flatten(), *(g.flatten() for g in grads)]))
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=1e-10, atol=1e-10)


def test_eager_recognises_nothing() -> None:
    text, shape = CASES["a chain"]
    x = normal(*shape).requires_grad_()
    for backend, found in (("torch", True), ("eager", False)):
        with Calls() as calls:
            drawn(text, backend)(x).sum().backward()
        assert any("convolution" in n or "pool" in n for n in calls.names) is found


def test_a_backend_that_is_none_is_named() -> None:
    with pytest.raises(EquationError, match="is none"):
        layer("y = x W", x=2, y=3, backend="cuda")  # type: ignore[arg-type]


def test_what_is_prepared_is_not_taken_for_another_input() -> None:
    net = drawn("y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] + b[k] where x: input", w=(3, 2, 3))
    x = normal(2, 2, 9)
    first = net(x)
    assert torch.equal(net(x), first)
    assert net(normal(4, 2, 7)).shape == (4, 3, 5)
    torch.testing.assert_close(net(x[0]), first[0])
    assert torch.equal(net(x=x), first)
    for _ in range(2):
        with pytest.raises(EquationError, match="float32"):
            net(x.float())
        with pytest.raises(EquationError, match="size 3"):
            net(normal(2, 3, 9))
    net.float()
    with pytest.raises(EquationError, match="float64"):
        net(x)
    assert net(x.float()).dtype == torch.float32
    with torch.no_grad():
        net.get_parameter("w").zero_()
    assert torch.equal(net(x.float()), net.get_parameter("b").detach()[:, None].expand(2, 3, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(x.float()).dtype == torch.float32
