"""The gradient that reaches each step, against torch's own for a loop in Python; by path it adds up."""

import pickle

import pytest
import torch
from torch import Tensor

import chalkgrad
from chalkgrad.flowing.record import Record
from chalkgrad.zoo import page

F64 = {"dtype": torch.float64}
T, B, D, H = 7, 3, 4, 5


def lstm_states(net: chalkgrad.Layer, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """h and c at every step, each keeping its gradient."""
    w = dict(net.named_parameters())
    h = c = torch.zeros(len(x), H, **F64)
    hs, cs = [], []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ w[f"W_x{k}"] + h @ w[f"W_h{k}"] + w[f"b_{k}"] for k in "ifgo")
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        c.retain_grad()
        h = o.sigmoid() * c.tanh()
        h.retain_grad()
        hs, cs = [*hs, h], [*cs, c]
    return hs, cs


def norms(states: list[Tensor]) -> Tensor:
    return torch.stack([s.grad.norm(dim=1).mean() for s in states if s.grad is not None])


@pytest.fixture
def net() -> chalkgrad.Layer:
    torch.manual_seed(0)
    return chalkgrad.layer(page("lstm"), D=D, H=H, **F64)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(1), **F64)


def test_norms_are_those_of_the_whole_derivative_of_every_state(net: chalkgrad.Layer, x: Tensor) -> None:
    weight = torch.randn(B, T, H, generator=torch.Generator().manual_seed(2), **F64)
    with chalkgrad.flow(net) as record:
        (net(x)[0] * weight).sum().backward()
    hs, cs = lstm_states(net, x)
    (torch.stack(hs, 1) * weight).sum().backward()
    torch.testing.assert_close(record.norm["h"], norms(hs)[None])
    torch.testing.assert_close(record.norm["c"], norms(cs)[None])
    assert list(record.paths["c"]) == ["c[t+1]", "h[t]", "loss"]
    assert not record.paths["c"]["loss"].any()  # no loss reads c
    assert list(record.paths["h"]) == ["i[t+1]", "f[t+1]", "g[t+1]", "o[t+1]", "loss"]
    torch.testing.assert_close(record.paths["h"]["loss"][0], weight.norm(dim=2).mean(0))


def test_gradients_are_the_same_whether_watched_or_not(net: chalkgrad.Layer, x: Tensor) -> None:
    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(net(x)[0].square().sum(), list(net.parameters())))

    plain = gradients()
    with chalkgrad.flow(net):
        watched = gradients()
    torch.testing.assert_close(watched, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "gru", "gru_after", "mgu", "mingru", "lstm_peephole", "indrnn"])
def test_paths_are_what_the_equations_give_and_bound_the_whole(name: str, x: Tensor) -> None:
    net = chalkgrad.layer(page(name), D=D, H=H, **F64)
    with chalkgrad.flow(net) as record:
        net(x)[0][:, -1].square().sum().backward()
    for state, paths in record.paths.items():
        whole = record.norm[state][0]
        assert torch.all(whole <= sum(p[0] for p in paths.values()) + 1e-12)
        assert whole.min() > 0
    assert not record.paths["h"]["loss"][0, :-1].any()  # only the last step is read by the loss
    assert record.norm["h"][0, -1] == record.paths["h"]["loss"][0, -1]


def test_a_path_that_truncation_cuts_is_exactly_zero(net: chalkgrad.Layer, x: Tensor) -> None:
    with chalkgrad.flow(net) as record:
        net(x, truncate=3)[0].sum().backward()
    from_later = torch.stack([p[0] for n, p in record.paths["h"].items() if n != "loss"]).sum(0)
    assert (from_later == 0).nonzero().flatten().tolist() == [2, 5, 6]


ASKED = {
    "truncate": {"truncate": T},
    "lengths": {"lengths": [T] * B},
    "resets": {"resets": torch.zeros(B, T, dtype=torch.bool)},
    "all": {"truncate": T, "lengths": [T] * B, "resets": torch.zeros(B, T, dtype=torch.bool)},
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "lstm_peephole", "mgu"])
def test_paths_are_the_same_where_what_is_asked_changes_nothing(name: str, asked: str, x: Tensor) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(page(name), D=D, H=H, **F64)
    weight = torch.randn(B, T, H, generator=torch.Generator().manual_seed(2), **F64)
    with chalkgrad.flow(net) as record:
        for how in ({}, ASKED[asked]):
            y, state = net(x, **how)
            ((y * weight).sum() + state.h.sum()).backward()
    for state, paths in record.paths.items():
        torch.testing.assert_close(record.norm[state][1], record.norm[state][0])
        for path, table in paths.items():
            torch.testing.assert_close(table[1], table[0], msg=f"{state} by {path}")


def test_a_path_that_a_pass_does_not_have_keeps_its_rows_in_their_places() -> None:
    record = Record()
    see = record._watch("")
    for k in range(70):  # more than wait to be reduced
        at = torch.full((2, 4 - k % 2), float(k), **F64) ** 2
        see({"h": at}, {"h": {"i[t+1]" if k % 3 else "j[t+1]": at}})
    paths = record.paths["h"]
    assert len(record) == 70
    for k in range(70):
        own, other = ("i[t+1]", "j[t+1]") if k % 3 else ("j[t+1]", "i[t+1]")
        assert (
            paths[own][k, : 4 - k % 2].tolist()
            == record.norm["h"][k, : 4 - k % 2].tolist()
            == [k] * (4 - k % 2)
        )
        assert paths[other][k].isnan().all()
    assert record.norm["h"][1::2, 3].isnan().all()
    assert record.verdict().kind == "healthy"


def test_a_state_along_two_indices_has_an_axis_for_each_and_no_verdict() -> None:
    page = "h[i,j] = tanh(x[i,j] W + h[i-1,j] U + h[i,j-1] V + b)"
    net = chalkgrad.layer(page, x=2, h=3)
    with chalkgrad.flow(net) as record:
        for size in (4, 3):
            net(torch.randn(2, size, 5, 2))[0].sum().backward()
    assert record.norm["h"].shape == (2, 4, 5)
    assert record.norm["h"][1, 3].isnan().all()
    assert list(record.paths["h"]) == ["h[i+1,j]", "h[i,j+1]", "loss"]
    with pytest.raises(ValueError, match="along 2 indices"):
        record.verdict()


def test_what_lies_after_a_sequence_ends_gets_no_gradient(net: chalkgrad.Layer, x: Tensor) -> None:
    with chalkgrad.flow(net) as record:
        net(x[:1], lengths=[4])[0][:, :4].sum().backward()
    assert (record.norm["h"][0] > 0).tolist() == [True] * 4 + [False] * 3


def test_a_recurrence_from_ahead_is_followed_too(x: Tensor) -> None:
    net = chalkgrad.layer(page("rnn_bidirectional"), D=D, H=H, O=2, **F64)
    with chalkgrad.flow(net) as record:
        net(x)[0][:, 3].sum().backward()
    assert (record.norm["h"][0] > 0).tolist() == [True] * 4 + [False] * 3
    assert (record.norm["g"][0] > 0).tolist() == [False] * 3 + [True] * 4
    assert list(record.paths["g"]) == ["g[t-1]", "y[t]", "loss"]


def test_each_backward_pass_is_a_row_and_shorter_ones_are_filled_up(net: chalkgrad.Layer, x: Tensor) -> None:
    with chalkgrad.flow(net) as record:
        for steps in (7, 4):
            loss = net(x[:, :steps])[0].square().mean()
            loss.backward()
            record.note(loss=loss)
    net(x)[0].sum().backward()  # nobody looks any more
    assert len(record) == 2
    assert record.norm["h"].shape == (2, 7)
    assert record.norm["h"][1].isnan().tolist() == [False] * 4 + [True] * 3
    assert record.scalars["loss"].shape == (2,)


def test_layers_in_a_module_are_told_apart(x: Tensor) -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low = chalkgrad.layer(page("rnn"), D=D, H=H, **F64)
            self.high = chalkgrad.layer(page("lstm"), D=H, H=H, **F64)
            self.out = torch.nn.Linear(H, 1, **F64)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.high(self.low(x)[0])[0])

    net = Two()
    with chalkgrad.flow(net) as record:
        net(x).sum().backward()
    assert list(record.norm) == ["low.h", "high.c", "high.h"]


def test_a_second_derivative_goes_through_while_watched(net: chalkgrad.Layer, x: Tensor) -> None:
    def penalty() -> Tensor:
        given = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(net(given)[0].square().sum(), given, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), net.W_hf)[0]

    plain = penalty()
    with chalkgrad.flow(net) as record:
        torch.testing.assert_close(penalty(), plain)
    assert record.norm["h"].shape[1] == T


def test_a_layer_that_is_watched_can_be_saved(net: chalkgrad.Layer, x: Tensor) -> None:
    with chalkgrad.flow(net):
        twin = pickle.loads(pickle.dumps(net))
    torch.testing.assert_close(twin(x)[0], net(x)[0])


def test_without_a_recurrence_there_is_nothing_to_follow() -> None:
    with (
        pytest.raises(chalkgrad.EquationError, match="no recurrence"),
        chalkgrad.flow(chalkgrad.layer("y[i] = Σ[p<3] w[p] x[i+p] where x: input")),
    ):
        pass
