"""torch.func's transforms of layers: each equals what plain autograd says, call by call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tests.often import LARGE, often
from torch import Tensor
from torch.autograd import forward_ad, gradgradcheck
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import chalkgrad
from zoo_layers import NAMES, SEVERAL, drawn, drawn_with_all, flat

F64 = torch.float64
SOME = ("lstm", "mgu", "rnn_bidirectional", "conv1d", "conv_pool", "max_pool2d", "mlp")
ALL = often(NAMES, only=SOME)
Parameters = dict[str, Tensor]


def output(y: Any) -> Tensor:
    return y[0] if isinstance(y, tuple) else y


def loss_of(net: chalkgrad.Layer) -> Callable[[Mapping[str, Tensor], Tensor], Tensor]:
    return lambda p, x: output(functional_call(net, dict(p), (x,))).square().sum()


def parameters(net: chalkgrad.Layer) -> Parameters:
    return {n: p.detach() for n, p in net.named_parameters()}


def plain(net: chalkgrad.Layer, given: Parameters) -> Parameters:
    """The gradients of the sum of squares by parameters and x, by plain autograd."""
    leaves = {n: v.detach().clone().requires_grad_() for n, v in given.items()}
    p = {n: v for n, v in leaves.items() if n != "x"}
    found = torch.autograd.grad(loss_of(net)(p, leaves["x"]), [*leaves.values()])
    return dict(zip(leaves, found, strict=True))


def stacked(each: list[Parameters]) -> Parameters:
    return {n: torch.stack([e[n] for e in each]) for n in each[0]}


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for n in found:
        torch.testing.assert_close(
            found[n], expected[n], rtol=1e-10, atol=1e-10, msg=lambda m, n=n: f"{n}: {m}"
        )


@pytest.mark.parametrize("name", ALL)
def test_grad_and_vmap_of_grad_are_those_of_each_example(name: str) -> None:
    net, x = drawn(name, batch=3)
    p, loss = {**parameters(net), "x": x}, loss_of(net)

    def gradient(p: Parameters, x: Tensor) -> Parameters:
        return grad(lambda p: loss({n: v for n, v in p.items() if n != "x"}, p["x"]))({**p, "x": x})

    expected = plain(net, p)
    same(gradient(p, x), expected)
    each = vmap(gradient, (None, 0))(p, x)
    same({n: v if n == "x" else v.sum(0) for n, v in each.items()}, expected)
    same({n: v[0] for n, v in each.items()}, plain(net, {**p, "x": x[0]}))


@pytest.mark.parametrize("name", often(SEVERAL, seldom=LARGE))
def test_several_inputs_are_mapped_and_derived_together(name: str) -> None:
    net, given = drawn_with_all(name, batch=3)

    def loss(p: Parameters, given: Parameters) -> Tensor:
        return flat(functional_call(net, p, (), given))[0].square().sum()

    p = parameters(net)
    leaves = [{n: t.clone().requires_grad_() for n, t in part.items()} for part in (p, given)]
    expected = torch.autograd.grad(loss(*leaves), [t for part in leaves for t in part.values()])
    own, of_given = vmap(grad(loss, (0, 1)), (None, 0))(p, given)
    found = [*(g.sum(0) for g in own.values()), *of_given.values()]
    torch.testing.assert_close(found, list(expected), rtol=1e-10, atol=1e-10)
    (w, value), *_ = (everything := {**p, **given}).items()

    def outputs(v: Tensor) -> Tensor:
        tensors = {**everything, w: v}
        y = functional_call(net, {n: tensors[n] for n in p}, (), {n: tensors[n] for n in given})
        return flat(y)[0].flatten()[::7]

    theirs = torch.autograd.functional.jacobian(outputs, value)
    torch.testing.assert_close(jacrev(outputs)(value), theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [n for n in SOME if n != "max_pool2d"])
def test_layers_with_weights_of_their_own_run_as_one(name: str) -> None:
    net, x = drawn(name)
    several = [{n: v * k for n, v in parameters(net).items()} for k in (1.0, 0.5, -1.0)]
    together = stacked(several)
    each = [plain(net, {**p, "x": x}) for p in several]
    found = vmap(grad(loss_of(net)), (0, None))(together, x)
    same(found, {n: v for n, v in stacked(each).items() if n != "x"})
    ys = vmap(lambda p, x: output(functional_call(net, p, (x,))), (0, None))(together, x)
    torch.testing.assert_close(ys, torch.stack([output(functional_call(net, p, (x,))) for p in several]))


def test_an_axis_may_be_mapped_from_anywhere_and_twice() -> None:
    net, _ = drawn("lstm")
    x = torch.randn(2, 5, 3, 6, 4, dtype=F64)  # two axes behind the features
    once = vmap(net, in_dims=3, out_dims=1)
    y, _ = vmap(once, in_dims=4)(x)
    expected = torch.stack([torch.stack([net(x[..., i, j])[0] for i in range(6)], 1) for j in range(4)])
    torch.testing.assert_close(y, expected)


def test_states_and_truncated_gradients_go_through_vmap() -> None:
    net, x = drawn("lstm", batch=3)
    _, state = net(x)
    start = tuple(s.detach() for s in state)

    def loss(x: Tensor, *start: Tensor) -> Tensor:
        y, last = net(x, start, truncate=2)
        return y.square().sum() + last.c.sum()

    found = vmap(grad(loss, argnums=(0, 1, 2)))(x, *start)
    each = [grad(loss, argnums=(0, 1, 2))(*one) for one in zip(x, *start, strict=True)]
    for a, b in zip(found, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(a, torch.stack(b))
    assert not torch.allclose(found[0], vmap(grad(lambda x: net(x)[0].square().sum()))(x))


@pytest.mark.parametrize("backend", ["c", "torch", "eager"])
@pytest.mark.parametrize(
    "name", often(["lstm", "gru", "rnn_bidirectional", "conv1d", "conv_pool"], seldom=["lstm"])
)
def test_jacobians_and_second_derivatives_are_those_of_plain_autograd(name: str, backend: str) -> None:
    net, x = drawn(name, batch=1, backend=backend)
    first = next(iter(parameters(net)))
    p = parameters(net)

    def outputs(w: Tensor) -> Tensor:
        return output(functional_call(net, {**p, first: w}, (x,))).flatten()[::7]

    def loss(w: Tensor) -> Tensor:
        return outputs(w).square().sum()

    expected = torch.autograd.functional.jacobian(outputs, p[first])
    torch.testing.assert_close(jacrev(outputs)(p[first]), expected)
    second = torch.autograd.functional.hessian(loss, p[first])
    torch.testing.assert_close(jacrev(jacrev(loss))(p[first]), second)
    value, pull = vjp(outputs, p[first])
    torch.testing.assert_close(pull(torch.ones_like(value))[0], expected.sum(0))


@pytest.mark.parametrize("name", ["lstm", "gru", "conv_pool", "mlp"])
def test_the_second_derivatives_are_those_of_differences(name: str) -> None:
    net, x = drawn(name, batch=1)
    names = [*parameters(net)]

    def outputs(x: Tensor, *values: Tensor) -> Tensor:
        return output(functional_call(net, dict(zip(names, values, strict=True)), (x,)))

    leaves = [t.detach().clone().requires_grad_() for t in (x, *net.parameters())]
    assert gradgradcheck(outputs, leaves, fast_mode=True)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use
def test_forward_derivatives_raise_and_say_what_to_ask_instead() -> None:
    net, x = drawn("rnn")

    def outputs(x: Tensor) -> Tensor:
        return net(x)[0].sum((0, 1))

    for ask in (lambda: jvp(outputs, (x,), (x,)), lambda: jacfwd(outputs)(x), lambda: hessian(outputs)(x)):
        with pytest.raises(NotImplementedError, match="derivatives of equations are computed backwards") as e:
            ask()
        assert "help: jacrev in the place of jacfwd" in str(e.value)
    with pytest.raises(NotImplementedError, match="computed backwards"), forward_ad.dual_level():
        net(forward_ad.make_dual(x, x))
    torch.testing.assert_close(jacrev(outputs)(x), torch.autograd.functional.jacobian(outputs, x))
