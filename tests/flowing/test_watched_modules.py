"""chalkgrad.RNN, LSTM, GRU and stacks of layers are followed like a layer, each of their layers by name."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import chalkgrad

T, B, D, H = 6, 3, 4, 5
F64 = {"dtype": torch.float64}


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), **F64)


def loops(net: nn.RNNBase, cell: type[nn.RNNCellBase], x: Tensor) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The output of torch's own cells in a loop, and every state at every step, keeping its gradient."""
    states: dict[str, list[Tensor]] = {}
    for k in range(net.num_layers):
        outputs = []
        for way in ("", "_reverse") if net.bidirectional else ("",):
            step = cell(x.shape[2], H, **F64)
            for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(step, n, getattr(net, f"{n}_l{k}{way}"))
            found: list[tuple[Tensor, ...]] = []
            state = None
            for x_t in x.flip(0) if way else x:
                new = step(x_t, state)
                found.append(new if isinstance(new, tuple) else (new,))
                for s in found[-1]:
                    s.retain_grad()
                state = new
            found = found[::-1] if way else found
            for name, of in zip("hc", zip(*found, strict=True), strict=False):
                states[f"l{k}.{name}{way}" if net.num_layers > 1 else name + way] = list(of)
            outputs.append(torch.stack([f[0] for f in found]))
        x = torch.cat(outputs, 2)
    return x, states


def norms(states: list[Tensor]) -> Tensor:
    return torch.stack([s.grad.norm(dim=1).mean() for s in states if s.grad is not None])


@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])
@pytest.mark.parametrize(
    ("kind", "cell"),
    [(chalkgrad.RNN, nn.RNNCell), (chalkgrad.LSTM, nn.LSTMCell), (chalkgrad.GRU, nn.GRUCell)],
)
def test_norms_are_those_of_torchs_cells_in_a_loop(
    kind: type[nn.RNNBase], cell: type[nn.RNNCellBase], num_layers: int, bidirectional: bool
) -> None:
    torch.manual_seed(0)
    net = kind(D, H, num_layers, bidirectional=bidirectional, **F64)
    x = drawn(T, B, D)
    weight = drawn(T, B, H * (2 if bidirectional else 1))
    with chalkgrad.flow(net) as record:
        (net(x)[0] * weight).sum().backward()
    output, states = loops(net, cell, x)
    (output * weight).sum().backward()
    assert sorted(record.norm) == sorted(states)
    for name, of in states.items():
        torch.testing.assert_close(record.norm[name], norms(of)[None])


def test_gradients_are_the_same_whether_watched_or_not() -> None:
    net = chalkgrad.LSTM(D, H, 2, bidirectional=True, **F64)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(net(drawn(T, B, D))[0].square().sum(), list(net.parameters())))

    plain = gradients()
    with chalkgrad.flow(net):
        watched = gradients()
    torch.testing.assert_close(watched, plain, rtol=1e-12, atol=1e-12)


def test_truncated_and_ended_sequences_show_it_in_every_layer() -> None:
    net = chalkgrad.GRU(D, H, 2, batch_first=True, **F64)
    with chalkgrad.flow(net) as cut:
        net(drawn(1, T, D), truncate=2)[0].sum().backward()
    with chalkgrad.flow(net) as ended:
        net(drawn(1, T, D), lengths=[4])[0][:, :4].sum().backward()
    for name in ("l0.h", "l1.h"):
        later = torch.stack([p[0] for path, p in cut.paths[name].items() if path != "loss"]).sum(0)
        assert (later == 0).tolist() == [False, True] * (T // 2)
        assert (ended.norm[name][0] > 0).tolist() == [True] * 4 + [False] * 2


def test_a_packed_batch_is_followed_too() -> None:
    net = chalkgrad.LSTM(D, H, **F64)
    packed = nn.utils.rnn.pack_padded_sequence(drawn(T, 2, D), [T, 3])
    with chalkgrad.flow(net) as record:
        net(packed)[0].data.sum().backward()
    assert record.norm["c"].shape == (1, T)
    assert torch.all(record.norm["c"] > 0)


def test_nobody_is_told_once_it_is_over() -> None:
    net = chalkgrad.LSTM(D, H, 2, **F64)
    with chalkgrad.flow(net) as outer:
        with chalkgrad.flow(net) as inner:
            net(drawn(T, B, D))[0].sum().backward()
        net(drawn(T, B, D))[0].sum().backward()
    net(drawn(T, B, D))[0].sum().backward()
    assert len(inner) == len(outer) == 1


def test_a_module_that_is_watched_can_be_saved() -> None:
    net = chalkgrad.LSTM(D, H, 2, **F64)
    with chalkgrad.flow(net):
        twin = pickle.loads(pickle.dumps(net))
    torch.testing.assert_close(twin(drawn(T, B, D))[0], net(drawn(T, B, D))[0])


def test_layers_of_a_stack_and_both_directions_have_names() -> None:
    both = chalkgrad.Bidirectional("gru", D=D, H=H, **F64)
    stack = chalkgrad.Stack(both, chalkgrad.layer("lstm", D=2 * H, H=H, **F64))
    with chalkgrad.flow(stack) as record:
        stack(drawn(B, T, D))[0][:, 2].sum().backward()
    assert list(record.norm) == ["0.onward.h", "0.reverse.h", "1.c", "1.h"]
    assert (record.norm["1.h"][0] > 0).tolist() == [True] * 3 + [False] * 3
    assert torch.all(record.norm["0.reverse.h"] > 0)  # it has seen the end before the start
    assert next(iter(record.paths["0.reverse.h"])) == "z[t-1]"


def test_a_module_within_another_is_called_by_its_place() -> None:
    net = nn.ModuleDict({"low": chalkgrad.GRU(D, H, 2, **F64), "high": chalkgrad.RNN(H, H, **F64)})
    with chalkgrad.flow(net) as record:
        net["high"](net["low"](drawn(T, B, D))[0])[0].sum().backward()
    assert list(record.norm) == ["low.l0.h", "low.l1.h", "high.h"]


def test_a_report_and_a_verdict_know_its_equations(tmp_path: Path) -> None:
    net = chalkgrad.GRU(D, H, 2, **F64)
    with chalkgrad.flow(net) as record:
        net(drawn(60, B, D))[0][-1].sum().backward()
    assert "the gradient of l1.h keeps" in str(record.verdict())
    page = record.report(tmp_path / "flow.html").read_text()
    assert "h[t] = (1 - z[t]) ⊙ n[t] + z[t] ⊙ h[t-1]" in page


def test_gates_and_states_of_every_layer_and_direction_are_looked_at() -> None:
    torch.manual_seed(0)
    net = chalkgrad.GRU(D, H, 2, bidirectional=True, dropout=0.5, batch_first=True, **F64)
    x = drawn(B, T, D)
    with chalkgrad.flow(net) as record:
        before = torch.get_rng_state()
        record.look(net, x)
        record.look(net, x[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training
    net.eval()
    output = net(x)[0][0]
    for look in record.looks:
        torch.testing.assert_close(look.states["l1.h"], output[:, :H])
        torch.testing.assert_close(look.states["l1.h_reverse"], output[:, H:])
        z = torch.sigmoid(
            x[0, 0] @ net.weight_ih_l0[H : 2 * H].T + (net.bias_ih_l0 + net.bias_hh_l0)[H : 2 * H]
        )
        torch.testing.assert_close(look.gates["l0.z"][0], z)
        assert sorted(look.gates) == sorted(
            f"l{k}.{g}{way}" for k in (0, 1) for g in "rz" for way in ("", "_reverse")
        )


def test_a_packed_batch_is_looked_at_by_its_longest_sequence() -> None:
    net = chalkgrad.LSTM(D, H, **F64)
    x = drawn(T, 2, D)
    packed = nn.utils.rnn.pack_padded_sequence(x, [T, 3])
    with chalkgrad.flow(net) as record:
        record.look(net, packed)
    torch.testing.assert_close(record.looks[0].states["h"], net(x[:, 0])[0].detach())


class Model(nn.Module):
    """Layers of all kinds, one on the other, with parts that draw numbers between them."""

    def __init__(self) -> None:
        super().__init__()
        both = chalkgrad.Bidirectional("gru", D=D, H=H, **F64)
        self.low = chalkgrad.Stack(both, nn.Dropout(0.5), chalkgrad.layer("lstm", D=2 * H, H=H, **F64))
        self.high = chalkgrad.RNN(H, H, batch_first=True, **F64)

    def forward(self, x: Tensor) -> Tensor:
        return self.high(self.low(x, lengths=[T - 1] * len(x))[0])[0]


def test_a_model_is_looked_at_in_all_layers_that_it_calls() -> None:
    net, x = Model(), drawn(B, T, D)
    with chalkgrad.flow(net) as record:
        record.look(net, x)
        record.look(net.high, drawn(B, T, H))
    first, second = record.looks
    assert [*first.states] == ["low.0.onward.h", "low.0.reverse.h", "low.2.c", "low.2.h", "high.h"]
    assert [*second.states] == ["high.h"]
    assert all(m.training for m in net.modules())
    torch.testing.assert_close(first.states["high.h"][: T - 1], net.eval()(x)[0, : T - 1].detach())
    with pytest.raises(chalkgrad.EquationError, match="none of the layers that are watched"):
        record.look(nn.Linear(D, H, **F64), x)


def test_advice_for_a_module_of_torchs_form_is_code_that_runs_on_it() -> None:
    torch.manual_seed(0)
    net = nn.ModuleDict({"low": chalkgrad.LSTM(D, H, 2, bidirectional=True)})
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.startswith("low.bias"):
                p[H : 2 * H] = -3.0  # f
    with chalkgrad.flow(net) as record:
        net["low"](torch.randn(60, B, D))[0].sum().backward()
    findings = record.verdict().findings
    assert [f.kind for f in findings] == ["vanishing"] * 4  # each layer, each direction
    for f in findings:
        starts = [a.code for a in f.advice if a.code.startswith(("net.", "for "))]
        assert len(starts) == 2
        for code in starts:
            exec(code, {"net": net, "torch": torch})
    for k, way in ((k, way) for k in (0, 1) for way in ("", "_reverse")):
        bias = net["low"].get_parameter(f"bias_ih_l{k}{way}").detach()
        assert (bias == 2).tolist() == [False] * H + [True] * H + [False] * 2 * H
        for w in net["low"].get_parameter(f"weight_hh_l{k}{way}").detach().chunk(4):
            torch.testing.assert_close(w @ w.T, torch.eye(H))


def test_stuck_gates_of_a_module_of_torchs_form_are_named_by_its_parameters() -> None:
    net = chalkgrad.GRU(D, H)
    with torch.no_grad():
        net.bias_ih_l0[H : 2 * H] = -9.0  # z
    x = torch.randn(20, B, D)
    with chalkgrad.flow(net) as record:
        net(x)[0].sum().backward()
        record.look(net, x)
    assert record.verdict().kind == "vanishing"
    (found,) = (f for f in record.verdict().findings if f.kind == "saturated")
    assert found.words.startswith("gate z is shut")
    assert found.advice[0].code == f"net.bias_ih_l0.data[{H}:{2 * H}] = 0.0, or smaller weights"
