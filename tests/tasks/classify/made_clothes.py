"""Small data that the tests make themselves: folders of pictures, Debian packages, IDX files."""

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from chalkgrad.tasks.classify import Data, Part


def stripes(n: int = 40, side: int = 8) -> Data:
    """Pictures of lying and standing stripes, with noise: easy to tell apart."""
    drawing = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 2
    lines = (torch.arange(side) % 4 < 2).float() * 200
    lying = lines[:, None].expand(side, side)
    pictures = torch.stack([lying if label else lying.T for label in labels.tolist()])
    pictures = pictures + torch.rand(n, side, side, generator=drawing) * 55
    part = Part(pictures.to(torch.uint8)[:, None], labels)
    return Data(part, Part(part.pictures[:10], labels[:10]), ("standing", "lying"))


def picture(path: Path, size: tuple[int, int] = (8, 8), mode: str = "L", seed: int = 0) -> Path:
    """A file with noise in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0]) if bands == 1 else (size[1], size[0], bands)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def idx(values: np.ndarray) -> bytes:
    """An IDX file of bytes, packed with gzip."""
    head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes(), mtime=0)


def clothes() -> dict[str, bytes]:
    """Four files as Fashion-MNIST has them, with a few pictures of 4×4."""
    drawing = np.random.default_rng(0)
    found: dict[str, bytes] = {}
    for which, n in (("train", 20), ("t10k", 10)):
        found[f"{which}-images-idx3-ubyte.gz"] = idx(drawing.integers(0, 256, (n, 4, 4)))
        found[f"{which}-labels-idx1-ubyte.gz"] = idx(np.arange(n) % 10)
    return found


def deb(files: dict[str, bytes], packing: str = "xz") -> bytes:
    """A Debian package with these files in ./usr/share."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode=f"w:{packing}") as archive:  # pyright: ignore[reportArgumentType]
        for name, content in files.items():
            info = tarfile.TarInfo(f"./usr/share/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    parts = {"debian-binary": b"2.0\n", f"data.tar.{packing}": tar.getvalue()}
    whole = b"!<arch>\n"
    for name, content in parts.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        whole += head + content + b"\n" * (len(content) % 2)
    return whole
