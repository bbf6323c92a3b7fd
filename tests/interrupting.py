"""Ctrl-C, pressed by a test."""

import signal
import time


def press_ctrl_c(*_: object) -> None:
    """Ctrl-C, seen: Python runs its handler when it next looks, which other threads may put off."""
    here = signal.getsignal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    until = time.monotonic() + 30
    while signal.getsignal(signal.SIGINT) is here and time.monotonic() < until:
        pass
