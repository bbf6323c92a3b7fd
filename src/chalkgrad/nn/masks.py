"""What a call asks for beside its inputs: lengths, resets, truncated gradients, as data for the equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.draft import Asked, Mask, Sequences
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.sequences import sequences
from chalkgrad.equations.ir import Program
from chalkgrad.kernels.backends import Backend
from chalkgrad.nn.arguments import short
from chalkgrad.nn.operator import System, system_of
from chalkgrad.nn.recording import is_recorded
from chalkgrad.nn.sizes import Numbers

WORDS = ("lengths", "resets", "truncate")
"""What these are called in a call."""


@dataclass(frozen=True)
class Variant:
    """A layer's equations with what is asked for written into them, and the system that runs them."""

    written: Sequences
    system: System


class Variants:
    """A layer's variants, each made when first asked for. Methods raise EquationError for what cannot be."""

    def __init__(self, program: Program, numbers: Numbers, backend: Backend) -> None:
        self.program, self.numbers, self.backend = program, numbers, backend
        inputs = {n.name for n in program.given("input")}
        self.inputs = tuple(word for word in WORDS if word in inputs)
        self._made: dict[Asked, Variant] = {}

    def __call__(self, asked: Asked) -> Variant:
        if asked not in self._made:
            written = sequences(self.program, asked)
            self._made[asked] = Variant(written, system_of(normalise(batch(written.program)), self.backend))
        return self._made[asked]

    def masks(
        self, asked: Mapping[str, Any], numbers: Mapping[str, int], like: Tensor, batched: bool
    ) -> tuple[Variant, dict[str, Tensor]]:
        """The variant for a call and its masks; ``like`` has their dtype and device."""
        lengths, resets, truncate = (asked[word] for word in WORDS)
        variant = self(Asked(lengths is not None, resets is not None, truncate is not None))
        written, examples = variant.written, numbers["batch"]
        steps, margin = numbers[written.steps], written.margin
        at = torch.arange(-margin, steps + margin, device=like.device)
        length = torch.full((examples,), steps, device=like.device)
        masks: dict[Mask, Tensor] = {}
        if lengths is not None:
            length = self.lengths(lengths, numbers, written, batched).to(like.device)
            masks |= {"live": at < length[:, None], "ends": at == length[:, None] - 1, "length": length}
        if resets is not None:
            again = self.resets(resets, examples, steps, batched).to(like.device)
            # A recurrence from ahead reads its start at the last step before a reset.
            masks |= {
                "restart": pad(again, (margin, margin)),
                "restart_back": pad(again[:, 1:], (margin, margin + (steps > 0))),
            }
        if truncate is not None:
            every = self.truncate(truncate)
            taken = {"cut": at.expand(examples, -1), "cut_back": length[:, None] - 1 - at}
            masks |= {"cut": _boundary(taken["cut"], every), "cut_back": _boundary(taken["cut_back"], every)}
        return variant, {name: masks[kind].to(like.dtype) for kind, name in written.masks.items()}

    # --- what is asked for, checked --------------------------------------------------------------------

    def lengths(self, lengths: Any, numbers: Mapping[str, int], written: Sequences, batched: bool) -> Tensor:
        """The number of steps of each example."""
        examples, steps = numbers["batch"], numbers[written.steps]
        given = [lengths] if not batched and isinstance(lengths, int) else lengths
        found = self.whole(given) if isinstance(given, Sequence) else given
        if not isinstance(found, Tensor) or found.is_floating_point() or found.dtype == torch.bool:
            said = short(found.dtype) if isinstance(found, Tensor) else type(lengths).__name__
            raise self.numbers.fail(
                f"lengths are whole numbers, one for each example, and are given as {said}",
                help="lengths=[5, 3], or a tensor of integers",
            )
        found = found.reshape(1) if not batched and not found.dim() else found
        if found.shape != (examples,):
            raise self.numbers.fail(
                f"lengths has shape {tuple(found.shape)}, and there "
                + (f"are {examples} examples" if examples != 1 else "is 1 example"),
                help="give one length for each example",
            )
        if is_recorded([found]):  # a graph has no numbers: they are looked at while it runs
            whole = given if isinstance(given, Sequence) else None
            if whole is None:
                said = f"lengths are from 1 to the number of steps of `{written.steps}`"
                torch._assert_async(((found >= 1) & (found <= steps)).all(), said)  # pyright: ignore
                return found
            least, most = min(whole), max(whole)
        else:
            least, most = (int(found.min()), int(found.max())) if examples else (steps, steps)
        if least < 1 or most > steps:
            raise self.numbers.fail(
                f"a sequence of {steps} steps is given the length {least if least < 1 else most}",
                help=f"lengths are from 1 to {steps}",
            )
        shortest = {**numbers, written.steps: least}
        for e in self.program.equations:
            if any(written.steps in r.size.symbols and r.size.value(shortest) < 1 for r in e.domain):
                raise self.numbers.fail(
                    f"a sequence of length {least} is too short: it leaves no step of `{e.target}`",
                    e.target,
                    help="give longer sequences or smaller kernels",
                )
        return found

    def whole(self, lengths: Sequence[Any]) -> Tensor:
        """Lengths that stand in a list."""
        for k, n in enumerate(lengths):
            if not isinstance(n, Integral) or isinstance(n, bool):
                found = repr(n) if isinstance(n, int | float | str) else f"of type {type(n).__name__}"
                raise self.numbers.fail(
                    f"a length is a whole number of steps, and lengths[{k}] is {found}",
                    help="write a whole number for each example: lengths=[5, 3], or a tensor of integers",
                )
        return torch.tensor(lengths, dtype=torch.int64)

    def resets(self, resets: Any, examples: int, steps: int, batched: bool) -> Tensor:
        """Where each example begins anew."""
        if not isinstance(resets, Tensor) or resets.dtype != torch.bool:
            said = short(resets.dtype) if isinstance(resets, Tensor) else type(resets).__name__
            raise self.numbers.fail(
                f"resets are true or false at each step, and are given as {said}",
                help="resets: torch.Tensor of dtype torch.bool",
            )
        shape = (examples, steps) if batched else (steps,)
        if resets.shape != shape:
            raise self.numbers.fail(
                f"resets has shape {tuple(resets.shape)}, and {shape} is needed",
                help="give true or false for each " + ("example and step" if batched else "step"),
            )
        return resets if batched else resets[None]

    def truncate(self, truncate: Any) -> int:
        """After how many steps the gradient is cut."""
        if type(truncate) is not int or truncate < 1:
            raise self.numbers.fail(
                f"truncate={truncate!r}: the gradient is cut after so many steps, a whole number from 1 up",
                help="truncate=20",
            )
        return truncate


def _boundary(taken: Tensor, every: int) -> Tensor:
    """Whether a piece of so many steps ends before a step, by how many steps were taken before it."""
    return (taken > 0) & (taken % every == 0)
