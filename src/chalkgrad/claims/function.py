"""Is a backward function right? It is called with values of the page, and what it returns is compared.

What its code leaves open is tried: a batch or one example, a state with its start in front or without, a
gradient that arrives at every step or at the last; the first that makes most of it right is said and graded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor

from chalkgrad.claims.calling import Calling, Passing, Steps, shape_of
from chalkgrad.claims.changes import MOST_TRIED, changes
from chalkgrad.claims.grader import Found, Grader
from chalkgrad.claims.ground import BATCH, Ground, agree, first_difference
from chalkgrad.claims.loading import load
from chalkgrad.claims.outcome import Outcome, Verdict, figure
from chalkgrad.claims.results import Result
from chalkgrad.claims.slips import factor_between, times
from chalkgrad.claims.spelling import gradient_of
from chalkgrad.claims.written import read_claims
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.source import EquationError
from chalkgrad.nn.sizes import Given

HALF = 1e-4
"""Largest relative difference between a right gradient and one that is computed in float32."""


def grade_function(
    resolved: Resolved,
    what: str,
    *,
    functions: Mapping[str, str] | None = None,
    at: Steps | None = None,
    sizes: Mapping[str, Given] | None = None,
    seed: int = 0,
) -> Outcome:
    """Grade what a function ``FILE:function`` returns as gradients of a page.

    Its arguments are the names of the page, by their spelling, and the gradient that arrives at the output
    (``grad_out``, ``dout``, ``dh``), ``at`` every step or the last one. Raises EquationError.
    """
    return _Grading(Calling(resolved, load(what), functions or {}, at, sizes or {}, seed)).outcome()


@dataclass(frozen=True)
class _Match:
    """A result beside the gradient that it is to be (None where no form of it has that shape, which ``note``
    says then), and whether that is averaged over the batch."""

    result: Result
    about: str
    right: Tensor | None
    note: str = ""
    mean: bool = False

    @property
    def agrees(self) -> bool:
        return self.right is not None and close(self.result, self.right)


class _Grading:
    def __init__(self, calling: Calling) -> None:
        self.calling, self.page = calling, calling.page

    def outcome(self) -> Outcome:
        best: tuple[tuple[int, int], Passing, list[_Match]] | None = None
        problem: EquationError | None = None
        for passing in self.calling.passings():
            ground = self.calling.ground(passing)
            try:
                matches = self.matches(self.calling.results(ground, passing), ground, passing)
            except EquationError as error:
                problem = problem or error
                continue
            score = (sum(m.agrees for m in matches), sum(m.right is not None for m in matches))
            if best is None or score > best[0]:
                best = (score, passing, matches)
            if matches and score[0] == len(matches):
                break
        if best is None:
            assert problem is not None
            raise problem
        _, passing, matches = best
        function = self.calling.function
        if not matches:
            raise function.at(
                f"nothing that `{function.name}` returns is a gradient of this page",
                function.place(),
                "this function",
                "return arrays named like the page's names, dW_x or grad_b, or of their shapes",
            )
        ground = self.calling.ground(passing)
        remarks = (*self.calling.said(ground, passing), *self.missing(matches))
        verdicts = tuple(self.verdict(m, ground, passing) for m in matches)
        return Outcome(verdicts, ground.numbers, remarks, "gradient")

    def missing(self, matches: list[_Match]) -> tuple[str, ...]:
        """The parameters whose gradients are not returned."""
        there = {m.about for m in matches}
        lost = [f"∂{n.name}" for n in self.page.forward.given("parameter") if n.name not in there]
        return (f"it does not return {', '.join(lost)}",) if lost else ()

    # --- which result is which ---------------------------------------------------------------------------

    def matches(self, results: tuple[Result, ...], ground: Ground, passing: Passing) -> list[_Match]:
        """Each result beside a gradient: by its name, else by its shape and value."""
        names = [n for n in self.page.names if f"∂{n}" in ground.values]
        found: dict[int, _Match] = {}
        for k, r in enumerate(results):
            about = next((g for s in r.spelled if (g := gradient_of(s, names)) is not None), None)
            if about is not None and about not in {m.about for m in found.values()}:
                found[k] = self.match(r, about, ground, passing)
        order = ("input", "parameter", "start", "defined")
        forward = ground.page.forward
        rest = sorted(
            (n for n in names if not forward[n].generated), key=lambda n: order.index(forward[n].role)
        )
        for k, r in enumerate(results):
            if k not in found:
                free = [n for n in rest if n not in {m.about for m in found.values()}]
                fitting = [m for n in free if (m := self.match(r, n, ground, passing)).right is not None]
                fitting.sort(key=lambda m: not m.agrees)
                found.update({k: fitting[0]} if fitting else {})
        matches = [found[k] for k in sorted(found)]
        if any(m.mean for m in matches):  # then the others are held to the mean too
            matches = [m if m.agrees else self.averaged(m, ground) for m in matches]
        return matches

    def match(self, result: Result, about: str, ground: Ground, passing: Passing) -> _Match:
        forms = self.calling.shaped(about, ground.values[f"∂{about}"], ground, passing)
        own = self.calling.laid(about, ground.gradient(about), passing).shape
        shape = result.value.shape
        for form in forms:
            if _bare(shape) == _bare(form.shape):
                state = ground.page.forward[about].role == "defined" and form.shape != own
                plain = _Match(result, about, form.reshape(shape), "its start in front" if state else "")
                mean = self.averaged(plain, ground)
                return mean if not plain.agrees and mean.agrees else plain
        return _Match(result, about, None, shape_of(forms[0]))

    def averaged(self, match: _Match, ground: Ground) -> _Match:
        """The gradient of a parameter as a mean over the batch, where there is one."""
        parameter = ground.page.forward[match.about].role == "parameter"
        if match.right is None or not parameter or ground.page is self.page:
            return match
        return replace(match, right=match.right / ground.numbers[BATCH], mean=True)

    # --- what is said ------------------------------------------------------------------------------------

    def verdict(self, match: _Match, ground: Ground, passing: Passing) -> Verdict:
        notes = ("averaged over the batch",) if match.mean else ()
        notes += (match.note,) if match.note and match.right is not None else ()
        written = f"{match.result.label}: ∂{match.about}"
        if match.agrees:
            return Verdict(match.about, written, True, notes)
        line = self.page.line(match.about)
        derived = (*line.splitlines(), *(f"where {d}" for d in self.page.definitions(line)))
        findings = tuple(self.findings(match, ground, passing))
        return Verdict(match.about, written, False, notes, findings, derived)

    def findings(self, match: _Match, ground: Ground, passing: Passing) -> Iterator[str]:
        """The first element that differs, and the slip, where one explains the whole."""
        result, right = match.result, match.right
        if right is None:
            yield f"its shape is {shape_of(result.value)}, and that of ∂{match.about} {match.note}"
            return
        at = first_difference(result.value, right)
        element = result.label + (f"[{','.join(map(str, at))}]" if at else "")
        yield f"{element} is {figure(result.value[at].item())}, and should be {figure(right[at].item())}"
        factor = factor_between(result.value, right)
        if factor is not None:
            yield f"it is {times(factor, ground.numbers)} the right one"
        elif right.dim() > 1 and agree(result.value.mT, right):
            yield "it is transposed"
        else:
            slip = self.another(match, ground) or self.as_written(match, passing)
            if slip:
                yield slip

    def another(self, match: _Match, ground: Ground) -> str | None:
        """The result is right, for another name."""
        page = ground.page
        for name in page.names:
            value = ground.values.get(f"∂{name}")
            if value is None or name == match.about:
                continue
            for form in (value, value[ground.place(name)]):
                if form.shape == match.result.value.shape and close(match.result, form):
                    if page.slope_leads(name, match.about):
                        return f"this is ∂{name}: the derivative of the function in between is missing"
                    return f"this is ∂{name}, not ∂{match.about}"
        return None

    def as_written(self, match: _Match, passing: Passing) -> str | None:
        """The derived equation with one thing changed that comes to what the function returns.

        It is called once more with one example, since an equation is about one.
        """
        ground = self.calling.ground(passing, 1)
        again = self.matches(self.calling.results(ground, passing), ground, passing)
        mine = next((m for m in again if m.about == match.about and m.right is not None), None)
        if mine is None:
            return None
        if ground.page is not self.page:
            ground = ground.alone(self.page)
        value = mine.result.value.reshape(ground_shape(ground, match.about, mine, passing))
        line = self.page.line(match.about)
        try:
            grader = Grader(self.page, read_claims(line, self.page), {}, 0, ground)
            reading, [found] = grader.best(grader.claims.claims)
        except EquationError:  # the derived equation says what a claim cannot: [h>0]
            return None
        if not isinstance(found, Found) or not found.agrees:
            return None
        for change in islice(changes(found.claim.right, self.page, grader.claims.shown), MOST_TRIED):
            other = grader.found(replace(found.claim, right=change.right), reading)
            if isinstance(other, Found) and change.spelled and agree(other.value, value):
                a, b = change.span.start, change.span.end
                return f"it is what {line[:a]}{change.spelled}{line[b:]} would be"
        return None


def ground_shape(ground: Ground, about: str, match: _Match, passing: Passing) -> torch.Size:
    """The shape of a name without its start, where a result has as many elements; else the result's own."""
    own = ground.gradient(about).shape
    return own if own.numel() == match.result.value.numel() else match.result.value.shape


def _bare(shape: torch.Size) -> tuple[int, ...]:
    """A shape without its ones: a bias is (H,) or (1, H)."""
    return tuple(n for n in shape if n != 1)


def close(result: Result, right: Tensor) -> bool:
    """Whether a result is right, to the digits that it is computed with."""
    if result.exact:
        return agree(result.value, right)
    scale = max(right.abs().max().item(), 1e-12) if right.numel() else 1.0
    return result.value.shape == right.shape and bool(((result.value - right).abs() <= HALF * scale).all())
