"""The gradient of a system of equations is another such system.

Each read of an equation becomes a contribution to the adjoint of the name read, in *gather* form: the read's
index is solved for the target's (``q = i + p ⇒ i = q - p``), what it does not determine is summed, and the
box of the forward iteration stays as a guard. Back-propagation through time and the gradients of a
convolution are what comes out; neither is mentioned below.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chalkgrad.calculus.gather import Contribution, gather
from chalkgrad.calculus.normalise import matching, normalise
from chalkgrad.calculus.order import evaluation_order, live
from chalkgrad.calculus.simplify import distinct, simplified, written_in
from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Const,
    Equation,
    Expr,
    Guard,
    Name,
    Program,
    Read,
    Reduce,
    full,
)
from chalkgrad.equations.ops import OPS, ZERO_SLOPE, add, minus, mul, negative, otherwise, power
from chalkgrad.equations.walk import children, reads

MACRON = "\N{COMBINING MACRON}"


def derive(program: Program, wrt: Sequence[str] | None = None) -> Program:
    """The forward equations that are needed, and the adjoints of ``wrt`` (default: all given but seeds).

    The program is normalised first. Its outputs' gradients arrive as names of role ``seed``; the outputs of
    the result are ``∂name`` for each name of ``wrt``, in order (``∂₂name`` in a second derivative, and so
    on). Raises KeyError for an unknown name.

    >>> from chalkgrad.equations.ir import Range, Size
    >>> n = Range("n", Size.symbol("N"))
    >>> here = full((n,))
    >>> square = Equation("y", (n,), power(Read("x", here), 2))
    >>> p = Program((square,), (Name("x", "input", (n,), 1), Name("y", "defined", (n,), 1)), ("y",))
    >>> d = derive(p)
    >>> d.outputs, d.given("seed")[0].name, d.defining("∂x")[0].value == mul(
    ...     Const(2), Read("∂y", here), Read("x", here)
    ... )
    (('∂x',), '∂y', True)
    """
    entered = ledger(program, wrt)
    names, equations = added(entered)
    program, outputs = entered.program, tuple(entered.prefix + name for name in entered.wanted)
    adjoints = _inlined(equations, {n.name for n in names if n.generated} - {*outputs})
    whole = Program(
        (*program.equations, *adjoints), (*program.names, *names), outputs, program.states, program.columns
    )
    return live(whole, keep={*entered.wanted})


@dataclass(frozen=True)
class Ledger:
    """Every contribution to every adjoint, before any is collected: ``entries`` by the name that receives.

    ``program`` is normalised and holds the winners of its maxima; ``prefix`` is what makes an adjoint's name.
    """

    program: Program
    prefix: str
    wanted: tuple[str, ...]
    entries: Mapping[str, tuple[Contribution, ...]]


def ledger(program: Program, wrt: Sequence[str] | None = None) -> Ledger:
    """What each equation of a program gives to the adjoints of the names it reads."""
    program = normalise(program)
    wanted = (
        tuple(n.name for n in program.given("input", "parameter", "start")) if wrt is None else tuple(wrt)
    )
    program = with_winners(program)
    prefix = _prefix(program)
    active = _active(program, wanted)
    found = [
        c for e in program.equations if e.target in active for c in contributions(e, program, prefix, active)
    ]
    order = _printed_order(program, active, wanted)
    return Ledger(program, prefix, wanted, {n: tuple(c for c in found if c.name == n) for n in order})


def added(ledger: Ledger) -> tuple[tuple[Name, ...], tuple[Equation, ...]]:
    """The adjoints' names and their equations: the contributions to each, collected and added."""
    program = ledger.program
    names: list[Name] = []
    equations: list[Equation] = []
    for name, entries in ledger.entries.items():
        primal = program[name]
        own = ledger.prefix + name
        adjoint = Name(own, "defined", primal.ranges, primal.written, name, primal.generated)
        terms = [gather(c, primal) for c in entries]
        seeded = name in program.outputs
        if seeded and not terms:
            names.append(Name(adjoint.name, "seed", primal.ranges, primal.written, name))
            continue
        if seeded:
            seed = _seed_name(name, program)
            names.append(Name(seed, "seed", primal.ranges, primal.written, name))
            terms = [Read(seed, full(primal.ranges)), *terms]
        names.append(adjoint)
        equations.append(simplified(Equation(adjoint.name, primal.ranges, add(*terms))))
    return tuple(names), tuple(equations)


def _prefix(program: Program) -> str:
    """∂, then ∂₂, ∂₃, … when the program holds adjoints already."""
    order = 1
    while any(n.name.startswith(_adjoint(order)) for n in program.names):
        order += 1
    return _adjoint(order)


def _adjoint(order: int) -> str:
    return "∂" + ("" if order == 1 else str(order).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")))


def _seed_name(output: str, program: Program) -> str:
    """ȳ for the one output of a layer, else the output's first letter under a bar."""
    alone = len(program.outputs) == 1 and "ȳ" not in program.table
    if alone and (output == "y" or "y" not in program.table):
        return "ȳ"
    barred = unicodedata.normalize("NFC", output[0] + MACRON) + output[1:]
    while barred in program.table:
        barred += "′"
    return barred


# --- which names have an adjoint -----------------------------------------------------------------------


def _smooth_reads(e: Expr) -> Iterator[str]:
    """The names that the expression depends on with a slope that is not zero everywhere."""
    match e:
        case Read(name, _):
            yield name
        case ArgMax():
            return
        case Apply(op, _) if all(s is ZERO_SLOPE for s in OPS[op].slopes):
            return
        case _:
            for c in children(e):
                yield from _smooth_reads(c)


def _active(program: Program, wanted: Collection[str]) -> set[str]:
    """The names that depend on something wanted and that an output depends on."""
    edges = [(e.target, {*_smooth_reads(e.value)}) for e in program.equations]
    for name in wanted:
        program[name]
    depends, asked = {*wanted}, {*program.outputs}
    size = -1
    while size != len(depends) + len(asked):
        size = len(depends) + len(asked)
        for target, read in edges:
            if read & depends:
                depends.add(target)
            if target in asked:
                asked |= read
    return depends & asked


def _printed_order(program: Program, active: Collection[str], wanted: Sequence[str]) -> list[str]:
    """Defined names as they are evaluated forward, then what was given, in the program's order."""
    defined = [n for n in evaluation_order(program) if n in active or n in wanted]
    roles = ("input", "seed", "parameter", "start")
    given = [n.name for r in roles for n in program.given(r) if n.name in wanted or n.name in active]
    return defined + given


# --- one equation's contributions ----------------------------------------------------------------------


def contributions(
    e: Equation, program: Program, prefix: str, active: Collection[str]
) -> Iterator[Contribution]:
    """What the equation adds to the adjoint of each name it reads."""
    here = full(e.domain)
    start = Contribution(e.target, here, Read(prefix + e.target, here), Const(1), (), e.domain, len(e.domain))
    value = distinct(e.value, frozenset(e.axes))
    for c in _walk(value, start, Read(e.target, here), program):
        if c.name in active:
            yield c


def _walk(e: Expr, c: Contribution, result: Expr, program: Program) -> Iterator[Contribution]:
    """The contributions of ``e``, whose value is ``result`` and whose cotangent is ``c``'s."""
    match e:
        case Const() | At() | ArgMax():
            return
        case Read(name, at):
            yield c.to(name, at)
        case Guard(conditions, body):
            yield from _walk(body, c.under(conditions), result, program)
        case Apply("select", _) if found := otherwise(e):
            conditions, read, _ = found
            yield from _walk(Guard(conditions, read), c, result, program)
        case Reduce("sum", over, body):
            yield from _walk(body, c.within(over), body, program)
        case Reduce("logsumexp", over, body):
            inner = c.within(over)
            share = matching(Apply("exp", (minus(body, result),)), program, inner.over)
            yield from _walk(body, inner.times(share).by("logsumexp"), body, program)
        case Reduce(op, over, body):
            # A maximum's gradient goes to its first winner.
            picked = [
                Apply("equal", (Read(_winner(c.source, r.axis), c.at), At(full((r,))[0]))) for r in over
            ]
            yield from _walk(body, c.within(over).times(mul(*picked)).by(op), body, program)
        case Apply("add", args):
            for a in args:
                yield from _walk(a, c, a, program)
        case Apply("mul", args):
            for k, a in enumerate(args):
                yield from _walk(a, c.times(mul(*args[:k], *args[k + 1 :])).by("mul"), a, program)
        case Apply("pow", (base, Const(k))):
            slope = mul(Const(k), power(base, k - 1))
            yield from _walk(base, c.times(slope).by("pow"), base, program)
        case Apply(op, args):
            for slope, a in zip(OPS[op].slopes, args, strict=True):
                factor = slope(result, args)
                if factor != Const(0):
                    yield from _walk(a, c.times(factor).by(op), a, program)


# --- maxima --------------------------------------------------------------------------------------------


def _winner(target: str, axis: str) -> str:
    """The name of the position along ``axis`` of the maximum that ``target`` is."""
    return f"{axis}_{target}"


def with_winners(program: Program) -> Program:
    """The program with an equation per axis of a maximum for the position of its first winner."""
    equations: list[Equation] = []
    names: list[Name] = []
    for e in program.equations:
        equations.append(e)
        value = distinct(e.value, frozenset(e.axes))
        conditions, body = (value.conditions, value.body) if isinstance(value, Guard) else ((), value)
        if not isinstance(body, Reduce) or body.op not in ("max", "min"):
            continue
        ranked = body.body if body.op == "max" else negative(body.body)
        for r in body.over:
            name = _winner(e.target, r.axis)
            if name in program.table:
                continue
            position: Expr = ArgMax(body.over, r.axis, ranked)
            equations.append(
                Equation(name, e.domain, Guard(conditions, position) if conditions else position)
            )
            written = program[e.target].written
            names.append(Name(name, "defined", e.domain, written, e.target, True))
    everything = (*program.names, *names)
    return Program(tuple(equations), everything, program.outputs, program.states, program.columns)


# --- tidying -------------------------------------------------------------------------------------------


def _inlined(equations: tuple[Equation, ...], generated: set[str]) -> tuple[Equation, ...]:
    """Adjoints of generated names that are used once, point by point, written where they are used."""
    for e in equations:
        if e.target not in generated or _has_reduction(e.value):
            continue
        users = [q for q in equations for r in reads(q.value) if r.name == e.target]
        if len(users) != 1 or e.target in _contracted(users[0].value):
            continue
        rest = tuple(q for q in equations if q is not e)
        user = simplified(replace(users[0], value=written_in(e, users[0].value)))
        moved = tuple(user if q is users[0] else q for q in rest)
        return _inlined(moved, generated)
    return equations


def _has_reduction(e: Expr) -> bool:
    return isinstance(e, Reduce | ArgMax) or any(_has_reduction(c) for c in children(e))


def _contracted(e: Expr) -> set[str]:
    """The names that the expression reads under a reduction."""
    if isinstance(e, Reduce | ArgMax):
        return {r.name for r in reads(e)}
    return {name for c in children(e) for name in _contracted(c)}
