"""C source → a function: the compiler is found, its objects are kept in a folder of the user's own.

What lies in that folder is executed. It belongs to the user and nobody else may write there; every object
has its checksum beside it, and one that does not agree is compiled anew. How many there are is bounded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from chalkgrad.kernels.c.cache import checksum, trim, use

FLAGS = (
    "-march=native",
    "-fopenmp-simd",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
    "-w",
)
QUICKLY = ("-O2", "-ftree-vectorize")
"""For a loop over steps: it says itself which of its loops are vectors, and more took 1.7 times as long to
compile and ran no faster (LSTM, GRU, layer norm, H 64 and 128, forward and training)."""
HARD = ("-O3",)
"""For what is compiled once, and for nests, whose loops the compiler is to turn over and unroll."""


class CompilerError(RuntimeError):
    """No compiler was found, or it refused a kernel: its own words."""


@lru_cache(maxsize=1)
def compiler() -> tuple[str, ...]:
    """The command that compiles C: ``$CC``, cc, clang, or the one of the package ziglang.

    Raises CompilerError where there is none.
    """
    named = os.environ.get("CC", "").split()
    for command in (named, ["cc"], ["clang"]):
        if command and (path := shutil.which(command[0])):
            return (path, *command[1:])
    try:
        import ziglang  # pyright: ignore[reportMissingImports]  # noqa: F401
    except ImportError:
        raise CompilerError(
            'no C compiler was found: install gcc or clang, or: pip install "chalkgrad[compiler]"'
        ) from None
    return (sys.executable, "-m", "ziglang", "cc")


@lru_cache(maxsize=4)
def identity(command: tuple[str, ...]) -> str:
    """What tells this compiler on this machine from another: its version, the processor."""
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return f"{version.stdout}\n{platform.machine()}\n{processor()}"


def processor() -> str:
    """The processor's maker, name and abilities, which -march=native compiles for, a line each."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return platform.processor()
    return "\n".join(
        next((x for x in lines if x.startswith(key)), "") for key in ("model name", "vendor_id", "flags")
    )


def processor_name() -> str:
    """The processor, in its maker's words."""
    return processor().split("\n", 1)[0].partition(":")[2].strip() or platform.processor()


def folder() -> Path:
    """Where objects are kept: the user's cache; a private temporary folder where that is not possible."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    chosen = base / "chalkgrad" / "kernels"
    try:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(chosen) and os.access(chosen, os.W_OK):
            return chosen
    except OSError:
        return _temporary()
    return _temporary()


@lru_cache(maxsize=1)
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="chalkgrad-"))


def _is_ours(path: Path) -> bool:
    """Whether a file or folder belongs to this user, and nobody else may write it."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)


def load(source: str, entry: str, effort: tuple[str, ...] = HARD) -> Any:
    """The compiled function ``entry`` of a source. Raises CompilerError."""
    command, flags = compiler(), (*effort, *FLAGS)
    key = hashlib.sha256("\0".join((source, *flags, *command, identity(command))).encode()).hexdigest()[:40]
    path = folder() / f"{key}.so"
    if _is_whole(path):
        use(path)
    else:
        _compile(command, flags, source, path)
        trim(path.parent)
    try:
        return getattr(ctypes.CDLL(str(path)), entry)
    except (OSError, AttributeError):
        # an object of another machine, say, with a checksum that agrees
        _compile(command, flags, source, path)
        return getattr(ctypes.CDLL(str(path)), entry)


def _is_whole(path: Path) -> bool:
    """Whether an object is there, ours, and what was written."""
    try:
        if not (_is_ours(path) and _is_ours(checksum(path))):
            return False
        return checksum(path).read_text(encoding="ascii") == hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _compile(command: tuple[str, ...], flags: tuple[str, ...], source: str, path: Path) -> None:
    """Compile into a temporary file and rename it, so that processes may race."""
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        c, made, told = Path(work, "kernel.c"), Path(work, "kernel.so"), Path(work, "kernel.sha256")
        c.write_text(source, encoding="utf-8")
        try:
            done = subprocess.run(
                [*command, *flags, str(c), "-o", str(made), "-lm"],
                capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompilerError(f"{' '.join(command)}: {error}") from None
        if done.returncode or not made.exists():
            raise CompilerError(f"{' '.join(command)} refused a kernel:\n{done.stderr.strip()[-2000:]}")
        made.chmod(0o700)
        told.write_text(hashlib.sha256(made.read_bytes()).hexdigest(), encoding="ascii")
        told.chmod(0o600)
        os.replace(made, path)
        os.replace(told, checksum(path))
