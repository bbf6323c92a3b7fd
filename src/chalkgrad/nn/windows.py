"""How a window is written: where in the image it is read, and what stands outside.

A window along one axis has a stride, a dilation and a *margin*, how many places before and after the image
it may read. Position i and tap p read ``x[2i+3p-1]`` where the stride is 2, the dilation 3, and one place is
read before the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalkgrad.language.source import EquationError, Span

POSITIONS, TAPS, IMAGE, KERNEL = "ijl", "pqr", "LMN", "PQR"
"""The letters of up to three axes: of a window, of taps in it, the sizes of image and kernel."""

Margin = tuple[int, int]


def each(value: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis, of a number or of a sequence that has one or all of them."""
    numbers = (value,) if isinstance(value, int) else tuple(value)
    return numbers * axes if len(numbers) == 1 else numbers


def hold(text: str, axes: int, at_least: Mapping[str, tuple[int, Sequence[int]]]) -> None:
    """Refuse windows that are none: what the numbers are, the least that one may be, one for each
    axis or none.

    >>> hold("y[i] = Σ[p] w[p] x[0i+p]", 1, {"stride": (1, (0,))})
    Traceback (most recent call last):
    chalkgrad.language.source.EquationError: error: stride is (0,), and 1 is the least it can be
      line 1 | y[i] = Σ[p] w[p] x[0i+p]
             | ^^^^^^^^^^^^^^^^^^^^^^^^
    help: give a stride of at least 1
    """
    for what, (least, numbers) in at_least.items():
        if numbers and len(numbers) != axes:
            raise no_window(
                text,
                f"{what} is {tuple(numbers)}, and there are {axes} axes",
                "give one number, or one for each axis",
            )
        if numbers and min(numbers) < least:
            raise no_window(
                text,
                f"{what} is {tuple(numbers)}, and {least} is the least it can be",
                f"give a {what} of at least {least}",
            )


def no_window(text: str, problem: str, help: str) -> EquationError:
    """An error that shows the first equation as a whole."""
    return EquationError(problem, text, ((Span(0, len(text.split("\n")[0])), ""),), help)


def index(terms: Sequence[tuple[int, str]], shift: int) -> str:
    """An affine index.

    >>> index([(2, "i"), (1, "p")], -1)
    '2i+p-1'
    """
    text = ""
    for k, letter in terms:
        sign = "-" if k < 0 else "+" if text else ""
        text += sign + (str(abs(k)) if abs(k) != 1 else "") + letter
    return text + (f"{shift:+d}" if shift else "")


def reads(strides: Sequence[int], dilations: Sequence[int], margins: Sequence[Margin]) -> str:
    """Where each axis of the image is read by position and tap.

    >>> reads((1, 2), (1, 3), ((0, 0), (1, 1)))
    'i+p,2j+3q-1'
    """
    return ",".join(
        index([(s, i), (d, p)], -before)
        for s, d, (before, _), i, p in zip(strides, dilations, margins, POSITIONS, TAPS, strict=False)
    )


def outside(what: str, margins: Sequence[Margin], ahead: int) -> str:
    """What stands in the margins; nothing where there are none. ``ahead`` axes stand before the image's.

    >>> outside("zero", ((1, 1), (0, 2)), ahead=1)
    ' zero outside 0×±1×-0+2'
    """
    if not any(map(any, margins)):
        return ""
    if len({*margins}) == 1 and margins[0][0] == margins[0][1]:
        return f" {what} outside ±{margins[0][0]}"
    said = [f"±{a}" if a == b != 0 else "0" if a == b else f"-{a}+{b}" for a, b in margins]
    return f" {what} outside {'×'.join(['0'] * ahead + said)}"


def letters(alphabet: str, axes: int) -> str:
    """The letters of the first so many axes, with commas."""
    return ",".join(alphabet[:axes])


def image(axes: int) -> str:
    """The sizes of an image with so many axes: N, M×N, L×M×N."""
    return "×".join(IMAGE[-axes:])
