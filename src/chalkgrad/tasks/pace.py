"""How the step size changes during a run."""

from __future__ import annotations

from math import cos, pi

WARM_UP = 0.25  # the part of the steps in which the step size grows


def pace(step: int, steps: int) -> float:
    """The part of the largest step size: it grows along a line, and then falls along half a cosine.

    >>> [round(pace(step, 10), 2) for step in (0, 5, 9)]
    [0.4, 0.5, 0.02]
    """
    return min(1.0, (step + 1) / max(1, WARM_UP * steps)) * (1 + cos(pi * step / steps)) / 2


__all__ = ["pace"]
