"""Normalised, regularised and exponential LSTMs of the zoo, against loops written by hand with torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

import chalkgrad

F64 = torch.float64
B, T, D, H = 2, 5, 3, 4
Tensors = Mapping[str, Tensor]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def gate(w: Tensors, name: str, x: Tensor, h: Tensor) -> Tensor:
    return x @ w[f"W_x{name}"] + h @ w[f"W_h{name}"] + w[f"b_{name}"]


def lstm(w: Tensors, x: Tensor, h: Tensor, c: Tensor, m: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
    """The output gate and the new cell, what is new times m."""
    i, f, g, o = (gate(w, name, x, h) for name in "ifgo")
    return o.sigmoid(), f.sigmoid() * c + i.sigmoid() * (m * g.tanh())


def lstm_layer_norm(w: Tensors, x: Tensor, s: Tensors) -> Tensors:
    def normalised(v: Tensor, gain: str) -> Tensor:
        return layer_norm(v, (H,), w[gain], eps=1e-5)

    i, f, g, o = (
        normalised(x @ w[f"W_x{k}"], f"α_x{k}") + normalised(s["h"] @ w[f"W_h{k}"], f"α_h{k}") + w[f"b_{k}"]
        for k in "ifgo"
    )
    c = f.sigmoid() * s["c"] + i.sigmoid() * g.tanh()
    return {"c": c, "h": o.sigmoid() * (normalised(c, "α_c") + w["b_c"]).tanh()}


def lstm_zoneout(w: Tensors, x: Tensor, s: Tensors) -> Tensors:
    o, new = lstm(w, x, s["h"], s["c"])
    return {"c": torch.lerp(new, s["c"], s["d_c"]), "h": torch.lerp(o * new.tanh(), s["h"], s["d_h"])}


def gru_zoneout(w: Tensors, x: Tensor, s: Tensors) -> Tensors:
    h = s["h"]
    z = (x @ w["W_z"].T + h @ w["U_z"].T + w["b_z"]).sigmoid()
    r = (x @ w["W_r"].T + h @ w["U_r"].T + w["b_r"]).sigmoid()
    new = (x @ w["W"].T + r * (h @ w["U"].T + w["b_u"]) + w["b"]).tanh()
    return {"h": torch.lerp(torch.lerp(h, new, z), h, s["d"])}


def lstm_dropout(w: Tensors, x: Tensor, s: Tensors) -> Tensors:
    o, c = lstm(w, x, s["h"], s["c"], s["m"])
    return {"c": c, "h": o * c.tanh()}


def lstm_variational(w: Tensors, x: Tensor, s: Tensors) -> Tensors:
    o, c = lstm(w, x * s["m_x"], s["h"] * s["m_h"], s["c"])
    return {"c": c, "h": o * c.tanh()}


def slstm(w: Tensors, x: Tensor, s: Tensors) -> Tensors:
    """As the paper has it before its stabiliser: plain exponentials, and the stabiliser beside them."""
    z, a, f, o = (x @ w[f"W_{k}"] + s["h"] @ w[f"R_{k}"] + w[f"b_{k}"] for k in "zifo")
    scale = s["m"].exp()  # what is carried is e^m times what the layer carries
    m = torch.maximum(f.sigmoid().log() + s["m"], a)
    c = f.sigmoid() * s["c"] * scale + a.exp() * z.tanh()
    n = f.sigmoid() * s["n"] * scale + a.exp()
    return {"m": m, "c": c / m.exp(), "n": n / m.exp(), "h": o.sigmoid() * c / n}


STEPS: dict[str, Callable[[Tensors, Tensor, Tensors], Tensors]] = {
    "gru_zoneout": gru_zoneout,
    "lstm_dropout": lstm_dropout,
    "lstm_layer_norm": lstm_layer_norm,
    "lstm_variational": lstm_variational,
    "lstm_zoneout": lstm_zoneout,
    "slstm": slstm,
}
EVERY_STEP = {"lstm_zoneout": ("d_c", "d_h"), "gru_zoneout": ("d",)}
EVERY_SEQUENCE = {"lstm_dropout": {"m": H}, "lstm_variational": {"m_x": D, "m_h": H}}


def drawn(name: str) -> tuple[chalkgrad.Layer, dict[str, Tensor], dict[str, Tensor]]:
    """The layer with every parameter drawn, its inputs, masks among them, and its states."""
    net = chalkgrad.layer(name, D=D, H=H, dtype=F64)
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.7 * normal(20 + k, *p.shape))
    given = {"x": normal(1, B, T, D)}
    for k, mask in enumerate(EVERY_STEP.get(name, ())):
        given[mask] = torch.rand(B, T, H, generator=torch.Generator().manual_seed(k), dtype=F64)
    for k, (mask, size) in enumerate(EVERY_SEQUENCE.get(name, {}).items()):
        given[mask] = torch.rand(B, size, generator=torch.Generator().manual_seed(k), dtype=F64)
    state = {s.name: normal(10 + k, B, H) for k, s in enumerate(net.program.states)}
    if "n" in state:
        state["n"] = state["n"].abs()  # a sum of positive weights
    return net, {n: v.requires_grad_() for n, v in given.items()}, state


@pytest.mark.parametrize("name", STEPS)
def test_it_computes_what_a_loop_in_torch_does(name: str) -> None:
    net, given, state = drawn(name)
    w, now, outputs = dict(net.named_parameters()), dict(state), []
    for t in range(T):
        masks = {n: v[:, t] if n in EVERY_STEP.get(name, ()) else v for n, v in given.items() if n != "x"}
        now = dict(STEPS[name](w, given["x"][:, t], {**now, **masks}))
        outputs.append(now["h"])
    y, last = net(**given, state=tuple(state[s.name] for s in net.program.states))
    expected = [torch.stack(outputs, 1), *(now[n] for n in last._fields)]
    torch.testing.assert_close([y, *last], expected, rtol=1e-12, atol=1e-12)
    weights = [normal(40 + k, *v.shape) for k, v in enumerate(expected)]
    at = [*given.values(), *net.parameters()]

    def gradients(values: list[Tensor]) -> tuple[Tensor, ...]:
        terms = [(v * u).sum() for v, u in zip(values, weights, strict=True)]
        return torch.autograd.grad(torch.stack(terms).sum(), at)

    theirs = gradients(expected)
    assert all(g.any() for g in theirs)
    torch.testing.assert_close(gradients([y, *last]), theirs, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", STEPS)
def test_it_passes_the_gradient_check(name: str) -> None:
    assert chalkgrad.check(name, D=D, H=H).right


@pytest.mark.parametrize("name", STEPS)
def test_its_derivation_is_as_pinned(name: str, pinned: Callable[[str, str], None]) -> None:
    pinned(f"derive/{name}.txt", f"{chalkgrad.derive(name)}\n")


@pytest.mark.parametrize("name", STEPS)
def test_its_loop_is_compiled_in_both_directions(name: str) -> None:
    from chalkgrad.kernels.account import account
    from chalkgrad.nn.operator import system_of

    net, _, _ = drawn(name)
    numbers = {"D": D, "H": H, "T": T, "batch": B}
    system = net._system
    wrt = tuple(n.name for n in system.program.given("parameter"))
    saved, derived = system.saved_for(wrt), system.derived(wrt).program
    forward = account(system.program, (*system.program.outputs, *saved), (), numbers)
    backward = account(derived, derived.outputs, saved, numbers)
    for entries in (forward, backward):
        loops = [e.how for e in entries if e.text.startswith("loop over")]
        assert loops
        assert all(how.startswith("compiled") for how in loops)
    assert system_of(system.program, "c") is system


def test_a_mask_of_ones_keeps_every_unit_as_it_was() -> None:
    net, given, state = drawn("lstm_zoneout")
    kept = {n: torch.ones(B, T, H, dtype=F64) for n in ("d_c", "d_h")}
    y, last = net(given["x"], **kept, state=tuple(state[s.name] for s in net.program.states))
    assert torch.equal(y, state["h"][:, None].expand(B, T, H))
    assert torch.equal(last.c, state["c"])


def test_an_slstm_holds_where_its_exponentials_would_not() -> None:
    net = chalkgrad.layer("slstm", D=D, H=H)
    torch.nn.init.constant_(net.b_i, 200.0)  # e²⁰⁰ is no float32
    x = (10 * normal(3, B, 50, D)).float().requires_grad_()
    y, _ = net(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
