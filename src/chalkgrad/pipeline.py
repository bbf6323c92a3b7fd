"""From a page of equations to its backward equations: the whole path, before anything is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from chalkgrad.calculus import derive as calculus
from chalkgrad.calculus.explain import Derivation, explain
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Program
from chalkgrad.language.resolve import read
from chalkgrad.zoo import source_of


def derive(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
) -> Derivation:
    """The backward equations of a text of equations, of a standard layer, or of a file.

    ``str()`` shows them in matrix notation, ``.index_form()`` with every index, ``.latex()`` for a paper.
    Raises EquationError.

    >>> print(derive("h[i] = Σ[j] V[j] x[i+j] where x: input"))
    ∂x[n] = Σ[j] ∂h[n-j] V[j]
    ∂V[j] = Σ[i] ∂h[i] x[i+j]
    """
    return derivation_of(read(source_of(what), inputs, functions).program)


def derivation_of(program: Program) -> Derivation:
    """The backward equations of a program that has been read."""
    forward = normalise(program)
    return explain(forward, calculus.derive(forward))
