"""Names, copies and pickles: what torch does with its recurrent layers, it does with these."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from tests.nn.beside_torch import close, computed, flat, normal, pair
from torch import nn
from torch.nn.utils import parametrizations, prune

import chalkgrad

T, N, D, H = 5, 2, 3, 4
KINDS = ("RNN", "LSTM", "GRU")


def given() -> torch.Tensor:
    return normal(T, N, D).requires_grad_()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_go_from_torch_to_ours_and_back(kind: str) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    if kind == "LSTM":
        options["proj_size"] = 2
    torch.manual_seed(3)
    theirs = getattr(nn, kind)(D, H, **options)
    torch.manual_seed(3)
    ours = getattr(chalkgrad, kind)(D, H, **options)
    assert isinstance(ours, nn.RNNBase)
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert [len(group) for group in ours.all_weights] == [len(group) for group in theirs.all_weights]
    assert repr(ours) == repr(theirs)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    ours.flatten_parameters()


def test_a_module_says_what_is_not_default() -> None:
    assert repr(chalkgrad.RNN(2, 3, 1, "relu")) == "RNN(2, 3)"
    assert chalkgrad.RNN(2, 3, 1, "relu").equations.startswith("h[t] = relu(")
    net = chalkgrad.LSTM(2, 3, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)
    assert (
        repr(net) == "LSTM(2, 3, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)"
    )
    assert repr(chalkgrad.GRUCell(2, 3, bias=False)) == "GRUCell(2, 3, bias=False)"


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_is_pickled_copied_and_moved(kind: str) -> None:
    net, _ = pair(kind, D, H, 2)
    x = normal(T, N, D)
    expected = net(x)[0]
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), torch.load(file, weights_only=False)):
        assert torch.equal(other(x)[0], expected)
        with torch.no_grad():
            other.weight_hh_l0.zero_()
        assert not torch.equal(other(x)[0], expected)
    assert net.float()(x.float())[0].dtype == torch.float32
    assert torch.allclose(net.double()(x)[0], expected, atol=1e-6)
    assert net.bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16
    assert net.to("meta")(x.bfloat16().to("meta"))[0].shape == expected.shape


def test_a_pickle_from_before_projections_opens() -> None:
    net, _ = pair("LSTM", D, H)
    x = normal(T, N, D)
    old = net.__getstate__()
    del old["proj_size"]
    other = chalkgrad.LSTM.__new__(chalkgrad.LSTM)
    other.__setstate__(old)
    assert other.proj_size == 0
    assert torch.equal(other(x)[0], net(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_parameter_becomes_is_what_is_computed_with(kind: str) -> None:
    ours, theirs = pair(kind, D, H)
    x = given()
    ours(x)
    for net in (ours, theirs):
        net.weight_hh_l0 = nn.Parameter(torch.full_like(net.weight_hh_l0, 0.25))
        net.bias_ih_l0.data = torch.ones_like(net.bias_ih_l0)
    close(computed(ours, lambda m: m(x), x), computed(theirs, lambda m: m(x), x))
    for net in (ours, theirs):
        parametrizations.weight_norm(net, "weight_hh_l0")
    close(computed(ours, lambda m: m(x), x), computed(theirs, lambda m: m(x), x))


def test_a_class_may_be_derived_and_its_weights_pruned() -> None:
    class Tagger(chalkgrad.GRU):
        def __init__(self) -> None:
            super().__init__(D, H)
            self.head = nn.Linear(H, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return self.head(super().forward(x)[0])

    net = Tagger()
    assert net(torch.zeros(T, N, D)).shape == (T, N, 2)
    assert len([*net.parameters()]) == 6
    ours, theirs = pair("GRU", D, H)
    for other in (ours, theirs):
        prune.l1_unstructured(other, "weight_hh_l0", 0.5)
    x = given()
    close(computed(ours, lambda m: m(x), x), computed(theirs, lambda m: m(x), x))


def test_a_module_runs_under_no_grad_and_autocast() -> None:
    for kind in KINDS:
        ours, _ = pair(kind, D, H, dtype=torch.float32)
        x = normal(T, N, D, dtype=torch.float32)
        with torch.no_grad():
            y = ours(x)[0]
        assert not y.requires_grad
        assert torch.equal(y, ours(x)[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half, _ = ours(x.bfloat16())
        torch.testing.assert_close(half, y, atol=2e-2, rtol=2e-2)
        half.sum().backward()
        assert ours.weight_ih_l0.grad.dtype == torch.float32


def test_a_replica_computes_with_what_it_is_given() -> None:
    """What torch.nn.DataParallel makes: a shallow copy whose parameters are tensors of another device."""
    for kind in KINDS:
        net, _ = pair(kind, D, H)
        replica = net._replicate_for_data_parallel()
        replica._parameters = {}
        for name, p in net.named_parameters():
            setattr(replica, name, p * 1.0)
        x = given()
        loss = replica(x)[0].square().sum()
        found = torch.autograd.grad(loss, [x, *net.parameters()])
        expected = torch.autograd.grad(net(x)[0].square().sum(), [x, *net.parameters()])
        close([*found], [*expected])


def test_an_output_that_is_kept_for_the_gradient_is_not_changed_unseen() -> None:
    for kind in KINDS:
        net, _ = pair(kind, D, H)
        output, state = net(given())
        for h in flat(state):
            h.add_(1)
        with pytest.raises(RuntimeError, match=r"modified.* in-?place"):
            output.add_(1).sum().backward()
