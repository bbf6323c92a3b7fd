"""Conv1d, Conv2d and Conv3d give torch.nn's numbers, gradients and errors, whatever they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import F64, IMAGES, agree, image, normal, pair, refused, refused_alike
from tests.kernels.comparing import Called
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from chalkgrad import Conv1d, Conv2d

# --- constructors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((4, 4, 3), {"groups": 0}, "groups must be a positive integer"),
        ((4, 4, 3), {"groups": -1}, "groups must be a positive integer"),
        ((3, 4, 3), {"groups": 2}, "in_channels must be divisible by groups"),
        ((4, 3, 3), {"groups": 2}, "out_channels must be divisible by groups"),
        ((4, 4, 3), {"padding": "wide"}, "Invalid padding string"),
        ((4, 4, 3), {"padding": "same", "stride": 2}, "padding='same' is not supported for strided"),
        ((4, 4, 3), {"padding_mode": "ones"}, "padding_mode must be one of"),
        ((4, 4, -1), {}, "negative dimension"),
        ((-4, 4, 1), {}, "negative dimension"),
        ((4, 4, 2.5), {}, "float"),
    ],
)
def test_a_constructor_refuses_what_torchs_refuses(
    axes: int, args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    import chalkgrad

    wanted = refused(lambda: getattr(nn, f"Conv{axes}d")(*args, **kwargs))
    assert says in wanted[1]
    found = refused(lambda: getattr(chalkgrad, f"Conv{axes}d")(*args, **kwargs))
    # The modes are named in the order of a set.
    assert (found[0], sorted(found[1])) == (wanted[0], sorted(wanted[1]))


# --- numbers and gradients -----------------------------------------------------------------------------

HOW: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "padding": {"padding": 2},
    "valid": {"padding": "valid"},
    "same": {"padding": "same"},
    "stride": {"stride": 2, "padding": 1},
    "a long stride": {"stride": 5},
    "dilation": {"dilation": 2, "padding": 1},
    "all": {"stride": 2, "dilation": 2, "padding": 3},
    "groups": {"groups": 2, "padding": 1},
    "groups without a bias": {"groups": 2, "stride": 2, "bias": False},
    "depthwise": {"groups": 4},
    "a dilated kernel, the same size": {"padding": "same", "dilation": 2},
}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_results_and_gradients_are_torchs(axes: int, how: dict[str, Any]) -> None:
    ours, torchs = pair(f"Conv{axes}d", 4, 8, (3, 2, 3)[:axes], **how)
    y = agree(ours, torchs, image(axes))
    one = agree(ours, torchs, image(axes)[0])
    torch.testing.assert_close(one, y[0], rtol=0, atol=1e-12)


PER_AXIS = [
    ("Conv1d", (4, 6, (1,)), {"padding": (2,), "stride": (3,)}),
    ("Conv2d", (4, 6, 1), {}),
    ("Conv2d", (4, 6, (1, 3)), {"padding": (0, 2), "stride": (2, 1), "dilation": (1, 3)}),
    ("Conv2d", (4, 6, (3, 1)), {"padding": (2, 1), "stride": (1, 3)}),
    ("Conv2d", (4, 8, (2, 3)), {"padding": (1, 0), "stride": (3, 2), "groups": 4}),
    ("Conv2d", (4, 12, (4, 2)), {"padding": "same", "dilation": (1, 3), "groups": 4, "bias": False}),
    ("Conv2d", (1, 1, 1), {"bias": False}),
    ("Conv2d", (4, 4, (7, 8)), {}),
    ("Conv2d", (4, 4, 3), {"stride": (2,), "padding": (1,), "dilation": (2,)}),
    ("Conv3d", (4, 6, (1, 2, 3)), {"padding": (0, 1, 2), "stride": (1, 2, 3), "dilation": (3, 2, 1)}),
    ("Conv3d", (4, 4, (2, 4, 2)), {"padding": "same", "groups": 2}),
    ("Conv3d", (4, 4, 1), {"stride": (2, 1, 3)}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), PER_AXIS)
def test_every_axis_has_numbers_of_its_own(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ours, torchs = pair(name, *args, **kwargs)
    agree(ours, torchs, image(int(name[4]), args[0]))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_the_same_size_is_padded_as_torch_pads(axes: int, kernel: int) -> None:
    ours, torchs = pair(f"Conv{axes}d", 4, 2, kernel, padding="same")
    assert agree(ours, torchs, image(axes)).shape == (2, 2, *IMAGES[axes])


def test_an_even_kernel_reads_further_to_the_right() -> None:
    ours, _ = pair("Conv1d", 1, 1, 4, padding="same", bias=False)
    assert (
        ours.equations
        == "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p-1]\nwhere x: input C×N zero outside 0×-1+2, w: K×C×P"
    )
    with torch.no_grad():
        ours.weight.fill_(1.0)
    assert ours(torch.eye(6, dtype=F64)[2].reshape(1, 1, 6)).tolist() == [[[1, 1, 1, 1, 0, 0]]]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "how", [{"padding": 1, "stride": 2}, {"padding": "same"}, {"groups": 2, "padding": 2}]
)
def test_padding_modes_are_torchs(mode: str, axes: int, how: dict[str, Any]) -> None:
    ours, torchs = pair(f"Conv{axes}d", 4, 4, (3, 2, 3)[:axes], padding_mode=mode, **how)
    agree(ours, torchs, image(axes))
    agree(ours, torchs, image(axes)[0])


def test_a_padding_mode_with_padding_of_each_axis() -> None:
    ours, torchs = pair("Conv2d", 4, 4, (4, 3), padding_mode="circular", padding=(3, 1), dilation=(1, 2))
    agree(ours, torchs, image(2))
    ours, torchs = pair("Conv2d", 4, 4, (4, 3), padding_mode="reflect", padding="valid")
    agree(ours, torchs, image(2))


@st.composite
def drawn(draw: st.DrawFn) -> tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]:
    axes = draw(st.sampled_from([1, 2, 2, 3]))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel = each(1, 4)
    how = {"dilation": each(1, 2), "groups": groups, "bias": draw(st.booleans())}
    if draw(st.booleans()):
        how |= {"stride": each(1, 3), "padding": each(0, 3)}
    else:
        how |= {"padding": draw(st.sampled_from(["same", "valid"]))}
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    shape = (draw(st.integers(0, 2)), channels[0], *each(1, 9))
    return f"Conv{axes}d", (*channels, kernel), how, shape[draw(st.integers(0, 1)) :]


@given(drawn())
@settings(max_examples=60)
def test_drawn_layers_give_and_refuse_what_torchs_do(
    case: tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]],
) -> None:
    name, args, kwargs, shape = case
    ours, torchs = pair(name, *args, **kwargs)
    x = normal(*shape)
    spans = [d * (k - 1) + 1 for d, k in zip(ours.dilation, ours.kernel_size, strict=True)]
    sizes = [n + sum(m) for n, m in zip(shape[-len(spans) :], ours.margins, strict=True)]
    if all(n >= span for n, span in zip(sizes, spans, strict=True)):
        agree(ours, torchs, x)
    else:
        refused_alike(ours, torchs, x, says="Kernel size can't be greater than actual input size")


# --- layouts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
def test_pictures_may_have_their_channels_last(groups: int) -> None:
    ours, torchs = pair("Conv2d", 4, 6, 3, padding=1, stride=2, groups=groups)
    x = image(2).to(memory_format=torch.channels_last)
    agree(ours, torchs, x)
    last = [m.to(memory_format=torch.channels_last) for m in (ours, torchs)]
    y = agree(*last, x)
    assert y.stride() == last[1](x).stride()
    agree(*(m.to(memory_format=torch.channels_last_3d) for m in pair("Conv3d", 4, 6, 2)), image(3))


@pytest.mark.parametrize("groups", [1, 2])
def test_inputs_may_be_views(groups: int) -> None:
    ours, torchs = pair("Conv2d", 4, 6, 3, groups=groups)
    wide = normal(9, 8, 5, 12)
    for x in (
        wide[:, :, :4, :2].permute(3, 2, 0, 1),
        wide[::2, 1::2, :, ::3].transpose(2, 3)[..., :5],
        normal(1, 4, 7, 8).expand(3, 4, 7, 8),
        normal(2, 1, 7, 8).expand(2, 4, 7, 8),
        normal(2, 4, 8, 7).flip(2).mT,
    ):
        assert not x.is_contiguous()
        agree(ours, torchs, x)


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_may_be_permuted_and_cut_out(groups: int) -> None:
    for make in (
        lambda: normal(3, 3, 4 // groups, 6).permute(3, 2, 0, 1),
        lambda: normal(6, 4, 6, 3)[:, : 4 // groups, ::2],
        lambda: normal(6, 1, 1, 3).expand(6, 4 // groups, 3, 3),
    ):
        ours, torchs = pair("Conv2d", 4, 6, 3, groups=groups)
        for net in (ours, torchs):
            net.weight = nn.Parameter(make())
            assert not net.weight.is_contiguous()
        agree(ours, torchs, image(2))


def test_what_comes_back_may_be_anything() -> None:
    ours, torchs = pair("Conv2d", 4, 6, 3)
    x = image(2)
    for gradient in (normal(5, 6, 6, 2).permute(3, 1, 0, 2), torch.ones((), dtype=F64).expand(2, 6, 5, 6)):
        found, wanted = (torch.autograd.grad(net(x), net.weight, gradient)[0] for net in (ours, torchs))
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "how", [{}, {"groups": 2}, {"padding": 1, "stride": 2}, {"padding_mode": "circular", "padding": 1}]
)
def test_a_batch_may_be_empty(axes: int, how: dict[str, Any]) -> None:
    ours, torchs = pair(f"Conv{axes}d", 4, 6, 3, **how)
    agree(ours, torchs, image(axes, batch=0))
    ours(image(axes, batch=0)).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in ours.parameters())


def test_no_input_is_changed() -> None:
    ours, _ = pair("Conv2d", 4, 6, 3, padding=1, groups=2)
    x = image(2)
    before = [t.clone() for t in (x, *ours.parameters())]
    ours(x).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip((x, *ours.parameters()), before, strict=True))


# --- other ways to the same numbers --------------------------------------------------------------------


@pytest.mark.parametrize(("padding", "mode"), [("valid", "valid"), ("same", "same"), (2, "full")])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_channel_is_scipys_correlation(padding: Any, mode: str, axes: int) -> None:
    ours, _ = pair(f"Conv{axes}d", 1, 1, 3, padding=padding)
    x = image(axes, 1, 1)
    with torch.no_grad():
        found = ours(x)[0, 0].numpy()
    weight, bias = ours.weight.detach()[0, 0].numpy(), ours.bias.item()
    np.testing.assert_allclose(
        found, scipy.signal.correlate(x[0, 0].numpy(), weight, mode) + bias, atol=1e-12
    )


def test_an_even_kernel_that_keeps_the_size_is_scipys_of_the_turned_kernel() -> None:
    ours, _ = pair("Conv2d", 1, 1, (4, 2), padding="same", bias=False)
    x = image(2, 1, 1)
    weight = ours.weight.detach()[0, 0].flip(0, 1).numpy()
    wanted = scipy.signal.convolve(x[0, 0].numpy(), weight, "full")
    # torch pads an odd place at the end, so its window begins one place later than scipy's "same".
    np.testing.assert_allclose(ours(x)[0, 0].detach().numpy(), wanted[2:9, 1:9], atol=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("how", [{}, {"stride": 2, "padding": 1}, {"groups": 2, "dilation": 2}])
def test_gradients_are_those_of_torch_nn_grad(axes: int, how: dict[str, Any]) -> None:
    ours, _ = pair(f"Conv{axes}d", 4, 6, 2, **how)
    x = image(axes).requires_grad_()
    y = ours(x)
    gradient = normal(*y.shape, seed=5)
    found = torch.autograd.grad(y, (x, ours.weight, ours.bias), gradient)
    numbers = (ours.stride, ours.padding, ours.dilation, ours.groups)
    given = getattr(nn.grad, f"conv{axes}d_input")(x.shape, ours.weight, gradient, *numbers)
    torch.testing.assert_close(found[0], given, rtol=0, atol=1e-12)
    given = getattr(nn.grad, f"conv{axes}d_weight")(x, ours.weight.shape, gradient, *numbers)
    torch.testing.assert_close(found[1], given, rtol=0, atol=1e-12)
    torch.testing.assert_close(found[2], gradient.transpose(0, 1).flatten(1).sum(1), rtol=0, atol=1e-12)


TWICE: dict[str, tuple[str, dict[str, Any]]] = {
    "one dimension": ("Conv1d", {}),
    "two, strided": ("Conv2d", {"stride": 2, "padding": 1}),
    "groups": ("Conv2d", {"groups": 2}),
    "dilated": ("Conv2d", {"dilation": 2, "padding": 2}),
    "reflected": ("Conv1d", {"padding": 1, "padding_mode": "reflect"}),
    "three": ("Conv3d", {"stride": (1, 2, 1)}),
    "three, in groups": ("Conv3d", {"groups": 2}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("name", "how"), TWICE.values(), ids=TWICE)
def test_first_and_second_derivatives_are_right(name: str, how: dict[str, Any], bias: bool) -> None:
    ours, _ = pair(name, 2, 2, 2, bias=bias, **how)
    shape = {"Conv1d": (1, 2, 4), "Conv2d": (1, 2, 4, 3), "Conv3d": (1, 2, 2, 3, 2)}[name]
    given = (normal(*shape).requires_grad_(), *ours.parameters())

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        named = dict(zip(("weight", "bias"), parameters, strict=False))
        return torch.func.functional_call(ours, named, (x,))

    assert gradcheck(call, given)
    assert gradgradcheck(call, given)


def test_a_gradient_may_be_asked_for_twice() -> None:
    ours, _ = pair("Conv2d", 4, 6, 3, groups=2)
    loss = ours(image(2)).square().sum()
    first = torch.autograd.grad(loss, ours.weight, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, ours.weight)[0], first)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        torch.autograd.grad(loss, ours.weight)


def test_the_layer_is_the_function_of_torch() -> None:
    ours, _ = pair("Conv2d", 4, 6, 3, stride=2, padding=1, groups=2, dtype=torch.float32)
    x = image(2).float()
    wanted = functional.conv2d(x, ours.weight, ours.bias, 2, 1, 1, 2)
    assert torch.equal(ours(x), wanted)


def test_groups_cost_no_reshapes_once_a_call_is_known() -> None:
    ours, theirs = Conv2d(4, 6, 3, groups=2), nn.Conv2d(4, 6, 3, groups=2)
    theirs.load_state_dict(ours.state_dict())
    for seed in range(3):
        x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(ours(x), theirs(x))
    x = torch.randn(2, 4, 5, 5)
    with Called() as calls:
        ours(x)
    assert calls.functions == [functional.conv2d]


def test_a_layer_that_is_changed_between_calls_computes_what_it_is_now() -> None:
    ours, theirs = Conv1d(4, 6, 3), nn.Conv1d(4, 6, 3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, 9)
    changes: list[tuple[str, Any]] = [
        ("stride", (2,)),
        ("padding", (1,)),
        ("dilation", (2,)),
        ("weight", nn.Parameter(torch.randn(5, 4, 3))),
        ("bias", None),
        ("padding_mode", "reflect"),
    ]
    for name, value in [("stride", (1,)), *changes]:
        for net in (ours, theirs):
            setattr(net, name, value)
            net._reversed_padding_repeated_twice = [net.padding[0]] * 2  # of torch's constructor
        if name == "weight":
            ours.bias = theirs.bias = nn.Parameter(torch.randn(5))
        for _ in range(3):
            torch.testing.assert_close(ours(x), theirs(x))
