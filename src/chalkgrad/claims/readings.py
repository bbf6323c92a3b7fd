"""What paper leaves open in a claim, and every way to read it: where counting begins, what δ is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from chalkgrad.calculus.loss import losses
from chalkgrad.claims.claim import DELTA, Claims, names_read
from chalkgrad.claims.ground import Draw, Page
from chalkgrad.language.parse.syntax import Node, Symbol, nodes


@dataclass(frozen=True)
class Sense:
    """How a claim is read where paper leaves it open.

    ``begin``: where every index begins (None: where it does on the page; as there, only relative positions
    matter). ``columns``: vectors are columns. ``delta``: the name whose gradient δ is. ``length``: T is the
    number of steps, and T-1 the last one; on a page it is the last one itself.
    """

    begin: int | None = None
    columns: bool = True
    delta: str | None = None
    length: bool = False


@dataclass(frozen=True)
class Reading:
    """One way to read a text of claims: a sense, and a draw of values."""

    sense: Sense
    draw: Draw

    def notes(self, page: Page) -> tuple[str, ...]:
        """What is to be said of it beside a verdict."""
        notes: list[str] = []
        if self.sense.delta is not None:
            notes.append(f"with δ = ∂{self.sense.delta}")
        if self.sense.begin is not None:
            notes.append(f"counting from {self.sense.begin}")
        if self.sense.length:
            notes.append("the last step being the one before the length, counting from 0")
        if self.draw.ones:
            added = " and ".join(n for n in page.losses() if page.forward[n].ranges)
            notes.append(f"the loss being the sum of {added} over all steps")
        for name in self.draw.shares:
            letters = [r.axis for r in page.forward[name].ranges]
            notes.append(f"where Σ[{letters[-1]}] {name}[{','.join(letters)}] = 1")
        return tuple(notes)


def readings(claims: Claims, page: Page) -> Iterator[Reading]:
    """Every way to read the claims: what the page itself does first."""
    columns = page.resolved.program.columns
    counts: list[tuple[int | None, bool]] = [(None, False), (1, False), (0, False)]
    if _names_last_step(claims, page):
        counts.insert(1, (None, True))
    senses = [
        Sense(begin, column, delta, length)
        for (begin, length), column, delta in product(counts, (columns, not columns), _deltas(claims, page))
    ]
    for draw in _draws(claims, page):
        yield from (Reading(sense, draw) for sense in senses)


def _deltas(claims: Claims, page: Page) -> tuple[str | None, ...]:
    """What δ may be the gradient of: as the claim says, else an output, a pre-activation, the rest."""
    if DELTA not in _named(claims) or DELTA in claims.defined or DELTA in page.forward.table:
        return (None,)
    if claims.delta is not None:
        return (claims.delta,)
    names = page.forward.names
    defined = [n.name for n in names if n.role == "defined" and f"∂{n.name}" in page.derived.table]
    arguments = [n for n in defined if n in page.slopes]
    return tuple(dict.fromkeys([*page.forward.outputs, *arguments, *defined]))


def _draws(claims: Claims, page: Page) -> Iterator[Draw]:
    """Random weights for the outputs; where these may be losses, also their plain sum; then targets that sum
    to one, as a distribution does. A claim that names what arrives is right for whatever arrives."""
    if _named(claims) & {*page.seeds.values()}:
        yield Draw(free=True)
        return
    known = losses(page.resolved.program)
    ones = [False, True] if any(page.forward[n].ranges and n not in known for n in page.losses()) else [False]
    yield from (Draw(o) for o in ones)
    steps = page.resolved.recurrence
    for name in page.forward.given("input", "parameter"):
        if name.ranges and name.ranges[-1].axis not in steps and name.name in _named(claims):
            yield from (Draw(o, frozenset({name.name})) for o in ones)


def _named(claims: Claims) -> set[str]:
    """The names that the claims read."""
    return names_read(claims.rights)


def _names_last_step(claims: Claims, page: Page) -> bool:
    """Whether some index is made of T, which is the last step on a page, and may be their number."""
    steps = {a.upper() for a in page.resolved.recurrence}
    sides: list[Node] = [n for c in claims.claims for n in (*c.at, c.right)]
    sides += [n for h in claims.helpers for n in (h.left, h.right)]
    # An index is one of the nodes too: h[T] holds the symbol T.
    return any(isinstance(n, Symbol) and n.name in steps for side in sides for n in nodes(side))
