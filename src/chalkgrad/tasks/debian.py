"""Debian packages read without Debian's tools: an ar archive with a tar archive in it (deb(5), ar(5))."""

from __future__ import annotations

import io
import lzma
import subprocess
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from chalkgrad.tasks.errors import TaskError

MAGIC = b"!<arch>\n"
HEADER = 60
BLOCK = 1 << 18


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


def unpacked(package: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The files of a package that have one of these names, whatever folder they are in.

    Raises :class:`TaskError` for a package that is damaged or has not all of them.
    """
    found: dict[str, bytes] = {}
    try:
        parts = dict(members(package.read_bytes()))
        data = next((n for n in parts if n.startswith("data.tar")), None)
        if data is None:
            raise ValueError("it has no data.tar")
        with tarfile.open(fileobj=io.BytesIO(parts[data])) as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in wanted and member.isfile() else None
                if content is not None:
                    found[name] = content.read()
    except OSError as error:
        raise TaskError(f"cannot read {package}: {error.strerror or error}") from None
    except (ValueError, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise TaskError(f"{package} is not a whole Debian package: {error}") from None
    if missing := sorted(set(wanted) - set(found)):
        raise TaskError(f"{package} does not hold {', '.join(missing)}")
    return found


def apt_download(name: str, folder: Path) -> Path:
    """The package ``name``, brought by apt-get. Raises :class:`TaskError` with its last word."""
    hint = f"give Debian's package {name} yourself: --from FILE or --from URL"
    try:
        ended = subprocess.run(
            ["apt-get", "download", name], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise TaskError(f"there is no apt-get on this machine: {hint}") from None
    found = sorted(folder.glob("*.deb"))
    if ended.returncode or not found:
        said = (ended.stderr.strip() or "it brought no package").splitlines()[-1]
        raise TaskError(f"apt-get could not bring {name} ({said}): `apt-get update` may help, or {hint}")
    return found[0]


def url_download(url: str, folder: Path, report: Callable[[int, int], object]) -> Path:
    """The file at a URL, brought into a folder; ``report`` is told (bytes so far, bytes in all)."""
    path = folder / "package.deb"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, path.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(BLOCK):
                file.write(block)
                report(file.tell(), max(total, file.tell()))
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise TaskError(f"cannot fetch {url}: {getattr(error, 'reason', error)}") from None
    return path


__all__ = ["apt_download", "members", "unpacked", "url_download"]
