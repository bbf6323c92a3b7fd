"""Convolutions with torch.nn's constructors, parameters and results, computed as their equations say."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from chalkgrad.nn.page import REFUSALS, Page, Written, page, refuse
from chalkgrad.nn.recording import Recorded, in_one
from chalkgrad.nn.windows import (
    IMAGE,
    KERNEL,
    POSITIONS,
    TAPS,
    Margin,
    each,
    hold,
    image,
    index,
    letters,
    no_window,
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
def _margins(kernel: Numbers, dilation: Numbers, padding: str | Numbers) -> tuple[Margin, ...]:
    """How many places before and after each axis are read; `"same"` gives the odd one to the end."""
    match padding:
        case "valid":
            return ((0, 0),) * len(kernel)
        case "same":
            spans = [d * (k - 1) for d, k in zip(each(dilation, len(kernel)), kernel, strict=True)]
            return tuple((span // 2, span - span // 2) for span in spans)
        case _:
            return tuple((n, n) for n in each(padding, len(kernel)))


@lru_cache(maxsize=512)
def _text(
    kernel: Numbers,
    stride: Numbers,
    dilation: Numbers,
    padding: str | Numbers,
    within: bool,
    grouped: bool,
    bias: bool,
) -> str:
    """The equations of a layer with these numbers; ``within`` says that it pads with zeros."""
    n = len(kernel)
    margins = _margins(kernel, dilation, padding) if within else ((0, 0),) * n
    return convolution(each(stride, n), each(dilation, n), margins, grouped, bias)


@lru_cache(maxsize=512)
def _page(
    kernel: Numbers,
    stride: Numbers,
    dilation: Numbers,
    padding: str | Numbers,
    within: bool,
    grouped: bool,
    bias: bool,
) -> Page:
    """The page of ``_text``. Raises EquationError where windows with these numbers are none."""
    text = _text(kernel, stride, dilation, padding, within, grouped, bias)
    _hold(text, kernel, stride, dilation, () if isinstance(padding, str) else padding)
    return page(text)


def _hold(text: str, kernel: Numbers, stride: Numbers, dilation: Numbers, padding: Numbers) -> None:
    numbers = {
        "kernel_size": (1, kernel),
        "stride": (1, each(stride, len(kernel))),
        "dilation": (1, each(dilation, len(kernel))),
        "padding": (0, each(padding, len(kernel))),
    }
    hold(text, len(kernel), numbers)


class _Layer(Written, Recorded):
    """What convolutions share; the attributes are those that torch's constructors set."""

    weight: Any
    bias: Any
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: Any

    def _called(self, page: Page, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The page's output for a call. Raises EquationError."""
        rank, groups = 2 + len(self.kernel_size), self.groups
        if x.dim() < rank:
            return self._called(page, x.unsqueeze(0), weight, bias).squeeze(0)
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
            with torch.autocast(x.device.type, enabled=False):
                return self._called(page, x, weight, bias)
        if groups != 1:
            return self._grouped(page, x, weight, bias, groups)
        parameters = (weight,) if bias is None else (weight, bias)
        y = page.again(x, *parameters)
        return page(x, *parameters) if y is None else y

    def _grouped(self, page: Page, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        """The output where the page has an axis for groups, and the tensors have them among the channels."""
        if groups < 1:
            raise no_window(page.text, f"groups is {groups}, and 1 is the least it can be", "give groups=1")
        (batch, channels, *sizes), (out, *rest) = x.shape, weight.shape
        if channels % groups or out % groups:
            page.fail(
                f"`x` has {channels} channels and `w` {out}: not both are {groups} groups",
                "x",
                "w",
                help="give channels that make whole groups",
            )
        x = x.reshape(batch, groups, channels // groups, *sizes)
        weight = weight.reshape(groups, out // groups, *rest)
        parameters = (weight,) if bias is None else (weight, bias.reshape(groups, -1))
        y = page.again(x, *parameters)
        y = page(x, *parameters) if y is None else y
        return y.reshape(batch, y.shape[1] * y.shape[2], *y.shape[3:])

    def _checked(self, page: Page, x: Any, weight: Tensor) -> None:
        """Refuse what is no image, and a weight that is no kernel for one. Raises EquationError."""
        rank = 2 + len(self.kernel_size)
        if not isinstance(x, Tensor) or x.dim() not in (rank - 1, rank):
            page.fail(
                f"`x` is {image(rank - 2)} places of C channels, and its shape is {tuple(x.shape)}"
                if isinstance(x, Tensor)
                else f"`x` is a tensor, and is given as {type(x).__name__}",
                "x",
                help="x has one axis for channels, and may have one before it for the batch",
            )
        if 0 in x.shape[2 - rank :]:
            page.fail("`x` has no places", "x", help="give a larger input; an empty batch is one")
        if weight.dim() != rank or not weight.shape[0]:
            page.fail(
                f"`w` is {'×'.join(['K', 'C', *KERNEL[: rank - 2]])}, and its shape is {tuple(weight.shape)}",
                "w",
                help="give as many axes as the image has, and at least one channel",
            )


class _Convolution(_Layer):
    """A convolution: what is padded otherwise than with zeros is padded before the equations."""

    padding_mode: Any

    @property
    def margins(self) -> tuple[Margin, ...]:
        """How many places before and after each axis are read; `"same"` gives the odd one to the end."""
        return _margins(self.kernel_size, self.dilation, self.padding)

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        return _text(*self._numbers(), self.padding_mode == "zeros", self.groups != 1, self.bias is not None)

    def _numbers(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.dilation, self.padding

    @in_one
    def forward(self, input: Tensor) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        weight, bias, within = self.weight, self.bias, self.padding_mode == "zeros"
        try:
            own = _page(*self._numbers(), within, self.groups != 1, bias is not None)
            self._checked(own, input, weight)
            return self._called(own, input if within else self._padded(own, input), weight, bias)
        except REFUSALS as error:
            refuse(error, super().forward, input, module=self)  # pyright: ignore

    def _padded(self, page: Page, x: Tensor) -> Tensor:
        ends = [n for margin in reversed(self.margins) for n in margin]
        try:
            return functional.pad(x, ends, mode=self.padding_mode)
        except REFUSALS:
            sizes = "×".join(map(str, x.shape[-len(self.kernel_size) :]))
            page.fail(
                f"`x` has {sizes} places, too few to be padded by {self.padding} ({self.padding_mode})",
                "x",
                help='give larger inputs or less padding, or padding_mode="zeros"',
            )


class _Transposed(_Layer):
    """A transposed convolution, which is the gradient of a convolution by its image."""

    output_padding: Any
    _output_padding: Any

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        numbers = (*self._numbers(), self.output_padding)
        return _transposed_text(*numbers, self.groups != 1, self.bias is not None)

    def _numbers(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.dilation, self.padding

    @in_one
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        weight, bias, more = self.weight, self.bias, self.output_padding
        try:
            if output_size is not None:
                more = tuple(self._more(input, output_size))
            own = _transposed_page(*self._numbers(), more, self.groups != 1, bias is not None)
            self._checked(own, input, weight)
            return self._called(own, input, weight, bias)
        except REFUSALS as error:
            refuse(error, super().forward, input, output_size, module=self)  # pyright: ignore

    def _more(self, x: Tensor, size: list[int]) -> list[int]:
        """The output padding that makes the output as large as is asked for."""
        n, kernel = len(self.kernel_size), self.kernel_size
        return self._output_padding(x, size, self.stride, self.padding, kernel, n, self.dilation)


@lru_cache(maxsize=512)
def _transposed_text(
    kernel: Numbers,
    stride: Numbers,
    dilation: Numbers,
    padding: Numbers,
    more: Numbers,
    grouped: bool,
    bias: bool,
) -> str:
    """The equations of a transposed layer with these numbers, ``more`` of them its output padding."""
    numbers = (each(n, len(kernel)) for n in (stride, dilation, padding, more))
    return transposed_convolution(*numbers, grouped, bias)


@lru_cache(maxsize=512)
def _transposed_page(
    kernel: Numbers,
    stride: Numbers,
    dilation: Numbers,
    padding: Numbers,
    more: Numbers,
    grouped: bool,
    bias: bool,
) -> Page:
    """The page of ``_transposed_text``. Raises EquationError where windows with these numbers are none."""
    text = _transposed_text(kernel, stride, dilation, padding, more, grouped, bias)
    _hold(text, kernel, stride, dilation, padding)
    hold(text, len(kernel), {"output_padding": (0, each(more, len(kernel)))})
    numbers = (each(n, len(kernel)) for n in (more, stride, dilation))
    if any(m >= max(s, d) for m, s, d in zip(*numbers, strict=True)):
        problem = f"output_padding is {tuple(more)}, and stride {tuple(stride)}, dilation {tuple(dilation)}"
        raise no_window(text, problem, "give less than a stride or a dilation")
    return page(text)


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
