"""Convolutions with torch.nn's constructors, parameters and results, computed as their equations say."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from chalkgrad.nn.page import REFUSALS, Page, Written, page, refuse
from chalkgrad.nn.prepared import Prepared
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


class _Numbers(NamedTuple):
    """What the equations of a layer depend on; ``within`` says that it pads with zeros.

    ``more`` is a transposed layer's output padding, None for others.
    """

    kernel: Numbers
    stride: Numbers
    dilation: Numbers
    padding: str | Numbers
    more: Numbers | None
    within: bool
    groups: int
    bias: bool

    @property
    def text(self) -> str:
        """The equations."""
        n = len(self.kernel)
        stride, dilation = each(self.stride, n), each(self.dilation, n)
        if self.more is not None:
            assert not isinstance(self.padding, str)
            paddings = each(self.padding, n), each(self.more, n)
            return transposed_convolution(stride, dilation, *paddings, self.groups != 1, self.bias)
        margins = _margins(self.kernel, self.dilation, self.padding) if self.within else ((0, 0),) * n
        return convolution(stride, dilation, margins, self.groups != 1, self.bias)


@lru_cache(maxsize=512)
def _page(n: _Numbers) -> Page:
    """The page of a layer with these numbers. Raises EquationError where such windows are none."""
    text, axes = n.text, len(n.kernel)
    numbers = {
        "kernel_size": (1, n.kernel),
        "stride": (1, each(n.stride, axes)),
        "dilation": (1, each(n.dilation, axes)),
        "padding": (0, () if isinstance(n.padding, str) else each(n.padding, axes)),
    }
    hold(text, axes, numbers)
    if n.more is not None:
        more, stride, dilation = (each(v, axes) for v in (n.more, n.stride, n.dilation))
        hold(text, axes, {"output_padding": (0, more)})
        if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
            problem = f"output_padding is {more}, and stride {stride}, dilation {dilation}"
            raise no_window(text, problem, "give less than a stride or a dilation")
    return page(text)


_prepared = Prepared()


def _again(numbers: _Numbers, x: Any, weight: Tensor, bias: Tensor | None) -> Tensor | None:
    """The output where it is library calls that an earlier one has prepared; None where it is not."""
    if not isinstance(x, Tensor):
        return None
    return _prepared(numbers, (x, weight) if bias is None else (x, weight, bias))


def _computed(page: Page, groups: int, x: Tensor, weight: Tensor, *bias: Tensor) -> tuple[Tensor, bool]:
    """The page's output, and whether that was library calls alone, prepared by an earlier call.

    Where there are groups the page has an axis for them, and the tensors have them among the channels. Raises
    EquationError.
    """
    if x.dim() < weight.dim():
        y, whole = _computed(page, groups, x.unsqueeze(0), weight, *bias)
        return y.squeeze(0), whole
    if groups == 1:
        y = page.again(x, weight, *bias)
        return (page(x, weight, *bias), False) if y is None else (y, True)
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
    y, whole = _computed(page, 1, x, weight, *(b.reshape(groups, -1) for b in bias))
    return y.reshape(batch, y.shape[1] * y.shape[2], *y.shape[3:]), whole


class _Layer(Written, Recorded):
    """What convolutions share; the attributes are those that torch's constructors set."""

    weight: Any
    bias: Any
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: Any

    def _numbers(self) -> _Numbers:
        raise NotImplementedError

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        return self._numbers().text

    def _called(
        self, page: Page, numbers: _Numbers | None, x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """The page's output for a call. Raises EquationError."""
        parameters = (weight,) if bias is None else (weight, bias)
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            with torch.autocast(x.device.type, enabled=False):
                return _computed(page, self.groups, x.to(dtype), *(p.to(dtype) for p in parameters))[0]
        y, whole = _computed(page, self.groups, x, *parameters)
        if whole and numbers is not None:
            groups = self.groups
            _prepared.add(numbers, (x, *parameters), lambda *given: _computed(page, groups, *given)[0])
        return y

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

    def _numbers(self) -> _Numbers:
        return _Numbers(
            self.kernel_size,
            self.stride,
            self.dilation,
            self.padding,
            None,
            self.padding_mode == "zeros",
            self.groups,
            self.bias is not None,
        )

    @in_one
    def forward(self, input: Tensor) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        weight, bias = self.weight, self.bias
        try:
            numbers = self._numbers()
            if numbers.within and (y := _again(numbers, input, weight, bias)) is not None:
                return y
            own = _page(numbers)
            self._checked(own, input, weight)
            x, numbers = (input, numbers) if numbers.within else (self._padded(own, input), None)
            return self._called(own, numbers, x, weight, bias)
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

    def _numbers(self, more: Numbers | None = None) -> _Numbers:
        return _Numbers(
            self.kernel_size,
            self.stride,
            self.dilation,
            self.padding,
            self.output_padding if more is None else more,
            True,
            self.groups,
            self.bias is not None,
        )

    @in_one
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """y, as torch.nn's layer of the same name and numbers has it."""
        weight, bias = self.weight, self.bias
        try:
            numbers = self._numbers(None if output_size is None else tuple(self._more(input, output_size)))
            if (y := _again(numbers, input, weight, bias)) is not None:
                return y
            own = _page(numbers)
            self._checked(own, input, weight)
            return self._called(own, numbers, input, weight, bias)
        except REFUSALS as error:
            refuse(error, super().forward, input, output_size, module=self)  # pyright: ignore

    def _more(self, x: Tensor, size: list[int]) -> list[int]:
        """The output padding that makes the output as large as is asked for."""
        n, kernel = len(self.kernel_size), self.kernel_size
        return self._output_padding(x, size, self.stride, self.padding, kernel, n, self.dilation)


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
