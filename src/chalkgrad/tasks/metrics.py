"""Lines of ``metrics.jsonl`` that several tasks write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Line:
    """What was measured after a step: its fields are the line's.

    >>> Recent.of(Recent(50, 0.5, 0.75).line())
    Recent(step=50, loss=0.5, right=0.75)
    """

    step: int

    def line(self) -> str:
        return json.dumps(vars(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> Self:
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Recent(Line):
    """The mean loss since the last line, in nats where labels are told, and the part that was right."""

    loss: float
    right: float


@dataclass(frozen=True)
class Epoch(Line):
    """Loss in nats, of a picture or of a token, and the part that was right, over an epoch while weights
    changed."""

    epoch: int
    loss: float
    accuracy: float


__all__ = ["Epoch", "Line", "Recent"]
