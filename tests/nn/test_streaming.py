"""One step at a time gives what the whole sequence gives, and equations that cannot are told why."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor

import chalkgrad

F64 = torch.float64
ZOO = (
    "rnn",
    "lstm",
    "lstm_peephole",
    "lstm_layer_norm",
    "gru",
    "gru_after",
    "mgu",
    "mingru",
    "indrnn",
    "slstm",
)
BACK = "h[t] = tanh(x[t] W + x[t-1] V + h[t-1] U + b)"
FURTHER = "h[t] = tanh(x[t] W + x[t-2] V + h[t-1] U + h[t-2] S + b)\ny[t] = h[t] Q"


def normal(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def streamed(net: chalkgrad.Layer, x: Tensor, state: object = None) -> tuple[list[Tensor], object]:
    found = []
    for t in range(x.shape[-2]):
        y, state = net.step(x[..., t, :], state)
        if y is not None:
            found.append(y)
    return found, state


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("batch", [(), (3,)])
def test_steps_give_what_the_whole_sequence_gives(name: str, batch: tuple[int, ...]) -> None:
    net = chalkgrad.layer(name, D=3, H=4, dtype=F64)
    x = normal(*batch, 6, 3)
    whole, last = net(x)
    found, state = streamed(net, x)
    torch.testing.assert_close(torch.stack(found, -2), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(tuple(state), tuple(last), rtol=1e-12, atol=1e-13)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "back"), [(BACK, 1), (FURTHER, 2)])
def test_what_looks_back_at_its_input_carries_that_too(text: str, back: int) -> None:
    net = chalkgrad.layer(text, x=3, h=4, dtype=F64, **({"y": 2} if "y[t]" in text else {}))
    x = normal(2, 7, 3)
    whole, last = net(x)
    assert net.step(x[:, 0])[0] is None  # h begins where there is an x[t-1]
    found, state = streamed(net, x)
    assert len(found) == 7 - back == whole.shape[1]
    torch.testing.assert_close(torch.stack(found, 1), whole, rtol=1e-12, atol=1e-13)
    assert state._fields == ("h", "x_before")  # type: ignore[attr-defined]
    assert torch.equal(state.x_before, x[:, -back:])  # type: ignore[attr-defined]
    torch.testing.assert_close(state.h, last.h, rtol=1e-12, atol=1e-13)  # type: ignore[attr-defined]


def test_gradients_go_through_the_steps() -> None:
    net = chalkgrad.layer("lstm", D=3, H=4, dtype=F64)
    x = normal(2, 5, 3)
    whole = torch.autograd.grad(net(x)[0].square().sum(), [*net.parameters()])
    found = torch.autograd.grad(torch.stack(streamed(net, x)[0]).square().sum(), [*net.parameters()])
    torch.testing.assert_close(found, whole, rtol=1e-11, atol=1e-12)


def test_masks_come_with_each_step_or_stay() -> None:
    net = chalkgrad.layer("lstm_zoneout", D=3, H=4, dtype=F64)
    x, d = normal(2, 5, 3), normal(2, 2, 5, 4).sigmoid()
    whole, _ = net(x, d_c=d[0], d_h=d[1])
    state, found = None, []
    for t in range(5):
        y, state = net.step(x[:, t], state=state, d_c=d[0][:, t], d_h=d[1][:, t])
        found.append(y)
    torch.testing.assert_close(torch.stack(found, 1), whole, rtol=1e-12, atol=1e-13)
    kept = chalkgrad.layer("lstm_dropout", D=3, H=4, dtype=F64)
    m = normal(2, 4)
    y, state = kept.step(x[:, 0], m=m)
    y, _ = kept.step(x[:, 1], state=state, m=m)
    torch.testing.assert_close(y, kept(x[:, :2], m=m)[0][:, 1], rtol=1e-12, atol=1e-13)


def test_a_step_goes_on_from_a_sequence_and_a_pickle() -> None:
    net = pickle.loads(pickle.dumps(chalkgrad.layer("gru", D=3, H=4, dtype=F64)))
    x = normal(2, 5, 3)
    whole, last = net(x)
    _, state = net(x[:, :4])
    y, end = net.step(x[:, 4], state)
    torch.testing.assert_close(y, whole[:, 4], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(end.h, last.h, rtol=1e-12, atol=1e-13)
    assert net.step(x[:, 0], torch.zeros(2, 4, dtype=F64))[0].shape == (2, 4)


@pytest.mark.parametrize(
    ("text", "sizes", "problem"),
    [
        ("rnn_bidirectional", {"D": 3, "H": 4, "O": 2}, "`g` is computed from the end"),
        ("y = W x\nwhere x: input", {"x": 3, "y": 2}, "have no state"),
        ("h[i,j] = tanh(x[i,j] W + h[i-1,j] U + h[i,j-1] V)", {"x": 3, "h": 4}, "along two indices"),
        ("h[t] = tanh(x[t] + h[t-1])\ny[t] = h[t] V\nz[t] = y[t-1] + y[t]", {"x": 3, "y": 2}, "is no state"),
        (
            "h[t] = tanh(x[t] + h[t-1] + x[t-1])\nwhere x[t]: D zero outside, h[t]: D",
            {"D": 3},
            "which step it is at",
        ),
    ],
)
def test_what_needs_more_than_the_past_is_explained(text: str, sizes: dict[str, int], problem: str) -> None:
    net = chalkgrad.layer(text, **sizes)
    with pytest.raises(chalkgrad.EquationError, match=problem):
        net.step(torch.zeros(2, 3))


def test_a_sequence_is_no_step() -> None:
    net = chalkgrad.layer("rnn", D=3, H=4)
    with pytest.raises(
        chalkgrad.EquationError, match="one step of `x` has 1 axes, or one more for the batch"
    ):
        net.step(torch.zeros(2, 5, 3))
