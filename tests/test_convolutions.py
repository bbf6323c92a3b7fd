"""Convolutions of every kind, written as equations, beside the same from torch: values and every gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import gradcheck
from torch.func import functional_call
from torch.nn import functional

import chalkgrad
from chalkgrad.zoo import page

F64 = torch.float64
Named = Mapping[str, Tensor]


class Kind(NamedTuple):
    """Equations, sizes, the shape of an input without its batch, and torch's way to the same."""

    text: str
    sizes: dict[str, Any]
    shape: tuple[int, ...]
    peer: Callable[[Tensor, Named], Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def causal(x: Tensor, w: Tensor, b: Tensor | None = None, dilation: int = 1) -> Tensor:
    """A convolution that looks back: torch's turns the kernel the other way and has no causal padding."""
    return functional.conv1d(
        functional.pad(x, ((w.shape[2] - 1) * dilation, 0)), w.flip(2), b, dilation=dilation
    )


def tcn(x: Tensor, p: Named) -> Tensor:
    inner = causal(causal(x, p["W_1"], p["b_1"]).relu(), p["W_2"], p["b_2"]).relu()
    h = (inner + functional.conv1d(x, p["R"][..., None], p["r"])).relu()
    inner = causal(causal(h, p["W_3"], p["b_3"], 2).relu(), p["W_4"], p["b_4"], 2).relu()
    return (inner + h).relu()


def wavenet(x: Tensor, p: Named) -> Tensor:
    def one(w: Tensor, x: Tensor, b: Tensor | None = None) -> Tensor:
        return functional.conv1d(x, w[..., None], b)

    h, skip = one(p["W"], x, p["b"]), torch.zeros(())
    for k in (1, 2, 3):
        z = causal(h, p[f"F_{k}"], dilation=2 ** (k - 1)).tanh()
        z = z * causal(h, p[f"G_{k}"], dilation=2 ** (k - 1)).sigmoid()
        skip = skip + one(p[f"S_{k}"], z)
        h = h + one(p[f"R_{k}"], z) if k < 3 else h
    return one(p["U"], one(p["V"], skip.relu(), p["d"]).relu(), p["a"])


def locally_connected(x: Tensor, p: Named) -> Tensor:
    windows = functional.unfold(x, (2, 3)).unflatten(2, (3, 4))  # (batch, channels and taps, places)
    return torch.einsum("btij,kijt->bkij", windows, p["w"].flatten(3))


KINDS: dict[str, Kind] = {
    "stride, padding, dilation": Kind(
        "y[k,i,j] = Σ[c,p,q] w[k,c,p,q] x[c,2i+p-1,3j+2q-1] + b[k]\n"
        "where x: input C×M×N zero outside ±1, w: K×C×3×2",
        {"C": 2, "K": 3},
        (2, 6, 8),
        lambda x, p: functional.conv2d(x, p["w"], p["b"], stride=(2, 3), padding=1, dilation=(1, 2)),
    ),
    "groups": Kind(
        "y[g,k,i] = Σ[c,p] w[g,k,c,p] x[g,c,i+p] where x: input",
        {"w": (2, 3, 2, 3)},
        (2, 2, 7),
        lambda x, p: functional.conv1d(x.flatten(1, 2), p["w"].flatten(0, 1), groups=2).unflatten(1, (2, 3)),
    ),
    "depthwise": Kind(
        "y[c,i,j] = Σ[p,q] w[c,p,q] x[c,i+p,j+q] where x: input",
        {"w": (3, 2, 2)},
        (3, 4, 5),
        lambda x, p: functional.conv2d(x, p["w"][:, None], groups=3),
    ),
    "separable": Kind(
        "z[c,i,j] = Σ[p,q] w[c,p,q] x[c,i+p,j+q]\ny[k,i,j] = Σ[c] v[k,c] z[c,i,j] where x: input",
        {"w": (2, 2, 3), "v": (3, 2)},
        (2, 4, 5),
        lambda x, p: functional.conv2d(
            functional.conv2d(x, p["w"][:, None], groups=2), p["v"][..., None, None]
        ),
    ),
    "three dimensions": Kind(
        "y[o,i,j,k] = Σ[c,p,q,r] w[o,c,p,q,r] x[c,i+p,2j+q,k+2r] where x: input",
        {"w": (2, 2, 2, 1, 2)},
        (2, 3, 4, 5),
        lambda x, p: functional.conv3d(x, p["w"], stride=(1, 2, 1), dilation=(1, 1, 2)),
    ),
    "transposed": Kind(
        "y[k,n] = Σ[c,i∈ℤ] x[c,i] w[c,k,n-2i] where x: input",
        {"w": (2, 3, 3)},
        (2, 4),
        lambda x, p: functional.conv_transpose1d(x, p["w"], stride=2),
    ),
    "transposed in two dimensions": Kind(
        "y[k,m,n] = Σ[c,i∈ℤ,j∈ℤ] x[c,i,j] w[c,k,m-2i,n-3j] where x: input",
        {"w": (2, 3, 3, 2)},
        (2, 3, 4),
        lambda x, p: functional.conv_transpose2d(x, p["w"], stride=(2, 3)),
    ),
    "true and full": Kind(
        "y[i,j] = Σ[a∈ℤ,b∈ℤ] f(a, b) g(i-a, j-b) where g: input",
        {"f": (2, 3)},
        (4, 5),
        lambda x, p: functional.conv2d(x[:, None], p["f"].flip(0, 1)[None, None], padding=(1, 2))[:, 0],
    ),
    "max pooling": Kind(
        "y[c,i,j] = max[p<2,q<2] x[c,2i+p,2j+q] where x: input",
        {},
        (2, 5, 6),
        lambda x, p: functional.max_pool2d(x, 2),
    ),
    "average pooling": Kind(
        "y[c,i,j] = Σ[p<2,q<3] x[c,2i+p,3j+q] / 6 where x: input",
        {},
        (2, 5, 7),
        lambda x, p: functional.avg_pool2d(x, (2, 3)),
    ),
    "global average pooling": Kind(
        "y[c] = Σ[i,j] x[c,i,j] / (M N) where x: input C×M×N",
        {},
        (3, 4, 5),
        lambda x, p: functional.adaptive_avg_pool2d(x, 1).flatten(1),
    ),
    "global max pooling": Kind(
        "y[c] = max[i,j] x[c,i,j] where x: input",
        {},
        (3, 4, 5),
        lambda x, p: functional.adaptive_max_pool2d(x, 1).flatten(1),
    ),
    "locally connected": Kind(
        "y[k,i,j] = Σ[c,p,q] w[k,i,j,c,p,q] x[c,i+p,j+q]\nwhere x: input C×M×N, w: K×M-1×N-2×C×2×3",
        {"C": 2, "K": 2, "M": 4, "N": 6},
        (2, 4, 6),
        locally_connected,
    ),
    "tcn": Kind(page("tcn"), {"C": 2, "K": 3, "P": 3}, (2, 9), tcn),
    "wavenet": Kind(page("wavenet"), {"C": 2, "K": 3, "S": 2, "O": 2}, (2, 10), wavenet),
}


def made(kind: Kind) -> tuple[chalkgrad.Layer, Tensor]:
    net = chalkgrad.layer(kind.text, dtype=F64, **kind.sizes)
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.6 * normal(*p.shape, seed=k + 1))
    return net, normal(2, *kind.shape).requires_grad_()


def pairs(ours: Tensor, theirs: Tensor, wrt: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The gradients of both, beside each other, of a loss in which every element counts differently."""
    seed = normal(*ours.shape, seed=50)
    found = (torch.autograd.grad(y, wrt, seed) for y in (ours, theirs))
    return list(zip(*found, strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_convolution_is_torchs_and_so_is_every_gradient(name: str) -> None:
    net, x = made(KINDS[name])
    given = dict(net.named_parameters())
    ours, theirs = net(x), KINDS[name].peer(x, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
    wrt = [x, *given.values()]
    for a, b in pairs(ours, theirs, wrt):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", [n for n in KINDS if n not in ("tcn", "wavenet")])
def test_a_kind_of_convolution_has_the_gradient_of_its_differences(name: str) -> None:
    net, x = made(KINDS[name])
    names = [n for n, _ in net.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(net, dict(zip(names, parameters, strict=True)), (x,))

    values = [x, *(p.detach().clone().requires_grad_() for p in net.parameters())]
    assert gradcheck(call, values, eps=1e-6, atol=1e-7, rtol=1e-6)


def test_the_gradient_of_a_strided_convolution_is_the_transposed_one() -> None:
    x, w = normal(2, 9), normal(3, 2, 3, seed=1)
    strided = chalkgrad.layer(
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,2i+p] where x: input", dtype=F64, w=(3, 2, 3), init={"w": w}
    )
    transposed = chalkgrad.layer(KINDS["transposed"].text, dtype=F64, w=(3, 2, 3), init={"w": w})
    x.requires_grad_()
    y = strided(x)
    δ = normal(*y.shape, seed=2)
    (gradient,) = torch.autograd.grad(y, x, δ)
    torch.testing.assert_close(gradient, transposed(δ), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["tcn", "wavenet"])
def test_a_causal_stack_sees_as_far_back_as_its_dilations_reach_and_nothing_ahead(name: str) -> None:
    reach = {"tcn": 2 + 2 + 4 + 4, "wavenet": 1 + 2 + 4}[name]
    kind = KINDS[name]
    net, _ = made(kind)
    # Rectifiers may shut out a place: the places that some output sees, over many pictures.
    seen = torch.zeros(30, dtype=torch.bool)
    for seed in range(20):
        x = normal(2, 30, seed=seed).requires_grad_()
        (g,) = torch.autograd.grad(net(x)[:, 20].sum(), x)
        seen |= g.abs().sum(0) > 0
    assert seen.nonzero().flatten().tolist() == list(range(20 - reach, 21))


# --- recurrences over pictures ---------------------------------------------------------------------------

SMALL = (
    "h[t,k,u] = tanh(Σ[c,p] w[k,c,p] x[t,c,u+p-1] + Σ[l,p] r[k,l,p] h[t-1,l,u+p-1])\n"
    "where x[t]: C×N zero outside ±1, h[t]: K×N zero outside ±1, w: K×C×3, r: K×K×3"
)


def small() -> tuple[chalkgrad.Layer, Tensor]:
    net = chalkgrad.layer(SMALL, C=2, K=3, dtype=F64)
    return net, normal(2, 4, 2, 5)


@pytest.mark.parametrize("kernels", ["", "off"])
def test_a_recurrence_of_convolutions_begins_with_the_state_that_is_passed(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHALKGRAD_KERNELS", kernels)
    net, x = small()
    start = normal(2, 3, 5, seed=3).requires_grad_()
    h, found = start, []
    for step in x.unbind(1):
        h = (functional.conv1d(step, net.w, padding=1) + functional.conv1d(h, net.r, padding=1)).tanh()
        found.append(h)
    theirs = torch.stack(found, 1)
    ours, state = net(x, start)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(state.h, h, rtol=1e-11, atol=1e-12)
    wrt = [start, net.w, net.r]
    for a, b in pairs(ours, theirs, wrt):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)
    # In two parts, from the state between them.
    first, between = net(x[:, :2], start)
    torch.testing.assert_close(torch.cat([first, net(x[:, 2:], between)[0]], 1), ours)


def conv_lstm(x: Tensor, h: Tensor, c: Tensor, p: Named) -> tuple[Tensor, Tensor, Tensor]:
    """As the paper has it, a step at a time."""
    found: list[Tensor] = []
    for step in x.unbind(1):

        def gate(n: str, step: Tensor = step, h: Tensor = h) -> Tensor:
            made = functional.conv2d(step, p[f"W_x{n}"], p[f"b_{n}"], padding=1)
            return made + functional.conv2d(h, p[f"W_h{n}"], padding=1)

        i = (gate("i") + p["W_ci"] * c).sigmoid()
        f = (gate("f") + p["W_cf"] * c).sigmoid()
        c = f * c + i * gate("g").tanh()
        h = (gate("o") + p["W_co"] * c).sigmoid() * c.tanh()
        found.append(h)
    return torch.stack(found, 1), h, c


@pytest.mark.parametrize("kernels", ["", "off"])
def test_the_convolutional_lstm_is_the_papers_and_so_is_every_gradient(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHALKGRAD_KERNELS", kernels)
    net = chalkgrad.layer("conv_lstm", D=2, K=3, M=4, N=5, dtype=F64)
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.4 * normal(*p.shape, seed=k + 1))
    x, h, c = normal(2, 3, 2, 4, 5), normal(2, 3, 4, 5, seed=60), normal(2, 3, 4, 5, seed=61)
    wrt = [x, h, c, *net.parameters()]
    for v in (x, h, c):
        v.requires_grad_()
    _, fields = net(x)
    ours, state = net(x, fields._replace(h=h, c=c))
    theirs, last_h, last_c = conv_lstm(x, h, c, dict(net.named_parameters()))
    for a, b in ((ours, theirs), (state.h, last_h), (state.c, last_c)):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    for a, b in pairs(ours, theirs, wrt):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)
