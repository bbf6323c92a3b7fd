"""Syntax tree → program: every name gets its role, its axes and its sizes, every equation its index form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, islice

from chalkgrad.equations.ir import Equation, Program
from chalkgrad.equations.size import Size
from chalkgrad.equations.verify import verify
from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.parse.syntax import Text
from chalkgrad.language.resolve.define import Attempt
from chalkgrad.language.resolve.definitions import find_roles, refuse_derivatives
from chalkgrad.language.resolve.doubts import doubts
from chalkgrad.language.resolve.finish import claims, finish
from chalkgrad.language.resolve.naming import named_sizes, refuse_endless
from chalkgrad.language.resolve.operators import axes_named, written_out
from chalkgrad.language.resolve.roles import Roles
from chalkgrad.language.resolve.together import held_together
from chalkgrad.language.source import EquationError, Span

MOST_RELAXED = 3
"""How many names may gain a trailing axis at once (`w_j h + u_j x` needs two)."""

MOST_READINGS = 200
"""How many readings are tried, so that a long page with a mistake is answered at once."""


@dataclass(frozen=True)
class Resolved:
    """A text with its meaning: the program, and where on the page each name first stands.

    ``recurrence`` holds the letters along which something reads itself, ``sizes`` what the size symbols of
    the page came to, ``init`` the numbers that parameters start at where the page says so; ``claims`` the
    further right sides of chains ``A = B = C``.
    """

    program: Program
    text: Text
    places: Mapping[str, Span]
    recurrence: frozenset[str]
    sizes: Mapping[str, Size]
    init: Mapping[str, float]
    claims: tuple[tuple[Equation, Span], ...]
    warnings: tuple[str, ...]
    axes: frozenset[str] = frozenset()

    @property
    def source(self) -> str:
        return self.text.source


def read(
    source: str,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    numbers: Mapping[str, int] | None = None,
) -> Resolved:
    """A text of equations with its roles, axes and sizes solved.

    ``inputs`` names what is given at each call where the rules cannot tell (``"x"`` or ``"Q, K, V"``);
    ``functions`` says what letters stand for, ``{"τ": "tanh"}``; ``numbers`` how many axes an index of
    ``a∈ℤ^d`` has, ``{"d": 2}``. Raises EquationError.

    >>> read("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)").program.outputs
    ('h',)
    """
    page = parse(source)
    text = written_out(page, numbers or {})
    refuse_derivatives(text)
    roles = find_roles(text, dict(functions or {}))
    if isinstance(inputs, str):
        inputs = [name for name in inputs.replace(",", " ").split() if name]
    attempt = _resolved(roles, frozenset(inputs or ()))
    refuse_endless(attempt)
    size = named_sizes(attempt)
    program = verify(finish(attempt, size), "resolved")
    init = {n: d.init for n, d in roles.declared.items() if d.init is not None}
    sizes = {s: size(Size.symbol(s)) for s in sorted(attempt.elaborator.sizes)}
    warnings = doubts(attempt, program)
    return Resolved(
        program,
        text,
        attempt.places,
        roles.recurrence,
        sizes,
        init,
        claims(attempt, size),
        warnings,
        axes_named(page),
    )


def _resolved(roles: Roles, inputs: frozenset[str]) -> Attempt:
    """The reading in which the fewest names gain an axis and fully indexed names are scalars."""
    first, error = _try(roles, inputs, frozenset())
    if first is not None and first.plain:
        return first
    candidates = Attempt(roles, inputs, frozenset()).relaxable
    sets = (c for n in range(1, MOST_RELAXED + 1) for c in combinations(candidates, n))
    for relaxed in islice(sets, MOST_READINGS):
        attempt, _ = _try(roles, inputs, frozenset(relaxed))
        if attempt is not None and attempt.plain:
            return attempt
    if first is None:
        assert error is not None
        raise error
    return first


def _try(
    roles: Roles, inputs: frozenset[str], relaxed: frozenset[str]
) -> tuple[Attempt | None, EquationError | None]:
    """One reading; row vectors where the products on the page are written so."""
    try:
        attempt = _run(Attempt(roles, inputs, relaxed))
        columns = not attempt.wants_rows
        if not columns:
            attempt = _run(Attempt(roles, inputs, relaxed, columns))
        # What begins late tells its readers, these tell theirs: no chain of them is longer than the page.
        for _ in roles.definitions:
            more = held_together(attempt)
            if not more:
                break
            within = {at: attempt.within.get(at, ()) + more.get(at, ()) for at in {*attempt.within, *more}}
            attempt = _run(Attempt(roles, inputs, relaxed, columns, within))
        return attempt, None
    except EquationError as e:
        return None, e


def _run(attempt: Attempt) -> Attempt:
    attempt.run()
    return attempt
