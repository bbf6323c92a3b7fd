"""Is a gradient right? The derived ones of a page, or those that somebody claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import overload

from chalkgrad.claims.grade import grade
from chalkgrad.claims.grader import Progress
from chalkgrad.claims.outcome import Outcome
from chalkgrad.language.resolve import read
from chalkgrad.nn.check import Check
from chalkgrad.nn.check import check as check_derived
from chalkgrad.nn.claims import hold_claims
from chalkgrad.nn.sizes import Given
from chalkgrad.zoo import source_of


@overload
def check(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    claim: None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **sizes: Given,
) -> Check: ...
@overload
def check(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    claim: str | Iterable[str],
    seed: int = 0,
    progress: Progress | None = None,
    **sizes: Given,
) -> Outcome: ...
def check(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    claim: str | Iterable[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **sizes: Given,
) -> Check | Outcome:
    """Whether the derived gradient of every input, parameter and start is right; with ``claim``, whether
    gradients derived by hand are.

    The gradient of a random weighting of outputs and states, two examples, float64, is compared with torch's
    autograd through the forward equations and with central differences. A claim (an equation such as
    ``∂W = Σ[t] x[t]ᵀ ∂h[t]``, or several) is compared with what is derived. Sizes that are not given are
    small. Raises EquationError.

    >>> print(check("h[t] = tanh(x[t] W)", x=2, h=3))  # doctest: +ELLIPSIS
    ∂x  2×5×2  autograd ...  differences ...  right
    ∂W  2×3    autograd ...  differences ...  right
    >>> print(check("h[t] = x[t] W", claim="∂W = Σ[t] x[t]ᵀ ∂h[t]"))
    ∂W = Σ[t] x[t]ᵀ ∂h[t]
      right
    the claim is right (T=5, |x|=3, |h|=4)
    """
    if claim is None:
        return check_derived(what, inputs=inputs, functions=functions, seed=seed, progress=progress, **sizes)
    counts = {n: k for n, k in sizes.items() if isinstance(k, int)}
    resolved = read(source_of(what), inputs, functions, counts)
    hold_claims(resolved)
    own = {n: k for n, k in sizes.items() if n not in resolved.axes}
    return grade(resolved, claim, functions=functions, sizes=own, seed=seed, progress=progress)
