"""Where a gradient first is no number is found, and what it would spoil is kept."""

import pytest
import torch
from torch import Tensor

import chalkgrad
from chalkgrad.flowing.guard import NotFiniteError, guard, trouble

T, B, D, H = 9, 2, 3, 4


def broken(at: int, value: float) -> tuple[chalkgrad.Layer, Tensor, Tensor]:
    """A layer, an input, and weights of its outputs that are broken at one step."""
    torch.manual_seed(0)
    net = chalkgrad.layer("rnn", D=D, H=H)
    weight = torch.ones(B, T, H)
    weight[0, at] = value
    return net, torch.randn(B, T, D), weight


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("at", [0, 5, T - 1])
def test_the_step_the_parameters_and_the_time_are_named(at: int, value: float) -> None:
    net, x, weight = broken(at, value)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with chalkgrad.flow(net) as record, guard(net, optimizer, record):
        for _ in range(2):
            optimizer.zero_grad()
            net(x)[0].sum().backward()
            optimizer.step()
        optimizer.zero_grad()
        (net(x)[0] * weight).sum().backward()
        with pytest.raises(NotFiniteError) as caught:
            optimizer.step()
    found = caught.value.trouble
    assert (found.step, found.state, found.time, found.path) == (3, "h", at, "loss")
    assert found.parameters == ("W_x", "W_h", "b")
    assert str(found).startswith(
        "training step 3: the gradient of W_x, W_h, b is not finite; it began at t = "
    )


def test_what_grows_on_its_way_back_is_found_where_it_overflows() -> None:
    net = chalkgrad.layer("h[t] = x[t] W + h[t-1] U", x=D, h=H, init={"U": 1e10, "W": 1.0})
    with chalkgrad.flow(net) as record:
        net(torch.ones(B, T, D))[0][:, -1].sum().backward()
    found = trouble(net, 1, record)
    assert found is not None
    norms = record.norm["h"][0]
    assert found.time == int((~norms.isfinite()).nonzero().max())
    assert found.path == "h[t+1]"


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_a_step_that_is_skipped_changes_nothing_and_later_ones_go_on(
    kind: type[torch.optim.Optimizer],
) -> None:
    net, x, weight = broken(4, float("nan"))
    twin = chalkgrad.layer("rnn", D=D, H=H)
    twin.load_state_dict(net.state_dict())
    ours, theirs = (kind(n.parameters(), lr=0.01) for n in (net, twin))  # type: ignore[call-arg]
    with guard(net, ours, skip=True) as held:
        for k in range(4):
            ours.zero_grad()
            (net(x)[0] * (weight if k == 1 else 1.0)).sum().backward()
            ours.step()
    for _ in range(3):
        theirs.zero_grad()
        twin(x)[0].sum().backward()
        theirs.step()
    assert [t.step for t in held] == [2]
    assert held[0].state is None
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    net.W_x.grad = torch.full_like(net.W_x, float("nan"))
    ours.step()  # nobody guards any more
    assert net.W_x.isnan().any()


def test_large_gradients_that_are_numbers_are_let_through() -> None:
    net = chalkgrad.layer("rnn", D=D, H=H)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with guard(net, optimizer) as held:
        for p in net.parameters():
            p.grad = torch.full_like(p, 1e30)  # the sum of their squares is infinite
        optimizer.step()
    assert held == []
    assert trouble(net, 1) is None


def test_a_verdict_sees_what_is_no_number_at_every_step() -> None:
    net, x, _ = broken(0, 1.0)
    with chalkgrad.flow(net) as record:
        (net(x)[0] * float("nan")).sum().backward()
    found = record.verdict()
    assert found.kind == "not finite"
    assert f"at t = {T - 1} first" in str(found)
