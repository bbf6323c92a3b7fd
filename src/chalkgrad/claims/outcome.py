"""What is said of a claim: right or wrong, where and by how much, and what the right equation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One graded equation or array.

    ``written`` is the claim, ``notes`` how it was read (``with δ = ∂h``), ``findings`` what is wrong with it,
    first the first element that differs; ``derived`` the right equation, and what the names in it stand for.
    """

    about: str
    written: str
    right: bool
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = ", ".join(("right" if self.right else "wrong", *self.notes))
        lines = [self.written, f"  {said}" + (f": {self.findings[0]}" if self.findings else "")]
        lines += [f"  {finding}" for finding in self.findings[1:]]
        if self.derived:
            heads = ("derived: ", *["         "] * len(self.derived))
            lines += [f"  {head}{line}" for head, line in zip(heads, self.derived, strict=False)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Outcome:
    """The outcome of grading: a verdict for each claim; ``str()`` reports, truth is that all are right.

    ``remarks`` stand before the verdicts: how a function was called.
    """

    verdicts: tuple[Verdict, ...]
    sizes: Mapping[str, int]
    remarks: tuple[str, ...] = ()
    kind: str = "claim"

    @property
    def right(self) -> bool:
        return all(v.right for v in self.verdicts)

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        sizes = ", ".join(f"{s}={n}" for s, n in self.sizes.items() if s != "batch")
        wrong = list(dict.fromkeys(f"∂{v.about}" for v in self.verdicts if not v.right))
        if wrong:
            said = "wrong: " + ", ".join(wrong)
        elif len(self.verdicts) == 1:
            said = f"the {self.kind} is right"
        else:
            said = f"all {len(self.verdicts)} {self.kind}s are right"
        return "\n".join([*self.remarks, *map(str, self.verdicts), f"{said} ({sizes})" if sizes else said])


def figure(x: float) -> str:
    """A number as it is shown: six digits, and no minus before a zero."""
    return f"{x + 0.0:.6g}"
