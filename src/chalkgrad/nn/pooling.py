"""Maxima and means over windows with torch.nn's constructors and results, computed as their equations say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.nn.page import REFUSALS, Page, Written, page, refuse
from chalkgrad.nn.recording import Recorded, in_one, is_recorded
from chalkgrad.nn.windows import (
    POSITIONS,
    TAPS,
    Margin,
    each,
    hold,
    image,
    letters,
    no_window,
    outside,
    reads,
)


@lru_cache(maxsize=512)
def max_pooling(
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    margins: tuple[Margin, ...],
) -> str:
    """The equation of the maximum over windows, with as many axes as the kernel has.

    >>> print(max_pooling((3, 2), (2, 2), (1, 1), ((1, 1), (0, 0))))
    y[c,i,j] = max[p<3,q<2] x[c,2i+p-1,2j+q]
    where x: input C×M×N -∞ outside 0×±1×0
    """
    n = len(kernel)
    return (
        f"y[c,{letters(POSITIONS, n)}] = max[{_taps(kernel)}] x[c,{reads(strides, dilations, margins)}]\n"
        f"where x: input C×{image(n)}{outside('-∞', margins, ahead=1)}"
    )


@lru_cache(maxsize=512)
def mean_pooling(
    kernel: tuple[int, ...], strides: tuple[int, ...], margins: tuple[Margin, ...], divisor: int | None
) -> str:
    """The equation of the mean over windows; without a ``divisor`` n holds how many places each one counts.

    >>> print(mean_pooling((2,), (2,), ((0, 0),), 2))
    y[c,i] = Σ[p<2] x[c,2i+p] / 2
    where x: input C×N
    >>> print(mean_pooling((2,), (2,), ((1, 1),), None))
    y[c,i] = (Σ[p<2] x[c,2i+p-1]) / n[i]
    where x: input C×N zero outside ±1
    """
    axes = len(kernel)
    i = letters(POSITIONS, axes)
    total = f"Σ[{_taps(kernel)}] x[c,{reads(strides, (1,) * axes, margins)}]"
    return (
        f"y[c,{i}] = {f'({total}) / n[{i}]' if divisor is None else f'{total} / {divisor}'}\n"
        f"where x: input C×{image(axes)}{outside('zero', margins, ahead=1)}"
    )


def _taps(kernel: Sequence[int]) -> str:
    return ",".join(f"{p}<{k}" for p, k in zip(TAPS, kernel, strict=False))


def margins(
    strides: Sequence[int], spans: Sequence[int], paddings: Sequence[int], ceiling: bool
) -> tuple[Margin, ...]:
    """How many places before and after each axis windows may read that span so many.

    Rounding up lets a last window begin that does not fit, less than a stride later; but it begins inside the
    image or its padding on the left.

    >>> margins((2, 3), (3, 2), (0, 1), ceiling=True)
    ((0, 1), (1, 1))
    """
    return tuple(
        (p, min(p + s - 1, span - 1) if ceiling else p)
        for s, span, p in zip(strides, spans, paddings, strict=True)
    )


# --- modules -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a pooling, one number for each axis, and its page."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    dilations: tuple[int, ...]
    spans: tuple[int, ...]
    margins: tuple[Margin, ...]
    divisor: int | None = None

    @property
    def equations(self) -> str:
        """The text of the page of a maximum."""
        return max_pooling(self.kernel, self.strides, self.dilations, self.margins)

    @property
    def mean(self) -> str:
        """The text of the page of a mean."""
        return mean_pooling(self.kernel, self.strides, self.margins, self.divisor)

    def hold(self, text: str) -> None:
        """Refuse windows that are none, and padding of more than half a kernel. Raises EquationError."""
        numbers = {
            "kernel_size": (1, self.kernel),
            "stride": (1, self.strides),
            "padding": (0, self.paddings),
            "dilation": (1, self.dilations),
        }
        hold(text, len(self.kernel), numbers)
        half = tuple(k // 2 for k in self.kernel)
        if any(p > h for p, h in zip(self.paddings, half, strict=True)):
            problem = f"padding is {self.paddings}, and half of the kernel is {half}"
            raise no_window(text, problem, "pad by at most half of the kernel")


Number = int | tuple[int, ...]


@lru_cache(maxsize=512)
def _windows(
    axes: int,
    kernel: Number,
    stride: Number,
    padding: Number,
    dilation: Number,
    ceiling: bool,
    divisor: int | None = None,
) -> Windows:
    numbers = [each(n, axes) for n in (kernel, stride, padding, dilation)]
    kernels, strides, paddings, dilations = numbers
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=False))
    whole = all(len(n) == axes for n in numbers)
    found = margins(strides, spans, paddings, ceiling) if whole else ((0, 0),) * axes
    return Windows(kernels, strides, paddings, dilations, spans, found, divisor)


def _number(n: Any) -> Number:
    return tuple(n) if isinstance(n, list) else n


class _Pool(Written, Recorded):
    """What poolings share; the attributes are those that torch's constructors set."""

    axes = 0
    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: Any

    def _shaped(self, found: tuple[Tensor, ...]) -> Any:
        return found[0] if len(found) == 1 else found

    def _batched(self, page: Page, x: Tensor, windows: Windows) -> Tensor:
        """``x`` in a batch. Raises EquationError where it is no image, or no window fits into it."""
        if not isinstance(x, Tensor) or x.dim() not in (self.axes + 1, self.axes + 2):
            page.fail(
                f"`x` is {image(self.axes)} places of C channels, and its shape is {tuple(x.shape)}"
                if isinstance(x, Tensor)
                else f"`x` is a tensor, and is given as {type(x).__name__}",
                "x",
                help="x has one axis for channels, and may have one before it for the batch",
            )
        if 0 in x.shape[-self.axes - 1 :]:
            page.fail(
                "`x` has no channels" if 0 not in x.shape[-self.axes :] else "`x` has no places",
                "x",
                help="give a larger input; an empty batch is one",
            )
        fits = zip(x.shape[-self.axes :], windows.spans, windows.margins, strict=True)
        for size, span, (before, after) in fits:
            if before + size + after < span:
                page.fail(
                    f"a window spans {span} places, and `x` has {before} + {size} + {after}",
                    "x",
                    help="give larger inputs or smaller windows",
                )
        return x if x.dim() == self.axes + 2 else x.unsqueeze(0)


@lru_cache(maxsize=512)
def _max_page(*numbers: Any) -> tuple[Windows, Page]:
    """The windows with these numbers, and their maximum's page. Raises EquationError where they are none."""
    windows = _windows(*numbers)
    windows.hold(windows.equations)
    return windows, page(windows.equations)


class _MaxPool(_Pool):
    """A maximum over windows."""

    dilation: Any
    return_indices: Any

    def _numbers(self) -> tuple[Any, ...]:
        numbers = (self.kernel_size, self.stride, self.padding, self.dilation)
        return self.axes, *map(_number, numbers), bool(self.ceil_mode)

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        return _windows(*self._numbers()).equations

    @in_one
    def forward(self, input: Tensor) -> Any:
        """y, as torch.nn's layer of the same name and numbers has it."""
        try:
            windows, own = _max_page(*self._numbers())
            batched = isinstance(input, Tensor) and input.dim() == self.axes + 2
            if batched and not self.return_indices and (again := own.again(input)) is not None:
                return again
            x = self._batched(own, input, windows)
            if not self.return_indices:
                return own(x) if batched else own(x).squeeze(0)
            y, *winners = own.with_winners(x)
            places = _places(winners, x.shape[2:], windows)
            return (y, places) if batched else (y.squeeze(0), places.squeeze(0))
        except REFUSALS as error:
            refuse(error, super().forward, input, module=self)  # pyright: ignore


def _places(winners: Sequence[Tensor], sizes: Sequence[int], windows: Windows) -> Tensor:
    """The winners' places, counted through the image."""
    flat = torch.zeros((), dtype=torch.int64, device=winners[0].device)
    numbers = (windows.strides, windows.dilations, windows.paddings)
    axes = zip(winners, sizes, *numbers, strict=True)
    for k, (winner, size, stride, dilation, padding) in enumerate(axes):
        first = torch.arange(winner.shape[2 + k], device=flat.device) * stride - padding
        first = first.reshape([-1] + [1] * (len(sizes) - 1 - k))
        flat = flat * size + first + dilation * winner.detach().to(torch.int64)
    return flat


class _AvgPool(_Pool):
    """A mean over windows."""

    count_include_pad: Any
    divisor_override: Any = None

    def _numbers(self) -> tuple[Any, ...]:
        kernel, stride, padding = map(_number, (self.kernel_size, self.stride, self.padding))
        divisor = self.divisor_override
        if divisor is None and not self.ceil_mode and (self.count_include_pad or padding in (0, (0,))):
            divisor = prod(each(kernel, self.axes))
        return self.axes, kernel, stride, padding, 1, bool(self.ceil_mode), divisor

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        return _windows(*self._numbers()).mean

    @in_one
    def forward(self, input: Tensor) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        try:
            windows, own = _mean_page(*self._numbers())
            batched = isinstance(input, Tensor) and input.dim() == self.axes + 2
            if batched and windows.divisor is not None and (again := own.again(input)) is not None:
                return again
            x = self._batched(own, input, windows)
            if windows.divisor is not None:
                y = own(x)
            else:
                # What is kept from call to call is no part of a graph.
                counts = _counts.__wrapped__ if is_recorded([x]) else _counts
                sizes = tuple([int(n) for n in x.shape[2:]])
                n = counts(windows, sizes, bool(self.count_include_pad), x.dtype, x.device)
                y = own.again(x, n)
                y = own(x, n) if y is None else y
            return y if batched else y.squeeze(0)
        except REFUSALS as error:
            refuse(error, super().forward, input, module=self)  # pyright: ignore


@lru_cache(maxsize=512)
def _mean_page(*numbers: Any) -> tuple[Windows, Page]:
    """The windows with these numbers, and their mean's page. Raises EquationError where they are none."""
    windows = _windows(*numbers)
    windows.hold(windows.mean)
    if windows.divisor == 0:
        raise no_window(windows.mean, "the divisor is 0", "give another, or None for the places of a window")
    return windows, page(windows.mean)


@lru_cache(maxsize=64)
def _counts(
    windows: Windows, sizes: tuple[int, ...], include: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """How many places each window counts: those of the image, and if ``include`` of its padding."""
    with torch.inference_mode(False):  # they are kept, and may come to be part of a graph
        counts = torch.ones((), dtype=torch.float64, device=device)
        axes = zip(sizes, windows.kernel, windows.strides, windows.paddings, windows.margins, strict=True)
        for size, k, s, p, (before, after) in axes:
            first = torch.arange(0, size + before + after - k + 1, s, device=device) - before
            last = (first + k).clamp(max=size + p if include else size)
            own = last - (first if include else first.clamp(min=0))
            counts = counts.unsqueeze(-1) * own
        return counts.to(dtype)


class MaxPool1d(_MaxPool, nn.MaxPool1d):
    """torch.nn.MaxPool1d as an equation: x (batch, C, N) → the largest of each window, and its place.

    The arguments and results are torch's, and so are the errors, which show the equation besides.
    ``equations``, ``program`` and ``derivation`` are its page, what it means, and its backward equations.

    >>> net = MaxPool1d(3, stride=2, padding=1)
    >>> print(net.equations)
    y[c,i] = max[p<3] x[c,2i+p-1]
    where x: input C×N -∞ outside ±1
    >>> net(torch.tensor([[[1.0, 5.0, 2.0, 3.0]]]))
    tensor([[[5., 5.]]])
    """

    axes = 1


class MaxPool2d(_MaxPool, nn.MaxPool2d):
    """torch.nn.MaxPool2d as an equation, in every way that :class:`MaxPool1d` is torch.nn.MaxPool1d.

    >>> MaxPool2d(2)(torch.zeros(5, 3, 6, 8)).shape
    torch.Size([5, 3, 3, 4])
    """

    axes = 2


class MaxPool3d(_MaxPool, nn.MaxPool3d):
    """torch.nn.MaxPool3d as an equation, in every way that :class:`MaxPool1d` is torch.nn.MaxPool1d.

    >>> MaxPool3d(2)(torch.zeros(5, 3, 4, 6, 8)).shape
    torch.Size([5, 3, 2, 3, 4])
    """

    axes = 3


class AvgPool1d(_AvgPool, nn.AvgPool1d):
    """torch.nn.AvgPool1d as an equation: x (batch, C, N) → the mean of each window.

    The arguments and results are torch's, and so are the errors, which show the equation besides.
    ``equations``, ``program`` and ``derivation`` are its page, what it means, and its backward equations.

    >>> net = AvgPool1d(2)
    >>> print(net.equations)
    y[c,i] = Σ[p<2] x[c,2i+p] / 2
    where x: input C×N
    >>> net(torch.tensor([[[1.0, 5.0, 2.0, 3.0]]]))
    tensor([[[3.0000, 2.5000]]])
    """

    axes = 1


class AvgPool2d(_AvgPool, nn.AvgPool2d):
    """torch.nn.AvgPool2d as an equation, in every way that :class:`AvgPool1d` is torch.nn.AvgPool1d.

    >>> AvgPool2d(2)(torch.zeros(5, 3, 6, 8)).shape
    torch.Size([5, 3, 3, 4])
    """

    axes = 2


class AvgPool3d(_AvgPool, nn.AvgPool3d):
    """torch.nn.AvgPool3d as an equation, in every way that :class:`AvgPool1d` is torch.nn.AvgPool1d.

    torch's refuses an image smaller than a window, padded or not; this one does not.

    >>> AvgPool3d(2)(torch.zeros(5, 3, 4, 6, 8)).shape
    torch.Size([5, 3, 2, 3, 4])
    """

    axes = 3
