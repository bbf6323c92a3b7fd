"""A picture of numbers in a terminal: two rows to a line, in shades; without colours, in signs."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from torch import Tensor

RAMP = " ░▒▓█"
DOWN, UP = (70, 150, 255), (255, 160, 50)
"""What is less than zero is blue, where there are two signs, and what is more orange."""


def shirt() -> Tensor:
    """A picture of 28×28 shades from 0 to 255, of Fashion-MNIST, which comes with the package.

    >>> shirt().shape
    torch.Size([28, 28])
    """
    lines = (Path(__file__).parent / "shirt.pgm").read_text(encoding="ascii").splitlines()
    wide, high, _ = map(int, lines[2].split())
    return torch.tensor([float(n) for line in lines[3:] for n in line.split()]).view(high, wide)


class Shades:
    """``picture (H, W)``, 0 as black and ``most`` as white; blue to orange where numbers have two signs."""

    def __init__(self, name: str, picture: Tensor, most: float) -> None:
        self.name, self.picture, self.most = name, picture, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.name, "bold")
        high = self.picture.shape[0]
        share = (torch.nn.functional.pad(self.picture, (0, 0, 0, high % 2)) / self.most).clamp(-1, 1)
        coloured = console.color_system in ("truecolor", "256")
        for upper, lower in zip(share[::2].tolist(), share[1::2].tolist(), strict=True):
            for a, b in zip(upper, lower, strict=True):
                if coloured:
                    yield Segment("▀", Style(color=self._colour(a), bgcolor=self._colour(b)))
                else:
                    yield Segment(RAMP[round((abs(a) + abs(b)) / 2 * (len(RAMP) - 1))])
            yield Segment.line()

    def _colour(self, share: float) -> Color:
        full = (255, 255, 255) if self.picture.min() >= 0 else DOWN if share < 0 else UP
        return Color.from_rgb(*(abs(share) * channel for channel in full))


__all__ = ["Shades", "shirt"]
