"""A layer as its user meets it: names, states, inputs, sizes, initial values."""

from __future__ import annotations

import pytest
import torch
from tests.often import LARGE, often
from tests.pages import PAGES
from torch import Tensor, nn

import chalkgrad
from chalkgrad.zoo import names

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)


# --- names ---------------------------------------------------------------------------------------------


def test_parameters_carry_the_names_of_the_equations() -> None:
    net = chalkgrad.layer(RNN, x=3, h=4)
    assert {n: tuple(p.shape) for n, p in net.named_parameters()} == {"W_x": (3, 4), "W_h": (4, 4), "b": (4,)}
    assert net.W_x is dict(net.named_parameters())["W_x"]


def test_a_parameter_may_not_hide_what_a_module_has() -> None:
    with pytest.raises(chalkgrad.EquationError, match=r"`forward` cannot name a parameter"):
        chalkgrad.layer("y = forward x where x: input", x=3)


def test_results_come_by_name() -> None:
    net = chalkgrad.layer("lstm", D=3, H=4)
    output, state = net(normal(2, 5, 3))
    assert output.shape == (2, 5, 4)
    assert set(state._fields) == {"h", "c"}
    assert torch.equal(state.h, output[:, -1])
    assert type(state).__name__ == "State"


def test_several_outputs_come_by_name() -> None:
    net = chalkgrad.layer("y = W x\nz = V x\nwhere x: input", x=3, y=2, z=4)
    result = net(normal(5, 3))
    assert result._fields == ("y", "z")
    assert (result.y.shape, result.z.shape) == ((5, 2), (5, 4))


def test_a_prime_may_stand_in_a_name() -> None:
    net = chalkgrad.layer("s'[t] = tanh(W s'[t-1] + U x[t])", x=3, **{"s'": 2})
    _, state = net(normal(1, 4, 3))
    assert state._fields == ("s_prime",)


def test_the_text_the_sizes_and_the_derivation_can_be_asked_for() -> None:
    net = chalkgrad.layer("rnn", D=3, H=4)
    assert "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)" in net.equations
    assert net.sizes == {"D": 3, "H": 4}
    assert str(net.derivation) == str(chalkgrad.derive("rnn"))
    assert net.warnings == ()


def test_a_repr_shows_the_equations_and_the_sizes() -> None:
    net = nn.Sequential(chalkgrad.layer("rnn", D=3, H=4))
    shown = repr(net)
    assert "(0): Layer(" in shown
    assert "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)" in shown
    assert "(D=3, H=4)" in shown
    assert "Elman" not in shown


# --- states --------------------------------------------------------------------------------------------

RECURRENT = [p for p in PAGES if chalkgrad.layer(PAGES[p].text, **PAGES[p].sizes).program.states]
FORWARD = [p for p in RECURRENT if p not in ("G4", "X2", "own past", "last step")]
# The first difference of a continued sequence needs the step before it; the encoder's states are no sequence.
STEPWISE = [p for p in FORWARD if p not in ("A1", "differences")]


@pytest.mark.parametrize("page", STEPWISE)
def test_going_on_from_a_state_is_one_long_pass(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    torch.manual_seed(0)
    net = chalkgrad.layer(text, dtype=torch.float64, **sizes)
    xs = [normal(2, *s, dtype=torch.float64) for s in shapes]
    whole, last = net(*xs)
    first, state = net(*(x[:, :2] for x in xs))
    second, end = net(*(x[:, 2:] for x in xs), state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-12, atol=1e-12)
    for a, b in zip(end, last, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("page", FORWARD)
def test_a_zero_state_is_what_a_call_without_one_begins_with(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    net = chalkgrad.layer(text, **sizes)
    xs = [normal(2, *s) for s in shapes]
    without, state = net(*xs)
    given, _ = net(*xs, state=state._make(torch.zeros_like(s) for s in state))
    assert torch.equal(without, given)


def test_a_state_of_two_steps_has_the_older_one_first() -> None:
    net = chalkgrad.layer("h[t] = tanh(x[t] W + h[t-1] U + h[t-2] V + b)", x=3, h=4)
    y, state = net(normal(2, 5, 3))
    assert state.h.shape == (2, 2, 4)
    assert torch.equal(state.h, y[:, -2:])


def test_a_state_may_be_a_tensor_a_tuple_or_the_named_tuple() -> None:
    net = chalkgrad.layer(RNN, x=3, h=4)
    x = normal(2, 5, 3)
    _, state = net(x)
    expected, _ = net(x, state)
    for form in (state.h, (state.h,), [state.h]):
        assert torch.equal(net(x, form)[0], expected)
        assert torch.equal(net(x, state=form)[0], expected)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (torch.zeros(2, 3), r"the state `h` has shape \(2, 3\), and \(2, 4\) is needed"),
        (torch.zeros(4), r"the state `h` has shape \(4,\)"),
        (torch.zeros(2, 4, dtype=torch.float64), "the state `h` is float64"),
        ((torch.zeros(2, 4),) * 2, r"the state is \(h\), and 2 tensors are given"),
        (3, "a state is a tensor or a tuple of tensors, and is given int"),
        ((3,), "the state `h` is a tensor, and is given int"),
    ],
)
def test_a_state_that_does_not_fit_is_explained(state: object, problem: str) -> None:
    with pytest.raises(chalkgrad.EquationError, match=problem):
        chalkgrad.layer(RNN, x=3, h=4)(torch.zeros(2, 5, 3), state)


def test_equations_without_a_recurrence_have_no_state() -> None:
    net = chalkgrad.layer("mlp", D=3, H=4, O=2)
    assert isinstance(net(normal(2, 3)), Tensor)
    with pytest.raises(chalkgrad.EquationError, match="no state"):
        net(normal(2, 3), state=torch.zeros(2, 4))


def test_a_state_is_a_tensor_of_its_own() -> None:
    y, state = chalkgrad.layer(RNN, x=3, h=4)(normal(2, 5, 3))
    # Kept from call to call, it must not keep every step alive, nor change when the output does.
    assert state.h.untyped_storage().nbytes() == state.h.numel() * 4
    kept = state.h.detach().clone()
    with torch.no_grad():
        y.zero_()
    assert torch.equal(state.h, kept)


# --- inputs --------------------------------------------------------------------------------------------


def test_several_inputs_go_by_keyword_or_in_order() -> None:
    net = chalkgrad.layer(PAGES["A2"].text)
    Q, K, V = normal(2, 5, 3), normal(2, 4, 3), normal(2, 4, 2)
    expected = net(Q, K, V)
    torch.testing.assert_close(expected, nn.functional.scaled_dot_product_attention(Q, K, V))
    assert torch.equal(net(Q=Q, K=K, V=V), expected)
    assert torch.equal(net(V=V, K=K, Q=Q), expected)
    assert torch.equal(net(Q, V=V, K=K), expected)
    with pytest.raises(chalkgrad.EquationError, match="takes 3 inputs and is given 2"):
        net(Q, K)
    with pytest.raises(chalkgrad.EquationError, match="`X` is no input"):
        net(Q, K, V, X=Q)


@pytest.mark.parametrize("page", PAGES)
def test_an_example_alone_is_a_batch_of_one(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    net = chalkgrad.layer(text, **sizes)
    xs = [normal(2, *s) for s in shapes]
    batched, alone = net(*xs), net(*(x[1] for x in xs))
    pairs = [(batched, alone)]
    if net.program.states:
        pairs = [(batched[0], alone[0]), *zip(batched[1], alone[1], strict=True)]
        again, _ = net(*(x[1] for x in xs), alone[1])
        torch.testing.assert_close(again, net(*xs, batched[1])[0][1])
    for a, b in pairs:
        torch.testing.assert_close(a[1], b)


@pytest.mark.parametrize("page", PAGES)
def test_an_input_is_left_as_it_is(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    net = chalkgrad.layer(text, **sizes)
    xs = [normal(2, *s).requires_grad_() for s in shapes]
    before = [x.detach().clone() for x in (*xs, *net.parameters())]
    result = net(*xs)
    loss = result[0] if net.program.states else result
    if loss.requires_grad:
        loss.sum().backward()
    assert all(torch.equal(a, b) for a, b in zip((*xs, *net.parameters()), before, strict=True))


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize(
    ("text", "sizes", "shape"),
    [
        ("y[t] = x[t]", {"x": 4}, (2, 4, 4)),
        ("y[i] = x[i+1] where x: input", {}, (2, 4)),
        ("y[i,j] = x[j,i] where x: input", {}, (2, 4, 3)),
    ],
)
def test_an_output_shares_no_memory_with_an_input(
    text: str, sizes: dict[str, int], shape: tuple[int, ...], tracked: bool
) -> None:
    x = normal(*shape).requires_grad_(tracked)
    before = x.detach().clone()
    y = chalkgrad.layer(text, **sizes)(x)
    assert y.requires_grad == tracked
    with torch.no_grad():
        y.zero_()
    assert torch.equal(x, before)


def test_a_layout_in_memory_makes_no_difference() -> None:
    net = chalkgrad.layer("lstm", D=3, H=4, dtype=torch.float64)
    x = normal(5, 3, 2, dtype=torch.float64).permute(2, 0, 1)
    state = tuple(normal(4, 2, dtype=torch.float64).T for _ in range(2))
    assert not x.is_contiguous()
    plain = tuple(s.contiguous() for s in state)
    a, b = x.detach().requires_grad_(), x.contiguous().requires_grad_()
    torch.testing.assert_close(net(a, state)[0], net(b, plain)[0])
    net(a, state)[0].square().sum().backward()
    net(b, plain)[0].square().sum().backward()
    torch.testing.assert_close(a.grad, b.grad)
    # A view with a stride of zero, and one that runs over every other step.
    torch.testing.assert_close(net(x[:1].expand(3, -1, -1))[0][2], net(x[:1])[0][0])
    torch.testing.assert_close(net(x[:, ::2])[0], net(x[:, ::2].contiguous())[0])


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (torch.zeros(2, 5, 4), "`x` has size 4"),
        (torch.zeros(3), "`x` has 1 axis"),
        (torch.zeros(1, 2, 5, 3), "`x` has 4 axes"),
        (torch.zeros(2, 5, 3, dtype=torch.float64), "`x` is float64 and the parameters are float32"),
        (torch.zeros(2, 5, 3, dtype=torch.int64), "`x` is int64"),
        (torch.zeros(2, 5, 3, device="meta"), "`x` is on meta and the parameters are on cpu"),
        ([[0.0]], "`x` is a tensor, and is given list"),
    ],
)
def test_an_input_that_does_not_fit_is_explained(x: object, problem: str) -> None:
    with pytest.raises(chalkgrad.EquationError, match=problem):
        chalkgrad.layer(RNN, x=3, h=4)(x)


# --- sizes ---------------------------------------------------------------------------------------------


def test_sizes_go_by_symbol_by_name_and_by_shape() -> None:
    page = "h[t] = tanh(x[t] W + h[t-1] U)\nwhere x[t]: D, h[t]: H"
    for sizes in (
        {"D": 3, "H": 4},
        {"x": 3, "h": 4},
        {"W": (3, 4)},
        {"D": 3, "U": [4, 4]},
        {"x": (3,), "H": 4},
    ):
        net = chalkgrad.layer(page, **sizes)
        assert net.sizes == {"D": 3, "H": 4}
        assert net.W.shape == (3, 4)


def test_sizes_that_are_in_no_parameter_are_free_from_call_to_call() -> None:
    net = chalkgrad.layer("conv2d", w=(3, 2, 2, 2))
    for M, N in ((4, 5), (7, 2), (4, 5), (2, 2)):
        assert net(torch.zeros(1, 2, M, N)).shape == (1, 3, M - 1, N - 1)
    rnn = chalkgrad.layer(RNN, x=3, h=4)
    assert [rnn(torch.zeros(B, T, 3))[0].shape for B, T in ((1, 9), (4, 1), (2, 3))] == [
        (1, 9, 4),
        (4, 1, 4),
        (2, 3, 4),
    ]


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({"x": 3}, "is not fixed"),
        ({"x": 3, "h": 4, "W_x": (3, 5)}, "does not fit"),
        ({"x": 3, "h": 4, "q": 5}, "no size and no name `q`"),
        ({"x": 0, "h": 4}, "at least 1"),
        ({"x": 3.5, "h": 4}, "whole number"),
        ({"x": True, "h": 4}, "whole number"),
        ({"x": (3, 4), "h": 4}, "takes 1 sizes|takes 1 size"),
    ],
)
def test_sizes_that_do_not_fit_are_explained(sizes: dict[str, int], problem: str) -> None:
    with pytest.raises(chalkgrad.EquationError, match=problem):
        chalkgrad.layer(RNN, **sizes)


def test_an_input_too_short_for_its_kernel_is_explained() -> None:
    with pytest.raises(chalkgrad.EquationError, match="would read outside"):
        chalkgrad.layer("conv1d", w=(1, 1, 4))(torch.zeros(1, 1, 3))


# --- corners -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", often(names(), seldom=LARGE))
def test_an_empty_batch_gives_an_empty_result_and_zero_gradients(name: str) -> None:
    sizes = {
        "conv1d": {"w": (3, 2, 2)},
        "conv2d": {"w": (3, 2, 2, 2)},
        "conv_lstm": {"D": 2, "K": 3, "M": 4, "N": 5},
        "conv_pool": {"K": 3, "C": 2},
        "scores": {"w": (4, 2, 5, 6)},
        "conv3d": {"w": (3, 2, 2, 2, 2)},
        "conv_transpose1d": {"w": (2, 3, 2)},
        "conv_transpose2d": {"w": (2, 3, 2, 2)},
        "max_pool2d": {},
        "avg_pool2d": {},
        "mlp": {"D": 3, "H": 4, "O": 2},
        "lstm_projection": {"D": 3, "H": 4, "P": 2},
        "rnn_bidirectional": {"D": 3, "H": 4, "O": 2},
        "tcn": {"C": 2, "K": 3, "P": 2},
        "wavenet": {"C": 2, "K": 3, "S": 4, "O": 2},
        "attention_decoder": {"D": 3, "H": 4, "E": 2, "A": 5},
        "attention_lstm": {"D": 3, "H": 4, "E": 2, "A": 5},
        "picture_lstm": {"D": 3, "H": 4, "E": 2},
        "conv_relu": {"K": 3, "C": 2},
        "picture_state": {"w": (4, 2, 5, 6)},
        "attention": {},
        "attention_causal": {},
        "attention_multihead": {"H": 2, "C": 4, "D": 3},
        "layer_norm": {"D": 3},
        "neural_ngram": {"K": 2, "E": 3, "H": 4},
    }
    images = (
        "conv2d",
        "conv_pool",
        "conv_relu",
        "scores",
        "picture_state",
        "conv_transpose2d",
        "max_pool2d",
        "avg_pool2d",
    )
    rows = ("conv1d", "conv_transpose1d", "tcn", "wavenet")
    shapes = {**dict.fromkeys(images, (2, 5, 6)), **dict.fromkeys(rows, (2, 6)), "mlp": (3,)}
    shapes |= {"conv_lstm": (3, 2, 4, 5), "conv3d": (2, 3, 4, 5)}
    masks = {"gru_zoneout": {"d": (5, 4)}, "lstm_zoneout": {"d_c": (5, 4), "d_h": (5, 4)}}
    masks |= {"lstm_dropout": {"m": (4,)}, "lstm_variational": {"m_x": (3,), "m_h": (4,)}}
    masks |= {"attention_decoder": {"h": (6, 2), "mask": (6,)}, "attention_lstm": {"a": (6, 2)}}
    masks |= {"picture_lstm": {"a": (6, 2)}}
    masks |= {"attention": {"K": (2, 6, 3), "V": (2, 6, 4), "B": (2, 5, 6)}}
    masks |= {"attention_causal": {"K": (2, 5, 3), "V": (2, 5, 4)}}
    masks |= {"attention_multihead": {"u": (6, 4), "B": (2, 5, 6)}}
    shapes |= {"attention": (2, 5, 3), "attention_causal": (2, 5, 3), "attention_multihead": (5, 4)}
    first = {"attention_decoder": "y", "attention_lstm": "y", "picture_lstm": "y"}
    first |= {"attention": "Q", "attention_causal": "Q"}
    net = chalkgrad.layer(name, **sizes.get(name, {"D": 3, "H": 4}))
    x = torch.zeros(0, *shapes.get(name, (5, 3)), requires_grad=True)
    beside = {n: torch.zeros(0, *shape) for n, shape in masks.get(name, {}).items()}
    result = net(**{first.get(name, "x"): x}, **beside)
    y = result[0] if net.program.states else result
    y = y if isinstance(y, Tensor) else y[0]
    assert y.shape[0] == 0
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("page", STEPWISE)
def test_one_step_is_a_sequence_too(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    torch.manual_seed(0)
    net = chalkgrad.layer(text, dtype=torch.float64, **sizes)
    xs = [normal(2, *s, dtype=torch.float64) for s in shapes]
    whole, one = net(*xs)[0], net(*(x[:, :1] for x in xs))[0]
    torch.testing.assert_close(one, whole[:, :1])
