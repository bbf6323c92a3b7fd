"""Where kernels are kept, and what happens where that goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest
import torch

import chalkgrad
from chalkgrad.kernels.c import build, loops
from chalkgrad.kernels.c import cache as kept
from chalkgrad.nn.operator import system_of

SOURCE = "int answer(void) { return 42; }\n"
RNN = "h[t] = tanh(x[t] W + h[t-1] U)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "chalkgrad" / "kernels"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing compiled yet, nothing given up, and afterwards the same again."""

    def forget() -> None:
        build.compiler.cache_clear()
        loops._made.cache_clear()
        loops._given_up.clear()
        system_of.cache_clear()

    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    forget()
    yield
    forget()


def answer() -> int:
    return build.load(SOURCE, "answer")()


def test_an_object_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer() == 42
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled again"))
    assert answer() == 42


def test_the_folder_is_the_user_s_own(cache: Path) -> None:
    answer()
    assert cache.stat().st_mode & 0o777 == 0o700
    assert {p.suffix for p in cache.iterdir()} == {".so", ".sha256"}


@pytest.mark.parametrize("harm", ["truncated", "another's", "no checksum", "checksum of nothing"])
def test_a_damaged_object_is_compiled_anew(cache: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer()
    (path,) = cache.glob("*.so")
    whole = path.read_bytes()
    # What is loaded already stays loaded under its file: the harm is done to a copy in its place.
    path.unlink()
    path.write_bytes(whole[:100] if harm == "truncated" else whole)
    path.chmod(0o777 if harm == "another's" else 0o700)
    if harm == "no checksum":
        path.with_suffix(".sha256").unlink()
    if harm == "checksum of nothing":
        path.with_suffix(".sha256").write_bytes(b"\xff\xfe")
    compiled: list[Path] = []
    compile = build._compile
    monkeypatch.setattr(build, "_compile", lambda *args: (compiled.append(args[-1]), compile(*args)))
    assert answer() == 42
    assert compiled == [path]
    assert build._is_whole(path)


def test_a_folder_that_others_may_write_is_not_used(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert build.folder() != cache
    assert answer() == 42
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_made_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert answer() == 42


def test_two_processes_may_compile_the_same_kernel_at_once(cache: Path) -> None:
    program = f"from chalkgrad.kernels.c.build import load; print(load({SOURCE!r}, 'answer')())"
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [p.communicate(timeout=120)[0].strip() for p in started] == ["42", "42"]
    assert len(list(cache.glob("*.so"))) == 1


# --- how many are kept ---------------------------------------------------------------------------------


def source(k: int) -> str:
    return f"int answer(void) {{ return {k}; }}\n"


def age(folder: Path, hours: int) -> set[Path]:
    """As if everything in the folder had been used so long ago."""
    found = {*folder.glob("*.so")}
    for path in found:
        os.utime(path, (time() - 3600 * hours,) * 2)
    return found


def test_the_longest_unused_goes_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KERNELS", 2)
    made: list[Path] = []
    for k in range(2):
        build.load(source(k), "answer")
        made += {*cache.glob("*.so")} - {*made}
    age(cache, 3)
    assert build.load(source(0), "answer")() == 0  # used again
    assert build.load(source(2), "answer")() == 2
    left = {*cache.glob("*.so")}
    assert made[0] in left
    assert made[1] not in left
    assert len(left) == 2
    assert {p.stem for p in cache.glob("*.sha256")} == {p.stem for p in left}
    assert build.load(source(1), "answer")() == 1


def test_room_is_bounded_too(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.load(source(0), "answer")
    (old,) = age(cache, 3)
    monkeypatch.setattr(kept, "BYTES", old.stat().st_size * 3 // 2)
    build.load(source(1), "answer")
    assert not old.exists()
    assert len([*cache.glob("*.so")]) == 1


def test_what_was_used_in_the_last_hour_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KERNELS", 1)
    for k in range(3):
        assert build.load(source(k), "answer")() == k
    assert len([*cache.glob("*.so")]) == 3


def test_nothing_goes_while_there_is_room(cache: Path) -> None:
    build.load(source(0), "answer")
    (old,) = age(cache, 1000)
    build.load(source(1), "answer")
    assert old.exists()


def in_another_process(program: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"from chalkgrad.kernels.c import build, cache\n{program}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_an_object_that_vanishes_before_it_is_opened_is_compiled_anew(cache: Path) -> None:
    load = f"print(build.load({SOURCE!r}, 'answer')())"
    vanish = "use = build.use; build.use = lambda path: (path.unlink(), print('gone'), use(path))"
    assert in_another_process(load).communicate(timeout=120)[0] == "42\n"
    assert in_another_process(f"{vanish}\n{load}").communicate(timeout=120)[0] == "gone\n42\n"
    assert len([*cache.glob("*.so")]) == 1


def test_an_object_that_vanishes_is_not_counted(cache: Path) -> None:
    answer()
    (path,) = cache.glob("*.so")
    (cache / f"{'0' * 40}.so").symlink_to(cache / "gone")
    assert [o.path for o in kept.objects(cache)] == [path]


def test_two_processes_may_let_the_same_go_at_once(cache: Path) -> None:
    cache.mkdir(mode=0o700, parents=True)
    for k in range(400):
        (cache / f"{k:040}.so").touch()
        (cache / f"{k:040}.sha256").touch()
    age(cache, 3)
    program = "cache.KERNELS = 3\nfor k in %s: build.load('int f(void) { return %%d; }' %% k, 'f')"
    started = [in_another_process(program % str(own)) for own in ((0, 1, 2), (3, 4, 5))]
    assert [p.communicate(timeout=120)[0] for p in started] == ["", ""]
    assert len([*cache.glob("*.so")]) == len([*cache.glob("*.sha256")]) == 6


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_loops_run_eagerly_and_it_is_said_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "")
    net = chalkgrad.layer(RNN, x=2, h=3)
    with pytest.warns(loops.CompilerWarning, match="no C compiler was found: install gcc or clang"):
        y, _ = net(torch.ones(1, 4, 2))
    assert torch.equal(net(torch.ones(1, 4, 2))[0], y)


@pytest.mark.usefixtures("fresh")
def test_the_words_of_a_compiler_that_fails_are_shown(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'out of patience' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    net = chalkgrad.layer(RNN, x=2, h=3)
    with pytest.warns(loops.CompilerWarning, match="out of patience"):
        y, _ = net(torch.ones(1, 4, 2))
    assert y.shape == (1, 4, 3)
    assert not list(cache.glob("*.so"))
