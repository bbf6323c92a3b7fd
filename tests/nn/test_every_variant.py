"""Every recurrent layer that has a name, with everything that can be asked of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import torch
from tests.often import often
from torch import Tensor, nn

import chalkgrad
from chalkgrad import Bidirectional, Stack
from chalkgrad.language.resolve import read
from chalkgrad.zoo import names, source_of
from zoo_layers import drawn_with_all, flat

Given = Mapping[str, Tensor]
T = 5
F64 = torch.float64

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "RNN": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "RNN layer_norm": ("RNN", {"layer_norm": True}),
    "LSTM": ("LSTM", {"num_layers": 2}),
    "LSTM proj_size": ("LSTM", {"proj_size": 2}),
    "LSTM peephole": ("LSTM", {"peephole": True}),
    "LSTM layer_norm": ("LSTM", {"layer_norm": True}),
    "LSTM zoneout": ("LSTM", {"zoneout": (0.1, 0.2)}),
    "LSTM recurrent_dropout": ("LSTM", {"recurrent_dropout": 0.3}),
    "LSTM everything": (
        "LSTM",
        {"peephole": True, "layer_norm": True, "proj_size": 2, "zoneout": 0.2, "recurrent_dropout": 0.3},
    ),
    "GRU": ("GRU", {"num_layers": 2}),
    "GRU reset_after=False": ("GRU", {"reset_after": False}),
    "GRU layer_norm": ("GRU", {"layer_norm": True, "zoneout": 0.2}),
}
MASKED = ("lstm_zoneout", "gru_zoneout", "lstm_dropout", "lstm_variational")
PAGES = (
    *("rnn", "rnn_relu", "indrnn"),
    *("lstm", "lstm_peephole", "lstm_coupled", "lstm_projection", "lstm_layer_norm", "slstm"),
    *("gru", "gru_after", "mgu", "mingru"),
    *MASKED,
)
ELSEWHERE = {"rnn_bidirectional", "conv_lstm", "attention_decoder", "attention_lstm", "picture_lstm"}
"""Pages with a state that go both ways, over an image, or look at a whole sequence of their own."""


def test_every_page_with_a_state_is_here() -> None:
    found = {n for n in names() if read(source_of(n)).program.states}
    assert found - {*PAGES} <= ELSEWHERE


def made(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """The layer with every parameter drawn, as it is used, and its inputs: (batch, steps, features)."""
    if name in PAGES:
        return drawn_with_all(name)
    kind, options = OPTIONS[name]
    net = getattr(chalkgrad, kind)(3, 4, batch_first=True, dtype=F64, **options).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=F64) / 2)
    return net, {"input": torch.randn(2, T, 3, generator=generator, dtype=F64)}


def steps_of(given: Given, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The inputs with their steps changed; a mask for the whole sequence stays."""
    return {n: change(x) if x.dim() == 3 else x for n, x in given.items()}


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(flat(found), flat(expected), rtol=1e-11, atol=1e-12)


def rows(found: Any, k: int) -> list[Tensor]:
    """One example of outputs and states: the batch is before the last axis of a state."""
    y, state = found
    return [y[k : k + 1], *(s.narrow(-2, k, 1) for s in flat(state))]


FEW = (
    "GRU layer_norm",
    "indrnn",
    "lstm_coupled",
    "mgu",
    "gru_zoneout",
    "lstm_variational",
)


def of(names: Iterable[str]) -> list[Any]:
    """All of these; by default a few are run, as each is compiled many times."""
    return often(names, only=FEW)


@pytest.fixture(params=of([*OPTIONS, *PAGES]))
def layer(request: pytest.FixtureRequest) -> tuple[Any, dict[str, Tensor]]:
    return made(request.param)


def test_a_sequence_ends_at_its_length_as_if_it_were_alone(layer: tuple[Any, dict[str, Tensor]]) -> None:
    net, given = layer
    whole = net(**given, lengths=[T, 3])
    close(tuple(rows(whole, 0)), tuple(rows(net(**given), 0)))
    y, *state = rows(whole, 1)
    short, *last = rows(net(**steps_of(given, lambda x: x[:, :3])), 1)
    close((y[:, :3], *state), (short, *last))
    assert not y[:, 3:].any()


def test_a_reset_begins_a_sequence_anew(layer: tuple[Any, dict[str, Tensor]]) -> None:
    net, given = layer
    resets = torch.zeros(2, T, dtype=torch.bool)
    resets[:, 2] = True
    first, _ = net(**steps_of(given, lambda x: x[:, :2]))
    second, state = net(**steps_of(given, lambda x: x[:, 2:]))
    close(net(**given, resets=resets), (torch.cat([first, second], 1), state))


def test_truncation_cuts_the_gradient_and_no_number(layer: tuple[Any, dict[str, Tensor]]) -> None:
    net, given = layer
    name, x = next(iter(given.items()))
    given = {**given, name: x.requires_grad_()}
    cut = net(**given, truncate=3)
    close(cut, net(**given))
    (gradient,) = torch.autograd.grad(cut[0][:, -1].square().sum(), x)
    (whole,) = torch.autograd.grad(net(**given)[0][:, -1].square().sum(), x)
    assert not gradient[:, :3].any()
    assert whole[:, :3].any()
    close(gradient[:, -1], whole[:, -1])


def test_steps_give_the_numbers_of_the_whole_sequence(layer: tuple[Any, dict[str, Tensor]]) -> None:
    net, given = layer
    found, state = [], None
    for t in range(T):
        now = [x[:, t] if x.dim() == 3 else x for x in given.values()]
        y, state = net.step(*now, state)
        found.append(y)
    close((torch.stack(found, 1), state), net(**given))


@pytest.mark.parametrize("name", of(PAGES))
def test_both_directions_are_the_page_and_the_page_turned(name: str) -> None:
    one, given = made(name)
    net = Bidirectional(one)
    y, state = net(**given)
    close((y[..., : y.shape[-1] // 2], state.onward), one(**given))
    one.load_state_dict(net.reverse.state_dict())
    back, last = one(**steps_of(given, lambda x: x.flip(1)))
    close((y[..., y.shape[-1] // 2 :], state.reverse), (back.flip(1), last))


@pytest.mark.parametrize("name", of(n for n in PAGES if n not in MASKED))
def test_layers_stand_one_on_the_other(name: str) -> None:
    one, given = made(name)
    sizes = {"D": 4, **({"H": 4, "P": 3} if name == "lstm_projection" else {"H": 5})}
    width = one(**given)[0].shape[-1]
    two = chalkgrad.layer(name, dtype=F64, **{**sizes, "D": width})
    y, state = Stack(one, two)(**given, lengths=[T, 2])
    middle, first = one(**given, lengths=[T, 2])
    close((y, *state), (*(found := two(middle, lengths=[T, 2]))[:1], first, found[1]))


def test_layers_of_both_directions_have_no_step() -> None:
    net = chalkgrad.GRU(3, 4, bidirectional=True)
    with pytest.raises(chalkgrad.EquationError, match="a layer in both directions has no step"):
        net.step(torch.zeros(2, 3))
    net = chalkgrad.LSTM(3, 4, recurrent_dropout=0.5)
    with pytest.raises(chalkgrad.EquationError, match="one mask for a whole sequence"):
        net.step(torch.zeros(2, 3))
    with pytest.raises(chalkgrad.EquationError, match=r"one step of a sequence.*shape is \(2, 5, 3\)"):
        net.eval().step(torch.zeros(2, 5, 3))


@pytest.mark.parametrize("options", [{}, {"batch_first": True}])
def test_a_step_of_a_module_may_be_without_a_batch(options: dict[str, bool]) -> None:
    net = chalkgrad.LSTM(3, 4, 2, dtype=F64, **options)
    x, state, found = torch.randn(T, 3, dtype=F64), None, []
    for x_t in x:
        y, state = net.step(x_t, state)
        found.append(y)
    close((torch.stack(found), state), net(x))
