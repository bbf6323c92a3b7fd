"""Names side by side as one, and the products that are put together by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from chalkgrad.equations.ir import Apply, Condition, Equation, Expr, Guard, Index, Range, Read, Reduce
from chalkgrad.equations.walk import rewrite, substitute_condition
from chalkgrad.kernels.eager.steps import Joined, Merged, made_at
from chalkgrad.kernels.eager.views import Interval
from chalkgrad.kernels.schedule import Block, Loop


@dataclass(frozen=True, slots=True)
class Product:
    """``target = [outer] Σ[over] [inner] a b``, or of one table: an equation that is nothing else."""

    equation: Equation
    outer: tuple[Condition, ...]
    over: tuple[Range, ...]
    inner: tuple[Condition, ...]
    factors: tuple[Read, ...]

    @classmethod
    def of(cls, e: Equation) -> Self | None:
        """The equation as a product, None where it is none."""
        outer, value = _bare(e.value)
        if not isinstance(value, Reduce) or value.op != "sum":
            return None
        inner, body = _bare(value.body)
        match body:
            case Read():
                return cls(e, outer, value.over, inner, (body,))
            case Apply("mul", (Read() as a, Read() as b)) if a.name != b.name:
                return cls(e, outer, value.over, inner, (a, b))
            case _:
                return None

    @property
    def guarded(self) -> set[str]:
        """The axes that a condition is about."""
        return {a for c in (*self.outer, *self.inner) for a in c.index.axes}

    def conditions(self, rename: Mapping[str, Index]) -> object:
        """The conditions with other letters: what is compared."""
        return tuple(
            frozenset(substitute_condition(c, rename) for c in own) for own in (self.outer, self.inner)
        )


def _bare(e: Expr) -> tuple[tuple[Condition, ...], Expr]:
    return (e.conditions, e.body) if isinstance(e, Guard) else ((), e)


def renamed(e: Expr, names: Mapping[str, str]) -> Expr:
    """An expression that reads other names."""
    return rewrite(e, lambda n: Read(names[n.name], n.at) if isinstance(n, Read) and n.name in names else n)


def axes_of(read: Read) -> set[str]:
    """The axes that a read's index has."""
    return {a for i in read.at for a in i.axes}


def dim_of(read: Read, letter: str) -> int:
    """Which of a read's indices has the letter."""
    return next(k for k, i in enumerate(read.at) if letter in i.axes)


def goes_over(read: Read, axis: str, mine: Interval, whole: Sequence[Interval]) -> bool:
    """Whether an axis goes over a whole axis of what is read, from 0 on, and stands nowhere else."""
    at = [k for k, i in enumerate(read.at) if axis in i.axes]
    if len(at) != 1 or read.at[at[0]] != Index.axis(axis):
        return False
    return mine == whole[at[0]] and mine[0] == 0 and mine[1] > 0


@dataclass(frozen=True, slots=True)
class Around:
    """The loop around steps: its axis, and of each name that it makes the position of that axis.

    ``alone`` are the names that one equation of its body makes.
    """

    axis: str
    reverse: bool
    position: Mapping[str, int]
    alone: frozenset[str]

    @classmethod
    def of(cls, loop: Loop, once: frozenset[str]) -> Self:
        """The loop; ``once`` are the names that one equation makes."""
        position = {e.target: e.axes.index(loop.axis) for e in loop.equations}
        direct = {step.equation.target for step in loop.body if isinstance(step, Block)}
        return cls(loop.axis, loop.reverse, position, once & direct)

    def carried(self, read: Read) -> bool:
        """Whether a step before this one has made what is read."""
        if read.name not in self.position:
            return False
        gap = Index.axis(self.axis) - read.at[self.position[read.name]]
        back = gap * -1 if self.reverse else gap
        return not back.axes and (back.shift - 1).surely_nonnegative()


@dataclass(slots=True)
class Joins:
    """What is put side by side, and the intervals of all names, those that are added too."""

    intervals: dict[str, tuple[Interval, ...]]
    joined: dict[tuple[tuple[str, ...], int], Joined] = field(
        default_factory=dict[tuple[tuple[str, ...], int], Joined]
    )

    def join(self, parts: Sequence[str], dim: int) -> str:
        """The name of the parts side by side; what is joined once is not joined again."""
        key = (tuple(parts), dim)
        if key not in self.joined:
            name = f"{'|'.join(parts)}⋆{dim}"
            total = sum(self.intervals[p][dim][1] for p in parts)
            self.intervals[name] = tuple(
                (0, total) if k == dim else i for k, i in enumerate(self.intervals[parts[0]])
            )
            self.joined[key] = Joined(name, key[0], dim)
        return self.joined[key].name

    def among(self, steps: Sequence[Merged], around: Around | None = None) -> list[Merged]:
        """Every join that is not among the steps yet, right after the last of its parts is made.

        Within a loop only those whose parts it makes.
        """
        last = made_at(steps)
        after: dict[int, list[Merged]] = {}
        for join in self.joined.values():
            if join.name not in last and (around is None or around.alone.issuperset(join.parts)):
                after.setdefault(max(last.get(p, -1) for p in join.parts), []).append(join)
        found = after.get(-1, [])
        for k, step in enumerate(steps):
            found = [*found, step, *after.get(k, [])]
        return found


__all__ = ["Around", "Joins", "Product", "axes_of", "dim_of", "goes_over", "renamed"]
