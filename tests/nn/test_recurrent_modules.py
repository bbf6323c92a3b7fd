"""RNN, LSTM and GRU beside torch.nn's: results, every gradient, names, and what torch does with modules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.nn.beside_torch import F64, close, computed, flat, normal, pair, starts
from torch.autograd.gradcheck import gradcheck, gradgradcheck
from torch.func import functional_call

import chalkgrad

T, N, D, H = 5, 2, 3, 4
KINDS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")
CASES: list[tuple[str, dict[str, Any]]] = [
    *[(kind, {"num_layers": 2}) for kind in KINDS],
    *[(kind, {"num_layers": 2, "bidirectional": True, "bias": False}) for kind in KINDS],
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2}),
]


def input_of(kind: str, *shape: int, **options: Any) -> torch.Tensor:
    return normal(*(shape or (T, N, D)), **options).requires_grad_()


# --- results and gradients -----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_results_and_gradients_are_those_of_torch(kind: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(kind, D, H, **options)
    x, hx = input_of(kind), starts(ours, N)
    found = computed(ours, lambda m: m(x, hx), x, *flat(hx))
    close(found, computed(theirs, lambda m: m(x, hx), x, *flat(hx)))


@pytest.mark.parametrize("kind", KINDS)
def test_batch_first_turns_input_and_output_and_no_state(kind: str) -> None:
    ours, theirs = pair(kind, D, H, 2, batch_first=True, bidirectional=True)
    x, hx = input_of(kind), starts(ours, T)
    found = computed(ours, lambda m: m(x, hx), x, *flat(hx))
    close(found, computed(theirs, lambda m: m(x, hx), x, *flat(hx)))
    assert found[1].shape == (4, T, H)
    assert found[0].stride() == theirs(x, hx)[0].stride()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_input_may_come_without_a_batch(kind: str, batch_first: bool) -> None:
    ours, theirs = pair(kind, D, H, 2, batch_first=batch_first, bidirectional=True)
    x, hx = input_of(kind, T, D), starts(ours, None)
    found = computed(ours, lambda m: m(x, hx), x, *flat(hx))
    close(found, computed(theirs, lambda m: m(x, hx), x, *flat(hx)))
    assert [f.shape for f in found[:2]] == [(T, 2 * H), (4, H)]


@pytest.mark.parametrize(
    ("kind", "options"), [*((k, {"bidirectional": True}) for k in KINDS), ("LSTM", {"proj_size": 2})]
)
def test_no_initial_state_is_one_of_zeros(kind: str, options: dict[str, Any]) -> None:
    ours, _ = pair(kind, D, H, 2, **options)
    x = input_of(kind)
    zeros = [torch.zeros_like(h) for h in flat(starts(ours, N))]
    hx = tuple(zeros) if kind == "LSTM" else zeros[0]
    for a, b in zip(flat(ours(x)), flat(ours(x, hx)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_has_empty_results_and_gradients_of_zero(kind: str) -> None:
    ours, theirs = pair(kind, D, H, bidirectional=True)
    x, hx = input_of(kind, T, 0, D), starts(ours, 0)
    found = computed(ours, lambda m: m(x, hx), x, *flat(hx))
    close(found, computed(theirs, lambda m: m(x, hx), x, *flat(hx)))
    assert found[0].shape == (T, 0, 2 * H)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_need_not_be_contiguous(kind: str) -> None:
    ours, theirs = pair(kind, D, H, 2)
    x = normal(D, 2 * N, T)[:, ::2].permute(2, 1, 0).requires_grad_()
    hx = [h.detach().mT.contiguous().mT.requires_grad_() for h in flat(starts(ours, N))]
    δ = normal(H, N, T).permute(2, 1, 0)
    assert not any(v.is_contiguous() for v in (x, hx[0], δ))

    def call(m: Any) -> Any:
        return m(x, tuple(hx) if kind == "LSTM" else hx[0])

    close(computed(ours, call, x, *hx), computed(theirs, call, x, *hx))
    found, expected = (torch.autograd.grad(call(m)[0], [x, *m.parameters()], δ) for m in (ours, theirs))
    close([*found], [*expected])


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_may_use_only_one_of_the_results(kind: str) -> None:
    ours, theirs = pair(kind, D, H, bidirectional=True)
    x, hx = input_of(kind), starts(ours, N)
    for k in range(1 + len([*flat(hx)])):
        of = slice(k, k + 1)
        found = computed(ours, lambda m: m(x, hx), x, *flat(hx), only=of)
        close(found, computed(theirs, lambda m: m(x, hx), x, *flat(hx), only=of))


# Of features, units, steps and batch: sums over few steps and rows need smaller blocks than long ones.
EXTENTS = [
    (48, 48, 80, 32),
    (4, 5, 7, 32),
    (17, 32, 7, 32),
    (4, 5, 200, 3),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extents", EXTENTS)
def test_single_precision_is_as_near_to_double_as_torchs(kind: str, extents: tuple[int, ...]) -> None:
    features, size, steps, batch = extents
    _, double = pair(kind, features, size, 2)
    ours, theirs = pair(kind, features, size, 2, dtype=torch.float32)
    for net in (double, theirs):
        net.load_state_dict(ours.state_dict())
    x = normal(steps, batch, features, dtype=torch.float32)
    exact = computed(double, lambda m: m(x.double().requires_grad_()))
    single, torchs = (computed(m, lambda m: m(x)) for m in (ours, theirs))
    for e, a, b in zip(exact, single, torchs, strict=True):
        largest = e.abs().max().float()
        ulp = (torch.nextafter(largest, largest.new_tensor(torch.inf)) - largest).item()
        error, its_error = ((v.double() - e).abs().max().item() for v in (a, b))
        assert a.dtype == b.dtype == torch.float32
        assert error <= max(2 * its_error, 4 * ulp)


@pytest.mark.parametrize(("bias", "kernels"), [(True, "on"), (False, "off")])
@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_are_those_of_differences(
    kind: str, bias: bool, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHALKGRAD_KERNELS", kernels)
    net, _ = pair(kind, 2, 2, bias=bias, bidirectional=not bias)
    x = input_of(kind, 3, 2, 2)
    hx = starts(net, 2)
    names = [n for n, _ in net.named_parameters()]

    def call(x: torch.Tensor, *rest: torch.Tensor) -> Any:
        states = len(rest) - len(names)
        given = tuple(rest[:states]) if kind == "LSTM" else rest[0]
        return tuple(flat(functional_call(net, dict(zip(names, rest[states:], strict=True)), (x, given))))

    leaves = (x, *flat(hx), *(p.detach().requires_grad_() for p in net.parameters()))
    assert gradcheck(call, leaves, fast_mode=True)
    assert gradgradcheck(call, leaves, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_again_needs_the_graph_kept(kind: str) -> None:
    ours, _ = pair(kind, D, H)
    loss = ours(input_of(kind))[0].square().sum()
    first = torch.autograd.grad(loss, [*ours.parameters()], retain_graph=True)
    again = torch.autograd.grad(loss, [*ours.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    with pytest.raises(RuntimeError, match="Specify retain_graph=True"):
        torch.autograd.grad(loss, [*ours.parameters()])


def test_nothing_that_is_given_is_changed_and_results_are_tensors_of_their_own() -> None:
    for kind in KINDS:
        ours, _ = pair(kind, D, H)
        x, hx = normal(T, N, D), [h.detach() for h in flat(starts(ours, N))]
        kept = [v.clone() for v in (x, *hx)]
        with torch.no_grad():
            for result in flat(ours(x, tuple(hx) if kind == "LSTM" else hx[0])):
                result.add_(1)
        assert all(torch.equal(a, b) for a, b in zip((x, *hx), kept, strict=True))


# --- dropout -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_between_layers_in_training_and_drawn_as_torch_draws_it(kind: str) -> None:
    ours, theirs = pair(kind, D, H, 3, dropout=0.5)
    x = input_of(kind)

    def call(net: Any, seed: int = 5) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return computed(net, lambda m: m(x), x)

    close(call(ours), call(theirs))
    assert all(torch.equal(a, b) for a, b in zip(call(ours), call(ours), strict=True))
    assert not torch.equal(call(ours)[0], call(ours, seed=6)[0])
    trained = call(ours)[0]
    close(call(ours.eval()), call(theirs.eval()))
    assert torch.equal(call(ours)[0], call(ours, seed=6)[0])
    assert not torch.equal(call(ours)[0], trained)


def test_dropout_of_everything_leaves_the_next_layer_nothing() -> None:
    ours, theirs = pair("LSTM", D, H, 2, dropout=1.0)
    x = input_of("LSTM")
    close(computed(ours, lambda m: m(x), x), computed(theirs, lambda m: m(x), x))


# --- equations -----------------------------------------------------------------------------------------


def test_a_layer_shows_its_equations_and_their_gradient() -> None:
    net = chalkgrad.GRU(3, 4)
    assert net.equations.splitlines()[2] == "n[t] = tanh(W_in x[t] + b_in + r[t] ⊙ (W_hn h[t-1] + b_hn))"
    said = str(net.derivation).splitlines()
    assert said[-1] == "∂b_hn   = Σ[t] ∂s_n[t]"
    assert "∂r[t]   = ∂a_n[t] ⊙ s_n[t]" in said
    assert net.program.outputs == ("h",)
    both = chalkgrad.LSTM(3, 4, bidirectional=True, bias=False)
    assert both.program.outputs == ("h", "h_reverse")
    assert "c_reverse[t] = f_reverse[t] ⊙ c_reverse[t+1]" in both.equations
    assert " b_" not in both.equations


def test_the_equations_make_a_layer_that_computes_the_same() -> None:
    net, _ = pair("LSTM", D, H, proj_size=2)
    layer = chalkgrad.layer(net.equations, D=D, H=H, P=2, dtype=F64)
    stacks = {"W_i": net.weight_ih_l0, "W_h": net.weight_hh_l0, "b_i": net.bias_ih_l0, "b_h": net.bias_hh_l0}
    with torch.no_grad():
        for name, p in layer.named_parameters():
            p.copy_(net.weight_hr_l0 if name == "W_hr" else stacks[name[:3]].chunk(4)["ifgo".index(name[3])])
    x = normal(N, T, D)
    y, state = layer(x)
    mine, (h, c) = net(x.transpose(0, 1))
    close([y, state.h, state.c], [mine.transpose(0, 1), h[0], c[0]])


# --- lengths, resets, truncate -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_resets_and_truncate_are_asked_for_as_of_any_layer(kind: str) -> None:
    net, _ = pair(kind, D, H)
    x = input_of(kind)
    resets = torch.zeros(T, N, dtype=torch.bool)
    resets[2, 1] = True
    whole, pieces = net(x, resets=resets)[0], [net(part)[0] for part in (x[:2, 1:], x[2:, 1:])]
    close([whole[:, 0], whole[:, 1:]], [net(x)[0][:, 0], torch.cat(pieces)])
    turned = copy.deepcopy(net)
    turned.batch_first = True
    close([turned(x.transpose(0, 1), resets=resets.T)[0].transpose(0, 1)], [whole])
    close([net(x[:, 1], resets=resets[:, 1])[0]], [whole[:, 1]])
    y, _ = net(x, truncate=2)
    assert torch.equal(y, net(x)[0])
    (gradient,) = torch.autograd.grad(y[-1].sum(), x)
    assert [bool(step.any()) for step in gradient] == [False] * 4 + [True]


def test_a_reset_parts_a_sequence_for_all_layers_and_both_directions() -> None:
    net, _ = pair("LSTM", D, H, 2, bidirectional=True)
    x, resets = input_of("LSTM", 9, 1, D), torch.zeros(9, 1, dtype=torch.bool)
    resets[[4, 7]] = True
    y, _ = net(x, resets=resets)
    close([y], [torch.cat([net(part)[0] for part in x.split([4, 3, 2])])])


# --- cells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, D), (D,), (0, D)])
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_is_one_step(kind: str, shape: tuple[int, ...]) -> None:
    x = input_of(kind, *shape)
    h, c = (normal(*shape[:-1], H, seed=5 + k).requires_grad_() for k in range(2))
    given, hx = ([x, h, c], (h, c)) if kind == "LSTMCell" else ([x, h], h)
    for bias in (True, False):
        ours, theirs = pair(kind, D, H, bias=bias)
        close(computed(ours, lambda m: m(x), x), computed(theirs, lambda m: m(x), x))
        close(computed(ours, lambda m: m(x, hx), *given), computed(theirs, lambda m: m(x, hx), *given))


@pytest.mark.parametrize("sizes", [(D, 0), (0, H)])
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_may_have_no_units_or_no_input(kind: str, sizes: tuple[int, int]) -> None:
    ours, theirs = pair(kind, *sizes)
    x = input_of(kind, 2, sizes[0])
    close(computed(ours, lambda m: m(x), x), computed(theirs, lambda m: m(x), x))


def test_cells_in_a_row_are_a_layer() -> None:
    for kind in KINDS:
        net, _ = pair(kind, D, H)
        cell, _ = pair(f"{kind}Cell", D, H)
        cell.load_state_dict({n.removesuffix("_l0"): p for n, p in net.state_dict().items()})
        x = input_of(kind)
        state, steps = None, []
        for x_t in x:
            state = cell(x_t, state)
            steps.append(next(flat(state)))
        close([torch.stack(steps), *flat(state)], [net(x)[0], *(h[0] for h in flat(net(x)[1]))])


def test_only_one_state_of_a_cell_may_be_used() -> None:
    ours, theirs = pair("LSTMCell", D, H)
    x = input_of("LSTM", 3, D)
    for only in (slice(0, 1), slice(1, 2)):
        close(computed(ours, lambda m: m(x), x, only=only), computed(theirs, lambda m: m(x), x, only=only))
