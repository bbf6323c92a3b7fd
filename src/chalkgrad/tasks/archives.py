"""The files in a package as its registry keeps it, read and never run: .deb, .tgz, .tar.gz, .whl."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from chalkgrad.tasks import debian
from chalkgrad.tasks.errors import TaskError


def contents(archive: Path, kind: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a package: the path of each, with ``/`` and no leading ``./``, and its bytes.

    ``kind`` is Debian, npm or PyPI. Links, devices and folders are passed over: nothing in an archive says
    where anything is written. Raises :class:`TaskError`, naming the archive, for one that is damaged.
    """
    try:
        packed = archive.read_bytes()
        if kind == "Debian":
            yield from _tar(debian.data(packed), wanted)
        elif packed.startswith(b"PK"):
            yield from _zip(packed, wanted)
        else:
            yield from _tar(packed, wanted)
    except OSError as error:
        raise TaskError(f"cannot read {archive}: {error.strerror or error}") from None
    except (ValueError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise TaskError(f"{archive} is not a whole {kind} package: {error}") from None


def _tar(packed: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            path = member.name.removeprefix("./")
            file = tar.extractfile(member) if member.isfile() and wanted(path) else None
            if file is not None:
                yield path, file.read()


def _zip(packed: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        for member in file.infolist():
            if not member.is_dir() and wanted(member.filename):
                yield member.filename, file.read(member)


__all__ = ["contents"]
