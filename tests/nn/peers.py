"""A module of chalkgrad beside the one of torch.nn that it replaces: made, called and refused alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import chalkgrad

F64 = torch.float64
IMAGES = {1: (11,), 2: (7, 8), 3: (5, 6, 4)}
"""An image's places by how many axes it has."""


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def image(axes: int, channels: int = 4, batch: int = 2) -> Tensor:
    return normal(batch, channels, *IMAGES[axes])


def same(found: list[Tensor], wanted: list[Tensor], tolerance: float = 1e-12) -> None:
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@contextmanager
def quiet() -> Iterator[None]:
    """torch warns of copies that it makes, and of weights that have no elements."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel")
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        yield


def pair(name: str, *args: Any, dtype: torch.dtype = F64, **kwargs: Any) -> tuple[Any, Any]:
    """Ours and torch's, from one seed."""
    if "Pool" not in name:
        kwargs["dtype"] = dtype
    made: list[nn.Module] = []
    for home in (chalkgrad, nn):
        torch.manual_seed(3)
        with quiet():
            made.append(getattr(home, name)(*args, **kwargs))
    return made[0], made[1]


def with_gradients(
    call: Callable[..., Tensor], x: Tensor, *args: Any, parameters: tuple[Tensor, ...]
) -> list[Tensor]:
    """A result, and the gradients of a loss that weighs every number of it differently."""
    x = x.detach().requires_grad_()
    with quiet():
        y = call(x, *args)
    y = y[0] if isinstance(y, tuple) else y
    weights = normal(*y.shape, seed=9).to(y.dtype)
    return [y, *torch.autograd.grad(y, (x, *parameters), weights)]


def agree(ours: Any, torchs: Any, x: Tensor, *args: Any, tolerance: float = 1e-12) -> Tensor:
    """Hold one to the other: numbers, shapes, and the gradients by the input and by all parameters."""
    found = with_gradients(ours, x, *args, parameters=tuple(ours.parameters()))
    wanted = with_gradients(torchs, x, *args, parameters=tuple(torchs.parameters()))
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(
            a, b, rtol=0, atol=tolerance * max(1.0, b.abs().max().item() if b.numel() else 0)
        )
    assert ours.equations
    return found[0]


def refused(call: Callable[[], Any]) -> tuple[type[Exception], str]:
    """The type and the text of what a call raises."""
    with pytest.raises(Exception) as caught, quiet():  # noqa: PT011
        call()
    return caught.type, str(caught.value)


def refused_alike(ours: Any, torchs: Any, *args: Any, says: str) -> str:
    """Hold one's error to the other's: its type, its text, and the equation besides, which is returned."""
    kind, text = refused(lambda: torchs(*args))
    assert says in text, text
    own_kind, own_text = refused(lambda: ours(*args))
    assert own_kind is kind, own_text
    assert own_text.startswith(text + "\n")
    besides = own_text.removeprefix(text + "\n")
    assert besides.startswith("error: ")
    assert f"line 1 | {ours.equations.splitlines()[0]}" in besides
    assert "^" in besides
    assert "help: " in besides
    return besides
