"""What torch's convolutions refuse is refused here with torch's type and text, and with the equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peers import F64, IMAGES, image, normal, pair, refused, refused_alike
from torch import nn

from chalkgrad import EquationError


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_input_with_other_axes_is_refused(axes: int) -> None:
    ours, torchs = pair(f"Conv{axes}d", 4, 6, 3)
    says = f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to conv{axes}d, but got input "
    for shape in ((4,) * axes, (1, 4, 1, *IMAGES[axes])):
        besides = refused_alike(ours, torchs, normal(*shape), says=f"{says}of size: {list(shape)}")
        assert "places of C channels, and its shape is (" in besides


def test_the_contracts_own_example_of_too_many_axes() -> None:
    ours, torchs = pair("Conv2d", 10, 6, 3)
    says = (
        "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [1, 10, 1, 28, 28]"
    )
    refused_alike(ours, torchs, torch.zeros(1, 10, 1, 28, 28, dtype=F64), says=says)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_kernel_larger_than_the_image_is_refused(axes: int) -> None:
    ours, torchs = pair(f"Conv{axes}d", 1, 1, 10)
    sizes = " x ".join(["4"] * axes), " x ".join(["10"] * axes)
    says = "Calculated padded input size per channel: ({}). Kernel size: ({}). Kernel size can't be greater"
    besides = refused_alike(ours, torchs, normal(1, 1, *[4] * axes), says=says.format(*sizes))
    assert "would read outside of its input" in besides
    refused_alike(ours, torchs, normal(1, 1, *[0] * axes), says="Kernel size can't be greater than actual")


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"stride": 0}, "non-positive stride is not supported"),
        ({"stride": -1}, "non-positive stride is not supported"),
        ({"padding": -1}, "negative padding is not supported"),
        ({"dilation": 0}, "dilation should be greater than zero"),
        ({"dilation": -2}, "dilation should be greater than zero"),
    ],
)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_windows_that_are_none_are_refused(axes: int, how: dict[str, Any], says: str, groups: int) -> None:
    (what,) = how
    besides = refused_alike(*pair(f"Conv{axes}d", 4, 6, 3, groups=groups, **how), image(axes), says=says)
    assert what in besides


def test_a_kernel_without_places_is_refused() -> None:
    ours, torchs = pair("Conv2d", 4, 6, (3, 0))
    assert "kernel_size" in refused_alike(
        ours, torchs, image(2), says="kernel size should be greater than zero"
    )
    ours, torchs = pair("Conv2d", 4, 0, 3)
    refused_alike(ours, torchs, image(2), says="expected weight to be at least 1 at dimension 0")


@pytest.mark.parametrize(
    ("groups", "channels", "says"),
    [
        (1, 3, "Given groups=1, weight of size [6, 4, 3, 3], expected input[2, 3, 7, 8] to have 4 channels"),
        (2, 6, "Given groups=2, weight of size [6, 2, 3, 3], expected input[2, 6, 7, 8] to have 4 channels"),
        (2, 3, "Given groups=2, weight of size [6, 2, 3, 3], expected input[2, 3, 7, 8] to have 4 channels"),
        (1, 0, "Given groups=1, weight of size [6, 4, 3, 3], expected input[2, 0, 7, 8] to have 4 channels"),
    ],
)
def test_other_channels_are_refused(groups: int, channels: int, says: str) -> None:
    refused_alike(*pair("Conv2d", 4, 6, 3, groups=groups), image(2, channels), says=says)


@pytest.mark.parametrize(
    ("groups", "weight", "says"),
    [
        (3, (2, 2, 3), "Given groups=3, expected weight to be at least 3 at dimension 0"),
        (3, (4, 2, 3), "expected weight to be divisible by 3 at dimension 0"),
        (0, (4, 2, 3), "non-positive groups is not supported"),
        (-2, (4, 2, 3), "non-positive groups is not supported"),
    ],
)
def test_groups_that_do_not_go_into_the_channels_are_refused(
    groups: int, weight: tuple[int, ...], says: str
) -> None:
    nets = pair("Conv1d", 6, 6, 3)
    for net in nets:
        net.groups, net.weight = groups, nn.Parameter(normal(*weight))
    refused_alike(*nets, image(1, 6), says=says)


@pytest.mark.parametrize("groups", [1, 2])
def test_another_dtype_is_refused(groups: int) -> None:
    nets = pair("Conv2d", 4, 6, 3, groups=groups, dtype=torch.float32)
    besides = refused_alike(
        *nets, image(2), says="Input type (double) and bias type (float) should be the same"
    )
    assert "`x` is float64 and `w` is float32" in besides
    refused_alike(*nets, torch.zeros(2, 4, 7, 8, dtype=torch.int64), says="should be the same")
    refused_alike(*nets, torch.zeros(2, 4, 7, 8, dtype=torch.complex64), says="should be the same")


@pytest.mark.parametrize("x", [None, [1.0, 2.0], np.zeros((2, 4, 7, 8)), 3])
def test_what_is_no_tensor_is_refused(x: Any) -> None:
    besides = refused_alike(*pair("Conv2d", 4, 6, 3), x, says="invalid combination of arguments")
    assert f"is given as {type(x).__name__}" in besides
    assert "help" in refused_alike(
        *pair("Conv2d", 4, 6, 3, groups=2, padding_mode="circular", padding=1), x, says=""
    )


def test_numbers_of_other_axes_are_refused() -> None:
    besides = refused_alike(
        *pair("Conv2d", 4, 6, (3, 3), stride=(1, 2, 3)), image(2), says="a list of 2 values"
    )
    assert "stride is (1, 2, 3), and there are 2 axes" in besides
    refused_alike(*pair("Conv2d", 4, 6, (3,)), image(2), says="expected stride to be")
    refused_alike(*pair("Conv2d", 4, 6, 3, stride=1.5), image(2), says="invalid combination of arguments")


def test_an_image_that_cannot_be_padded_is_refused() -> None:
    nets = pair("Conv1d", 4, 6, 3, padding=4, padding_mode="reflect")
    besides = refused_alike(*nets, normal(1, 4, 3), says="Padding size should be less than")
    assert "`x` has 3 places, too few to be padded by (4,) (reflect)" in besides


def test_an_image_without_places_is_refused_as_torch_refuses_it() -> None:
    for groups in (1, 2):
        besides = refused_alike(
            *pair("Conv1d", 4, 2, 3, padding=2, groups=groups),
            normal(1, 4, 0),
            says="Only zero batch or zero channel inputs are supported",
        )
        assert "`x` has no places" in besides


def test_complex_numbers_are_refused_with_the_equation() -> None:
    ours, torchs = pair("Conv2d", 4, 6, 3, dtype=torch.complex64)
    x = torch.zeros(2, 4, 7, 8, dtype=torch.complex64)
    assert torchs(x).dtype == torch.complex64
    with pytest.raises(EquationError, match=r"(?s)`x` is complex64.*computed in real numbers.*y\[k,i,j\]"):
        ours(x)


def test_an_error_leaves_a_layer_that_works() -> None:
    ours, torchs = pair("Conv2d", 4, 6, 3)
    for x in (image(2, 3), normal(4), image(2).float()):
        refused(lambda x=x: ours(x))
    assert torch.equal(ours(image(2)), torchs(image(2)))
