"""Convolutions with torch.nn's constructors, parameters and results, computed as their equations say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from chalkgrad.language.source import EquationError
from chalkgrad.nn.page import REFUSALS, Page, Written, page, refuse
from chalkgrad.nn.windows import (
    IMAGE,
    KERNEL,
    POSITIONS,
    TAPS,
    Margin,
    hold,
    image,
    index,
    letters,
    outside,
    reads,
)


@lru_cache(maxsize=512)
def convolution(
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    margins: tuple[Margin, ...],
    grouped: bool = False,
    bias: bool = True,
) -> str:
    """The equation of a convolution layer with as many axes as there are strides.

    >>> print(convolution((2, 1), (1, 1), ((1, 1), (1, 1))))
    y[k,i,j] = Σ[c,p,q] w[k,c,p,q] x[c,2i+p-1,j+q-1] + b[k]
    where x: input C×M×N zero outside ±1, w: K×C×P×Q
    """
    n = len(strides)
    g, G = ("g,", "G×") if grouped else ("", "")
    i, p = letters(POSITIONS, n), letters(TAPS, n)
    zeros = outside("zero", margins, ahead=2 if grouped else 1)
    return (
        f"y[{g}k,{i}] = Σ[c,{p}] w[{g}k,c,{p}] x[{g}c,{reads(strides, dilations, margins)}]"
        f"{f' + b[{g}k]' if bias else ''}\n"
        f"where x: input {G}C×{image(n)}{zeros}, w: {G}K×C×{'×'.join(KERNEL[:n])}"
    )


@lru_cache(maxsize=512)
def transposed_convolution(
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    paddings: tuple[int, ...],
    output_paddings: tuple[int, ...],
    grouped: bool = False,
    bias: bool = True,
) -> str:
    """The equation of a transposed convolution: each place of x gives to a window of y, a stride apart.

    >>> print(transposed_convolution((2,), (1,), (1,), (0,)))
    y[k,i] = Σ[c,p] w[c,k,p] x[c,(i-p+1)/2] + b[k]
    where x: input C×N zero outside, w: C×K×P, y: K×(2N+P-4)
    """
    n = len(strides)
    g, G = ("g,", "G×") if grouped else ("", "")
    i, p = letters(POSITIONS, n), letters(TAPS, n)
    at: list[str] = []
    sizes: list[str] = []
    named = zip(POSITIONS[:n], TAPS[:n], IMAGE[-n:], KERNEL[:n], strict=True)
    numbers = zip(strides, dilations, paddings, output_paddings, strict=True)
    for (position, tap, N, P), (s, d, padding, more) in zip(named, numbers, strict=True):
        whole = index([(1, position), (-d, tap)], padding)
        at.append(whole if s == 1 else f"({whole})/{s}")
        sizes.append(f"({index([(s, N), (d, P)], 1 + more - 2 * padding - s - d)})")
    return (
        f"y[{g}k,{i}] = Σ[c,{p}] w[{g}c,k,{p}] x[{g}c,{','.join(at)}]{f' + b[{g}k]' if bias else ''}\n"
        f"where x: input {G}C×{image(n)} zero outside, w: {G}C×K×{'×'.join(KERNEL[:n])}, "
        f"y: {G}K×{'×'.join(sizes)}"
    )


# --- modules -------------------------------------------------------------------------------------------


Numbers = tuple[int, ...]


@lru_cache(maxsize=512)
def _held(text: str, strides: Numbers, dilations: Numbers, paddings: Numbers) -> Page:
    """The page of a text whose windows have these numbers. Raises EquationError where they are none."""
    hold(text, len(strides), {"stride": (1, strides), "dilation": (1, dilations), "padding": (0, paddings)})
    return page(text)


class _Layer(Written):
    """What convolutions share; the attributes are those that torch's constructors set."""

    weight: Any
    bias: Any
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: Any

    def _called(self, page: Page, x: Tensor) -> Tensor:
        """The page's output for a call. Raises EquationError."""
        groups, weight, bias = self.groups, self.weight, self.bias
        rank = 2 + len(self.kernel_size)
        if not isinstance(x, Tensor) or x.dim() not in (rank - 1, rank) or weight.dim() != rank:
            page.fail(
                f"`x` is {image(rank - 2)} places of C channels, and its shape is {tuple(x.shape)}"
                if isinstance(x, Tensor)
                else f"`x` is a tensor, and is given as {type(x).__name__}",
                "x",
                help="x has one axis for channels, and may have one before it for the batch",
            )
        if x.dim() < rank:
            return self._called(page, x.unsqueeze(0)).squeeze(0)
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self._in(page, torch.get_autocast_dtype(x.device.type), x, weight, bias, groups)
        if groups != 1:
            return self._grouped(page, x, weight, bias, groups)
        return page(x, weight) if bias is None else page(x, weight, bias)

    def _in(self, page: Page, dtype: torch.dtype, *tensors: Any) -> Tensor:
        """The output in the dtype that autocast asks for."""
        x, weight, bias, groups = tensors
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        if groups != 1:
            return self._grouped(page, x, weight, bias, groups)
        return page(x, weight) if bias is None else page(x, weight, bias)

    def _grouped(self, page: Page, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        """The output where the page has an axis for groups, and the tensors have them among the channels."""
        if x.shape[1] % groups or weight.shape[0] % groups:
            page.fail(
                f"`x` has {x.shape[1]} channels and `w` {weight.shape[0]}: not both are {groups} groups",
                "x",
                "w",
                help="give channels that make whole groups",
            )
        apart = (
            weight.unflatten(0, (groups, -1)),
            *(() if bias is None else (bias.unflatten(0, (groups, -1)),)),
        )
        return page(x.unflatten(1, (groups, -1)), *apart).flatten(1, 2)


class _Convolution(_Layer):
    """A convolution: what is padded otherwise than with zeros is padded before the equations."""

    padding_mode: Any

    @property
    def margins(self) -> tuple[Margin, ...]:
        """How many places before and after each axis are read; `"same"` gives the odd one to the end."""
        match self.padding:
            case "valid":
                return ((0, 0),) * len(self.kernel_size)
            case "same":
                spans = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
                return tuple((span // 2, span - span // 2) for span in spans)
            case _:
                return tuple((n, n) for n in self.padding)

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        margins = self.margins if self.padding_mode == "zeros" else ((0, 0),) * len(self.kernel_size)
        return convolution(self.stride, self.dilation, margins, self.groups != 1, self.bias is not None)

    def forward(self, input: Tensor) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        text, padding = self.equations, self.padding
        try:
            own = _held(text, self.stride, self.dilation, () if isinstance(padding, str) else padding)
            x = input if self.padding_mode == "zeros" else self._padded(input, text)
            return self._called(own, x)
        except EquationError as error:
            refuse(error, super().forward, input)  # pyright: ignore

    def _padded(self, x: Tensor, text: str) -> Tensor:
        ends = [n for margin in reversed(self.margins) for n in margin]
        try:
            return functional.pad(x, ends, mode=self.padding_mode)
        except REFUSALS as error:
            problem = f"`x` cannot be padded by {self.padding} ({self.padding_mode})"
            raise EquationError(problem, text) from error


class _Transposed(_Layer):
    """A transposed convolution, which is the gradient of a convolution by its image."""

    output_padding: Any
    _output_padding: Any

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        return self._equations(self.output_padding)

    def _equations(self, more: Sequence[int]) -> str:
        grouped, bias = self.groups != 1, self.bias is not None
        return transposed_convolution(self.stride, self.dilation, self.padding, tuple(more), grouped, bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        try:
            return self._called(self._sized(input, output_size), input)
        except EquationError as error:
            refuse(error, super().forward, input, output_size)  # pyright: ignore

    def _sized(self, x: Tensor, size: list[int] | None) -> Page:
        """The page whose output has the size that is asked for."""
        more: Sequence[int] = self.output_padding
        if size is not None:
            n, kernel = len(self.kernel_size), self.kernel_size
            more = self._output_padding(x, size, self.stride, self.padding, kernel, n, self.dilation)
        own = _held(self._equations(more), self.stride, self.dilation, self.padding)
        for m, s, d in zip(more, self.stride, self.dilation, strict=True):
            if not 0 <= m < max(s, d):
                own.fail(f"output_padding is {tuple(more)}: less than a stride or a dilation", "y")
        return own


class Conv1d(_Convolution, nn.Conv1d):
    """torch.nn.Conv1d as an equation: x (batch, C, N) → y (batch, K, ⌊(N + 2·padding - reach)/stride⌋ + 1).

    The arguments, initial values, names of parameters and results are torch's, and so are the errors, which
    show the equation besides. ``equations``, ``program`` and ``derivation`` are its page, what it means, and
    its backward equations.

    >>> net = Conv1d(2, 4, 3, stride=2, padding=1)
    >>> print(net.equations)
    y[k,i] = Σ[c,p] w[k,c,p] x[c,2i+p-1] + b[k]
    where x: input C×N zero outside ±1, w: K×C×P
    >>> net(torch.zeros(5, 2, 9)).shape
    torch.Size([5, 4, 5])
    """


class Conv2d(_Convolution, nn.Conv2d):
    """torch.nn.Conv2d as an equation, in every way that :class:`Conv1d` is torch.nn.Conv1d.

    >>> Conv2d(1, 4, 3, padding="same")(torch.zeros(5, 1, 6, 7)).shape
    torch.Size([5, 4, 6, 7])
    """


class Conv3d(_Convolution, nn.Conv3d):
    """torch.nn.Conv3d as an equation, in every way that :class:`Conv1d` is torch.nn.Conv1d.

    >>> Conv3d(1, 4, (1, 2, 3))(torch.zeros(5, 1, 6, 7, 8)).shape
    torch.Size([5, 4, 6, 6, 6])
    """


class ConvTranspose1d(_Transposed, nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d as an equation, in every way that :class:`Conv1d` is torch.nn.Conv1d.

    >>> net = ConvTranspose1d(2, 4, 3, stride=2)
    >>> print(net.equations)
    y[k,i] = Σ[c,p] w[c,k,p] x[c,(i-p)/2] + b[k]
    where x: input C×N zero outside, w: C×K×P, y: K×(2N+P-2)
    >>> net(torch.zeros(5, 2, 4)).shape, net(torch.zeros(5, 2, 4), [10]).shape
    (torch.Size([5, 4, 9]), torch.Size([5, 4, 10]))
    """


class ConvTranspose2d(_Transposed, nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d as an equation, in every way that :class:`Conv1d` is torch.nn.Conv1d.

    >>> ConvTranspose2d(2, 4, 3, stride=(1, 2))(torch.zeros(5, 2, 4, 4)).shape
    torch.Size([5, 4, 6, 9])
    """


class ConvTranspose3d(_Transposed, nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d as an equation, in every way that :class:`Conv1d` is torch.nn.Conv1d.

    >>> ConvTranspose3d(2, 4, 2, stride=2)(torch.zeros(5, 2, 4, 4, 4)).shape
    torch.Size([5, 4, 8, 8, 8])
    """
