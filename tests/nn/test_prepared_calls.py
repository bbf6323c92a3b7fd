"""Calls made ready by how their tensors lie give what the first call gave, and see all that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import chalkgrad
from chalkgrad.nn.calls import Calls

CELLS = ("RNNCell", "GRUCell", "LSTMCell")
TWO = """
f[t] = σ(x[t] W_f + h[t-1] U_f + b)
h[t] = f[t] ⊙ h[t-1] + (1 - f[t]) ⊙ tanh(x[t] W + c[t-1] U)
c[t] = c[t-1] + h[t]
where x[t]: D, h[t]: H, c[t]: H
"""


def pair(name: str) -> tuple[Any, Any]:
    ours = getattr(chalkgrad, name)(5, 4, dtype=torch.float64)
    theirs = getattr(nn, name)(5, 4, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def drawn(name: str, batch: int = 3) -> tuple[Tensor, Any]:
    x, h, c = (torch.randn(batch, n, dtype=torch.float64, requires_grad=True) for n in (5, 4, 4))
    return x, (h, c) if name == "LSTMCell" else h


def row(result: Any) -> list[Tensor]:
    return [*result] if isinstance(result, tuple) else [result]


def gradients(module: Any, x: Tensor, hx: Any, of: Callable[[Any], Tensor]) -> list[Tensor | None]:
    tensors = [x, *row(hx), *module.parameters()]
    return [*torch.autograd.grad(of(module(x, hx)), tensors, allow_unused=True)]


def same(ours: list[Tensor | None], theirs: list[Tensor | None]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CELLS)
def test_every_call_of_a_cell_has_the_results_and_gradients_of_torchs(name: str) -> None:
    ours, theirs = pair(name)
    for _ in range(3):
        x, hx = drawn(name)

        def of(found: Any) -> Tensor:
            return torch.stack([(k + 2) * y.square().sum() for k, y in enumerate(row(found))]).sum()

        same(row(ours(x, hx)), row(theirs(x, hx)))
        same(gradients(ours, x, hx, of), gradients(theirs, x, hx, of))


@pytest.mark.parametrize("name", CELLS)
def test_a_gradient_that_comes_for_one_state_alone_or_as_one_number_is_torchs(name: str) -> None:
    ours, theirs = pair(name)
    for last in (0, -1):
        for _ in range(2):
            x, hx = drawn(name)
            same(*(gradients(m, x, hx, lambda found, k=last: row(found)[k].sum()) for m in (ours, theirs)))


@pytest.mark.parametrize("name", CELLS)
def test_a_gradient_is_asked_of_some_tensors_then_of_others(name: str) -> None:
    ours, theirs = pair(name)
    x, hx = drawn(name)
    for wanted in (["x"], ["weight_hh"], ["x", "bias_ih"], ["weight_ih"]):
        found = []
        for module in (ours, theirs):
            tensors = [x if n == "x" else getattr(module, n) for n in wanted]
            found.append([*torch.autograd.grad(row(module(x, hx))[0].square().sum(), tensors)])
        same(*found)


@pytest.mark.parametrize("name", CELLS)
def test_a_second_derivative_of_a_repeated_call_is_torchs(name: str) -> None:
    ours, theirs = pair(name)
    for _ in range(2):
        x, hx = drawn(name)
        found = []
        for module in (ours, theirs):
            tensors = [x, *module.parameters()]
            first = torch.autograd.grad(row(module(x, hx))[0].square().sum(), tensors, create_graph=True)
            again = torch.stack([g.square().sum() for g in first]).sum()
            found.append(
                [*torch.autograd.grad(again, [x, *row(hx), *module.parameters()], allow_unused=True)]
            )
        same(*found)


def test_one_tensor_given_twice_has_both_gradients() -> None:
    ours, theirs = chalkgrad.RNNCell(4, 4).double(), nn.RNNCell(4, 4).double()
    theirs.load_state_dict(ours.state_dict())
    for _ in range(2):
        x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
        found = []
        for module in (ours, theirs):
            (first,) = torch.autograd.grad(module(x, x).square().sum(), x, create_graph=True)
            found.append([first, *torch.autograd.grad(first.square().sum(), x)])
        same(*found)


def test_a_repeated_call_sees_parameters_that_change() -> None:
    ours, theirs = pair("GRUCell")
    x, hx = drawn("GRUCell")
    for change in (
        lambda m: nn.init.constant_(m.weight_ih, 0.1),
        lambda m: setattr(m, "bias_hh", nn.Parameter(torch.full((12,), 0.3, dtype=torch.float64))),
        lambda m: setattr(m.weight_hh, "data", m.weight_hh.detach().T.contiguous().T * 2),
    ):
        for module in (ours, theirs):
            change(module)
        same(row(ours(x, hx)), row(theirs(x, hx)))
    ours.float()
    with pytest.raises(RuntimeError, match="dtype"):
        ours(x, hx)
    x, hx = x.float(), hx.float()
    torch.testing.assert_close(ours(x, hx), theirs.float()(x, hx))


def test_what_is_wrong_is_said_however_often_it_was_right() -> None:
    cell = chalkgrad.LSTMCell(5, 4).double()
    x, (h, c) = drawn("LSTMCell")
    for _ in range(3):
        cell(x, (h, c))
    for hx in ((h, c[:1]), (h[:1], c[:1]), (h[:, :3], c), (h,), h):
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            cell(x, hx)
    with pytest.raises(RuntimeError, match="input_size"):
        cell(x[:, :4], (h, c))


def test_results_are_the_callers_own() -> None:
    cell = chalkgrad.LSTMCell(5, 4).double()
    x, hx = drawn("LSTMCell")
    for _ in range(3):
        with torch.no_grad():
            h, c = cell(x, hx)
            kept = h.clone(), c.clone()
            other = cell(x * 2, hx)
            assert torch.equal(h, kept[0])
            h.zero_()
            assert torch.equal(c, kept[1])
            assert other[0].any()
    h, _ = cell(x, hx)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.mul_(2).sum().backward()


def test_a_checkpoint_may_call_again() -> None:
    cell, x = chalkgrad.GRUCell(5, 4).double(), torch.randn(3, 5, dtype=torch.float64, requires_grad=True)

    def twice(x: Tensor) -> Tensor:
        return cell(x, cell(x, cell(x)))

    (plain,) = torch.autograd.grad(twice(x).sum(), x)
    for _ in range(2):
        y: Any = checkpoint(twice, x, use_reentrant=False)
        torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], plain)


@pytest.mark.parametrize("graded", [False, True])
def test_steps_of_own_equations_are_the_whole_sequence(graded: bool) -> None:
    net = chalkgrad.layer(TWO, D=3, H=4, dtype=torch.float64)
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    whole, last = net(x)
    with torch.set_grad_enabled(graded):
        state, found = None, list[Tensor]()
        for x_t in x.unbind(1):
            y_t, state = net.step(x_t, state)
            found.append(y_t[0] if isinstance(y_t, tuple) else y_t)
    first = whole[0] if isinstance(whole, tuple) else whole
    torch.testing.assert_close(torch.stack(found, 1), first, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close([*state], [*last], rtol=1e-10, atol=1e-10)
    if graded:
        tensors = [*net.parameters()]
        same(
            [*torch.autograd.grad(torch.stack(found, 1).square().sum(), tensors)],
            [*torch.autograd.grad(first.square().sum(), tensors)],
        )


def test_a_step_runs_what_is_hooked_on_its_layer() -> None:
    net, calls = chalkgrad.layer("h[t] = tanh(x[t] W + h[t-1] U)", x=3, h=4), list[int]()
    x = torch.randn(2, 3)
    _, state = net.step(x)
    net.register_forward_pre_hook(lambda *_: calls.append(1))
    net.step(x, state)
    net.step(x, state)
    assert len(calls) == 2


@pytest.mark.parametrize("name", CELLS)
def test_a_parameter_that_lies_otherwise_is_seen_after_many_like_calls(name: str) -> None:
    ours, theirs = pair(name)
    x, hx = drawn(name)
    with torch.no_grad():
        for _ in range(3):
            ours(x, hx)
        for module in (ours, theirs):
            module.weight_hh.data = module.weight_hh.data.T.contiguous().T
            module.bias_hh.data = module.bias_hh.data + 1
        same(row(ours(x, hx)), row(theirs(x, hx)))
        for module in (ours, theirs):
            module.weight_hh.data = module.weight_hh.data.flip(0).contiguous()
        same(row(ours(x, hx)), row(theirs(x, hx)))


def test_numbers_whose_signs_are_to_be_turned_are_turned() -> None:
    turned = torch.randn(3, 1, dtype=torch.complex128).conj().imag  # what lies there is minus what it holds
    assert turned.is_neg()
    cell, net = chalkgrad.RNNCell(1, 4).double(), chalkgrad.layer("rnn", D=1, H=4, dtype=torch.float64)
    for _ in range(2):
        assert torch.equal(cell(turned), cell(turned.clone().resolve_neg()))
        assert torch.equal(net(turned)[0], net(turned.clone().resolve_neg())[0])


def test_a_nest_turns_signs_too() -> None:
    apart = chalkgrad.layer(
        "y[k,i] = Σ[p<3,c] w[k,c,i,p] x[c,i+p] where x: input C×N", w=(3, 2, 1, 3), dtype=torch.float64
    )
    turned = torch.randn(4, 2, 3, dtype=torch.complex128).conj().imag
    assert turned.is_neg()
    assert torch.equal(apart(turned), apart(turned.clone().resolve_neg()))


def test_layouts_that_are_ready_are_few() -> None:
    net = chalkgrad.layer("h[t] = tanh(x[t] W + h[t-1] U)", x=3, h=4)
    for steps in range(1, 80):
        net(torch.randn(1, steps, 3))
    assert net._rows is not None
    for calls in net._rows._calls.values():
        assert isinstance(calls, Calls)
        assert 0 < len(calls._known) <= 64
