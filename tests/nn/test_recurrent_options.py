"""Peepholes, layer norm, zoneout, recurrent dropout and the other reset, beside plain loops in torch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from tests.nn.beside_torch import F64, close, computed, flat, normal, packed, starts
from torch import Tensor, nn
from torch.nn.functional import dropout, layer_norm
from torch.nn.utils.rnn import pad_packed_sequence, pad_sequence

import chalkgrad

T, N, D, H = 5, 2, 3, 4
PEEPHOLE = ("LSTM", {"peephole": True, "proj_size": 2, "recurrent_dropout": 0.4, "zoneout": (0.0, 0.3)})
NORMED = ("LSTM", {"layer_norm": True, "num_layers": 2, "zoneout": (0.3, 0.0)})
BEFORE = (
    "GRU",
    {"reset_after": False, "num_layers": 2, "bidirectional": True, "zoneout": 0.3, "recurrent_dropout": 0.4},
)
EVERYTHING = ("LSTM", {**PEEPHOLE[1], "layer_norm": True, "bidirectional": True, "zoneout": 0.3})
NORMED_GRU = ("GRU", {"layer_norm": True, "bidirectional": True, "bias": False, "zoneout": 0.3})
NORMED_BEFORE = ("GRU", {**BEFORE[1], "layer_norm": True})
NORMED_RNN = ("RNN", {"layer_norm": True, "recurrent_dropout": 0.4, "batch_first": False})
CASES: list[Any] = [
    *(PEEPHOLE, NORMED, BEFORE, NORMED_GRU, NORMED_RNN),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in (EVERYTHING, NORMED_BEFORE)),
]


def made(kind: str, more: Any = (), **options: Any) -> Any:
    """A layer whose parameters are all different, those that begin as ones and zeros too."""
    torch.manual_seed(1)
    net = getattr(chalkgrad, kind)(D, H, **{"dtype": F64, **dict(more), **options})
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(p + 0.3 * normal(*p.shape, seed=20 + k))
    return net


# --- the loop ------------------------------------------------------------------------------------------


def looped(net: Any, x: Tensor, hx: Any = None) -> Any:
    """What the layer gives, step by step from its parameters: x (steps, batch, features)."""
    first = [] if hx is None else [*zip(*hx, strict=True)] if isinstance(hx, tuple) else [(h,) for h in hx]
    last: list[list[Tensor]] = []
    for k in range(net.num_layers):
        outputs = []
        for direction in ("", "_reverse")[: 1 + net.bidirectional]:
            of = {
                n.removesuffix(end): p
                for n, p in net.named_parameters()
                if n.endswith(end := f"_l{k}{direction}")
            }
            size = net.proj_size or H
            states = [x.new_zeros(x.shape[1], n) for n in ((size, H) if net.mode == "LSTM" else (size,))]
            states = [*first[len(last)]] if first else states
            y, states = _direction(net, of, x.flip(0) if direction else x, states, bool(direction))
            outputs.append(y.flip(0) if direction else y)
            last.append(states)
        x = torch.cat(outputs, 2)
    ends = [torch.stack(s) for s in zip(*last, strict=True)]
    return x, tuple(ends) if len(ends) > 1 else ends[0]


def _direction(net: Any, of: dict[str, Tensor], x: Tensor, s: list[Tensor], back: bool) -> Any:
    steps, batch = x.shape[:2]
    rates = net.zoneout if isinstance(net.zoneout, tuple) else (net.zoneout,) * len(s)
    m = (
        dropout(x.new_ones(batch, s[0].shape[1]), net.recurrent_dropout, net.training)
        if net.recurrent_dropout
        else 1
    )
    keep = []
    for rate, h in zip(rates, s, strict=True):
        share = x.new_full((batch, steps, h.shape[1]), rate)
        drawn = torch.bernoulli(share) if net.training and rate else share
        keep.append(drawn.flip(1) if back else drawn)
    step = {"LSTM": _lstm, "GRU": _gru}.get(net.mode, _rnn)
    ys = []
    for t in range(steps):
        new = step(net, of, x[t], s, m)
        s = [d[:, t] * old + (1 - d[:, t]) * h for d, old, h in zip(keep, s, new, strict=True)]
        ys.append(s[0])
    return torch.stack(ys), s


def _products(of: dict[str, Tensor], v: Tensor, kind: str, gates: int) -> list[Tensor]:
    """W v + b for each gate, W v normalised where there are gains."""
    parts = []
    for k, w in enumerate(of[f"weight_{kind}"].chunk(gates)):
        a = v @ w.T
        if f"weight_ln_{kind}" in of:
            a = layer_norm(a, (H,)) * of[f"weight_ln_{kind}"].chunk(gates)[k]
        parts.append(a + of[f"bias_{kind}"].chunk(gates)[k] if f"bias_{kind}" in of else a)
    return parts


def _lstm(net: Any, of: dict[str, Tensor], x: Tensor, s: list[Tensor], m: Any) -> list[Tensor]:
    h, c = s
    i, f, g, o = (
        a + b for a, b in zip(_products(of, x, "ih", 4), _products(of, m * h, "hh", 4), strict=True)
    )
    p_i, p_f, p_o = of["weight_c"].chunk(3) if net.peephole else (0, 0, 0)
    c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
    seen = layer_norm(c, (H,), of["weight_ln_c"], of.get("bias_ln_c")) if net.layer_norm else c
    h = torch.sigmoid(o + p_o * c) * torch.tanh(seen)
    return [h @ of["weight_hr"].T if net.proj_size else h, c]


def _gru(net: Any, of: dict[str, Tensor], x: Tensor, s: list[Tensor], m: Any) -> list[Tensor]:
    (h,) = s
    (r, z, n), (rh, zh, nh) = _products(of, x, "ih", 3), _products(of, m * h, "hh", 3)
    r, z = torch.sigmoid(r + rh), torch.sigmoid(z + zh)
    n = torch.tanh(n + (r * nh if net.reset_after else _products(of, r * m * h, "hh", 3)[2]))
    return [(1 - z) * n + z * h]


def _rnn(net: Any, of: dict[str, Tensor], x: Tensor, s: list[Tensor], m: Any) -> list[Tensor]:
    return [torch.tanh(_products(of, x, "ih", 1)[0] + _products(of, m * s[0], "hh", 1)[0])]


def as_drawn(call: Any, seed: int = 5) -> Any:
    torch.manual_seed(seed)
    return call()


# --- results and gradients -----------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_results_and_gradients_are_those_of_a_loop_with_the_same_masks(
    kind: str, options: dict[str, Any], training: bool
) -> None:
    net = made(kind, **options).train(training)
    x, hx = normal(T, N, D).requires_grad_(), starts(net, N)
    found = as_drawn(lambda: computed(net, lambda m: m(x, hx), x, *flat(hx)))
    expected = as_drawn(lambda: computed(net, lambda m: looped(m, x, hx), x, *flat(hx)))
    close(found, expected)
    again = as_drawn(lambda: net(x, hx)[0], seed=6)
    assert torch.equal(again, found[0]) is not training


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_where_nothing_is_asked_for_everything_is_torchs(kind: str) -> None:
    ours = getattr(chalkgrad, kind)(D, H, 2, zoneout=0.0, recurrent_dropout=0)
    theirs = getattr(nn, kind)(D, H, 2)
    assert repr(ours) == repr(theirs)
    names = [[(n, p.shape) for n, p in m.state_dict().items()] for m in (ours, theirs)]
    assert names[0] == names[1]
    assert ours.equations == getattr(chalkgrad, kind)(D, H).equations


def test_zoneout_keeps_units_as_they_were_as_often_as_it_says() -> None:
    net = chalkgrad.RNN(D, 64, zoneout=0.25, batch_first=True, dtype=F64)
    y = as_drawn(lambda: net(normal(8, 200, D))[0])
    kept = (y[:, 1:] == y[:, :-1]).double().mean()
    assert abs(kept - 0.25) < 0.01
    h = normal(1, 8, 64)
    net.zoneout = 1.0
    assert torch.equal(net(normal(8, 3, D), h)[0], h[0].unsqueeze(1).expand(8, 3, 64))


def test_recurrent_dropout_is_one_mask_for_all_steps_of_a_sequence() -> None:
    net = chalkgrad.RNN(1, 500, nonlinearity="relu", bias=False, recurrent_dropout=0.2, dtype=F64)
    with torch.no_grad():  # from 1 on, a unit is multiplied with its own mask in each step, and no more
        net.weight_ih_l0.zero_()
        net.weight_hh_l0.copy_(torch.eye(500))
    y = as_drawn(lambda: net(torch.zeros(3, 2, 1, dtype=F64), torch.ones(1, 2, 500, dtype=F64))[0])
    for power, step in enumerate(y, 1):
        assert torch.allclose(step, (y[0] > 0).double() * 1.25**power)
    assert abs((y[0] > 0).double().mean() - 0.8) < 0.04
    assert not torch.equal(y[0, 0], y[0, 1])


# --- sequences in a batch ------------------------------------------------------------------------------


def test_lengths_and_packs_go_with_options() -> None:
    net = made(*BEFORE).eval()
    sequences = [normal(n, D, seed=n) for n in (3, 5)]
    together = pad_sequence(sequences)
    y, last = net(together, lengths=[3, 5])
    for k, x in enumerate(sequences):
        alone, end = looped(net, x[:, None])
        close([y[: len(x), k], last[:, k]], [alone[:, 0], end[:, 0]])
    assert not y[3:, 0].any()
    net.train()
    from_pack, ends = as_drawn(lambda: net(packed(*sequences)))
    turned = as_drawn(lambda: net(together.flip(1), lengths=[5, 3]))  # a pack begins with the longest
    close([pad_packed_sequence(from_pack)[0], ends], [h.flip(1) for h in turned])


def test_a_reset_begins_anew_and_truncation_changes_gradients_alone() -> None:
    net = made("RNN", zoneout=0.3, recurrent_dropout=0.4).eval()
    x, hx = normal(6, N, D).requires_grad_(), starts(net, N)
    resets = torch.zeros(6, N, dtype=torch.bool)
    resets[3] = True
    anew = torch.cat([looped(net, part, hx)[0] for part in (x[:3], x[3:])])
    close([net(x, hx, resets=resets)[0]], [anew])
    whole, cut = net(x, hx)[0], net(x, hx, truncate=2)[0]
    assert torch.equal(whole, cut)
    before, after = (torch.autograd.grad(v[-1].sum(), x)[0] for v in (whole, cut))
    assert before[:4].all()
    assert not after[:4].any()
    assert after[4:].all()


def test_an_input_may_come_without_a_batch_or_with_the_batch_first() -> None:
    net = made(*NORMED).eval()
    x = normal(T, N, D)
    y, last = net(x)
    alone, end = net(x[:, 1])
    close([alone, *flat(end)], [y[:, 1], *(h[:, 1] for h in flat(last))])
    net.batch_first = True
    close([net(x.transpose(0, 1))[0]], [y.transpose(0, 1)])


# --- parameters ----------------------------------------------------------------------------------------


def test_parameters_beside_torchs_stand_after_them_and_have_their_sizes() -> None:
    net = made("LSTM", peephole=True, bidirectional=True)
    shapes = {n: tuple(p.shape) for n, p in net.state_dict().items()}
    torchs = nn.LSTM(D, H, bidirectional=True).state_dict()
    assert [*shapes] == [*torchs, "weight_c_l0", "weight_c_l0_reverse"]
    assert shapes["weight_c_l0"] == (3 * H,)
    net = made("LSTM", layer_norm=True)
    more = {n: tuple(p.shape) for n, p in net.state_dict().items() if "_ln_" in n}
    sizes = {"weight_ln_ih_l0": 4 * H, "weight_ln_hh_l0": 4 * H, "weight_ln_c_l0": H, "bias_ln_c_l0": H}
    assert more == {n: (size,) for n, size in sizes.items()}
    assert [p.shape for p in net.all_weights[0]] == [p.shape for p in net.parameters()]
    assert "bias_ln_c_l0" not in made("LSTM", layer_norm=True, bias=False).state_dict()
    assert chalkgrad.LSTM(D, H, peephole=True, device="meta").weight_c_l0.is_meta


def test_parameters_begin_as_torchs_and_gains_as_ones() -> None:
    theirs = as_drawn(lambda: nn.LSTM(D, H, 2)).state_dict()
    ours = as_drawn(lambda: chalkgrad.LSTM(D, H, 2, peephole=True))
    assert all(torch.equal(p, ours.state_dict()[n]) for n, p in theirs.items())
    assert 0.1 < ours.weight_c_l1.abs().max() <= H**-0.5
    assert len(ours.weight_c_l1.unique()) == 3 * H
    normed = chalkgrad.LSTM(D, H, layer_norm=True)
    for _ in range(2):
        assert (normed.weight_ln_ih_l0 == 1).all()
        assert (normed.weight_ln_c_l0 == 1).all()
        assert not normed.bias_ln_c_l0.any()
        old = normed.weight_ih_l0.clone()
        normed.reset_parameters()
        assert not torch.equal(old, normed.weight_ih_l0)


def test_weights_of_torchs_layer_are_taken_with_those_that_are_missing_named() -> None:
    theirs, net = nn.LSTM(D, H, dtype=F64), made("LSTM", peephole=True)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "weight_c_l0"'):
        net.load_state_dict(theirs.state_dict())
    missing, more = net.load_state_dict(theirs.state_dict(), strict=False)
    assert (missing, more) == (["weight_c_l0"], [])
    nn.init.zeros_(net.weight_c_l0)
    x = normal(T, N, D)
    with torch.no_grad():
        close([net(x)[0]], [theirs(x)[0]])


def test_a_gated_unit_with_the_other_reset_has_torchs_parameters() -> None:
    theirs, net = nn.GRU(D, H, dtype=F64), made("GRU", reset_after=False)
    net.load_state_dict(theirs.state_dict())
    x = normal(T, N, D)
    with torch.no_grad():
        close([net(x)[0]], [looped(net, x)[0]])
        assert not torch.allclose(net(x)[0], theirs(x)[0])


def test_options_go_together_in_any_number() -> None:
    net = made("LSTM", layer_norm=True, peephole=True, proj_size=2)
    shapes = {n: tuple(p.shape) for n, p in net.state_dict().items() if "bias_" not in n}
    assert shapes["weight_c_l0"] == (3 * H,)
    assert shapes["weight_ln_hh_l0"] == (4 * H,)
    assert shapes["weight_hr_l0"] == (2, H)
    lines = net.equations.splitlines()
    assert lines[3].startswith("c[t] = ")
    assert lines[4] == (
        "o[t] = σ(α_io ⊙ layernorm(W_io x[t]) + b_io + α_ho ⊙ layernorm(W_ho h[t-1]) + b_ho + W_co ⊙ c[t])"
    )
    assert lines[5] == "h[t] = W_hr (o[t] ⊙ tanh(α_c ⊙ layernorm(c[t]) + b_c))"
    names = [n for n in made("GRU", layer_norm=True).state_dict() if "_ln_" in n]
    assert names == ["weight_ln_ih_l0", "weight_ln_hh_l0"]
    assert made("RNN", layer_norm=True, nonlinearity="relu").equations.startswith("h[t] = relu(α_ih ⊙ layern")
    assert repr(made("GRU", layer_norm=True)) == "GRU(3, 4, layer_norm=True)"


def test_copies_keep_the_options() -> None:
    net = made(*NORMED).eval()
    x = normal(T, N, D)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net)
        assert torch.equal(other(x)[0], net(x)[0])


# --- what it says --------------------------------------------------------------------------------------


def test_a_layer_shows_its_options_and_its_page() -> None:
    assert repr(made("LSTM", peephole=True, num_layers=2)) == "LSTM(3, 4, num_layers=2, peephole=True)"
    assert repr(made("LSTM", layer_norm=True, zoneout=0.1)) == "LSTM(3, 4, layer_norm=True, zoneout=0.1)"
    assert repr(made("GRU", reset_after=False, recurrent_dropout=0.5)) == (
        "GRU(3, 4, reset_after=False, recurrent_dropout=0.5)"
    )
    assert "o[t] = σ(W_io x[t] + W_ho h_kept[t] + W_co ⊙ c_new[t])" in (
        made("LSTM", peephole=True, bias=False, zoneout=0.1, recurrent_dropout=0.1).equations.splitlines()
    )
    assert "∂W_co" in str(made("LSTM", peephole=True).derivation)


@pytest.mark.parametrize(
    ("kind", "options", "error", "says"),
    [
        ("LSTM", {"zoneout": 1.5}, ValueError, r"zoneout should be a number in range \[0, 1\]"),
        ("LSTM", {"zoneout": True}, ValueError, r"zoneout should be a number in range \[0, 1\]"),
        ("GRU", {"zoneout": (0.1, 0.1)}, ValueError, r"one for each state \(h\)"),
        ("RNN", {"recurrent_dropout": -0.1}, ValueError, r"recurrent_dropout should be a number in range"),
        ("LSTM", {"peephole": 1}, TypeError, "peephole should be of type bool, got: int"),
        ("RNN", {"layer_norm": 1}, TypeError, "layer_norm should be of type bool, got: int"),
        ("GRU", {"reset_after": None}, TypeError, "reset_after should be of type bool, got: NoneType"),
        ("GRU", {"peephole": True}, TypeError, "unexpected keyword argument 'peephole'"),
        ("RNN", {"reset_after": False}, TypeError, "unexpected keyword argument 'reset_after'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    kind: str, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        getattr(chalkgrad, kind)(D, H, **options)


def test_a_call_that_cannot_be_has_torchs_error() -> None:
    net = made("LSTM", peephole=True, zoneout=0.1)
    with pytest.raises(
        RuntimeError, match=r"input.size\(-1\) must be equal to input_size. Expected 3, got 7"
    ):
        net(normal(T, N, 7))
    with pytest.raises(ValueError, match="float32"):
        net(normal(T, N, D).float())
