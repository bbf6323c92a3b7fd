"""Outputs that no input reaches: the same for every example, and there for every one of them."""

from __future__ import annotations

import torch
from torch import Tensor

import chalkgrad

F64 = torch.float64
PAGE = """
h[t] = tanh(h[t-1] U + b)
h[0] = a
y[t] = tanh(y[t-1] + x[t])
where h[t]: H
"""


def made() -> chalkgrad.Layer:
    torch.manual_seed(3)
    return chalkgrad.layer(PAGE, H=4, dtype=F64, init={"a": torch.randn(4), "b": torch.randn(4)})


def by_hand(net: chalkgrad.Layer, steps: int) -> Tensor:
    h, found = net.a, list[Tensor]()
    for _ in range(steps):
        h = torch.tanh(h @ net.U + net.b)
        found.append(h)
    return torch.stack(found)


def test_such_an_output_stands_beside_the_others_for_every_example() -> None:
    net = made()
    x = torch.randn(3, 5, 2, dtype=F64)
    output, state = net(x)
    torch.testing.assert_close(output.h, by_hand(net, 5).expand(3, 5, 4))
    assert output.y.shape == (3, 5, 2)
    assert state._fields == ("y",)
    torch.testing.assert_close(net(x[0])[0].h, by_hand(net, 5))


def test_its_gradient_is_the_sum_over_the_examples() -> None:
    net, weights = made(), torch.randn(3, 5, 4, dtype=F64)
    parameters = [net.a, net.b, net.U]
    found = torch.autograd.grad((net(torch.zeros(3, 5, 2, dtype=F64))[0].h * weights).sum(), parameters)
    meant = torch.autograd.grad((by_hand(net, 5) * weights).sum(), parameters)
    torch.testing.assert_close(found, meant)
    assert chalkgrad.check(PAGE, H=4)


def test_it_ends_with_each_sequence() -> None:
    net = made()
    whole = by_hand(net, 5)
    found = net(torch.zeros(2, 5, 2, dtype=F64), lengths=[5, 2])[0].h
    torch.testing.assert_close(found[0], whole)
    torch.testing.assert_close(found[1], torch.cat([whole[:2], torch.zeros(3, 4, dtype=F64)]))


def test_one_example_may_be_written_to_without_the_others() -> None:
    net = chalkgrad.layer("y[t,j] = 2 x[t]\nz = a ⊙ a where x[t]: scalar, y: 3, a: 1", init={"a": 2.0})
    with torch.no_grad():
        y, z = net(torch.ones(2, 1))
        y[0, 0, 0] = z[0] = 0
    assert y.tolist() == [[[0.0, 2.0, 2.0]], [[2.0, 2.0, 2.0]]]
    assert z.tolist() == [[0.0], [4.0]]
    assert net(torch.ones(5)).z.shape == (1,)
