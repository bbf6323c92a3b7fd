"""One reading of claims after the other, each line's value beside the derived one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from torch import Tensor

from chalkgrad.calculus.normalise import normalise
from chalkgrad.claims.changes import MOST_TRIED, changes, summed
from chalkgrad.claims.claim import DELTA, Claim, Claims, Quotient, head
from chalkgrad.claims.elaborate import CLAIMED, Side, elaborate, unmarked
from chalkgrad.claims.ground import Draw, Ground, Page, agree, first_difference
from chalkgrad.claims.jacobian import verdict as jacobian_verdict
from chalkgrad.claims.outcome import Verdict, figure
from chalkgrad.claims.readings import Reading, Sense, readings
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.parse.syntax import Indexed, Node, Number
from chalkgrad.language.resolve.roles import shifted_letter
from chalkgrad.language.source import EquationError
from chalkgrad.nn.sizes import Given

Progress = Callable[[int, int], None]

KINDS = ("a scalar", "a vector", "a matrix")


@dataclass(frozen=True)
class Found:
    """A claim under one reading: the claimed and the right value, and whether they agree."""

    claim: Claim
    value: Tensor
    right: Tensor

    @property
    def agrees(self) -> bool:
        return agree(self.value, self.right)


class Grader:
    """Grades the claims of one text under every reading until one makes all of them right."""

    def __init__(
        self,
        page: Page,
        claims: Claims,
        sizes: Mapping[str, Given],
        seed: int,
        only: Ground | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.progress = progress or (lambda done, total: None)
        self.page, self.claims, self.sizes, self.seed = page, claims, sizes, seed
        self._grounds: dict[Draw, Ground] = {}
        self._only = only

    def ground(self, draw: Draw) -> Ground:
        """The values of a draw, or the ``only`` ones that were given."""
        if self._only is not None:
            return self._only
        if draw not in self._grounds:
            self._grounds[draw] = Ground(self.page, self.sizes, self.seed, draw)
        return self._grounds[draw]

    def results(self) -> Iterator[tuple[Found | Verdict | EquationError, Reading]]:
        """Each claim under the reading that fits all of them best."""
        if not self.claims.claims and not self.claims.quotients:
            yield self.own_recurrence()
            return
        if not self.claims.claims:
            return
        reading, found = self.best(self.claims.claims)
        for claim, result in zip(self.claims.claims, found, strict=True):
            if isinstance(result, EquationError):
                yield self.repaired(claim, reading, result) or result, reading
            else:
                yield result, self.least(claim, reading, result)

    def least(self, claim: Claim, reading: Reading, result: Found) -> Reading:
        """The reading of one right claim that asks least of the values: its neighbour may ask for more."""
        if not result.agrees:
            return reading
        for other in readings(self.claims, self.page):
            if other.sense == reading.sense:
                found = self.found(claim, replace(other, draw=replace(other.draw, again=1)))
                if isinstance(found, Found) and found.agrees:
                    return other
        return reading

    def best(self, claims: tuple[Claim, ...]) -> tuple[Reading, list[Found | EquationError]]:
        """The first reading that makes all claims right, or most of them, those that make sense before
        those that do not."""
        best: tuple[tuple[int, int], Reading, list[Found | EquationError]] | None = None
        for reading in readings(self.claims, self.page):
            found = [self.found(c, reading) for c in claims]
            if _score(found)[0] == len(claims):
                # What is right by chance (where relu is zero, say) is not right in another draw.
                reading = replace(reading, draw=replace(reading.draw, again=1))
                found = [self.found(c, reading) for c in claims]
            score = _score(found)
            if best is None or score > best[0]:
                best = (score, reading, found)
            if score[0] == len(claims):
                break
        assert best is not None
        return best[1], best[2]

    # --- one claim under one reading ---------------------------------------------------------------------

    def found(self, claim: Claim, reading: Reading) -> Found | EquationError:
        try:
            [value] = self.values(claim, [claim.right], reading)
            return Found(claim, self.fitting(claim, value, reading), self.right(claim, reading))
        except EquationError as error:
            return error

    def values(self, claim: Claim, rights: Iterable[Node], reading: Reading) -> list[Tensor]:
        """What expressions come to, as right sides of a claim. Raises EquationError."""
        ground = self.ground(reading.draw)
        self.refuse_missing_step(claim)
        name = f"∂{claim.about}{CLAIMED}"
        sides = [Side(f"{name}{k}", claim, r) for k, r in enumerate(rights)]
        try:
            program = elaborate(ground, self.claims, sides, reading.sense)
        except EquationError as error:
            raise unmarked(error) from None
        given = {n.name: ground.values[self.spelled(n.name, reading.sense)] for n in program.given()}
        targets = [s.target for s in sides]
        found = Runner(normalise(program))(given, ground.numbers, targets)
        return [found[t].double() for t in targets]

    def spelled(self, name: str, sense: Sense) -> str:
        return f"∂{sense.delta}" if name == DELTA and name not in self.page.forward.table else name

    def right(self, claim: Claim, reading: Reading) -> Tensor:
        """The derived gradient, at the steps that the left side fixes."""
        return self.at_steps(claim, self.ground(reading.draw).values[f"∂{claim.about}"], reading)

    def at_steps(self, claim: Claim, value: Tensor, reading: Reading) -> Tensor:
        """A value with its starts, over the points that the left side of the claim names."""
        index: list[int | slice] = list(self.ground(reading.draw).place(claim.about))
        for k, item in enumerate(claim.at):
            step = self.step(claim, k, item, reading)
            if step is not None:
                index[k] = step
        return value[tuple(index)]

    def step(self, claim: Claim, k: int, item: Node, reading: Reading) -> int | None:
        """Where along its axis a fixed index of the left side lies; None for a letter."""
        if k >= len(self.page.own(claim.about)):
            return None
        own, whole = self.page.own(claim.about)[k], self.page.forward[claim.about].ranges[k]
        numbers = self.ground(reading.draw).numbers
        first = (own.low - whole.low).value(numbers)
        if isinstance(item, Number):
            begin = own.low.value(numbers) if reading.sense.begin is None else reading.sense.begin
            step = first + int(item.value) - begin
        else:
            letter, shift = shifted_letter(item)
            if letter is None or letter == letter.lower():
                return None
            step = first + own.size.value(numbers) - 1 + shift + reading.sense.length
        if not 0 <= step < whole.size.value(numbers):
            raise EquationError(
                f"∂{claim.about} has no such step",
                self.claims.source,
                ((item.span, "outside"),),
                f"its first step is {own.low}, its last {own.high - 1}",
            )
        return step

    def refuse_missing_step(self, claim: Claim) -> None:
        page = self.page
        n = page.forward[claim.about]
        steps = [k for k, r in enumerate(n.ranges[: n.written]) if r.axis in page.resolved.recurrence]
        missing = [n.ranges[k].axis for k in steps if k >= len(claim.at)]
        if missing and not (claim.about in page.bare and not claim.at):
            letters = ",".join(r.axis for r in n.ranges[: n.written])
            raise EquationError(
                f"`∂{claim.about}` runs along {' and '.join(missing)}, and stands here without it",
                self.claims.source,
                ((claim.left, "at which step?"),),
                f"write ∂{claim.about}[{letters}] = …",
            )

    def fitting(self, claim: Claim, value: Tensor, reading: Reading) -> Tensor:
        """The value if its rank is that of the gradient. Raises EquationError that points at the side."""
        right = self.right(claim, reading)
        turned = right.shape[:-2] + right.shape[:-3:-1]  # what is only transposed is wrong, not senseless
        if value.shape in (right.shape, turned):
            return value
        written = sum(self.step(claim, k, i, reading) is None for k, i in enumerate(claim.at))
        written += claim.about in self.page.bare and not claim.at
        ranks = [x.dim() - written for x in (value, right)]
        if ranks[0] == ranks[1]:
            here, there = ("×".join(map(str, x.shape)) for x in (value, right))
        else:
            here, there = (KINDS[k] if 0 <= k < 3 else f"a tensor of rank {k}" for k in ranks)
        raise EquationError(
            f"{self.claims.shown(claim.left)} is {there}, and this side is {here}",
            self.claims.source,
            ((claim.left, there), (claim.right.span, here)),
            f"the derived equation is {self.page.line(claim.about)}",
        )

    # --- what is said ------------------------------------------------------------------------------------

    def said(
        self, claim: Claim, reading: Reading, findings: tuple[str, ...] = (), written: str = ""
    ) -> Verdict:
        """A verdict on a claim: right where nothing is found."""
        written = written or f"{self.claims.shown(claim.left)} = {self.claims.shown(claim.right.span)}"
        notes = reading.notes(self.page)
        if not findings:
            return Verdict(claim.about, written, True, notes)
        line = self.page.line(claim.about, indexed=len(claim.at) > self.page.forward[claim.about].written)
        derived = (*line.splitlines(), *(f"where {d}" for d in self.page.definitions(line)))
        return Verdict(claim.about, written, False, notes, findings, derived)

    def place(self, claim: Claim, at: tuple[int, ...], reading: Reading) -> str:
        """The element of a gradient at a place in its value: ``∂W_h[0,2]``."""
        numbers = self.ground(reading.draw).numbers
        begin = reading.sense.begin
        left = iter(at)
        items: list[str] = []
        for k, r in enumerate(self.page.own(claim.about)):
            if k < len(claim.at) and self.step(claim, k, claim.at[k], reading) is not None:
                items.append(self.claims.shown(claim.at[k].span))
            else:
                items.append(str(next(left) + (r.low.value(numbers) if begin is None else begin)))
        return f"∂{claim.about}" + (f"[{','.join(items)}]" if items else "")

    def difference(self, found: Found, reading: Reading) -> tuple[str, tuple[int, ...]]:
        """The first element that differs, in words, and its place."""
        at = first_difference(found.value, found.right)
        name = self.place(found.claim, at, reading)
        claimed, right = figure(found.value[at].item()), figure(found.right[at].item())
        return f"{name} is {claimed} by the claim and {right} derived", at

    def repaired(self, claim: Claim, reading: Reading, error: EquationError) -> Verdict | None:
        """A claim that makes no sense as it stands, and is right under one Σ or with one thing changed."""
        for letter, right in summed(claim, error):
            _, [found] = self.best((replace(claim, right=right),))
            if isinstance(found, Found) and found.agrees:
                finding = f"the sum over {letter} is missing: Σ[{letter}] before it makes it right"
                return self.said(claim, reading, (finding,))
        for change in islice(changes(claim.right, self.page, self.claims.shown), MOST_TRIED):
            found = self.found(replace(claim, right=change.right), reading)
            if isinstance(found, Found) and found.agrees:
                return self.said(claim, reading, (error.problem, change.said))
        return None

    def quotient(self, q: Quotient) -> Verdict:
        """A verdict on a claimed Jacobian, by the first reading that makes it right. Raises EquationError."""
        first: Verdict | None = None
        problem: EquationError | None = None
        for reading in readings(self.claims, self.page):
            try:
                [value] = self.values(q.claim, [q.right], reading)
                ground = self.ground(reading.draw)
                found = jacobian_verdict(q, value, self.page, self.claims, reading, ground)
            except EquationError as error:
                problem = problem or error
                continue
            if found.right:
                return found
            first = first or found
        if first is None:
            assert problem is not None
            raise problem
        return first

    def own_recurrence(self) -> tuple[Verdict | EquationError, Reading]:
        """A text that says only what its δ is: right if that is the gradient of some name."""
        line = next(h for h in self.claims.helpers if head(h.left) == DELTA)
        at = line.left.at if isinstance(line.left, Indexed) else ()
        forward = self.page.forward
        names = [n.name for n in forward.names if n.role == "defined"]
        names = [*(n for n in names if n in self.page.slopes), *names]
        first: tuple[Reading, Found] | None = None
        problem: EquationError | None = None
        written = self.claims.shown(line.span)
        for about in dict.fromkeys(names):
            reading, [found] = self.best((Claim(about, at, line.left.span, line.left),))
            if isinstance(found, EquationError):
                problem = problem or found
            elif found.agrees:
                said = self.said(found.claim, reading, written=written)
                return replace(said, notes=(f"δ is ∂{about}", *said.notes)), reading
            else:
                first = first or (reading, found)
        if first is None:
            assert problem is not None
            raise problem
        reading, found = first
        finding, _ = self.difference(found, reading)
        said = self.said(found.claim, reading, (finding,), written)
        return replace(said, notes=(f"read as δ = ∂{found.claim.about}", *said.notes)), reading


def _score(found: list[Found | EquationError]) -> tuple[int, int]:
    """How many claims are right, and how many make sense."""
    return sum(isinstance(f, Found) and f.agrees for f in found), sum(isinstance(f, Found) for f in found)
