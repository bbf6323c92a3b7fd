"""Gates set by hand: written at 1, held, read at 32 and 33; the gradient comes back along the cell whole."""

import torch
from torch import Tensor

import chalkgrad
from chalkgrad.flowing.record import Record

T, WRITE, READ = 34, 1, 32
SHUT, FLAG = -40.0, 80.0


def column(*weights: float) -> Tensor:
    return torch.tensor(weights)[:, None]


def seen(net: chalkgrad.Layer) -> tuple[Record, Tensor, Tensor]:
    x = torch.zeros(2, T, 3)
    x[:, :, 0] = torch.randn(2, T, generator=torch.Generator().manual_seed(0))
    x[:, WRITE, 1] = 1
    x[:, READ:, 2] = 1
    with chalkgrad.flow(net) as record:
        y, _ = net(x)
        y[:, -1].sum().backward()
        record.look(net, x)
    return record, x, y


def by_hand() -> chalkgrad.Layer:
    start = {"W_xi": column(0, FLAG, 0), "W_xo": column(0, 0, FLAG), "W_xg": column(1, 0, 0), "W_xf": 0.0}
    biases = {"b_i": SHUT, "b_o": SHUT, "b_g": 0.0, "b_f": -SHUT}
    return chalkgrad.layer(
        "lstm", D=3, H=1, init={**start, **biases, **{f"W_h{gate}": 0.0 for gate in "ifgo"}}
    )


def test_gates_open_where_they_are_told_and_the_cell_holds_what_was_written() -> None:
    record, x, y = seen(by_hand())
    look = record.looks[0]
    assert {n: (g[:, 0] > 0.5).nonzero().flatten().tolist() for n, g in look.gates.items()} == {
        "i": [WRITE],
        "f": [*range(T)],
        "o": [READ, READ + 1],
    }
    held = x[:, WRITE, 0].tanh()
    torch.testing.assert_close(look.states["c"][WRITE:, 0], held[0].expand(T - WRITE))
    torch.testing.assert_close(y[:, READ:, 0], held.tanh()[:, None].expand(2, 2))
    assert not y[:, :READ].abs().gt(1e-12).any()
    torch.testing.assert_close(look.states["h"], y[0].detach())


def test_the_gradient_arrives_along_the_cell_whole_and_through_a_tanh_network_hardly() -> None:
    cell, _, _ = seen(by_hand())
    norms = cell.norm["c"][0]
    torch.testing.assert_close(norms, norms[-1].expand(T))
    torch.testing.assert_close(cell.paths["c"]["c[t+1]"][0, :-1], norms[:-1])
    plain, _, _ = seen(chalkgrad.layer("rnn", D=3, H=1, init={"W_x": 1.0, "W_h": 0.9, "b": 0.0}))
    assert plain.norm["h"][0, WRITE] < 1e-3 * plain.norm["h"][0, -1]
    assert cell.verdict().findings[-1].kind in ("saturated", "healthy")
    assert plain.verdict().kind == "vanishing"
