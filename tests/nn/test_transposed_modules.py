"""ConvTranspose1d, 2d and 3d give what torch.nn's give, and are the gradients of convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import F64, agree, normal, pair, refused, refused_alike
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

import chalkgrad

IMAGES = {1: (7,), 2: (4, 5), 3: (3, 4, 2)}


def image(axes: int, channels: int = 4, batch: int = 2) -> Tensor:
    return normal(batch, channels, *IMAGES[axes])


HOW: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "padding": {"padding": 1},
    "stride": {"stride": 2},
    "stride and padding": {"stride": 3, "padding": 2},
    "output padding": {"stride": 2, "padding": 1, "output_padding": 1},
    "dilation": {"dilation": 2},
    "output padding of a dilated one": {"dilation": 3, "output_padding": 2},
    "groups": {"groups": 2, "stride": 2},
    "depthwise": {"groups": 4, "bias": False},
    "all": {"stride": 2, "dilation": 2, "padding": 2, "output_padding": 1, "groups": 2},
}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_results_and_gradients_are_torchs(axes: int, how: dict[str, Any]) -> None:
    ours, torchs = pair(f"ConvTranspose{axes}d", 4, 8, (3, 2, 3)[:axes], **how)
    y = agree(ours, torchs, image(axes))
    one = agree(ours, torchs, image(axes)[0])
    torch.testing.assert_close(one, y[0], rtol=0, atol=1e-12)
    agree(ours, torchs, image(axes, batch=0))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((4, 6, 1), {}),
        ((4, 6, 1), {"stride": (2, 3)}),
        ((4, 6, (1, 4)), {"stride": (1, 3), "padding": (0, 2), "output_padding": (0, 1)}),
        ((4, 6, (3, 2)), {"stride": (2, 1), "dilation": (1, 3), "output_padding": (1, 2)}),
        ((4, 6, 3), {"stride": (2,), "padding": (1,), "output_padding": (1,), "dilation": (2,)}),
        ((1, 1, 5), {"padding": 3}),
    ],
)
def test_every_axis_has_numbers_of_its_own(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    agree(*pair("ConvTranspose2d", *args, **kwargs), image(2, args[0]))


@pytest.mark.parametrize("groups", [1, 2])
def test_views_and_other_layouts_are_taken(groups: int) -> None:
    nets = pair("ConvTranspose2d", 4, 6, 3, stride=2, groups=groups)
    agree(*nets, image(2).to(memory_format=torch.channels_last))
    agree(*nets, normal(5, 4, 4, 2).permute(3, 1, 2, 0))
    for net in nets:
        net.weight = nn.Parameter(normal(3, 3, 6 // groups, 4).permute(3, 2, 0, 1))
    agree(*nets, image(2))
    agree(*(net.to(memory_format=torch.channels_last) for net in nets), image(2))


# --- sizes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_an_output_size_can_be_asked_for(axes: int, batched: bool, more: int) -> None:
    ours, torchs = pair(f"ConvTranspose{axes}d", 4, 6, 3, stride=3, padding=1)
    x = image(axes) if batched else image(axes)[0]
    sizes = [3 * n - 2 + more for n in IMAGES[axes]]
    y = agree(ours, torchs, x, sizes)
    assert y.shape[-axes:] == torch.Size(sizes)
    agree(ours, torchs, x, torch.Size(sizes))
    agree(ours, torchs, x, [*(2, 6)[not batched :], *sizes])


def test_sizes_differ_from_call_to_call() -> None:
    ours, torchs = pair("ConvTranspose1d", 4, 6, 3, stride=2)
    for size in (15, 16, None, 16, 15):
        agree(ours, torchs, image(1), size and [size])
    assert ours.equations.endswith("y: K×(2N+P-2)")


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ([30, 30], "requested an output size of [30, 30], but valid sizes range from [9, 11] to [10, 12]"),
        ([8, 11], "valid sizes range from"),
        ([9], "output_size must have 2 or 4 elements (got 1)"),
        ([9, 11, 13], "output_size must have 2 or 4 elements (got 3)"),
    ],
)
def test_another_output_size_is_refused(size: list[int], says: str) -> None:
    ours, torchs = pair("ConvTranspose2d", 4, 6, 3, stride=2)
    kind, text = refused(lambda: torchs(image(2), size))
    assert says in text
    own_kind, own = refused(lambda: ours(image(2), size))
    assert own_kind is kind is ValueError
    assert own.startswith(text + "\n")
    assert "line 1 | y[k,i,j] = Σ[c,p,q] w[c,k,p,q] x[c,(i-p)/2,(j-q)/2] + b[k]" in own


@st.composite
def drawn(draw: st.DrawFn) -> tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]:
    axes = draw(st.sampled_from([1, 2, 2, 3]))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    groups, stride, dilation = draw(st.sampled_from([1, 1, 2])), each(1, 3), each(1, 3)
    how = {"stride": stride, "dilation": dilation, "padding": each(0, 3), "groups": groups}
    most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    how["output_padding"] = tuple(draw(st.integers(0, m)) for m in most)
    how["bias"] = draw(st.booleans())
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    return (
        f"ConvTranspose{axes}d",
        (*channels, each(1, 4)),
        how,
        (draw(st.integers(0, 2)), channels[0], *each(1, 5)),
    )


@given(drawn())
@settings(max_examples=50)
def test_drawn_layers_give_what_torchs_do(
    case: tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]],
) -> None:
    name, args, kwargs, shape = case
    numbers = zip(
        shape[2:],
        *(kwargs[n] for n in ("stride", "padding", "dilation", "output_padding")),
        args[2],
        strict=True,
    )
    sizes = [(n - 1) * s - 2 * p + d * (k - 1) + more + 1 for n, s, p, d, more, k in numbers]
    nets = pair(name, *args, **kwargs)
    if min(sizes) >= 1:
        agree(*nets, normal(*shape))
    else:
        # Of an empty batch torch says other things.
        refused_alike(*nets, normal(2, *shape[1:]), says="Output size is too small")


# --- what it is the gradient of ------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "how", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 2, "stride": 3}, {"padding": 2}]
)
def test_it_is_the_gradient_of_the_convolution_with_its_kernel(axes: int, how: dict[str, Any]) -> None:
    forward, _ = pair(f"Conv{axes}d", 4, 6, 3, bias=False, **how)
    x = normal(2, 4, *[8] * axes).requires_grad_()
    y = forward(x)
    gradient = normal(*y.shape, seed=4)
    (wanted,) = torch.autograd.grad(y, x, gradient)
    back = getattr(chalkgrad, f"ConvTranspose{axes}d")(6, 4, 3, bias=False, dtype=F64, **how)
    with torch.no_grad():
        back.weight.copy_(forward.weight)
    torch.testing.assert_close(back(gradient, [8] * axes), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "how", "shape"),
    [
        ("ConvTranspose1d", {"stride": 2, "padding": 1, "output_padding": 1}, (1, 2, 3)),
        ("ConvTranspose2d", {"groups": 2, "stride": (1, 2)}, (1, 2, 2, 2)),
        ("ConvTranspose3d", {"stride": (1, 2, 1)}, (1, 2, 1, 2, 2)),
    ],
)
def test_first_and_second_derivatives_are_right(
    name: str, how: dict[str, Any], shape: tuple[int, ...], bias: bool
) -> None:
    ours, _ = pair(name, 2, 2, 2, bias=bias, **how)
    given = (normal(*shape).requires_grad_(), *ours.parameters())

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        named = dict(zip(("weight", "bias"), parameters, strict=False))
        return torch.func.functional_call(ours, named, (x,))

    assert gradcheck(call, given)
    assert gradgradcheck(call, given)


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_only_zeros_may_stand_outside(axes: int, mode: str) -> None:
    name = f"ConvTranspose{axes}d"
    wanted = refused(lambda: getattr(nn, name)(4, 6, 3, padding_mode=mode))
    assert wanted == (ValueError, f'Only "zeros" padding mode is supported for {name}')
    assert refused(lambda: getattr(chalkgrad, name)(4, 6, 3, padding_mode=mode)) == wanted


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("how", "says", "shown"),
    [
        ({"stride": 0}, "non-positive stride is not supported", "stride is (0,"),
        ({"padding": -1}, "negative padding is not supported", "padding is (-1,"),
        ({"dilation": 0}, "dilation should be greater than zero", "dilation is (0,"),
        ({"output_padding": -1}, "negative output_padding is not supported", "output_padding is (-1,"),
        (
            {"stride": 2, "output_padding": 2},
            "output padding must be smaller than either stride or",
            "is (2,",
        ),
        ({"padding": 9}, "Output size is too small", "its size"),
    ],
)
def test_windows_that_are_none_are_refused(axes: int, how: dict[str, Any], says: str, shown: str) -> None:
    for groups in (1, 2):
        nets = pair(f"ConvTranspose{axes}d", 4, 6, 3, groups=groups, **how)
        assert shown in refused_alike(*nets, image(axes), says=says)


def test_other_shapes_and_dtypes_are_refused() -> None:
    nets = pair("ConvTranspose2d", 4, 6, 3, stride=2)
    says = "Given transposed=1, weight of size [4, 6, 3, 3], expected input[2, 5, 4, 5] to have 4 channels"
    refused_alike(*nets, image(2, 5), says=says)
    says = "Expected 3D (unbatched) or 4D (batched) input to conv_transpose2d, but got input of size: [2, 4]"
    refused_alike(*nets, normal(2, 4), says=says)
    refused_alike(*nets, image(2).float(), says="should be the same")
    refused_alike(*nets, normal(2, 4, 0, 3), says="Only zero batch or zero channel inputs are supported")
    refused_alike(*nets, "picture", says="argument 'input' (position 1) must be Tensor, not str")


def test_padding_by_name_is_refused_as_torch_refuses_it() -> None:
    ours, torchs = (home.ConvTranspose1d(1, 1, 3, padding="same") for home in (chalkgrad, nn))
    kind, text = refused(lambda: torchs(torch.zeros(1, 1, 4)))
    own_kind, own = refused(lambda: ours(torch.zeros(1, 1, 4)))
    assert (own_kind, own.strip()) == (kind, text.strip())
    assert kind is TypeError
