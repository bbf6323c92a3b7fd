"""A layer in both directions and layers one on the other, of any equations."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from tests.often import often
from torch import Tensor, nn

import chalkgrad
from chalkgrad import Bidirectional, EquationError, Stack
from chalkgrad.nn.combine import mirrored

F64 = torch.float64
OWN = """
f[t] = σ(x[t] W_f + h[t-1] U_f + b_f)   # t-1 stands here too
h[t] = (1 - f[t]) ⊙ h[t-1] + f[t] ⊙ tanh(x[t] W + h[t-2] U + b)
where x[t]: D, h[t]: H, b_f: init 1
"""
LATEX = r"h_t = \tanh\left(W h_{t-1} + U x_{t} + b\right)"


def normal(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def close(a: Any, b: Any) -> None:
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


# --- both directions -----------------------------------------------------------------------------------


def test_only_steps_are_mirrored() -> None:
    assert mirrored("h[t,u] = x[t,u-1] + h[t-2,u] + st-1 + h[t - 1,u]") == (
        "h[t,u] = x[t,u-1] + h[t+2,u] + st-1 + h[t + 1,u]"
    )
    assert mirrored(LATEX) == LATEX.replace("t-1", "t+1")
    assert mirrored("# t-1\nS[k] = S[k-1]", "k") == "# t-1\nS[k] = S[k+1]"


@pytest.mark.parametrize(
    "what",
    often(
        ["rnn", "lstm", "lstm_layer_norm", "gru_after", "slstm", OWN, LATEX],
        seldom=("lstm_layer_norm", "slstm"),
    ),
    ids=lambda w: w[:12],
)
def test_the_reverse_half_is_the_same_layer_on_the_turned_sequence(what: str) -> None:
    sizes = {"x": 3, "h": 4} if what == LATEX else {"D": 3, "H": 4}
    net = Bidirectional(what, dtype=F64, **sizes)
    again = chalkgrad.layer(what, dtype=F64, **sizes)
    again.load_state_dict(net.reverse.state_dict())
    x = normal(2, 6, 3).requires_grad_()
    y, state = net(x)
    ahead, last = net.onward(x)
    back, first = again(x.flip(1))
    expected = torch.cat([ahead, back.flip(1)], -1)
    close(y, expected)
    close(tuple(state.onward), tuple(last))
    # A state of two steps has them in the order of time, whichever way it looks.
    close(tuple(state.reverse), tuple(h.flip(1) if h.dim() == 3 else h for h in first))
    given = [x, *net.onward.parameters()]
    theirs = torch.autograd.grad(expected.square().sum(), [*given, *again.parameters()])
    close(torch.autograd.grad(y.square().sum(), [*given, *net.reverse.parameters()]), theirs)


def test_lengths_resets_and_truncation_hold_in_both_directions() -> None:
    net = Bidirectional("lstm", D=3, H=4, dtype=F64)
    x, lengths = normal(3, 6, 3), [6, 2, 4]
    y, state = net(x, lengths=lengths)
    for k, n in enumerate(lengths):
        alone, last = net(x[k : k + 1, :n])
        close(y[k, :n], alone[0])
        assert not y[k, n:].any()
        close(state.reverse.c[k], last.reverse.c[0])
        close(state.onward.c[k], last.onward.c[0])
    resets = torch.zeros(3, 6, dtype=torch.bool)
    resets[:, 4] = True
    parts = [net(x[:, :4])[0], net(x[:, 4:])[0]]
    close(net(x, resets=resets)[0], torch.cat(parts, 1))
    x.requires_grad_()
    [cut] = torch.autograd.grad(net(x, truncate=3)[0][:, 0].sum(), x)
    assert cut[:, :3].any()
    assert not cut[:, 3:].any()


def test_a_state_goes_in_as_it_comes_out() -> None:
    net = Bidirectional("gru", D=3, H=4, dtype=F64)
    x = normal(2, 5, 3)
    _, state = net(x)
    again, _ = net(x, state)
    close(again[..., :4], net.onward(x, state.onward)[0])
    close(again[..., 4:], net.reverse(x, state.reverse)[0])
    with pytest.raises(EquationError, match="the state has 2 parts, onward and reverse"):
        net(x, (state.onward,))


def test_a_layer_given_keeps_its_parameters_and_gets_a_mirror_of_its_kind() -> None:
    one = chalkgrad.layer("lstm", D=3, H=4, dtype=F64, backend="torch")
    net = Bidirectional(one)
    assert net.onward is one
    assert (net.reverse.backend, net.reverse.W_xi.dtype) == ("torch", F64)
    assert net.reverse.b_f.eq(1).all()  # as the page says
    assert not torch.equal(net.reverse.W_xi, one.W_xi)
    assert [*net.state_dict()][:2] == ["onward.W_xi", "onward.W_hi"]
    assert "reverse.W_xi" in net.state_dict()
    assert "h[t+1]" in net.equations
    assert "h[t+1]" in repr(net)
    assert "∂h[t-1]" not in str(net.onward.derivation)
    assert "[t-1]" in str(net.reverse.derivation)


def test_a_page_of_several_inputs_and_masks_goes_both_ways() -> None:
    net = Bidirectional("lstm_zoneout", D=3, H=4, dtype=F64)
    x, d = normal(2, 5, 3), normal(2, 2, 5, 4).sigmoid()
    y, _ = net(x, d_c=d[0], d_h=d[1])
    close(y[..., 4:], net.reverse(x, d_c=d[0], d_h=d[1])[0])


@pytest.mark.parametrize(
    ("what", "sizes", "why"),
    [
        ("rnn_bidirectional", {"D": 3, "H": 4, "O": 2}, "they look ahead already"),
        ("mlp", {"D": 3, "H": 4, "O": 2}, "they are no recurrence"),
        ("h[i,j] = tanh(x[i,j] W + h[i-1,j] U + h[i,j-1] V)", {"x": 3, "h": 4}, "they run along two indices"),
        ("h[t] = tanh(x[t] + x[t-1] + h[t-1])", {"x": 3}, "`h` has no value at some of the input's steps"),
        ("h[0] = a\nh[t] = tanh(x[t] W + h[t-1] U)", {"x": 3, "h": 4}, "have no mirror"),
        ("h[t] = tanh(x[t] W + h[t-1] U)\ny = h[T] V", {"x": 3, "h": 4, "y": 2}, "have no mirror"),
    ],
)
def test_what_has_no_mirror_says_why(what: str, sizes: dict[str, int], why: str) -> None:
    with pytest.raises(EquationError, match="have no mirror") as e:
        Bidirectional(what, **sizes)
    assert why in str(e.value)
    with pytest.raises(EquationError, match="has no step"):
        Bidirectional("rnn", D=3, H=4).step(torch.zeros(2, 3))


# --- one on the other ----------------------------------------------------------------------------------


def deep(dropout: float = 0.0) -> Stack:
    return Stack(
        Bidirectional("gru", D=3, H=4, dtype=F64),
        nn.Linear(8, 5, dtype=F64),
        chalkgrad.layer("lstm", D=5, H=6, dtype=F64),
        dropout=dropout,
    )


def test_a_stack_is_its_layers_in_turn() -> None:
    net, x = deep(), normal(2, 6, 3)
    y, state = net(x, lengths=[6, 3])
    a, first = net.layers[0](x, lengths=[6, 3])
    b, last = net.layers[2](net.layers[1](a), lengths=[6, 3])
    close(y, b)
    close(state, (first, None, last))
    again, _ = net(x, state)
    expected = net.layers[2](net.layers[1](net.layers[0](x, first)[0]), last)[0]
    close(again, expected)
    assert {"0.onward.W_z", "0.reverse.W_z", "1.weight", "2.W_xi"} <= {*net.state_dict()}


def test_resets_and_truncation_reach_every_layer() -> None:
    net = Stack(chalkgrad.layer("rnn", D=3, H=4, dtype=F64), chalkgrad.layer("gru", D=4, H=4, dtype=F64))
    x = normal(2, 6, 3)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[:, 2] = True
    close(net(x, resets=resets)[0], torch.cat([net(x[:, :2])[0], net(x[:, 2:])[0]], 1))
    x.requires_grad_()
    [g] = torch.autograd.grad(net(x, truncate=3)[0][:, -1].sum(), x)
    assert not g[:, :3].any()
    assert g[:, 3:].any()


def test_dropout_stands_between_layers_while_training() -> None:
    net = Stack(*(chalkgrad.layer("rnn", D=4, H=4, dtype=F64) for _ in range(2)), dropout=0.5)
    x = normal(2, 6, 4)
    torch.manual_seed(3)
    y, state = net(x)
    torch.manual_seed(3)
    assert torch.equal(net(x)[0], y)
    close(state[0].h, net.layers[0](x)[1].h)  # nothing is dropped before the first layer
    torch.manual_seed(3)
    middle = nn.functional.dropout(net.layers[0](x)[0], 0.5)
    close(y, net.layers[1](middle)[0])  # nor after the last
    net.eval()
    close(net(x)[0], net.layers[1](net.layers[0](x)[0])[0])
    assert "dropout=0.5" in repr(net)


def test_a_stack_goes_step_by_step() -> None:
    late = chalkgrad.layer("h[t] = tanh(x[t] W + x[t-1] V + h[t-1] U)", x=3, h=4, dtype=F64)
    net = Stack(late, nn.Linear(4, 4, dtype=F64), chalkgrad.layer("lstm", D=4, H=5, dtype=F64))
    x, state, found = normal(2, 6, 3), None, []
    whole, last = net(x)
    for t in range(6):
        y, state = net.step(x[:, t], state)
        found += [] if y is None else [y]
    close(torch.stack(found, 1), whole)
    close(tuple(state[2]), tuple(last[2]))
    with pytest.raises(EquationError, match="has no step"):
        deep().step(x[:, 0])


def test_copies_and_pickles_give_the_same() -> None:
    net, x = deep(), normal(2, 4, 3)
    y, _ = net(x)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(x)[0], y)
        assert other.equations == net.equations
    assert "# layer 2" in net.equations


def test_stacks_may_stand_in_stacks() -> None:
    rnn = [chalkgrad.layer("rnn", D=4, H=4, dtype=F64) for _ in range(3)]
    x = normal(2, 4, 4)
    nested, flat = Stack(Stack(rnn[0], rnn[1]), rnn[2]), Stack(*rnn)
    close(nested(x)[0], flat(x)[0])
    close(nested(x, nested(x)[1])[0], flat(x, flat(x)[1])[0])


def test_what_cannot_be_stacked_is_explained() -> None:
    with pytest.raises(EquationError, match="layer 1 of the stack has the inputs x, d_c, d_h"):
        Stack(chalkgrad.layer("rnn", D=3, H=4), chalkgrad.layer("lstm_zoneout", D=4, H=4))
    with pytest.raises(ValueError, match=r"a number in \[0, 1\], and is given as 1.5"):
        Stack(chalkgrad.layer("rnn", D=3, H=4), dropout=1.5)
    with pytest.raises(ValueError, match="at least one layer"):
        Stack()
    with pytest.raises(TypeError, match="layer 0 of the stack is torch's LSTM"):
        Stack(nn.LSTM(3, 4))
    with pytest.raises(EquationError, match="the state has 1 parts"):
        Stack(chalkgrad.layer("rnn", D=3, H=4))(torch.zeros(2, 5, 3), (None, None))
