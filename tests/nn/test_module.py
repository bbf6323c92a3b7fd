"""A layer is a torch.nn.Module: saved, copied, moved, trained and derived as any other."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

import chalkgrad
from chalkgrad.nn.layer import Layer


def normal(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net() -> Layer:
    torch.manual_seed(0)
    return chalkgrad.layer("lstm", D=3, H=4)


@pytest.fixture
def x() -> Tensor:
    return normal(2, 5, 3)


def gradients(net: nn.Module) -> list[Tensor]:
    found = [p.grad for p in net.parameters()]
    assert all(g is not None for g in found)
    return [g.clone() for g in found if g is not None]


def all_equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) > 0 and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# --- saved, copied, moved ------------------------------------------------------------------------------


def test_a_state_dict_goes_from_layer_to_layer_and_through_a_file(net: Layer, x: Tensor) -> None:
    other = chalkgrad.layer("lstm", D=3, H=4)
    assert not torch.equal(other(x)[0], net(x)[0])
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x)[0], net(x)[0])
    with pytest.raises(RuntimeError, match="size mismatch"):
        chalkgrad.layer("lstm", D=3, H=5).load_state_dict(net.state_dict())


@pytest.mark.parametrize("used", [False, True])
def test_a_layer_can_be_pickled_and_copied(net: Layer, x: Tensor, used: bool) -> None:
    if used:
        net(x)[0].sum().backward()
        net.zero_grad()
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert torch.equal(other(x)[0], net(x)[0])
        assert (other.equations, other.sizes, repr(other)) == (net.equations, net.sizes, repr(net))
        with torch.no_grad():
            other.b_i.add_(1)
        assert not torch.equal(other.b_i, net.b_i)
        other(x)[0].sum().backward()
        assert net.b_i.grad is None


def test_a_whole_layer_can_be_saved_and_loaded(net: Layer, x: Tensor) -> None:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x)[0], net(x)[0])


def test_a_state_can_be_saved_and_loaded(net: Layer, x: Tensor) -> None:
    _, state = net(x)
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert loaded._fields == state._fields
    assert all_equal([*loaded], [*state])
    file = io.BytesIO()
    torch.save(tuple(state), file)
    file.seek(0)
    assert all_equal([*torch.load(file, weights_only=True)], [*state])


@pytest.mark.slow
def test_a_pickled_layer_and_state_open_in_a_fresh_process(net: Layer, x: Tensor) -> None:
    script = (
        "import pickle, sys, torch\n"
        "net, state, x, y = pickle.load(sys.stdin.buffer)\n"
        "assert torch.equal(net(x, state)[0], y), 'not the same numbers'\n"
    )
    with torch.no_grad():
        _, state = net(x)
        y, _ = net(x, state)
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps((net, state, x, y)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_layer_moves_to_another_dtype(net: Layer, x: Tensor) -> None:
    single, _ = net(x)
    assert net.to(torch.float64) is net
    double, state = net(x.double())
    assert {double.dtype, state.c.dtype, net.W_xi.dtype} == {torch.float64}
    torch.testing.assert_close(double.float(), single, rtol=1e-5, atol=1e-6)
    assert net.float()(x)[0].dtype == torch.float32
    assert net.double().b_f.dtype == torch.float64
    assert net.bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16


# --- in other modules ----------------------------------------------------------------------------------


def test_layers_stack_and_their_parameters_are_found() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(chalkgrad.layer("rnn", D=d, H=4) for d in (3, 4, 4))
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            for rnn in self.layers:
                x, _ = rnn(x)
            return self.head(x)

    torch.manual_seed(0)
    net, x = Stack(), normal(2, 5, 3)
    assert [n for n, _ in net.layers.named_parameters()][:4] == ["0.W_x", "0.W_h", "0.b", "1.W_x"]
    net(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_layers_without_a_state_go_into_a_sequential() -> None:
    net = nn.Sequential(
        chalkgrad.layer("mlp", D=3, H=4, O=5), nn.Tanh(), chalkgrad.layer("mlp", D=5, H=4, O=2)
    )
    assert net(normal(7, 3)).shape == (7, 2)


def test_layers_of_one_text_share_their_plans_and_not_their_numbers(x: Tensor) -> None:
    torch.manual_seed(0)
    one, two = (chalkgrad.layer("rnn", D=3, H=4) for _ in range(2))
    assert one._system is two._system
    a, b = one(x)[0], two(x)[0]
    assert not torch.equal(a, b)
    a.sum().backward()
    assert two.W_x.grad is None
    wider = chalkgrad.layer("rnn", D=3, H=6)
    assert wider(x)[0].shape == (2, 5, 6)
    assert torch.equal(one(x)[0], a)


def test_parameters_can_be_replaced_for_one_call(net: Layer, x: Tensor) -> None:
    zeros = {n: torch.zeros_like(p) for n, p in net.named_parameters()}
    y, _ = functional_call(net, zeros, (x,))
    assert not y.any()
    assert net(x)[0].any()


def test_a_parameter_can_be_parametrised(net: Layer, x: Tensor) -> None:
    class Halved(nn.Module):
        def forward(self, w: Tensor) -> Tensor:
            return w / 2

    expected, _ = functional_call(net, {"W_xi": net.W_xi.detach() / 2}, (x,))
    nn.utils.parametrize.register_parametrization(net, "W_xi", Halved())
    assert torch.equal(net(x)[0], expected)
    net(x)[0].sum().backward()
    assert net.parametrizations.W_xi.original.grad is not None


# --- gradients -----------------------------------------------------------------------------------------


def test_gradients_accumulate(net: Layer, x: Tensor) -> None:
    net(x)[0].sum().backward()
    once = gradients(net)
    net(x)[0].sum().backward()
    assert all_equal(gradients(net), [2 * g for g in once])
    net.zero_grad()
    assert net.W_xi.grad is None


def test_a_second_backward_through_one_graph_gives_the_same_numbers(net: Layer, x: Tensor) -> None:
    y, state = net(x)
    loss = y.square().sum() + state.c.sum()
    loss.backward(retain_graph=True)
    first = gradients(net)
    net.zero_grad()
    loss.backward()
    assert all_equal(gradients(net), first)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_training_steps_from_one_seed_are_the_same_to_the_last_bit(x: Tensor) -> None:
    def trained() -> list[Tensor]:
        torch.manual_seed(5)
        net = chalkgrad.layer("gru", D=3, H=4)
        optimiser = torch.optim.Adam(net.parameters())
        for _ in range(3):
            optimiser.zero_grad()
            net(x)[0].square().sum().backward()
            optimiser.step()
        return [p.detach() for p in net.parameters()]

    assert all_equal(trained(), trained())


@pytest.mark.parametrize("used", ["h", "c"])
def test_a_loss_may_use_a_state_alone(used: str, net: Layer, x: Tensor) -> None:
    x.requires_grad_()
    _, state = net(x)
    getattr(state, used).sum().backward()
    assert x.grad is not None
    assert x.grad[:, 0].any()
    assert (net.W_xo.grad is not None and net.W_xo.grad.any()) or used == "c"


def test_what_needs_no_gradient_gets_none(net: Layer, x: Tensor) -> None:
    net.W_xi.requires_grad_(False)
    net(x)[0].sum().backward()
    assert net.W_xi.grad is None
    assert net.W_hi.grad is not None
    rest = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.W_xi.requires_grad_(True)
    net.zero_grad()
    net(x)[0].sum().backward()
    # Other products are merged where one gradient is not wanted, so that sums are rounded elsewhere.
    whole = [g for p, g in zip(net.parameters(), gradients(net), strict=True) if p is not net.W_xi]
    for a, b in zip(rest, whole, strict=True):
        torch.testing.assert_close(a, b)
    frozen = net.requires_grad_(False)(x.requires_grad_())[0]
    frozen.sum().backward()
    assert x.grad is not None


def test_a_gradient_penalty_trains(x: Tensor) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("rnn", D=3, H=4, dtype=torch.float64)
    x = x.double().requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[0].sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert net.W_x.grad is not None
    found, step = net.W_x.grad[1, 2].item(), 1e-6

    def penalty(by: float) -> float:
        with torch.no_grad():
            net.W_x[1, 2] += by
        (slope,) = torch.autograd.grad(net(x)[0].sum(), x)
        with torch.no_grad():
            net.W_x[1, 2] -= by
        return slope.square().sum().item()

    assert found == pytest.approx((penalty(step) - penalty(-step)) / (2 * step), rel=1e-6)


def test_a_third_derivative_is_right() -> None:
    net = chalkgrad.layer("y[i] = tanh(x[i]) where x: input")
    x = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    value = net(x).sum()
    for _ in range(3):
        (g,) = torch.autograd.grad(value, x, create_graph=True)
        value = g.sum()
    y = x.detach().tanh()
    torch.testing.assert_close(g.detach(), (6 * y**2 - 2) * (1 - y**2))


# torch itself scripts some decompositions when forward mode is first entered.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_forward_mode_is_refused_rather_than_wrong(net: Layer, x: Tensor) -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises((NotImplementedError, RuntimeError), match="forward"):
            net(dual)


def test_changing_what_a_backward_pass_needs_is_an_error(net: Layer, x: Tensor) -> None:
    y, _ = net(x)
    with torch.no_grad():
        net.W_hi.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# --- without gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_numbers_are_the_same(mode: type, net: Layer, x: Tensor) -> None:
    expected, expected_state = net(x)
    with mode():
        y, state = net(x)
        again, _ = net(x, state)
    assert not y.requires_grad
    assert not state.c.requires_grad
    assert torch.equal(y, expected)
    assert torch.equal(again, net(x, expected_state)[0])
    # A plan made in inference mode serves training too.
    net(x)[0].sum().backward()
    gradients(net)


def test_a_first_call_in_inference_mode_leaves_a_layer_that_trains() -> None:
    net = chalkgrad.layer("h[t] = tanh(x[t] W + Σ[s<t] u[t,s] h[s])\nwhere u: input", x=3, h=4)
    x, u = normal(2, 6, 3), normal(2, 6, 6)
    with torch.inference_mode():
        y = net(x=x, u=u)
    value = net(x=x, u=u)
    torch.testing.assert_close(flat(value)[0], flat(y)[0].clone())
    flat(value)[0].sum().backward()
    gradients(net)


def flat(result: object) -> tuple[Tensor, ...]:
    if isinstance(result, Tensor):
        return (result,)
    assert isinstance(result, tuple)
    return tuple(x for part in result for x in flat(part))


# --- torch's ways with memory --------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_gives_the_same_gradients(net: Layer, x: Tensor, reentrant: bool) -> None:
    net(x)[0].square().sum().backward()
    expected = gradients(net)
    net.zero_grad()
    y, _ = checkpoint(net, x.requires_grad_(), use_reentrant=reentrant)
    y.square().sum().backward()
    for found, wanted in zip(gradients(net), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_saved_tensors_go_through_the_hooks_of_torch(net: Layer, x: Tensor) -> None:
    packed: list[torch.Size] = []

    def pack(t: Tensor) -> Tensor:
        packed.append(t.shape)
        return t

    net(x)[0].sum().backward()
    expected = gradients(net)
    net.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y, _ = net(x)
    y.sum().backward()
    assert x.shape in packed
    assert all_equal(gradients(net), expected)


def test_under_autocast_a_layer_computes_in_the_dtype_of_its_parameters(net: Layer, x: Tensor) -> None:
    expected, expected_state = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = net(x)
        half = nn.functional.linear(x, torch.eye(3))
        assert half.dtype == torch.bfloat16
        after, _ = net(half, type(state)._make(s.bfloat16() for s in state))
    assert torch.equal(y, expected)
    assert torch.equal(state.c, expected_state.c)
    assert after.dtype == torch.float32
    after.sum().backward()
    gradients(net)
