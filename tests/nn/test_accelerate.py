"""Recurrent layers inside a model become ours where that is faster, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.nn.beside_torch import close, normal, packed
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence

import chalkgrad
from chalkgrad.nn.accelerate import Do, in_turn

F32 = torch.float32


class Reader(nn.Module):
    """Two recurrent layers, one of them called at every step, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.encoder = nn.GRU(3, 4, 2, batch_first=True, dropout=0.5)
        self.parts = nn.ModuleDict({"decoder": nn.LSTM(4, 5)})
        self.unused = nn.RNN(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, h = self.encoder(self.norm(x.mT).mT)
        state = None
        for step in y.unbind(1):
            z, state = self.parts["decoder"](step[None], hx=state)
        return z[0] + h.sum()


def counted(*faster: str) -> Any:
    """A measure that runs both, and says that those are faster that are named."""

    def measure(theirs: Do, ours: Do) -> tuple[float, float]:
        theirs()
        ours()
        return (2e-3, 1e-3) if next(order) in faster else (1e-3, 2e-3)

    order = iter(("encoder", "first step", "other steps"))
    return measure


def test_a_layer_becomes_ours_as_the_same_object_with_the_same_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    model, x = Reader(), normal(2, 6, 3, dtype=F32)
    before = dict(model.named_parameters())
    encoder, seen = model.encoder, []
    model.encoder.register_forward_hook(lambda *_: seen.append(1))
    expected = model.eval()(x)
    gains = chalkgrad.accelerate(model, x, measure=counted("encoder", "first step", "other steps"))
    assert model.encoder is encoder
    assert type(model.encoder) is chalkgrad.GRU
    assert type(model.parts["decoder"]) is chalkgrad.LSTM
    assert type(model.unused) is nn.RNN
    assert all(p is before[n] for n, p in model.named_parameters())
    close([model(x)], [expected], within=1e-5)
    assert len(seen) == 3  # before, on the example, after: the twins that are timed have no hooks
    assert [g.swapped for g in gains] == [True, True, False]
    assert capsys.readouterr().out.splitlines() == [
        "encoder: GRU on (2, 6, 3), forward: 2 ms → 1 ms, 2.00 × as fast",
        "parts.decoder: LSTM on (1, 2, 4), forward: 12 ms → 6 ms, 2.00 × as fast",
        "unused: RNN on nothing: not called, left as it is",
    ]


def test_what_would_be_slower_is_left_counting_every_call() -> None:
    model, x = Reader().eval(), normal(2, 6, 3, dtype=F32)
    gains = chalkgrad.accelerate(model, x, measure=counted("first step"))
    assert [type(m) for m in (model.encoder, model.parts["decoder"])] == [nn.GRU, nn.LSTM]
    assert (gains[1].before, gains[1].after) == pytest.approx((2e-3 + 5e-3, 1e-3 + 10e-3))
    assert "no gain, left as it is" in str(gains[1])


def test_a_model_in_training_is_timed_with_gradients_and_left_as_it_was() -> None:
    torch.manual_seed(0)
    model, x = Reader(), normal(2, 6, 3, dtype=F32)
    kept, drawn = {n: b.clone() for n, b in model.named_buffers()}, torch.get_rng_state()
    gains = chalkgrad.accelerate(model, x, measure=counted("encoder"))
    assert gains[0].training
    assert "forward and gradients" in str(gains[0])
    assert all(torch.equal(b, kept[n]) for n, b in model.named_buffers())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(p.grad is None for p in model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    weight = model.encoder.weight_hh_l0.detach().clone()
    model(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model.encoder.weight_hh_l0, weight)


def test_the_model_itself_may_be_the_layer_and_be_given_packed_sequences() -> None:
    net = nn.LSTM(3, 4, bidirectional=True)
    x = packed(normal(3, 3, dtype=F32), normal(5, 3, dtype=F32))
    expected = net(x)[0].data
    (gain,) = chalkgrad.accelerate(
        net, x, measure=lambda theirs, ours: (bool(theirs()) + 2.0, bool(ours()) + 1.0)
    )
    assert type(net) is chalkgrad.LSTM
    assert (gain.name, gain.shapes) == ("", ((8, 3),))
    assert str(gain).startswith("the model: LSTM on (8, 3)")
    found, _ = net(x)
    assert isinstance(found, PackedSequence)
    close([found.data], [expected], within=1e-5)


def test_autocast_that_a_model_uses_is_used_in_timing() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.rnn = nn.Linear(3, 4), nn.LSTM(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.rnn(self.first(x))[0]

    model = Half()
    chalkgrad.accelerate(model, normal(5, 2, 3, dtype=F32), measure=counted("encoder"))
    assert type(model.rnn) is chalkgrad.LSTM
    assert model(normal(5, 2, 3, dtype=F32)).isfinite().all()


def test_weights_that_a_hook_computes_go_on_being_computed() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.LSTM(3, 4)), normal(5, 2, 3, dtype=F32)
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(model[0], "weight_hh_l0")
    expected = model(x)[0]
    chalkgrad.accelerate(model, x, measure=counted("encoder"))
    assert type(model[0]) is chalkgrad.LSTM
    close([model(x)[0]], [expected], within=1e-5)
    with torch.no_grad():
        model[0].weight_hh_l0_g.mul_(2)
    assert not torch.allclose(model(x)[0], expected)
    model(x)[0].sum().backward()
    assert model[0].weight_hh_l0_g.grad.any()


def test_tied_weights_stay_tied_and_inputs_may_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    class Own(nn.GRU):
        pass

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.own = nn.GRU(3, 3), nn.GRU(3, 3), Own(3, 3)
            self.b.weight_hh_l0 = self.a.weight_hh_l0
            self.again = self.a

        def forward(self, *, x: Tensor) -> Tensor:
            for net in (self.a, self.b, self.again, self.own):
                x, _ = net(x)
            return x

    torch.manual_seed(0)
    model, x = Tied(), normal(5, 2, 3, dtype=F32)
    expected = model(x=x)
    gains = chalkgrad.accelerate(model, x=x, measure=lambda theirs, ours: (2e-3, 1e-3))
    assert [(g.name, g.before) for g in gains] == [("a", 4e-3), ("b", 2e-3)]
    assert model.again is model.a
    assert model.b.weight_hh_l0 is model.a.weight_hh_l0
    close([model(x=x)], [expected], within=1e-5)
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "own: Own is derived from torch's GRU, left as it is"


def test_classes_derived_from_torchs_are_left_alone() -> None:
    class Own(nn.GRU):
        pass

    model = nn.ModuleList([Own(3, 4), parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0")])
    with pytest.raises(ValueError, match=r"no torch\.nn\.RNN.*\n0: Own is derived from torch's GRU"):
        chalkgrad.accelerate(model, normal(5, 2, 3))


def test_a_model_whose_layers_are_not_called_is_refused_and_keeps_no_hooks() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(3, 4)

        def forward(self, x: Tensor | None = None) -> Tensor | None:
            if x is None:
                raise RuntimeError("nothing to do")
            return x

    model = Idle()
    with pytest.raises(ValueError, match="no recurrent layer is called"):
        chalkgrad.accelerate(model, normal(5))
    with pytest.raises(RuntimeError, match="nothing to do"):
        chalkgrad.accelerate(model)
    assert not model.rnn._forward_pre_hooks


def test_two_are_timed_in_turn() -> None:
    done: list[str] = []
    before, after = in_turn(lambda: done.append("theirs"), lambda: done.append("ours"))
    assert min(before, after) > 0
    assert len(done) >= 8
    assert done == ["theirs", "ours"] * (len(done) // 2)
