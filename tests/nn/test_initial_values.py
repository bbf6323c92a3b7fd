"""What the parameters of a layer begin with, and in which dtype and on which device."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import chalkgrad

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


def test_matrices_begin_uniform_within_the_bound_of_glorot_and_bengio() -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("rnn", D=60, H=40)
    bound = math.sqrt(6 / (60 + 40))
    assert bound * 0.98 < net.W_x.abs().max().item() <= bound
    assert net.W_x.mean().item() == pytest.approx(0, abs=bound / 20)
    assert net.W_x.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    # A kernel's fans are counted as torch counts them.
    conv = chalkgrad.layer("conv2d", w=(16, 8, 3, 5))
    ((fan_in, fan_out),) = [nn.init._calculate_fan_in_and_fan_out(conv.w)]
    assert conv.w.abs().max().item() == pytest.approx(math.sqrt(6 / (fan_in + fan_out)), rel=0.02)


def test_recurrent_matrices_begin_orthogonal_and_biases_at_zero() -> None:
    net = chalkgrad.layer("gru", D=3, H=5, dtype=torch.float64)
    for name in ("U", "U_z", "U_r"):
        p = net.get_parameter(name)
        torch.testing.assert_close(p @ p.T, torch.eye(5, dtype=torch.float64))
    assert not any(net.get_parameter(name).any() for name in ("b", "b_z", "b_r"))


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole"])
def test_the_forget_gate_of_an_lstm_begins_open(name: str) -> None:
    net = chalkgrad.layer(name, D=3, H=5)
    assert torch.equal(net.b_f, torch.ones(5))
    assert not any(net.get_parameter(b).any() for b in ("b_i", "b_g", "b_o"))


def test_init_overrides_by_number_tensor_and_function() -> None:
    given = torch.randn(3, 4, generator=torch.Generator().manual_seed(7))
    net = chalkgrad.layer(
        RNN, x=3, h=4, init={"b": 0.1, "W_x": given, "W_h": nn.init.eye_}, dtype=torch.float64
    )
    # The number itself, not the float32 next to it.
    assert net.b.tolist() == [0.1] * 4
    assert torch.equal(net.W_x, given.double())
    assert torch.equal(net.W_h, torch.eye(4, dtype=torch.float64))
    given.zero_()
    assert net.W_x.any()
    assert chalkgrad.layer("lstm", D=3, H=4, init={"b_f": 0}).b_f.tolist() == [0] * 4


@pytest.mark.parametrize(
    ("init", "problem"),
    [({"q": 1.0}, "`q` is no parameter"), ({"b": torch.zeros(3)}, r"`b` is \(4,\) and is given \(3,\)")],
)
def test_an_init_that_does_not_fit_is_explained(init: dict[str, object], problem: str) -> None:
    with pytest.raises(chalkgrad.EquationError, match=problem):
        chalkgrad.layer(RNN, x=3, h=4, init=init)


def test_one_seed_gives_the_same_weights() -> None:
    def made(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return list(chalkgrad.layer("lstm", D=3, H=4).parameters())

    assert all(torch.equal(a, b) for a, b in zip(made(3), made(3), strict=True))
    assert not torch.equal(made(3)[0], made(4)[0])


def test_a_layer_is_made_in_a_dtype_and_on_a_device() -> None:
    net = chalkgrad.layer(RNN, x=3, h=4, dtype=torch.float64, device="meta")
    assert all(p.dtype == torch.float64 and p.device.type == "meta" for p in net.parameters())
    with torch.device("meta"):
        assert all(p.device.type == "meta" for p in chalkgrad.layer(RNN, x=3, h=4).parameters())
