"""The steps of a plan: equations by themselves and in loops, and what several of them are together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from chalkgrad.equations.ir import Equation
from chalkgrad.equations.walk import reads
from chalkgrad.kernels import schedule
from chalkgrad.kernels.schedule import Block, Compiled, Loop


@dataclass(frozen=True, slots=True)
class Shared:
    """What one library call, named ``how``, makes of what it is given: ``equations`` together.

    ``made`` are their targets, but for winners among windows, which are kept as the library has them.
    ``call`` is of tensors by name and one of the plan's dtype and device.
    """

    equations: tuple[Equation, ...]
    how: str
    given: tuple[str, ...]
    made: tuple[str, ...]
    call: Callable[[Mapping[str, Tensor], Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Joined:
    """``name`` is its parts side by side along dimension ``dim``."""

    name: str
    parts: tuple[str, ...]
    dim: int


@dataclass(frozen=True, slots=True)
class Parted:
    """The parts are pieces of ``name`` along dimension ``dim``."""

    name: str
    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    dim: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What a step of a loop over ``axis`` computes point by point between calls, as one compiled call."""

    axis: str
    reverse: bool
    body: tuple[Block, ...]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The equations, in order."""
        return tuple(block.equation for block in self.body)


@dataclass(frozen=True, slots=True)
class Looped:
    """A loop as the schedule has them, some of the steps in its body put together."""

    axis: str
    reverse: bool
    body: tuple[Merged, ...]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Every equation of the body, those of inner loops too."""
        return tuple(e for step in self.body for e in equations_of(step))


Plain = Block | Loop | Compiled | Shared
"""A step before products are put together."""

Merged = Plain | Joined | Parted | Looped | Piece


def equations_of(step: Merged) -> tuple[Equation, ...]:
    """The equations that a step computes."""
    match step:
        case Joined() | Parted():
            return ()
        case Shared() | Looped() | Piece():
            return step.equations
        case _:
            return schedule.equations_of(step)


def made_by(step: Merged) -> tuple[str, ...]:
    """The names that a step makes, or a part of each."""
    match step:
        case Joined(name):
            return (name,)
        case Parted(_, parts):
            return parts
        case Shared():
            return step.made
        case Looped():
            return tuple(dict.fromkeys(name for inner in step.body for name in made_by(inner)))
        case _:
            return tuple(dict.fromkeys(e.target for e in equations_of(step)))


def read_by(step: Merged) -> tuple[str, ...]:
    """The names that a step reads, its own among them where a loop reads what it has made."""
    match step:
        case Joined(_, parts):
            return parts
        case Parted(name):
            return (name,)
        case Shared():
            return step.given
        case Looped():
            return tuple(dict.fromkeys(name for inner in step.body for name in read_by(inner)))
        case _:
            return tuple(dict.fromkeys(r.name for e in equations_of(step) for r in reads(e.value)))


def made_at(steps: Iterable[Merged]) -> dict[str, int]:
    """For each name the last step that makes a part of it."""
    return {name: k for k, step in enumerate(steps) for name in made_by(step)}


__all__ = [
    "Joined",
    "Looped",
    "Merged",
    "Parted",
    "Piece",
    "Plain",
    "Shared",
    "equations_of",
    "made_at",
    "made_by",
    "read_by",
]
