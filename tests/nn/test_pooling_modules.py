"""MaxPool1d–3d and AvgPool1d–3d give torch.nn's numbers, winners, gradients and errors."""

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
from chalkgrad import EquationError

IMAGES = {1: (11,), 2: (7, 8), 3: (5, 6, 4)}
KINDS = ["Max", "Avg"]


def image(axes: int, channels: int = 3, batch: int = 2) -> Tensor:
    return normal(batch, channels, *IMAGES[axes])


def agree_with_places(name: str, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Hold the winners' places to torch's, and the numbers and gradients that come with them; the places."""
    ours, torchs = pair(name, *args, return_indices=True, **kwargs)
    agree(ours, torchs, x)
    (y, found), (_, wanted) = ours(x), torchs(x)
    assert found.dtype == wanted.dtype == torch.int64
    assert torch.equal(found, wanted)
    assert not found.requires_grad
    axes = int(name[-2])
    assert torch.equal(x.flatten(-axes).gather(-1, found.flatten(-axes)), y.flatten(-axes))
    return found


# --- numbers and gradients -----------------------------------------------------------------------------

BOTH: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride 1": {"stride": 1},
    "a long stride": {"stride": 4},
    "padding": {"padding": 1},
    "rounded up": {"stride": 2, "ceil_mode": True},
    "padding, rounded up": {"stride": 2, "padding": 1, "ceil_mode": True},
}
MAXIMA = {
    **BOTH,
    "dilation": {"dilation": 2, "stride": 1},
    "all": {"dilation": 2, "padding": 1, "stride": 2, "ceil_mode": True},
}
MEANS = {
    **BOTH,
    "padding not counted": {"padding": 1, "count_include_pad": False},
    "padding not counted, rounded up": {
        "padding": 1,
        "stride": 2,
        "ceil_mode": True,
        "count_include_pad": False,
    },
    "without padding to count": {"count_include_pad": False},
}
DIVISORS = {
    "a divisor": {"divisor_override": 3},
    "a divisor, padded and rounded up": {"divisor_override": 5, "padding": 1, "stride": 2, "ceil_mode": True},
    "a divisor below zero": {"divisor_override": -2, "padding": 1, "count_include_pad": False},
}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("how", MAXIMA.values(), ids=MAXIMA)
def test_maxima_winners_and_gradients_are_torchs(axes: int, how: dict[str, Any]) -> None:
    ours, torchs = pair(f"MaxPool{axes}d", (3, 2, 2)[:axes], **how)
    y = agree(ours, torchs, image(axes))
    assert torch.equal(agree(ours, torchs, image(axes)[1]), y[1])
    assert agree_with_places(f"MaxPool{axes}d", image(axes), (3, 2, 2)[:axes], **how).shape == y.shape
    agree_with_places(f"MaxPool{axes}d", image(axes)[1], (3, 2, 2)[:axes], **how)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("how", MEANS.values(), ids=MEANS)
def test_means_and_gradients_are_torchs(axes: int, how: dict[str, Any]) -> None:
    ours, torchs = pair(f"AvgPool{axes}d", (3, 2, 2)[:axes], **how)
    y = agree(ours, torchs, image(axes))
    torch.testing.assert_close(agree(ours, torchs, image(axes)[1]), y[1], rtol=0, atol=1e-15)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("how", DIVISORS.values(), ids=DIVISORS)
def test_a_divisor_of_ones_own_is_torchs(axes: int, how: dict[str, Any]) -> None:
    agree(*pair(f"AvgPool{axes}d", (3, 2, 2)[:axes], **how), image(axes))


@pytest.mark.parametrize("kind", KINDS)
def test_every_axis_has_numbers_of_its_own(kind: str) -> None:
    for args, kwargs in (
        (((3, 1),), {}),
        (((2, 3), (1, 4), (0, 1)), {}),
        (([4, 2],), {"stride": [2, 3], "padding": [2, 0], "ceil_mode": True}),
        (((3,),), {"stride": (2,), "padding": (1,)}),
        ((1,), {"stride": 3}),
        ((IMAGES[2],), {}),
    ):
        agree(*pair(f"{kind}Pool2d", *args, **kwargs), image(2))
    agree(*pair(f"{kind}Pool3d", (1, 2, 3), (2, 1, 3), (0, 1, 1)), image(3))


@st.composite
def drawn(draw: st.DrawFn) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    axes, kind = draw(st.sampled_from([1, 2, 2, 3])), draw(st.sampled_from(KINDS))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    how = {
        "kernel_size": each(1, 4),
        "stride": each(1, 4),
        "padding": each(0, 2),
        "ceil_mode": draw(st.booleans()),
    }
    if kind == "Max":
        how["dilation"] = each(1, 2)
    else:
        how["count_include_pad"] = draw(st.booleans())
        if axes > 1 and draw(st.booleans()):
            how["divisor_override"] = draw(st.integers(1, 5))
    return f"{kind}Pool{axes}d", how, (draw(st.integers(0, 2)), 2, *each(1, 7))[draw(st.integers(0, 1)) :]


@given(drawn())
@settings(max_examples=80)
def test_drawn_layers_give_and_refuse_what_torchs_do(
    case: tuple[str, dict[str, Any], tuple[int, ...]],
) -> None:
    name, how, shape = case
    nets, x = pair(name, **how), normal(*shape)
    try:
        y = nets[1](x.requires_grad_())
    except RuntimeError as error:
        # torch has no mean in three dimensions of an image smaller than a window, whatever is padded.
        if "smaller than kernel size" not in str(error):
            refused_alike(*nets, x, says="")
        return
    if not y.isfinite().all():
        # Both taps of a dilated window lie in the padding: torch sends its gradient anywhere.
        assert torch.equal(nets[0](x), y)
        return
    agree(*nets, x)
    if name.startswith("Max") and x.numel():
        agree_with_places(name, x, **how)


# --- the rules of the contract -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_that_is_rounded_up_to_begins_in_the_image_or_before_it(kind: str) -> None:
    # The fourth window of each would begin at 6 and at 7: the first is there, the second is not.
    for size, windows in ((7, 4), (6, 3)):
        nets = pair(f"{kind}Pool1d", 2, stride=2, ceil_mode=True)
        assert agree(*nets, normal(1, 1, size)).shape[-1] == windows
    # With one place of padding on the right the last would begin in it, at 4.
    nets = pair(f"{kind}Pool1d", 2, stride=2, padding=1, ceil_mode=True)
    assert agree(*nets, normal(1, 1, 3)).shape[-1] == 2
    assert agree(*nets, normal(1, 1, 4)).shape[-1] == 3


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_what_is_not_a_number_goes_through_a_maximum(axes: int) -> None:
    x = image(axes)
    x.view(-1)[::7] = torch.nan
    for how in MAXIMA.values():
        nets = pair(f"MaxPool{axes}d", (3, 2, 2)[:axes], **how)
        found, wanted = (net(x) for net in nets)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
        assert found.isnan().any() or "dilation" in how
        places = (net(x)[1] for net in pair(f"MaxPool{axes}d", (3, 2, 2)[:axes], return_indices=True, **how))
        assert torch.equal(*places)


def test_infinite_numbers_are_numbers() -> None:
    x = normal(1, 1, 6, 6)
    x[0, 0, 0, :3], x[0, 0, 3:] = torch.inf, -torch.inf
    for kind in KINDS:
        for how in ({}, {"padding": 1}, {"padding": 1, "ceil_mode": True}):
            found, wanted = (net(x) for net in pair(f"{kind}Pool2d", 2, **how))
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-15, equal_nan=True)
    agree_with_places("MaxPool2d", x, 2, padding=1)


def test_the_first_of_equal_winners_wins() -> None:
    x = torch.ones(1, 1, 4, 4, dtype=F64)
    assert agree_with_places("MaxPool2d", x, 2).flatten().tolist() == [0, 2, 8, 10]
    agree_with_places("MaxPool2d", x, 3, stride=1, padding=1)
    agree_with_places("MaxPool2d", torch.full((1, 1, 4, 4), -torch.inf, dtype=F64), 2)


def test_winners_undo_a_pooling() -> None:
    ours, torchs = pair("MaxPool2d", 2, return_indices=True)
    x = image(2, batch=3)[..., :6, :]
    found, wanted = (nn.functional.max_unpool2d(*net(x), 2) for net in (ours, torchs))
    assert torch.equal(found, wanted)


def test_means_count_what_the_contract_says() -> None:
    x = torch.ones(1, 1, 4, dtype=F64)
    ours, _ = pair("AvgPool1d", 2, stride=2, padding=1)
    assert ours(x).tolist() == [[[0.5, 1, 0.5]]]
    ours, _ = pair("AvgPool1d", 2, stride=2, padding=1, count_include_pad=False)
    assert ours(x).tolist() == [[[1, 1, 1]]]
    ours, _ = pair("AvgPool1d", 3, stride=2, padding=1, ceil_mode=True)
    # The last window has two places of its own and of the padding: what is beyond does not count.
    assert ours(torch.ones(1, 1, 5, dtype=F64)).tolist() == [[[2 / 3, 1, 2 / 3]]]
    assert ours(x)[0, 0].tolist() == pytest.approx([2 / 3, 1, 1 / 2])
    ours, _ = pair("AvgPool2d", 2, divisor_override=1)
    assert ours(x.reshape(1, 1, 2, 2)).item() == 4


# --- layouts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [{}, {"padding": 1, "stride": 1}, {"padding": 1, "ceil_mode": True}])
def test_inputs_may_be_views_and_have_their_channels_last(kind: str, how: dict[str, Any]) -> None:
    nets = pair(f"{kind}Pool2d", 3, **how)
    last = image(2).to(memory_format=torch.channels_last)
    y = agree(*nets, last)
    assert y.stride() == nets[1](last).stride()
    for x in (
        normal(9, 8, 5, 12)[:, :, :3, :2].permute(3, 2, 0, 1),
        normal(9, 8, 5, 12)[::2, 1::2, :, ::3],
        normal(1, 3, 7, 8).expand(3, 3, 7, 8),
        image(2).mT,
    ):
        assert not x.is_contiguous()
        agree(*nets, x)
    agree(*pair(f"{kind}Pool1d", 3, **how), normal(4, 11, 2).permute(2, 0, 1))
    agree(*pair(f"{kind}Pool3d", 3, **how), image(3).transpose(2, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_batch_may_be_empty(kind: str, axes: int) -> None:
    for how in ({}, {"padding": 1}, {"padding": 1, "ceil_mode": True}):
        agree(*pair(f"{kind}Pool{axes}d", 2, **how), image(axes, batch=0))
    if kind == "Max":
        ours, torchs = pair(f"MaxPool{axes}d", 2, return_indices=True)
        assert ours(image(axes, batch=0))[1].shape == torchs(image(axes, batch=0))[1].shape


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("Max", {}),
        ("Max", {"padding": 1, "dilation": 2, "stride": 1}),
        ("Max", {"padding": 1, "ceil_mode": True, "stride": 2}),
        ("Avg", {"padding": 1}),
        ("Avg", {"padding": 1, "ceil_mode": True, "stride": 2}),
        ("Avg", {"padding": 1, "count_include_pad": False}),
    ],
)
def test_first_and_second_derivatives_are_right(axes: int, kind: str, how: dict[str, Any]) -> None:
    ours, _ = pair(f"{kind}Pool{axes}d", 2, **how)
    # No two are so near that a step would change the winner.
    count = 2 * 4**axes
    x = torch.randperm(count, generator=torch.Generator().manual_seed(1)).double().reshape(1, 2, *[4] * axes)
    x = x.div(count).requires_grad_()
    assert gradcheck(ours, x, eps=1e-4)
    assert gradgradcheck(lambda x: ours(x).square(), x, eps=1e-4)


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_more_than_half_a_window_is_refused(kind: str, axes: int) -> None:
    says = "pad should be at most half of effective kernel size, but got pad=2, kernel_size=3"
    besides = refused_alike(*pair(f"{kind}Pool{axes}d", 3, padding=2), image(axes), says=says)
    assert "padding is (2, 2" in besides
    assert "half of the kernel is (1, 1" in besides


def test_padding_of_more_than_half_a_window_is_refused_in_one_dimension() -> None:
    says = "padding should be at most half of kernel size, but got padding=2 and kernel_size=3"
    refused_alike(*pair("MaxPool1d", 3, padding=2), image(1), says=says)
    refused_alike(*pair("AvgPool1d", 3, padding=2), image(1), says="pad should be at most half of")
    refused_alike(*pair("MaxPool2d", 3, padding=3, dilation=2), image(2), says="kernel_size=3 and dilation=2")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_half_of_a_kernel_is_counted_without_its_dilation(axes: int) -> None:
    for places in (False, True):
        nets = pair(f"MaxPool{axes}d", 3, padding=2, dilation=2, return_indices=places)
        refused_alike(*nets, image(axes), says="half of kernel size")
    agree(*pair(f"MaxPool{axes}d", 3, padding=1, dilation=2), image(axes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("how", "says", "shown"),
    [
        ({"kernel_size": 2, "stride": 0}, "stride", "stride is (0,"),
        ({"kernel_size": 2, "stride": -1}, "", "stride is (-1,"),
        ({"kernel_size": 0}, "", "kernel_size is (0,"),
        ({"kernel_size": -2, "stride": 1}, "", "kernel_size is (-2,"),
        ({"kernel_size": 2, "padding": -1}, "", "padding is (-1,"),
        ({"kernel_size": (2, 2, 2, 2)}, "", "there are "),
    ],
)
def test_windows_that_are_none_are_refused(
    axes: int, kind: str, how: dict[str, Any], says: str, shown: str
) -> None:
    assert shown in refused_alike(*pair(f"{kind}Pool{axes}d", **how), image(axes), says=says)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_no_dilation_is_refused(axes: int) -> None:
    for dilation in (0, -1):
        nets = pair(f"MaxPool{axes}d", 2, dilation=dilation)
        assert f"dilation is ({dilation}," in refused_alike(*nets, image(axes), says="dilation")


@pytest.mark.parametrize("axes", [2, 3])
def test_a_divisor_of_zero_is_refused(axes: int) -> None:
    nets = pair(f"AvgPool{axes}d", 2, divisor_override=0)
    assert "the divisor is 0" in refused_alike(*nets, image(axes), says="divisor must be not zero")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_inputs_that_are_no_images_are_refused(kind: str, axes: int) -> None:
    nets = pair(f"{kind}Pool{axes}d", 2)
    for shape in ((3,) * axes, (1, 1, 3, *IMAGES[axes])):
        assert "places of C channels" in refused_alike(*nets, normal(*shape), says="")
    assert "a window spans 2 places" in refused_alike(*nets, normal(2, 3, *[1] * axes), says="")
    assert "`x` has no channels" in refused_alike(*nets, normal(2, 0, *IMAGES[axes]), says="")
    assert "`x` has no places" in refused_alike(*nets, normal(0, 3, *[0] * axes), says="")
    assert "is given as list" in refused_alike(*nets, [[[1.0, 2.0]]], says="must be Tensor, not list")


def test_numbers_that_no_equation_has_are_refused_as_torch_refuses_them() -> None:
    ours, torchs = pair("MaxPool2d", 2.5)
    kind, text = refused(lambda: torchs(image(2)))
    own_kind, own = refused(lambda: ours(image(2)))
    assert (own_kind, own.strip()) == (kind, text)
    assert kind is TypeError


def test_a_mean_of_whole_numbers_is_refused() -> None:
    ours, torchs = pair("AvgPool2d", 2)
    besides = refused_alike(
        ours, torchs, torch.ones(1, 1, 4, 4, dtype=torch.int32), says="not implemented for 'Int'"
    )
    assert "`x` is int32, and equations are computed in real numbers" in besides
    # torch gives the largest of whole numbers; an equation is about real ones, and says so.
    with pytest.raises(EquationError, match=r"(?s)`x` is int64, .*y\[c,i,j\] = max.*x\.float\(\)"):
        chalkgrad.MaxPool2d(2)(torch.ones(1, 1, 4, 4, dtype=torch.int64))


def test_an_error_leaves_a_layer_that_works() -> None:
    for kind in KINDS:
        ours, torchs = pair(f"{kind}Pool2d", 2)
        for x in (normal(4), normal(1, 1, 1, 1), torch.ones(1, 1, 4, 4, dtype=torch.int32)):
            refused(lambda x=x, ours=ours: ours(x))
        assert torch.equal(ours(image(2)), torchs(image(2)))


def test_a_mean_in_three_dimensions_may_be_of_windows_larger_than_the_image() -> None:
    ours, torchs = pair("AvgPool3d", 2, padding=1)
    x = normal(1, 1, 1, 2, 2)
    assert "smaller than kernel size" in refused(lambda: torchs(x))[1]
    flat, _ = pair("AvgPool2d", 2, padding=1)
    torch.testing.assert_close(ours(x)[0, 0], flat(x[0])[0].expand(1, 2, 2) / 2, rtol=0, atol=1e-15)
