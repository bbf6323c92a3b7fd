"""What a legal program is, after each pass.

Every pass may rely on what the one before it left; this says what that is, and finds the equation that
breaks it. Sizes are symbols here, so of two boxes it only reports what is wrong for all sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal, assert_never

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Condition,
    Const,
    Equation,
    Expr,
    Guard,
    Index,
    Program,
    Range,
    Read,
    Reduce,
    Size,
)
from chalkgrad.equations.ops import OPS, ZERO_SLOPE, otherwise
from chalkgrad.equations.walk import reads
from chalkgrad.equations.walk import whole as numerator

Stage = Literal["resolved", "normalised", "derived"]


class IllegalProgram(ValueError):  # noqa: N818  (what it is, not that it is an error)
    """A pass made a program that the next one must not be given: our mistake, not the writer's."""


def verify(program: Program, stage: Stage) -> Program:
    """The program itself, if it is legal after ``stage``; otherwise raises IllegalProgram with the equation.

    Always: names are known and read with an index per axis, axes are bound, boxes lie inside their names and
    do not meet, guards are affine. ``resolved`` programs read at whole
    indices, or under a guard that says so; in ``normalised`` ones a
    function's argument is a name and its result a whole right side; in both ``normalised`` and ``derived``
    ones no axis is bound twice.

    >>> n = Range("n", Size.symbol("N"))
    >>> verify(Program((Equation("y", (n,), Read("x", ())),), (), ("y",)), "resolved")
    Traceback (most recent call last):
    chalkgrad.equations.verify.IllegalProgram: y is not in the table of names: y[n] = x  for n<N
    """
    for e in program.equations:
        for fault in _faults(e, program, stage):
            raise IllegalProgram(f"{fault}: {written(e)}")
    for fault in _faults_between(program):
        raise IllegalProgram(fault)
    return program


def written(e: Equation) -> str:
    """The equation in index form with every range and guard, for error messages."""
    from chalkgrad.equations.show import box, show  # what is legal need not wait for how it is printed

    where = f"  for {box(e.domain)}" if e.domain else ""
    return show(e, guards=True, bounds=True) + where


# --- one equation --------------------------------------------------------------------------------------


def _faults(e: Equation, program: Program, stage: Stage) -> Iterator[str]:
    name = program.table.get(e.target)
    if name is None:
        yield f"{e.target} is not in the table of names"
        return
    if name.role != "defined":
        yield f"{e.target} has the role {name.role} and an equation"
    if len(name.ranges) != len(e.domain):
        yield f"{e.target} has {len(name.ranges)} axes and a domain of {len(e.domain)}"
        return
    if len({*e.axes}) < len(e.axes):
        yield "the domain has an axis twice"
    for r, whole in zip(e.domain, name.ranges, strict=True):
        if _surely_less(r.low, whole.low) or _surely_less(whole.high, r.high):
            yield f"{r} leaves {e.target}'s interval {whole}"
    yield from _expression(e.value, frozenset(e.axes), program, stage)
    if stage == "normalised" and not _is_right_side(e.value):
        yield "a function or a reduction stands inside a right side"


def _expression(
    e: Expr,
    bound: frozenset[str],
    program: Program,
    stage: Stage,
    divided: frozenset[tuple[Index, int]] = frozenset(),
) -> Iterator[str]:
    """The faults of an expression under guards that say which indices are ``divided`` by what."""
    match e:
        case Const():
            return
        case At(index):
            yield from _index(index, bound)
            if index.divisor != 1:
                yield f"the position {index} is not whole"
        case Read(name, at):
            known = program.table.get(name)
            if known is None:
                yield f"{name} is read and not known"
            elif len(at) != len(known.ranges):
                yield f"{name} has {len(known.ranges)} axes and is read at {len(at)}"
            for i in at:
                yield from _index(i, bound)
                if stage == "resolved" and i.divisor != 1 and (numerator(i), i.divisor) not in divided:
                    yield f"{name} is read at {i}, which is not whole"
        case Apply(op, args):
            if op not in OPS:
                yield f"{op} is not a function"
            elif len(args) < 2 if op in ("add", "mul") else len(args) != OPS[op].arity:
                yield f"{op} has {len(args)} arguments"
            for a in args:
                yield from _expression(a, bound, program, stage, divided)
        case Guard(conditions, body):
            if not conditions:
                yield "a guard has no condition"
            for c in conditions:
                yield from _condition(c, bound)
            facts = {(c.index, c.divisor) for c in conditions if c.kind == "divisible"}
            yield from _expression(body, bound, program, stage, divided | facts)
        case Reduce(_, over, body) | ArgMax(over, _, body):
            axes = {r.axis for r in over}
            if not over or len(axes) < len(over):
                yield "a reduction binds no axis, or one twice"
            if stage != "resolved" and axes & bound:
                yield f"{', '.join(sorted(axes & bound))} is bound twice"
            if isinstance(e, ArgMax) and e.axis not in axes:
                yield f"the position along {e.axis} is asked of a maximum over {', '.join(sorted(axes))}"
            yield from _expression(body, bound | axes, program, stage, divided)
        case _:
            assert_never(e)


def _index(index: Index, bound: frozenset[str]) -> Iterator[str]:
    for axis in index.axes:
        if axis not in bound:
            yield f"the axis {axis} is free"
    if index.divisor < 1:
        yield f"the index {index} has the divisor {index.divisor}"


def _condition(c: Condition, bound: frozenset[str]) -> Iterator[str]:
    yield from _index(c.index, bound)
    if c.index.divisor != 1:
        yield f"the guard {c} is not affine"
    if c.divisor < 1 or (c.kind != "divisible" and c.divisor != 1):
        yield f"the guard {c} has the divisor {c.divisor}"


# --- normal form ---------------------------------------------------------------------------------------


def _is_right_side(e: Expr) -> bool:
    """Whether this is a function of names, a reduction other than a sum, or a polynomial."""
    match e:
        case Guard(_, body):
            return _is_right_side(body)
        case Apply(op, args) if not _is_arithmetic(op, args):
            return all(isinstance(a, Read) or not any(reads(a)) for a in args)
        case Reduce(op, _, body) if op != "sum":
            return _is_polynomial(body)
        case ArgMax():
            return True
        case _:
            return _is_polynomial(e)


def _is_polynomial(e: Expr) -> bool:
    match e:
        case Const() | At() | Read():
            return True
        case Apply(op, args):
            arithmetic = _is_arithmetic(op, args) and all(_is_polynomial(a) for a in args)
            return arithmetic or otherwise(e) is not None or not any(reads(e))
        case Reduce(op, _, body):
            return op == "sum" and _is_polynomial(body)
        case Guard(_, body):
            return _is_polynomial(body)
        case ArgMax():
            return False
        case _:
            assert_never(e)


def _is_arithmetic(op: str, args: tuple[Expr, ...]) -> bool:
    """Sums, products, constant powers, and what is constant on pieces: no slope asks for its name."""
    constant = all(slope is ZERO_SLOPE for slope in OPS[op].slopes)
    return op in ("add", "mul") or constant or (op == "pow" and isinstance(args[1], Const))


# --- the whole -----------------------------------------------------------------------------------------


def _faults_between(program: Program) -> Iterator[str]:
    if len(program.table) < len(program.names):
        yield "two names in the table are the same"
    defined = {e.target for e in program.equations}
    for n in program.names:
        if n.role == "defined" and n.name not in defined:
            yield f"{n.name} is defined by no equation"
        if len({r.axis for r in n.ranges}) < len(n.ranges):
            yield f"{n.name} has an axis twice"
        if not 0 <= n.written <= len(n.ranges):
            yield f"{n.name} has {len(n.ranges)} axes, of which {n.written} are written"
    for output in program.outputs:
        if output not in program.table:
            yield f"the output {output} is not known"
    for s in program.states:
        if s.name not in program.table or s.start not in program.table:
            yield f"the state {s.name} or its start {s.start} is not known"
    for a, b in combinations(program.equations, 2):
        if a.target == b.target and all(_surely_meet(p, q) for p, q in zip(a.domain, b.domain, strict=True)):
            yield f"two equations hold at one point: {written(a)} and {written(b)}"


def _surely_less(a: Size, b: Size) -> bool:
    return (b - a - 1).surely_nonnegative()


def _surely_meet(a: Range, b: Range) -> bool:
    return _surely_less(a.low, b.high) and _surely_less(b.low, a.high)
