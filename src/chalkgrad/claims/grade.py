"""Is a claimed gradient right? Every reading that paper leaves open is tried, and the one used is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from torch import Tensor

from chalkgrad.calculus.normalise import normalise
from chalkgrad.claims.elaborate import CLAIMED, Sense, Side, elaborate
from chalkgrad.claims.ground import Draw, Ground, Page, agree, first_difference
from chalkgrad.claims.outcome import Outcome, Verdict, figure
from chalkgrad.claims.written import DELTA, Claim, Claims, head, names_read, read_claims
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.parse.syntax import Indexed, Node, Number, Symbol, parts
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.resolve.roles import index_symbols, shifted_letter
from chalkgrad.language.source import EquationError
from chalkgrad.nn.sizes import Given


def grade(
    resolved: Resolved,
    claim: str | Iterable[str],
    *,
    functions: Mapping[str, str] | None = None,
    sizes: Mapping[str, Given] | None = None,
    seed: int = 0,
) -> Outcome:
    """Grade gradients claimed as equations (text or LaTeX, one or several lines).

    Each is compared with the derived gradient at random values, float64, one example; names of other
    gradients on its right side have their derived values, so that every line is graded by itself.
    Raises EquationError that points into the claim's own text.
    """
    page = Page(resolved, functions)
    claims = read_claims(claim if isinstance(claim, str) else "\n".join(claim), page)
    grader = Grader(page, claims, sizes or {}, seed)
    return Outcome(tuple(grader.verdicts()), grader.ground(Draw()).numbers)


@dataclass(frozen=True)
class Found:
    """A claim under one reading: the claimed and the right value, and whether they agree."""

    claim: Claim
    value: Tensor
    right: Tensor

    @property
    def agrees(self) -> bool:
        return agree(self.value, self.right)


@dataclass(frozen=True)
class Reading:
    """One way to read a text of claims: a sense, and a draw of values."""

    sense: Sense
    draw: Draw


class Grader:
    """Grades the claims of one text under every reading until one makes all of them right."""

    def __init__(
        self,
        page: Page,
        claims: Claims,
        sizes: Mapping[str, Given],
        seed: int,
        grounds: Mapping[Draw, Ground] | None = None,
    ) -> None:
        self.page, self.claims, self.sizes, self.seed = page, claims, sizes, seed
        self._grounds = dict(grounds or {})

    def ground(self, draw: Draw) -> Ground:
        if draw not in self._grounds:
            self._grounds[draw] = Ground(self.page, self.sizes, self.seed, draw)
        return self._grounds[draw]

    def verdicts(self) -> Iterator[Verdict]:
        if not self.claims.claims:
            yield self.own_recurrence()
            return
        reading, found = self.best(self.claims.claims)
        for claim, result in zip(self.claims.claims, found, strict=True):
            if isinstance(result, EquationError):
                yield self.slip_of_an_error(claim, reading, result)
            else:
                yield self.verdict(result, reading)

    # --- readings ----------------------------------------------------------------------------------------

    def best(self, claims: tuple[Claim, ...]) -> tuple[Reading, list[Found | EquationError]]:
        """The first reading that makes all claims right, or most of them, those that make sense before
        those that do not."""
        best: tuple[tuple[int, int], Reading, list[Found | EquationError]] | None = None
        for reading in self.readings():
            found = [self.found(c, reading) for c in claims]
            score = (
                sum(isinstance(f, Found) and f.agrees for f in found),
                sum(isinstance(f, Found) for f in found),
            )
            if best is None or score > best[0]:
                best = (score, reading, found)
            if score[0] == len(claims):
                break
        assert best is not None
        return best[1], best[2]

    def readings(self) -> Iterator[Reading]:
        columns = self.page.resolved.program.columns
        counts = (
            [(False, False), (False, True), (True, False)]
            if self.names_last_step
            else [(False, False), (True, False)]
        )
        senses = [
            Sense(one, column, delta, length)
            for (one, length), column, delta in product(counts, (columns, not columns), self.deltas())
        ]
        for draw in self.draws():
            for sense in senses:
                yield Reading(sense, draw)

    def deltas(self) -> tuple[str | None, ...]:
        """What δ may be the gradient of: as the claim says, else an output, a pre-activation, the rest."""
        used = names_read([c.right for c in self.claims.claims] + [h.right for h in self.claims.helpers])
        if DELTA not in used or DELTA in self.claims.defined or DELTA in self.page.forward.table:
            return (None,)
        if self.claims.delta is not None:
            return (self.claims.delta,)
        forward = self.page.forward
        defined = [
            n.name for n in forward.names if n.role == "defined" and f"∂{n.name}" in self.page.derived.table
        ]
        arguments = [n for n in defined if n in self.page.slopes]
        return tuple(dict.fromkeys([*forward.outputs, *arguments, *defined]))

    def draws(self) -> Iterator[Draw]:
        """Random weights for the outputs; where these are losses, also their plain sum; and then targets
        that sum to one, as a distribution does."""
        ones = [False, True] if any(self.page.forward[n].ranges for n in self.page.losses()) else [False]
        yield from (Draw(o) for o in ones)
        steps = self.page.resolved.recurrence
        for name in self.page.forward.given("input", "parameter"):
            if name.ranges and name.ranges[-1].axis not in steps and name.name in self.named:
                yield from (Draw(o, frozenset({name.name})) for o in ones)

    @property
    def named(self) -> set[str]:
        """The names that the claims read."""
        return names_read([c.right for c in self.claims.claims] + [h.right for h in self.claims.helpers])

    @property
    def names_last_step(self) -> bool:
        """Whether some index is made of T, which is the last step on a page, and may be their number."""
        steps = {a.upper() for a in self.page.resolved.recurrence}
        nodes: list[Node] = [n for c in self.claims.claims for n in (*c.at, c.right)]
        nodes += [n for h in self.claims.helpers for n in (h.left, h.right)]
        while nodes:
            node = nodes.pop()
            nodes += parts(node)
            if isinstance(node, Indexed) and steps & {a for i in node.at for a in index_symbols(i)}:
                return True
            if isinstance(node, Symbol) and node.name in steps:
                return True
        return False

    # --- one claim under one reading ---------------------------------------------------------------------

    def found(self, claim: Claim, reading: Reading) -> Found | EquationError:
        try:
            [value] = self.values(claim, [claim.right], reading)
            return Found(claim, self.fitting(claim, value, reading), self.right(claim, reading))
        except EquationError as error:
            return error

    def values(self, claim: Claim, rights: Iterable[Node], reading: Reading) -> list[Tensor]:
        """What expressions come to, as right sides of a claim."""
        ground = self.ground(reading.draw)
        self.refuse_missing_step(claim)
        name = f"∂{claim.about}{CLAIMED}"
        sides = [Side(f"{name}{k}", claim, r) for k, r in enumerate(rights)]
        program = elaborate(ground, self.claims, sides, reading.sense).program
        given = {n.name: ground.values[self.spelled(n.name, reading.sense)] for n in program.given("input")}
        targets = [s.target for s in sides]
        if not given:  # a claim of numbers alone
            given = {}
        found = Runner(normalise(program))(given, ground.numbers, targets)
        return [found[t].double() for t in targets]

    def spelled(self, name: str, sense: Sense) -> str:
        return f"∂{sense.delta}" if name == DELTA and name not in self.page.forward.table else name

    def right(self, claim: Claim, reading: Reading) -> Tensor:
        """The derived gradient, at the steps that the left side fixes."""
        ground = self.ground(reading.draw)
        value = ground.values[f"∂{claim.about}"]
        index: list[int | slice] = list(ground.place(claim.about))
        for k, item in enumerate(claim.at):
            step = self.step(claim, k, item, reading)
            if step is not None:
                index[k] = step
        return value[tuple(index)]

    def step(self, claim: Claim, k: int, item: Node, reading: Reading) -> int | None:
        """Where along its axis a fixed index of the left side lies; None for a letter."""
        own, whole = self.page.own(claim.about)[k], self.page.forward[claim.about].ranges[k]
        numbers = self.ground(reading.draw).numbers
        first = (own.low - whole.low).value(numbers)
        size = own.size.value(numbers)
        if isinstance(item, Number):
            begin = 1 if reading.sense.one else own.low.value(numbers)
            step = first + int(item.value) - begin
        else:
            letter, shift = shifted_letter(item)
            if letter is None or letter == letter.lower():
                return None
            step = first + size - 1 + shift + reading.sense.length
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
        if value.dim() != right.dim():
            kinds = ("a scalar", "a vector", "a matrix")
            written = sum(self.step(claim, k, i, reading) is None for k, i in enumerate(claim.at))
            written += claim.about in self.page.bare and not claim.at
            here, there = value.dim() - written, right.dim() - written
            named = [kinds[k] if 0 <= k < 3 else f"a tensor of rank {k}" for k in (here, there)]
            raise EquationError(
                f"{self.claims.shown(claim.left)} is {named[1]}, and this side is {named[0]}",
                self.claims.source,
                ((claim.left, named[1]), (claim.right.span, named[0])),
                f"the derived equation is {self.page.line(claim.about)}",
            )
        turned = right.shape[:-2] + right.shape[:-3:-1]  # what is only transposed is wrong, not senseless
        if value.shape not in (right.shape, turned):
            raise EquationError(
                f"{self.claims.shown(claim.left)} is {_shape(right)}, and this side is {_shape(value)}",
                self.claims.source,
                ((claim.left, _shape(right)), (claim.right.span, _shape(value))),
                f"the derived equation is {self.page.line(claim.about)}",
            )
        return value

    # --- what is said ------------------------------------------------------------------------------------

    def verdict(self, found: Found, reading: Reading) -> Verdict:
        from chalkgrad.claims.slips import findings

        claim = found.claim
        written = f"{self.claims.shown(claim.left)} = {self.claims.shown(claim.right.span)}"
        if found.agrees:
            return Verdict(claim.about, written, True, self.notes(reading))
        return Verdict(
            claim.about,
            written,
            False,
            self.notes(reading),
            tuple(findings(self, found, reading)),
            self.derived(claim),
        )

    def notes(self, reading: Reading) -> tuple[str, ...]:
        notes: list[str] = []
        if reading.sense.delta is not None:
            notes.append(f"with δ = ∂{reading.sense.delta}")
        if reading.sense.one:
            notes.append("counting from 1")
        if reading.sense.length:
            notes.append("the last step being the one before the length, counting from 0")
        if reading.draw.ones:
            losses = " and ".join(n for n in self.page.losses() if self.page.forward[n].ranges)
            notes.append(f"the loss being the sum of {losses} over all steps")
        for name in reading.draw.shares:
            letters = [r.axis for r in self.page.forward[name].ranges]
            notes.append(f"where Σ[{letters[-1]}] {name}[{','.join(letters)}] = 1")
        return tuple(notes)

    def derived(self, claim: Claim) -> tuple[str, ...]:
        line = self.page.line(claim.about, indexed=len(claim.at) > self.page.forward[claim.about].written)
        return (*line.splitlines(), *(f"where {d}" for d in self.page.definitions(line)))

    def place(self, claim: Claim, at: tuple[int, ...], reading: Reading) -> str:
        """The element of a gradient at a place in its value: ``∂W_h[0,2]``."""
        numbers = self.ground(reading.draw).numbers
        own = self.page.own(claim.about)
        fixed = {
            k: self.claims.shown(i.span)
            for k, i in enumerate(claim.at)
            if self.step(claim, k, i, reading) is not None
        }
        lows = [1 if reading.sense.one else r.low.value(numbers) for k, r in enumerate(own) if k not in fixed]
        numbered = iter(low + k for low, k in zip(lows, at, strict=True))
        items = [fixed.get(k) or str(next(numbered)) for k in range(len(own))]
        return f"∂{claim.about}" + (f"[{','.join(items)}]" if items else "")

    def difference(self, found: Found, reading: Reading) -> tuple[str, tuple[int, ...]]:
        """The first element that differs, in words, and its place."""
        at = first_difference(found.value, found.right)
        name = self.place(found.claim, at, reading)
        claimed, right = figure(found.value[at].item()), figure(found.right[at].item())
        return f"{name} is {claimed} by the claim and {right} derived", at

    def slip_of_an_error(self, claim: Claim, reading: Reading, error: EquationError) -> Verdict:
        """A claim that makes no sense as it stands: wrong if one slip explains it, else the error."""
        from chalkgrad.claims.changes import summed

        for letter, right in summed(claim, error, self.page):
            repaired = replace(claim, right=right)
            _, [found] = self.best((repaired,))
            if isinstance(found, Found) and found.agrees:
                written = f"{self.claims.shown(claim.left)} = {self.claims.shown(claim.right.span)}"
                finding = f"the sum over {letter} is missing: Σ[{letter}] before it makes it right"
                return Verdict(claim.about, written, False, (), (finding,), self.derived(claim))
        raise error

    def own_recurrence(self) -> Verdict:
        """A text that says only what its δ is: right if that is the gradient of some name."""
        [line] = [h for h in self.claims.helpers if head(h.left) == DELTA]
        at = line.left.at if isinstance(line.left, Indexed) else ()
        forward = self.page.forward
        names = [n.name for n in forward.names if n.role == "defined"]
        names = [*(n for n in names if n in self.page.slopes), *names]
        first: tuple[Reading, Found] | None = None
        problem: EquationError | None = None
        for about in dict.fromkeys(names):
            claim = Claim(about, at, line.left.span, line.left)
            reading, [found] = self.best((claim,))
            if isinstance(found, EquationError):
                problem = problem or found
                continue
            if found.agrees:
                written = self.claims.shown(line.span)
                return Verdict(about, written, True, (f"δ is ∂{about}", *self.notes(reading)))
            first = first or (reading, found)
        if first is None:
            assert problem is not None
            raise problem
        reading, found = first
        claim = replace(found.claim, right=line.right)
        said, _ = self.difference(found, reading)
        return Verdict(
            claim.about,
            self.claims.shown(line.span),
            False,
            (f"read as δ = ∂{claim.about}", *self.notes(reading)),
            (said,),
            self.derived(claim),
        )


def _shape(x: Tensor) -> str:
    return "×".join(map(str, x.shape)) or "a scalar"
