"""Which cases run every time, and which by ``make test-all`` alone."""

from collections.abc import Iterable
from typing import Any

import pytest

LARGE = ("lstm_layer_norm", "lstm_variational", "attention_lstm", "attention_decoder", "conv_lstm", "conv3d")
"""The standard layers that take longest."""


def often(
    cases: Iterable[str], *, only: Iterable[str] | None = None, seldom: Iterable[str] = ()
) -> list[Any]:
    """The cases as parameters: all but those named are slow (``only``), or those named are (``seldom``)."""
    kept = None if only is None else {*only}
    left = {*seldom}
    return [
        c if (kept is None or c in kept) and c not in left else pytest.param(c, marks=pytest.mark.slow)
        for c in cases
    ]
