"""Ctrl-C, pressed by a test."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_as_usual() -> Iterator[None]:
    """Ctrl-C interrupts, also where a shell has started the tests in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def press_ctrl_c(*_: object) -> None:
    """Ctrl-C, seen: Python runs its handler when it next looks, which other threads may put off."""
    here = signal.getsignal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    until = time.monotonic() + 30
    while signal.getsignal(signal.SIGINT) is here and time.monotonic() < until:
        pass
