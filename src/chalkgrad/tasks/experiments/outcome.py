"""What an experiment shows: a table of figures, and what of the theory is seen in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Tick = Callable[[int, int], object]
"""Told after each step: how many are done, of how many."""


def silent(done: int, of: int) -> None:
    """A tick for those who do not look."""


def counted(tick: Tick, of: int) -> Callable[[], None]:
    """A tick that counts by itself, for an experiment of several runs."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        tick(done, of)

    return step


@dataclass(frozen=True)
class Finding:
    """A sentence with the measured figures in it, and whether it agrees with the theory."""

    says: str
    seen: bool


@dataclass(frozen=True)
class Outcome:
    """``columns`` and ``rows`` are the table; ``pictures`` are PNG files by name."""

    title: str
    theory: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    findings: tuple[Finding, ...]
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        """Whether everything that the theory says was seen."""
        return all(finding.seen for finding in self.findings)


__all__ = ["Finding", "Outcome", "Tick", "counted", "silent"]
