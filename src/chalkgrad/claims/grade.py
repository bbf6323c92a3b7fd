"""Is a claimed gradient right? Every reading that paper leaves open is tried, and the one used is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chalkgrad.claims.grader import Found, Grader, Progress
from chalkgrad.claims.ground import Draw, Page
from chalkgrad.claims.outcome import Outcome, Verdict
from chalkgrad.claims.readings import Reading
from chalkgrad.claims.slips import findings
from chalkgrad.claims.written import read_claims
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.source import EquationError
from chalkgrad.nn.sizes import Given


def grade(
    resolved: Resolved,
    claim: str | Iterable[str],
    *,
    functions: Mapping[str, str] | None = None,
    sizes: Mapping[str, Given] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Outcome:
    """Grade gradients claimed as equations (text or LaTeX, one or several lines).

    Each is compared with the derived gradient at random values, float64, one example; names of other
    gradients on its right side have their derived values, so that every line is graded by itself.
    Raises EquationError that points into the claim's own text.

    >>> from chalkgrad.language.resolve import read
    >>> print(grade(read("h[i] = Σ[j] w[j] x[i+j] where x: input"), "∂L/∂w[i] = Σ[j] δ[j] x[i+j-1]"))
    ∂L/∂w[i] = Σ[j] δ[j] x[i+j-1]
      right, with δ = ∂h, counting from 1
    the claim is right (|x|=9, J=3)
    """
    page = Page(resolved, functions)
    claims = read_claims(claim if isinstance(claim, str) else "\n".join(claim), page)
    grader = Grader(page, claims, sizes or {}, seed, progress=progress)

    def verdict(result: Found | Verdict | EquationError, reading: Reading) -> Verdict:
        if isinstance(result, EquationError):
            raise result
        if isinstance(result, Verdict) or result.agrees:
            return result if isinstance(result, Verdict) else grader.said(result.claim, reading)
        found = tuple(findings(grader, result, reading))
        return grader.said(result.claim, reading, found or ("it differs",))

    verdicts = [verdict(result, reading) for result, reading in grader.results()]
    verdicts += [grader.quotient(q) for q in claims.quotients]
    return Outcome(tuple(verdicts), grader.ground(Draw()).numbers)
