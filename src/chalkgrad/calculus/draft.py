"""What is collected while equations are written anew: masks, and names for what each step reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chalkgrad.equations.ir import Equation, Expr, Index, Name, Program, Range, Read, Size

Mask = Literal["live", "ends", "length", "restart", "restart_back", "cut", "cut_back"]
"""Data of ones and zeros along time: steps that a sequence has, its last one, steps that read the start
again, steps that pass no gradient back; ``_back`` for recurrences from ahead. ``length`` is one number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for beside its inputs."""

    lengths: bool = False
    resets: bool = False
    truncate: bool = False


@dataclass(frozen=True)
class Sequences:
    """A program that takes masks as further inputs.

    ``masks`` says what they are called, ``steps`` is the symbol of how many steps there are; each mask but
    ``length`` runs over ``margin`` steps more at either end. ``carried`` names what a state carries on, by
    the state's start, where that is not just its last steps; its axes are the start's.
    """

    program: Program
    masks: Mapping[Mask, str]
    steps: str
    margin: int
    carried: Mapping[str, str]


class Draft:
    """A program that is being written anew, over ``T`` steps and a margin at either end."""

    def __init__(self, program: Program, T: Size, margin: int) -> None:
        self.program, self.T, self.margin = program, T, margin
        self.taken = set(program.table)
        self.names: list[Name] = []
        self.equations: list[Equation] = []
        self.masks: dict[Mask, str] = {}

    def free(self, wanted: str) -> str:
        """A name that is not in use yet."""
        name, k = wanted, 1
        while name in self.taken:
            k += 1
            name = f"{wanted}_{k}"
        self.taken.add(name)
        return name

    def define(self, wanted: str, n: Name, domain: tuple[Range, ...], written: int, value: Expr) -> str:
        """A name with one equation, taken out of those of ``n``."""
        name = self.free(wanted)
        self.names.append(Name(name, "defined", domain, written, n.name, True))
        self.equations.append(Equation(name, domain, value))
        return name

    def mask(self, kind: Mask, at: Index) -> Read:
        """A mask at a step; ``length`` has none."""
        if kind not in self.masks:
            self.masks[kind] = self.free(kind)
            along = Range("t", self.T + 2 * self.margin, Size((), -self.margin))
            axes = () if kind == "length" else (along,)
            self.names.append(Name(self.masks[kind], "input", axes, len(axes)))
        return Read(self.masks[kind], () if kind == "length" else (at,))

    def own(self, name: str) -> tuple[Range, ...]:
        """The axes of a name without its start."""
        n = self.program[name]
        return self.program.defining(name)[-1].domain if n.role == "defined" else n.ranges

    def program_anew(self) -> Program:
        p = self.program
        return Program(tuple(self.equations), (*p.names, *self.names), p.outputs, p.states, p.columns)
