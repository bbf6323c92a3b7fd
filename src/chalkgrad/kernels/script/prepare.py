"""The two programs of a script: forward as the page has it, backward as it is derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.loss import folded, losses
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.simplify import distinct, simplified
from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    Condition,
    Const,
    Equation,
    Expr,
    Guard,
    Name,
    Program,
    Range,
    Read,
    Reduce,
)
from chalkgrad.equations.walk import children, nodes, reads, rewrite, substitute
from chalkgrad.kernels.script.parts import tangled


@dataclass(frozen=True)
class Passes:
    """A layer's forward and backward equations over a batch, ready to be written as code.

    ``own`` holds each output's ranges without the steps before its start, ``saved`` the computed names that
    backward reads.
    """

    program: Program
    given: tuple[Name, ...]
    outputs: tuple[str, ...]
    own: Mapping[str, tuple[Range, ...]]
    saved: tuple[str, ...]
    losses: tuple[str, ...]  # outputs whose own gradient is one, so that none arrives there
    seeds: tuple[Name, ...]
    written_out: Mapping[str, Equation]  # generated names that code does without, and what they stand for
    gradients: tuple[str, ...]

    @property
    def known(self) -> frozenset[str]:
        """The names that forward computes."""
        return frozenset(e.target for e in self.program.equations if not e.target.startswith("∂"))


def passes(program: Program) -> Passes:
    """The passes of a program about one example, as it was read."""
    batched = batch(program)
    own = {o: batched.defining(o)[-1].domain for o in batched.outputs}
    normal = normalise(batched)
    whole = losses(program)
    derived = folded(_with_losses(normal, program, whole), derive(normal)).derived
    equations = _as_written(derived)
    names = tuple(replace(n, ranges=own[n.of]) if n.role == "seed" else n for n in derived.names)
    seeds = {n.name: n for n in names if n.role == "seed"}
    equations = [_own_seeds(e, seeds, derived.table) for e in equations]
    forward = {e.target for e in equations if not e.target.startswith("∂")}
    backward = [e for e in equations if e.target.startswith("∂")]
    everything = [*_missing(normal, forward), *equations]
    forward |= {e.target for e in everything if not e.target.startswith("∂")}
    known = {n.name for n in names}
    table = (*names, *(n for n in normal.names if n.name not in known))
    read = dict.fromkeys(r.name for e in backward for r in reads(e.value) if r.name in forward)
    return Passes(
        Program(tuple(everything), table, derived.outputs, batched.states, batched.columns),
        batched.given("input", "parameter", "start"),
        batched.outputs,
        own,
        tuple(read),
        whole,
        tuple(sorted(seeds.values(), key=lambda n: batched.outputs.index(n.of))),
        {e.target: e for e in derived.equations if e.target not in {q.target for q in everything}},
        derived.outputs,
    )


def _with_losses(batched: Program, program: Program, whole: tuple[str, ...]) -> Program:
    """The batched program with its losses as one example has them: numbers, by which they are known."""
    names = tuple(
        replace(n, ranges=program[n.name].ranges, written=program[n.name].written) if n.name in whole else n
        for n in batched.names
    )
    return replace(batched, names=names)


def _missing(program: Program, there: set[str]) -> list[Equation]:
    """Forward equations that no gradient needs, but that an output does."""
    waiting = [o for o in program.outputs if o not in there]
    found: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name in there or name in found or not program.defining(name):
            continue
        found[name] = None
        waiting += [r.name for e in program.defining(name) for r in reads(e.value)]
    kept = tuple(e for e in program.equations if e.target in found)
    return _as_written(replace(program, equations=kept))


# --- generated names, written out ----------------------------------------------------------------------


def _as_written(program: Program) -> list[Equation]:
    """The equations without the generated names that code need not have: as they stand on the page.

    A function's result is computed where it is used, ``tanh(c[t])`` in both passes; a function's argument
    goes back into it, unless the gradient wants it or it takes loops of its own.
    """
    equations = list(program.equations)
    generated = [n for n in program.names if n.generated and not n.name.startswith("∂")]
    again = True
    while again:
        again = False
        for n in generated:
            mine = [e for e in equations if e.target == n.name]
            if len(mine) != 1 or mine[0].domain != n.ranges or not _dispensable(mine[0], equations):
                continue
            rest = [e for e in equations if e is not mine[0]]
            equations = [_put(mine[0], e) for e in rest]
            again = True
    return equations


def _dispensable(e: Equation, equations: list[Equation]) -> bool:
    if any(isinstance(n, ArgMax) for n in nodes(e.value)):
        return False
    users = [q for q in equations for r in reads(q.value) if r.name == e.target]
    if _is_cheap(e.value):
        return True
    summed = any(r.name == e.target for q in users for r in _reads_in_sums(q.value))
    axes = {*e.axes, *(r.axis for n in nodes(e.value) if isinstance(n, Reduce) for r in n.over)}
    loops = any(tangled(b, axes) for b in _bodies(e.value))
    return len(users) == 1 and not users[0].target.startswith("∂") and not summed and not loops


def _is_cheap(e: Expr) -> bool:
    """A function of what has a name."""
    if isinstance(e, Apply) and e.op not in ("add", "mul", "pow"):
        return all(isinstance(a, Read | Const) for a in e.args)
    return isinstance(e, Read)


def _reads_in_sums(e: Expr) -> list[Read]:
    if isinstance(e, Reduce | ArgMax):
        return list(reads(e))
    return [r for c in children(e) for r in _reads_in_sums(c)]


def _bodies(e: Expr) -> list[Expr]:
    """The expression and the body of every sum in it: each seen with the axes around it free."""
    return [e, *(n.body for n in nodes(e) if isinstance(n, Reduce | ArgMax))]


def _put(e: Equation, into: Equation) -> Equation:
    def rule(part: Expr) -> Expr:
        if isinstance(part, Read) and part.name == e.target:
            return substitute(e.value, dict(zip(e.axes, part.at, strict=True)))
        return part

    if not any(r.name == e.target for r in reads(into.value)):
        return into
    return Equation(into.target, into.domain, distinct(rewrite(into.value, rule), frozenset(into.axes)))


def _own_seeds(e: Equation, seeds: Mapping[str, Name], whole: Mapping[str, Name]) -> Equation:
    """The equation with what arrives from the loss read only where an output has steps of its own."""

    def rule(part: Expr) -> Expr:
        if not isinstance(part, Read) or part.name not in seeds:
            return part
        ranges = seeds[part.name].ranges
        ends = [
            Condition(side)
            for i, r, before in zip(part.at, ranges, whole[part.name].ranges, strict=True)
            if r.size != before.size
            for side in (i - r.low, i * -1 + (r.high - 1))
        ]
        return Guard(tuple(ends), part) if ends else part

    if not any(r.name in seeds for r in reads(e.value)):
        return replace(e, value=distinct(e.value, frozenset(e.axes)))
    new = simplified(Equation(e.target, e.domain, rewrite(e.value, rule)))
    return replace(new, value=distinct(new.value, frozenset(e.axes)))
