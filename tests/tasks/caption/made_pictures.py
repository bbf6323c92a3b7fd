"""Small data that the tests make themselves: squares of a colour at a side."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from chalkgrad.tasks.caption import Data, Part

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
SIDES = ("left", "right")


def square(colour: str, side: str, seed: int) -> Tensor:
    """A picture of 8×8 with a square of 3×3, (3, 8, 8) of bytes."""
    g = torch.Generator().manual_seed(seed)
    picture = torch.full((3, 8, 8), 235.0) + 20 * torch.rand(3, 8, 8, generator=g)
    down, right = torch.randint(0, 5, (1,), generator=g).item(), torch.randint(0, 2, (1,), generator=g).item()
    x = int(right) + (4 if side == "right" else 0)
    picture[:, int(down) : int(down) + 3, x : x + 3] = torch.tensor(COLOURS[colour]).float()[:, None, None]
    return picture.to(torch.uint8)


def squares(n: int = 60) -> Data:
    """Every colour on every side; tested on other pictures of the same."""
    kinds = [(colour, side) for colour in COLOURS for side in SIDES]

    def part(first: int, n: int) -> Part:
        rows = [(*kinds[k % len(kinds)], k) for k in range(first, first + n)]
        captions = tuple((f"{colour} square: {side}",) for colour, side, _ in rows)
        return Part(torch.stack([square(*row) for row in rows]), captions)

    return Data(part(0, n), {"test": part(1000, 12)})


def folder(path: Path, n: int = 12) -> Path:
    """The same as files with a table."""
    data = squares(n)
    path.mkdir(parents=True)
    lines = ["# file, caption"]
    for k, (pixels, captions) in enumerate(zip(data.training.pictures, data.training.captions, strict=True)):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path / f"{k}.png")
        lines += [f"{k}.png\t{caption}" for caption in captions]
    (path / "captions.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
