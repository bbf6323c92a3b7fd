"""Equations that one call computes together: a convolution's gradients, a maximum with its winners."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.kernels.comparing import Calls, drawn, normal
from torch import Tensor, nn

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.account import account
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System

# elu is none of the functions whose slope is left to torch: what is derived is what runs.
CONVOLUTIONS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "one dimension": (
        "y[k,i] = elu(Σ[c,p] w[k,c,p] x[c,i+p] + b[k]) where x: input",
        {"w": (3, 2, 3)},
        (2, 2, 9),
    ),
    "padded, strided, dilated": (
        "y[k,i,j] = elu(Σ[c,p,q] w[k,c,p,q] x[c,2i+p-1,j+2q-1] + b[k])\n"
        "where x: input C×M×N zero outside ±1, w: K×C×P×Q",
        {"w": (3, 2, 3, 2)},
        (2, 2, 9, 7),
    ),
    "depthwise": (
        "y[c,i] = elu(Σ[p] w[c,p] x[c,i+p] + b[c]) where x: input",
        {"w": (3, 3)},
        (2, 3, 8),
    ),
    "axes in another order": (
        "y[j,k,i] = elu(Σ[q,c,p] w[k,q,p,c] x[j+q,i+p,c] + b[k]) where x: input",
        {"w": (3, 2, 3, 2)},
        (2, 7, 8, 2),
    ),
    "a kernel with its axes turned over": (
        "y[i,j] = elu(Σ[p,q] w[q,p] x[j+q,i+p] + b) where x: input, b: scalar",
        {"w": (3, 2)},
        (2, 6, 7),
    ),
    "true convolution": (
        "y[k,i] = elu(Σ[c,a∈ℤ] w[c,k,a] x[c,i-a] + b[k]) where x: input",
        {"w": (2, 4, 3)},
        (2, 2, 6),
    ),
    "causal": (
        "y[k,i] = elu(Σ[c,p] w[k,c,p] x[c,i-2p] + b[k]) where x: input C×N zero outside",
        {"w": (3, 2, 3)},
        (2, 2, 9),
    ),
    "groups, what is added with its axes turned over": (
        "y[g,k,i] = elu(Σ[c,p] w[g,c,k,p] x[c,g,3i+p] + b[k,g]) where x: input",
        {"w": (3, 4, 2, 3)},
        (2, 4, 3, 12),
    ),
    "more before than after": (
        "y[k,i] = elu(Σ[c,p] w[k,c,p] x[c,i+p-2] + b[k]) where x: input C×N zero outside, w: K×C×4",
        {"w": (3, 2, 4)},
        (2, 2, 9),
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_all_gradients_of_a_convolution_are_one_call(name: str) -> None:
    text, sizes, shape = CONVOLUTIONS[name]
    net, plain = drawn(text, **sizes), drawn(text, "eager", **sizes)
    x = normal(*shape).requires_grad_()
    y = net(x)
    with Calls() as calls:
        ours = torch.autograd.grad(y.square().sum(), [x, *net.parameters()])
    assert [n for n in calls.names if "conv" in n] == ["convolution_backward"]
    theirs = torch.autograd.grad(plain(x).square().sum(), [x, *plain.parameters()])
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x)


@pytest.mark.parametrize("frozen", ["x", "w", "b", "x w", "x b", "w b"])
def test_what_needs_no_gradient_is_left_out_of_the_call(frozen: str) -> None:
    text, sizes, shape = CONVOLUTIONS["padded, strided, dilated"]
    grads: list[tuple[Tensor, ...]] = []
    for backend in ("torch", "eager"):
        net = drawn(text, backend, **sizes)
        given = {"x": normal(*shape), **dict(net.named_parameters())}
        asked = [t.requires_grad_(n not in frozen.split()) for n, t in given.items()]
        grads.append(
            torch.autograd.grad(net(given["x"]).square().sum(), [t for t in asked if t.requires_grad])
        )
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


POOLED = (
    "a[k,i,j] = {f}(Σ[c,p,q] w[k,c,p,q] x[c,i+p-1,j+q-1] + b[k])\n"
    "y[k,i,j] = max[p<{n},q<2] a[k,2i+p,2j+q]\n"
    "where x: input C×M×N zero outside ±1, w: 3×2×3×3"
)


@pytest.mark.parametrize("n", [2, 3])
def test_winners_are_found_with_the_maximum_and_given_back(n: int) -> None:
    text = POOLED.format(f="elu", n=n)
    net, plain = drawn(text), drawn(text, "eager")
    x = normal(2, 2, 7, 6).requires_grad_()
    with Calls() as calls:
        y = net(x)
    assert calls.counts("max_pool", "backward") == [1, 0]
    with Calls() as calls:
        ours = torch.autograd.grad(y.square().sum(), [x, *net.parameters()])
    assert calls.counts("max_pool", "max_pool2d_with_indices_backward", "scatter") == [1, 1, 0]
    theirs = torch.autograd.grad(plain(x).square().sum(), [x, *plain.parameters()])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x)


@pytest.mark.parametrize("m", [1, 3])
def test_winners_in_any_number_of_dimensions(m: int) -> None:
    at, taps = "ijk"[:m], "pqr"[:m]
    windows = ",".join(f"2{i}+{p}" for i, p in zip(at, taps, strict=True))
    here, over = ",".join(["c", *at]), ",".join(p + "<2" for p in taps)
    text = f"a[{here}] = elu(x[{here}])\ny[{here}] = max[{over}] a[c,{windows}]\nwhere x: input"
    x = normal(2, 3, *(5, 4, 6)[:m]).requires_grad_()
    net = drawn(text)
    with Calls() as calls:
        (ours,) = torch.autograd.grad(net(x).square().sum(), x)
    assert calls.counts("max_pool", "scatter") == [2, 0]
    (theirs,) = torch.autograd.grad(drawn(text, "eager")(x).square().sum(), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradgradcheck(net, x)


def test_a_page_of_library_calls_makes_the_calls_of_torch() -> None:
    net = drawn(POOLED.format(f="relu", n=2))
    peer = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)).double()
    with torch.no_grad():
        for p, q in zip(peer.parameters(), net.parameters(), strict=True):
            p.copy_(q)
    x = normal(2, 2, 8, 6).requires_grad_()
    made: list[list[str]] = []
    for one in (net, peer):
        one(x)
        with Calls() as calls:
            torch.autograd.grad(one(x).sum(), [x, *one.parameters()])
        made.append([n for n in calls.names if n not in ("detach", "view", "expand", "ones_like", "sum")])
    assert made[0] == made[1]
    torch.testing.assert_close(net(x), peer(x))
    ours, theirs = (torch.autograd.grad(m(x).square().sum(), [x, *m.parameters()]) for m in (net, peer))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_what_is_asked_for_is_not_written_over() -> None:
    text = "a[k,i] = Σ[c,p] w[k,c,p] x[c,i+p]\ny[k,i] = relu(a[k,i])\nwhere x: input, a: output, y: output"
    net = drawn(text, w=(3, 2, 3))
    x = normal(2, 2, 9)
    for wanted in (True, False):
        found = net(x.requires_grad_(wanted))
        assert (found.a < 0).any()
        assert torch.equal(found.y, found.a.relu())


def test_the_account_names_the_calls_of_a_page() -> None:
    program = normalise(batch(read(POOLED.format(f="relu", n=2)).program))
    system = System(program)
    wrt = tuple(n.name for n in program.given("input", "parameter"))
    numbers = {"batch": 2, "C": 2, "M": 6, "N": 6}
    saved = system.saved_for(wrt, system.winners(wrt, numbers))
    assert saved == ("a", "(p_y,q_y)")
    derived = system.derived(wrt).program
    forward = account(system.saving(saved).program, (*program.outputs, *saved), (), numbers)
    backward = account(derived, derived.outputs, saved, numbers)
    assert [e.how for e in forward if not e.how.startswith(" ")] == [
        "torch.nn.functional.conv2d with its bias",
        "whole, with torch",
        "torch.nn.functional.max_pool2d",
    ]
    assert [e.how for e in backward if not e.how.startswith(" ")] == [
        "torch.ops.aten.max_pool2d_with_indices_backward",
        "torch.ops.aten.threshold_backward",
        "torch.ops.aten.convolution_backward",
    ]


def test_a_loop_of_large_convolutions_calls_the_library_at_each_step_and_a_small_one_is_compiled() -> None:
    text = (
        "h[t,k,u] = tanh(Σ[d,p] W[k,d,p] x[t,d,u+p-1] + Σ[l,p] U[k,l,p] h[t-1,l,u+p-1])\n"
        "where x[t]: D×N zero outside ±1, h[t]: K×N zero outside ±1, W: K×D×3, U: K×K×3"
    )
    program = normalise(batch(read(text).program))
    system = System(program)
    derived = system.derived(("x", "W", "U", "h₀"))
    for n, how in ((8, "compiled, batch shared among threads"), (4096, "step by step in Python")):
        numbers = {"batch": 2, "T": 3, "D": 2, "K": 8, "N": n}
        for of in (program, derived.program):
            loops = [e for e in account(of, of.outputs, (), numbers) if e.text.startswith("loop")]
            assert {e.how for e in loops} == {how}


def test_a_page_from_a_convolution_to_scores_prepared_without_gradients_has_them_afterwards() -> None:
    text = (
        "a[k,i] = relu(Σ[c,p] w[k,c,p] x[c,i+p] + b[k])\n"
        "y[o] = Σ[k,i] v[o,k,i] a[k,i] + d[o]\nwhere x: input 2×9, w: 3×2×3, v: 4×3×7"
    )
    net, plain = drawn(text), drawn(text, "eager")
    x = normal(2, 2, 9)
    with torch.no_grad():
        torch.testing.assert_close(net(x), plain(x))
    x.requires_grad_()
    with Calls() as calls:
        ours = torch.autograd.grad(net(x).square().sum(), [x, *net.parameters()])
    assert calls.counts("convolution_backward", "threshold_backward") == [1, 1]
    theirs = torch.autograd.grad(plain(x).square().sum(), [x, *plain.parameters()])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradgradcheck(net, x)
