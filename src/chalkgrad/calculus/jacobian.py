"""The Jacobian of one name by another: its derivation's gradient for each unit vector that could arrive.

Rows belong to the name above, columns to the one below: ``∂h/∂g`` holds ``∂h[i]/∂g[j]`` in row i, column j,
whatever way the vectors of the page lie.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import chain

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.simplify import simplified, written_in
from chalkgrad.equations.ir import Apply, Condition, Const, Equation, Expr, Guard, Index, Program, Read
from chalkgrad.equations.ops import add
from chalkgrad.equations.walk import bound_axes, fresh, reads, rewrite, substitute

LETTERS = "ijklmnpqrs"
JACOBIAN = "J"


def jacobian(program: Program, of: str, by: str) -> Equation:
    """``J[rows of of, columns of by]``, of a program without a recurrence; zero where one does not reach.

    >>> from chalkgrad.equations.show import show
    >>> from chalkgrad.language.resolve import read
    >>> layer = read("y = tanh(W x) where x: input").program
    >>> print(show(jacobian(layer, "y", "x")), "and", show(jacobian(layer, "y", "W")))
    J[i,j] = (1 - y[i]²) W[i,j] and J[i,j,k] = [i=j] (1 - y[j]²) x[k]
    """
    alone = Program(program.equations, program.names, (of,), (), program.columns)
    derived = derive(alone, (by,))
    seeds = {n.name for n in derived.given("seed")}
    own = {n.name for n in program.names}
    adjoints = [e for e in derived.equations if e.target.startswith("∂") and e.target not in own]
    found = derived.defining(f"∂{by}")
    above, below = program[of].ranges, program[by].ranges
    # Letters that nothing else has, until it is seen which are free.
    rows = tuple(replace(r, axis=f"°{k}") for k, r in enumerate(above))
    columns = tuple(replace(r, axis=f"°{k}") for k, r in enumerate(below, len(rows)))
    if not found:
        return _lettered(Equation(JACOBIAN, (*rows, *columns), Const(0)), own)
    value = found[0].value
    while gone := [e for e in adjoints if any(r.name == e.target for r in reads(value))]:
        value = written_in(gone[0], value)
    here = {a: Index.axis(r.axis) for a, r in zip(found[0].axes, columns, strict=True)}

    def unit(part: Expr) -> Expr:
        if not isinstance(part, Read) or part.name not in seeds:
            return part
        same = tuple(Condition(i - Index.axis(r.axis), "zero") for i, r in zip(part.at, rows, strict=True))
        return Guard(same, Const(1)) if same else Const(1)

    e = simplified(Equation(JACOBIAN, (*rows, *columns), rewrite(substitute(value, here), unit)))
    while (merged := simplified(replace(e, value=rewrite(e.value, _merged)))) != e:
        e = merged
    return _lettered(e, own)


def _merged(e: Expr) -> Expr:
    """A sum of terms under the same conditions as one under them: ``[i=j] a + [i=j] b``."""
    if isinstance(e, Apply) and e.op == "add" and isinstance(e.args[0], Guard):
        conditions = e.args[0].conditions
        bodies = [a.body for a in e.args if isinstance(a, Guard) and a.conditions == conditions]
        if len(bodies) == len(e.args):
            return Guard(conditions, add(*bodies))
    return e


def _lettered(e: Equation, names: Collection[str]) -> Equation:
    """The equation with letters for its axes that neither a name nor an inner sum has."""
    free = (a for a in LETTERS if a not in names and a not in bound_axes(e.value))
    spare = (fresh(a, {*LETTERS, *bound_axes(e.value)}) for a in LETTERS)
    letters = dict(zip(e.axes, chain(free, spare), strict=False))
    domain = tuple(replace(r, axis=letters[r.axis]) for r in e.domain)
    return Equation(e.target, domain, substitute(e.value, {a: Index.axis(b) for a, b in letters.items()}))
