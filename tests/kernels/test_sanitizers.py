"""Kernels under the sanitizers of gcc: nothing touched outside of what is given, nothing undefined."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CHECKS = "gcc -fsanitize=address,undefined -fno-sanitize-recover=all -g1"
LIBRARIES = ("libasan.so", "libubsan.so", "libstdc++.so")

BEYOND = """
import ctypes, torch
from chalkgrad.kernels.c.build import load
source = "void fill(float *y, long n) { for (long i = 0; i <= n; i++) y[i] = 1; }"
given = torch.empty(16)
load(source, "fill")(ctypes.c_void_p(given.data_ptr()), ctypes.c_long(16))
"""
"""One number too many."""


def library(name: str) -> str:
    """Where gcc has one of its libraries; its bare name where it has none."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def sanitized(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python in which every kernel is compiled with checks; the first wrong access ends it."""
    environment = {
        **os.environ,
        "CC": CHECKS,
        "XDG_CACHE_HOME": str(cache),
        "LD_PRELOAD": " ".join(library(name) for name in LIBRARIES),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python itself leaves much behind
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("gcc") or not Path(library("libasan.so")).is_absolute(),
        reason="gcc with its sanitizers is not installed",
    ),
]


def test_a_kernel_that_writes_too_far_is_stopped(tmp_path: Path) -> None:
    done = sanitized(tmp_path, "-c", BEYOND)
    assert done.returncode
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


def test_kernels_stay_within_what_they_are_given(tmp_path: Path) -> None:
    tests = ("tests/kernels/test_extents.py", "-k", "nothing_one_and_many")
    done = sanitized(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
    assert len(list(tmp_path.rglob("*.so"))) >= 9


def test_nests_stay_within_what_they_are_given(tmp_path: Path) -> None:
    tests = ("tests/kernels/test_nests.py", "-k", "every_choice and tie1 or padded or local")
    done = sanitized(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
    assert len(list(tmp_path.rglob("*.so"))) >= 9
