"""The decoder with attention in its loop, against a loop written by hand with torch's own operations."""

from __future__ import annotations

from math import inf

import pytest
import torch
from torch import Tensor

import chalkgrad
from chalkgrad.nn.check import check

B, T, S, D, E, H, A = 3, 5, 4, 2, 3, 4, 5
F64 = torch.float64


def drawn(backend: str = "c") -> chalkgrad.Layer:
    net = chalkgrad.layer("attention_decoder", D=D, E=E, H=H, A=A, dtype=F64, backend=backend)
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=F64))
    return net


def given() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(2)
    y, h, s = (torch.randn(shape, generator=g, dtype=F64) for shape in [(B, T, D), (B, S, E), (B, H)])
    mask = torch.zeros(B, S, dtype=F64)
    mask[0, 2:] = mask[1, 3:] = -inf
    return {"y": y, "h": h, "mask": mask, "state": s}


def by_hand(net: chalkgrad.Layer, y: Tensor, h: Tensor, mask: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    w, s, states, looks = dict(net.named_parameters()), state, [], []
    for t in range(y.shape[1]):
        e = torch.einsum("bja,a->bj", ((s @ w["W_a"])[:, None] + h @ w["U_a"]).tanh(), w["v"]) + mask
        α = e.softmax(1)
        c = torch.einsum("bj,bjd->bd", α, h)
        z = (y[:, t] @ w["W_z"] + s @ w["U_z"] + c @ w["C_z"] + w["b_z"]).sigmoid()
        r = (y[:, t] @ w["W_r"] + s @ w["U_r"] + c @ w["C_r"] + w["b_r"]).sigmoid()
        new = (y[:, t] @ w["W"] + (r * s) @ w["U"] + c @ w["C"] + w["b"]).tanh()
        s = torch.lerp(s, new, z)
        states.append(s)
        looks.append(α)
    return torch.stack(states, 1), torch.stack(looks, 1)


@pytest.mark.parametrize("backend", ["c", "torch", "eager"])
def test_states_and_attention_are_those_of_a_loop_and_their_gradients_too(backend: str) -> None:
    net, x = drawn(backend), given()
    leaves = [*net.parameters(), *(x[n].requires_grad_() for n in ("y", "h", "state"))]
    (out, last), (s, α) = net(**x), by_hand(net, **x)
    torch.testing.assert_close((out.s, out.α, last.s), (s, α, s[:, -1]))
    weights = [torch.randn_like(v) for v in (s, α)]
    ours, theirs = (
        torch.autograd.grad(sum((v * w).sum() for v, w in zip(values, weights, strict=True)), leaves)
        for values in ((out.s, out.α), (s, α))
    )
    torch.testing.assert_close(ours, theirs)


def test_the_derivation_is_right() -> None:
    assert check("attention_decoder", D=2, E=2, H=3, A=2).right


def test_attention_is_a_distribution_over_the_words_that_are_there() -> None:
    net, x = drawn(), given()
    α = net(**x)[0].α
    torch.testing.assert_close(α.sum(2), torch.ones(B, T, dtype=F64))
    assert not α[0, :, 2:].any()
    assert not α[1, :, 3:].any()
    assert bool((α[2] > 0).all())


def test_what_fills_up_a_source_changes_nothing() -> None:
    net, x = drawn(), given()
    other = x["h"].clone()
    other[0, 2:], other[1, 3:] = 9.0, -7.0
    torch.testing.assert_close(tuple(net(**x)[0]), tuple(net(**{**x, "h": other})[0]), rtol=0, atol=0)


def test_step_by_step_it_is_the_same() -> None:
    net, x = drawn(), given()
    whole, _ = net(**x)
    state = x["state"]
    for t in range(T):
        out, state = net.step(y=x["y"][:, t], h=x["h"], mask=x["mask"], state=state)
        torch.testing.assert_close((out.s, out.α), (whole.s[:, t], whole.α[:, t]))
