"""In chunks whose insides are computed again: the same numbers, the same gradients, far less kept."""

from typing import Any

import pytest
import torch
from torch import Tensor

import chalkgrad

D, H = 3, 5


def values_and_gradients(net: chalkgrad.Layer, call: Any, x: Tensor, **asked: Any) -> list[Tensor]:
    given = x.clone().requires_grad_()
    y, state = call(given, **asked)
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    loss = (y * weight).sum() + sum(s.square().sum() for s in state)
    return [y.detach(), *torch.autograd.grad(loss, [given, *net.parameters()])]


def in_chunks(net: chalkgrad.Layer) -> Any:
    return lambda x, **asked: chalkgrad.recompute(net, x, **asked)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("asked", [{}, {"every": 4}, {"every": 100}, {"every": 1}])
def test_values_and_gradients_are_those_of_one_call(name: str, asked: dict[str, int]) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(name, D=D, H=H, dtype=torch.float64)
    x = torch.randn(2, 17, D, dtype=torch.float64)
    found = values_and_gradients(net, in_chunks(net), x, **asked)
    torch.testing.assert_close(found, values_and_gradients(net, net, x), rtol=1e-12, atol=1e-12)


def test_truncation_and_a_state_that_is_passed_go_with_it() -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("lstm", D=D, H=H, dtype=torch.float64)
    x = torch.randn(2, 17, D, dtype=torch.float64)
    state = (torch.randn(2, H, dtype=torch.float64), torch.randn(2, H, dtype=torch.float64))
    asked = {"truncate": 3, "state": state}
    found = values_and_gradients(net, in_chunks(net), x, every=4, **asked)
    torch.testing.assert_close(found, values_and_gradients(net, net, x, **asked), rtol=1e-12, atol=1e-12)


def test_a_sequence_without_a_batch_stays_without_one() -> None:
    net = chalkgrad.layer("gru", D=D, H=H)
    y, state = chalkgrad.recompute(net, torch.randn(10, D))
    assert y.shape == (10, H)
    assert state.h.shape == (H,)


def test_nothing_is_kept_of_a_chunk_but_its_state() -> None:
    net = chalkgrad.layer("lstm", D=D, H=H)
    x = torch.randn(2, 400, D)
    held: list[int] = []

    def keep(t: Tensor) -> Tensor:
        held.append(t.numel())
        return t

    def total(call: Any) -> int:
        held.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            call(x)
        return sum(held)

    weights = sum(p.numel() for p in net.parameters())
    assert total(net) > 400 * 2 * H * 5
    assert total(in_chunks(net)) < 20 * (4 * 2 * H + weights)


def test_without_a_gradient_it_is_a_call() -> None:
    net = chalkgrad.layer("rnn", D=D, H=H)
    x = torch.randn(2, 30, D)
    with torch.no_grad():
        torch.testing.assert_close(chalkgrad.recompute(net, x)[0], net(x)[0])


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("h[t] = tanh(x[t] W + h[t+1] U)", "from the end"),
        ("y[i] = Σ[p<3] w[p] x[i+p] where x: input", "no state"),
        ("h[t] = tanh(x[t] W + x[t-1] V + h[t-1] U)", "`x` is read at earlier steps"),
    ],
)
def test_what_needs_more_than_the_past_is_refused(page: str, says: str) -> None:
    sizes = {} if "input" in page else {"x": D, "h": H}
    net = chalkgrad.layer(page, **sizes)
    with pytest.raises(chalkgrad.EquationError, match=says):
        chalkgrad.recompute(net, torch.randn(2, 9, D))


@pytest.mark.parametrize(
    ("asked", "says"), [({"every": 0}, "every is 0"), ({"truncate": 1.5}, "truncate is 1.5")]
)
def test_chunks_that_are_none_are_refused(asked: dict[str, Any], says: str) -> None:
    net = chalkgrad.layer("rnn", D=D, H=H)
    with pytest.raises(chalkgrad.EquationError, match=says):
        chalkgrad.recompute(net, torch.randn(2, 9, D), **asked)
