"""The zoo's recurrences against loops written by hand with torch's own operations: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import chalkgrad

F64 = torch.float64
Weights = dict[str, Tensor]
State = dict[str, Tensor]
Step = Callable[[Weights, Tensor, State], State]
B, T, D, H, P = 2, 5, 3, 4, 2


def gate(w: Weights, name: str, x: Tensor, h: Tensor) -> Tensor:
    return x @ w[f"W_x{name}"] + h @ w[f"W_h{name}"] + w[f"b_{name}"]


def cell(w: Weights, x: Tensor, s: State) -> tuple[Tensor, Tensor]:
    """The new cell of an LSTM and its output gate."""
    i, f, g, o = (gate(w, name, x, s["h"]) for name in "ifgo")
    return f.sigmoid() * s["c"] + i.sigmoid() * g.tanh(), o.sigmoid()


def lstm_coupled(w: Weights, x: Tensor, s: State) -> State:
    f, g, o = (gate(w, name, x, s["h"]) for name in "fgo")
    c = torch.lerp(g.tanh(), s["c"], f.sigmoid())
    return {"c": c, "h": o.sigmoid() * c.tanh()}


def lstm_projection(w: Weights, x: Tensor, s: State) -> State:
    c, o = cell(w, x, s)
    return {"c": c, "h": (o * c.tanh()) @ w["W_p"]}


def mgu(w: Weights, x: Tensor, s: State) -> State:
    f = (x @ w["W_f"].T + s["h"] @ w["U_f"].T + w["b_f"]).sigmoid()
    new = (x @ w["W"].T + (f * s["h"]) @ w["U"].T + w["b"]).tanh()
    return {"h": torch.lerp(s["h"], new, f)}


def mingru(w: Weights, x: Tensor, s: State) -> State:
    z = (x @ w["W_z"].T + w["b_z"]).sigmoid()
    return {"h": torch.lerp(s["h"], x @ w["W"].T + w["b"], z)}


def indrnn(w: Weights, x: Tensor, s: State) -> State:
    return {"h": (x @ w["W"] + w["u"] * s["h"] + w["b"]).relu()}


def rnn_relu(w: Weights, x: Tensor, s: State) -> State:
    return {"h": (x @ w["W_x"] + s["h"] @ w["W_h"] + w["b"]).relu()}


STEPS: dict[str, Step] = {
    "indrnn": indrnn,
    "lstm_coupled": lstm_coupled,
    "lstm_projection": lstm_projection,
    "mgu": mgu,
    "mingru": mingru,
    "rnn_relu": rnn_relu,
}
NEW = (*STEPS, "rnn_bidirectional")
SIZES: dict[str, Any] = {"lstm_projection": {"P": P}, "rnn_bidirectional": {"O": P}}


def drawn(name: str) -> chalkgrad.Layer:
    """The layer with every parameter drawn, so that no bias is zero and no scale one."""
    net = chalkgrad.layer(name, D=D, H=H, dtype=F64, **SIZES.get(name, {}))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.7 * torch.randn(p.shape, generator=generator, dtype=F64))
    return net


def given(net: chalkgrad.Layer) -> tuple[Tensor, State]:
    """An input and a start for every state; a normaliser is positive."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(B, T, D, generator=generator, dtype=F64, requires_grad=True)
    state: State = {}
    for s in net.program.states:
        size = {"|h|": H}.get(str(net.program[s.start].ranges[-1].size))
        size = net.sizes[str(net.program[s.start].ranges[-1].size)] if size is None else size
        value = torch.randn(B, size, generator=generator, dtype=F64)
        state[s.name] = (value.abs() if s.name == "n" else value).requires_grad_()
    return x, state


def agree(net: chalkgrad.Layer, x: Tensor, state: State, expected: list[Tensor], found: list[Tensor]) -> None:
    """The same values, and the same gradients of a loss of all of them."""
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    generator = torch.Generator().manual_seed(9)
    weights = [torch.randn(y.shape, generator=generator, dtype=F64) for y in expected]
    at = [x, *state.values(), *net.parameters()]

    def gradients(values: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            torch.stack([(y * w).sum() for y, w in zip(values, weights, strict=True)]).sum(), at
        )

    theirs = gradients(expected)
    assert all(g.any() for g in theirs)
    torch.testing.assert_close(gradients(found), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", STEPS)
def test_a_zoo_recurrence_computes_what_a_loop_in_torch_does(name: str) -> None:
    net = drawn(name)
    x, state = given(net)
    now, outputs = dict(state), []
    for t in range(T):
        now = STEPS[name](dict(net.named_parameters()), x[:, t], now)
        outputs.append(now["h"])
    y, last = net(x, tuple(state.values()))
    agree(net, x, state, [torch.stack(outputs, 1), *(now[n] for n in last._fields)], [y, *last])


def test_the_bidirectional_network_reads_both_ways() -> None:
    net = drawn("rnn_bidirectional")
    x, state = given(net)
    w = dict(net.named_parameters())
    h, g = state["h"], state["g"]
    ahead: list[Tensor] = []
    back: list[Tensor] = []
    for t in range(T):
        h = (x[:, t] @ w["W_x"] + h @ w["W_h"] + w["b"]).tanh()
        ahead.append(h)
    for t in reversed(range(T)):
        g = (x[:, t] @ w["Q_x"] + g @ w["Q_g"] + w["d"]).tanh()
        back.insert(0, g)
    y = torch.stack(ahead, 1) @ w["V_h"] + torch.stack(back, 1) @ w["V_g"] + w["c"]
    found, last = net(x, (state["h"], state["g"]))
    agree(net, x, state, [y, h, g], [found, *last])


@pytest.mark.parametrize("name", NEW)
def test_a_zoo_recurrence_passes_the_gradient_check(name: str) -> None:
    assert chalkgrad.check(name, D=D, H=H, **SIZES.get(name, {})).right


@pytest.mark.parametrize("name", NEW)
def test_the_derivation_of_a_zoo_recurrence_is_as_pinned(
    name: str, pinned: Callable[[str, str], None]
) -> None:
    pinned(f"derive/{name}.txt", f"{chalkgrad.derive(name)}\n")
