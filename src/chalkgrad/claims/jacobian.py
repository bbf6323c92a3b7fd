"""A claimed Jacobian, ``∂h[t]/∂h[t-1] = Wᵀ diag(f'(z[t]))``, beside the one that the derivation gives.

Its elements are gradients: what reaches h[t-1] when 1 arrives at one element of h[t] and nothing elsewhere.
Both layouts are in use, and either is right: a row for each element above, or a row for each below.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.claims.claim import Claims, Quotient
from chalkgrad.claims.ground import Ground, Page, agree, first_difference
from chalkgrad.claims.outcome import Verdict, figure
from chalkgrad.claims.readings import Reading
from chalkgrad.equations.ir import Expr, Name, Program, Read
from chalkgrad.equations.walk import rewrite
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.source import EquationError


def verdict(
    quotient: Quotient, value: Tensor, page: Page, claims: Claims, reading: Reading, ground: Ground
) -> Verdict:
    """A verdict on the value of a claimed Jacobian at every step. Raises EquationError for another rank."""
    right = jacobians(quotient, page, ground)
    turned = right.mT if right.dim() > 2 else right
    notes = reading.notes(page)
    others = [s.name for s in page.forward.states if s.name != quotient.by]
    if others and value.shape in (right.shape, turned.shape):
        alone = jacobians(quotient, page, ground, held=others)
        if agree(value, alone) or agree(value, alone.mT if alone.dim() > 2 else alone):
            right, turned = alone, alone.mT if alone.dim() > 2 else alone
            notes += (f"{' and '.join(others)} held fixed at earlier steps",)
    if value.dim() != right.dim() or value.shape not in (right.shape, turned.shape):
        shapes = ["×".join(map(str, x.shape[1:])) or "a number" for x in (right, value)]
        raise EquationError(
            f"{claims.shown(quotient.left)} is {shapes[0]}, and this side {shapes[1]}",
            claims.source,
            ((quotient.left, shapes[0]), (quotient.right.span, shapes[1])),
            "a Jacobian has a row for each element above and a column for each below, or the other way round",
        )
    written = f"{claims.shown(quotient.left)} = {claims.shown(quotient.right.span)}"
    if agree(value, right):
        layout = () if right.dim() < 3 else ("a row for each element above",)
        return Verdict(quotient.of, written, True, (*notes, *layout))
    if agree(value, turned):
        return Verdict(quotient.of, written, True, (*notes, "a row for each element below"))
    beside = right if value.shape == right.shape else turned
    step, *element = first_difference(value, beside)
    first = page.own(quotient.of)[0].low.value(ground.numbers) + step
    name = f"∂{quotient.of}[{first}]/∂{quotient.by}[{first + quotient.shift}]"
    at = f", element [{','.join(map(str, element))}]," if element else ""
    claimed, derived = (figure(x[(step, *element)].item()) for x in (value, beside))
    finding = f"{name}{at} is {claimed} by the claim and {derived} derived"
    more = "`chalkgrad derive … --unroll 2` shows it as an equation"
    return Verdict(quotient.of, written, False, notes, (finding, more))


def jacobians(quotient: Quotient, page: Page, ground: Ground, held: Collection[str] = ()) -> Tensor:
    """The Jacobian at every step of the name above: (steps, elements above, elements below).

    Reads of the ``held`` names at another step are of constants.
    """
    of, by, forward = quotient.of, quotient.by, _held(page.forward, held)
    alone = Program(forward.equations, forward.names, (of,), forward.states, forward.columns)
    derived = normalise(derive(alone, (by,)))
    seed = next((n for n in derived.given("seed") if n.of == of), None)
    shape = ground.values[of].shape
    inner, below = shape[1:], ground.values[by].shape[1:]
    runner = Runner(derived)
    given = {n.name: ground.values[n.of or n.name] for n in derived.given() if n.role == "input"}
    given |= {n.name: ground.values[n.name] for n in derived.given("parameter", "start")}
    made = [n.name for n in forward.names if n.role == "defined" and n.name in derived.table]
    known = {n: ground.values[n] for n in made}
    low = {n: forward[n].ranges[0].low.value(ground.numbers) for n in (of, by)}
    place = ground.place(of)[0]
    steps: list[Tensor] = []
    for t in range(place.start, place.stop):
        s = t + low[of] + quotient.shift - low[by]
        rows: list[Tensor] = []
        for k in range(inner.numel()):
            arriving = torch.zeros(shape, dtype=torch.float64)
            arriving[t].view(-1)[k] = 1.0
            inside = seed is not None and 0 <= s < ground.values[by].shape[0]
            if not inside or seed is None:
                rows.append(torch.zeros(below, dtype=torch.float64))
                continue
            output = derived.outputs[0]
            found = runner({**given, seed.name: arriving}, ground.numbers, [output], known)
            rows.append(found[output][s])
        steps.append(torch.stack(rows).reshape((*inner, *below)))
    return torch.stack(steps)


def _held(forward: Program, names: Collection[str]) -> Program:
    """The program with reads of these names at another step as reads of copies that are given."""

    def reading(e: Expr) -> Expr:
        moved = isinstance(e, Read) and e.name in names and any(i.plain() is None for i in e.at)
        return Read(f"{e.name}⁻", e.at) if moved and isinstance(e, Read) else e

    equations = tuple(replace(e, value=rewrite(e.value, reading)) for e in forward.equations)
    copies = tuple(
        Name(f"{n.name}⁻", "input", n.ranges, n.written, n.name) for n in forward.names if n.name in names
    )
    return Program(equations, (*forward.names, *copies), forward.outputs, forward.states, forward.columns)
