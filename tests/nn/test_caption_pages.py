"""The pages of a captioner, against torch's own operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

import chalkgrad
from chalkgrad.nn.check import check

B, T, S, D, E, H, A = 3, 5, 4, 2, 3, 4, 5
F64 = torch.float64


def drawn(name: str, backend: str = "c", **sizes: int) -> chalkgrad.Layer:
    net = chalkgrad.layer(name, dtype=F64, backend=backend, **sizes)
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=F64))
    return net


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=F64)


def by_hand(
    w: dict[str, Tensor], y: Tensor, a: Tensor, c: Tensor, h: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    said, looks = [], []
    for t in range(y.shape[1]):
        e = torch.einsum("bjm,m->bj", ((h @ w["W_a"])[:, None] + a @ w["U_a"]).tanh(), w["v"])
        α = e.softmax(1)
        z = (h @ w["w_β"] + w["b_β"]).sigmoid()[:, None] * torch.einsum("bj,bjd->bd", α, a)
        i, f, g, o = (y[:, t] @ w[f"W_{n}"] + h @ w[f"U_{n}"] + z @ w[f"Z_{n}"] + w[f"b_{n}"] for n in "ifgo")
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        said.append((y[:, t] + h @ w["L_h"] + z @ w["L_z"]).tanh())
        looks.append(α)
    return torch.stack(said, 1), torch.stack(looks, 1), c, h


@pytest.mark.parametrize("backend", ["c", "torch", "eager"])
def test_the_decoder_says_and_looks_as_a_loop_does_and_its_gradients_are_the_same(backend: str) -> None:
    net = drawn("attention_lstm", backend, D=D, E=E, H=H, A=A)
    y, a, c, h = (normal(*s).requires_grad_() for s in [(B, T, D), (B, S, E), (B, H), (B, H + 0)])
    (out, last) = net(y=y, a=a, state=(c, h))
    s, α, c_last, h_last = by_hand(dict(net.named_parameters()), y, a, c, h)
    torch.testing.assert_close((out.s, out.α, last.c, last.h), (s, α, c_last, h_last))
    leaves = [*net.parameters(), y, a, c, h]
    weights = [torch.randn_like(v) for v in (s, α)]
    ours, theirs = (
        torch.autograd.grad(sum((v * w).sum() for v, w in zip(values, weights, strict=True)), leaves)
        for values in ((out.s, out.α), (s, α))
    )
    torch.testing.assert_close(ours, theirs)


def test_the_decoders_derivation_is_right() -> None:
    assert check("attention_lstm", D=2, E=2, H=3, A=2).right


def test_a_rectified_convolution_is_torchs() -> None:
    net = drawn("conv_relu", K=3, C=2)
    x = normal(B, 2, 5, 6)
    expected = conv2d(x, net.w, net.b).relu()
    torch.testing.assert_close(net(x), expected)
    assert expected.shape == (B, 3, 3, 4)


def test_a_first_state_is_made_of_everything_in_the_maps() -> None:
    net = chalkgrad.layer("picture_state", x=(2, 5, 6), h=4, dtype=F64)
    x = normal(B, 2, 5, 6)
    torch.testing.assert_close(net(x), (x.flatten(1) @ net.w.flatten(1).T + net.b).tanh())
