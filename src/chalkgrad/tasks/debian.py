"""Debian packages read without Debian's tools: an ar archive with a tar archive in it (deb(5), ar(5))."""

from __future__ import annotations

from collections.abc import Iterator

MAGIC = b"!<arch>\n"
HEADER = 60


def members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """The files in an ar archive, each with its name. Raises ValueError for what is none."""
    if not archive.startswith(MAGIC):
        raise ValueError("it does not begin as a Debian package does")
    place = len(MAGIC)
    while place < len(archive):
        header = archive[place : place + HEADER]
        if len(header) < HEADER or header[58:] != b"`\n":
            raise ValueError(f"it is damaged at byte {place}")
        size = int(header[48:58])
        content = archive[place + HEADER : place + HEADER + size]
        if size < 0 or len(content) < size:
            raise ValueError("it is cut off")
        yield header[:16].decode("ascii", "replace").rstrip(" /"), content
        place += HEADER + size + size % 2


def data(archive: bytes) -> bytes:
    """The packed tar archive of what a Debian package installs. Raises ValueError where there is none."""
    for name, content in members(archive):
        if name.startswith("data.tar"):
            return content
    raise ValueError("it has no data.tar")


__all__ = ["MAGIC", "data", "members"]
