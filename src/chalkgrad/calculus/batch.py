"""One example becomes many: a leading axis for everything that differs from example to example."""

from __future__ import annotations

from collections.abc import Iterable

from chalkgrad.equations.ir import Equation, Expr, Index, Name, Program, Range, Read, Size, State
from chalkgrad.equations.walk import reads, rewrite

BATCHED_ROLES = ("input", "start", "seed")


def batch(program: Program, axis: str = "batch") -> Program:
    """The same layer over a batch: inputs, starts, seeds and all computed from them gain ``axis`` in front.

    So does every output: one that no input reaches is the same for all examples. Parameters, and what else
    depends on parameters only, lack it; so their gradients sum over it. The size of the axis is the symbol of
    the same name, and it counts as written.

    >>> from chalkgrad.equations.ir import full
    >>> n = Range("n", Size.symbol("N"))
    >>> twice = Equation("y", (n,), Read("x", full((n,))))
    >>> p = Program((twice,), (Name("x", "input", (n,), 1), Name("y", "defined", (n,), 1)), ("y",))
    >>> [str(r) for r in batch(p)["y"].ranges]
    ['batch<batch', 'n<N']
    """
    inputs = (n.name for n in program.names if n.role in BATCHED_ROLES)
    return along(program, axis, (*inputs, *program.outputs))


def along(program: Program, axis: str, names: Iterable[str]) -> Program:
    """The program with ``axis`` in front of these names and of all computed from them.

    The size of the axis is the symbol of the same name, and it counts as written.

    >>> from chalkgrad.equations.ir import full
    >>> n = Range("n", Size.symbol("N"))
    >>> twice = Equation("y", (n,), Read("x", full((n,))))
    >>> p = Program((twice,), (Name("x", "input", (n,), 1), Name("y", "defined", (n,), 1)), ("y",))
    >>> [str(r) for r in along(p, "k", ["x"])["y"].ranges]
    ['k<k', 'n<N']
    """
    varying = {*names}
    grown = True
    while grown:
        more = {e.target for e in program.equations if any(r.name in varying for r in reads(e.value))}
        grown = not more <= varying
        varying |= more
    front = Range(axis, Size.symbol(axis))
    here = Index.axis(axis)

    def reading(e: Expr) -> Expr:
        return Read(e.name, (here, *e.at)) if isinstance(e, Read) and e.name in varying else e

    def equation(e: Equation) -> Equation:
        value = rewrite(e.value, reading)
        return Equation(e.target, (front, *e.domain) if e.target in varying else e.domain, value)

    def name(n: Name) -> Name:
        if n.name not in varying:
            return n
        return Name(n.name, n.role, (front, *n.ranges), n.written + 1, n.of, n.generated)

    def state(s: State) -> State:
        return State(s.name, s.position + (s.name in varying), s.depth, s.forward, s.start)

    return Program(
        tuple(equation(e) for e in program.equations),
        tuple(name(n) for n in program.names),
        program.outputs,
        tuple(state(s) for s in program.states),
        program.columns,
    )
