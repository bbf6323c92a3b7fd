"""What may help a gradient through time, of what the equations of a layer allow: gates, starts of weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chalkgrad.equations.ir import Apply, Const, Expr, Program, Read
from chalkgrad.equations.walk import nodes, reads
from chalkgrad.flowing.measures import gate_names

SHOWN = 4
"""How many weights one advice names."""


@dataclass(frozen=True)
class Advice:
    """Something to try: in words, and as code."""

    words: str
    code: str


def other_starts(program: Program | None) -> tuple[Advice, ...]:
    """Other cells and starts that let a gradient through; all of them where the equations are not known.

    >>> from chalkgrad import layer
    >>> for advice in other_starts(layer("gru", D=3, H=4).program):
    ...     print(advice.code)
    init={"b_z": -2.0}
    init={"U_z": torch.nn.init.orthogonal_, "U_r": torch.nn.init.orthogonal_, "U": torch.nn.init.orthogonal_}
    """
    found: list[Advice] = []
    if program is None or not gate_names(program):
        found.append(Advice("a gated cell", 'chalkgrad.layer("lstm", …)'))
    if program is None:
        return tuple(found)
    biases = keeping_biases(program)
    if biases:
        starts = ", ".join(f'"{bias}": {2.0 * side}' for bias, side in biases.items())
        found.append(Advice("a start at which the gate lets what was there through", f"init={{{starts}}}"))
    weights = recurrent_weights(program)[:SHOWN]
    if weights:
        starts = ", ".join(f'"{name}": torch.nn.init.orthogonal_' for name in weights)
        found.append(Advice("an orthogonal start of what multiplies the state", f"init={{{starts}}}"))
    return tuple(found)


def keeping_biases(program: Program) -> dict[str, int]:
    """The biases of gates that say how much of a state stays: 1 where it stays as they open, else -1."""
    return {bias: side for gate, side in _keeping(program) for bias in _biases(program, gate)}


def recurrent_weights(program: Program) -> list[str]:
    """The square matrices that a state is multiplied by."""
    return [*dict.fromkeys(_recurrent(program))]


def _keeping(program: Program) -> Iterator[tuple[str, int]]:
    """The gates that say how much of a state stays: 1 as they are (f ⊙ c[t-1]), -1 as 1 - z."""
    gates = set(gate_names(program))
    for product in _products(program):
        if any(_earlier(program, e) for e in product.args) and not any(_weights(program, product)):
            for e in product.args:
                if isinstance(e, Read) and e.name in gates:
                    yield e.name, 1
                elif isinstance(e, Apply) and e.op == "add" and Const(1) in e.args:
                    yield from ((r.name, -1) for r in reads(e) if r.name in gates)


def _biases(program: Program, gate: str) -> Iterator[str]:
    """The vectors that are added in a gate."""
    for e in program.defining(gate):
        for n in nodes(e.value):
            if isinstance(n, Apply) and n.op == "add":
                added = (r for r in n.args if isinstance(r, Read) and program[r.name].role == "parameter")
                yield from (r.name for r in added if len(program[r.name].ranges) == 1)


def _recurrent(program: Program) -> Iterator[str]:
    """The square matrices that a state is multiplied by."""
    for product in _products(program):
        if any(_earlier(program, e) for e in product.args):
            for name in _weights(program, product):
                sizes = {r.size for r in program[name].ranges}
                if len(program[name].ranges) == 2 and len(sizes) == 1:
                    yield name


def _products(program: Program) -> Iterator[Apply]:
    for e in program.equations:
        yield from (n for n in nodes(e.value) if isinstance(n, Apply) and n.op == "mul")


def _weights(program: Program, product: Apply) -> Iterator[str]:
    own = (e.name for e in product.args if isinstance(e, Read))
    return (name for name in own if program[name].role == "parameter")


def _earlier(program: Program, e: Expr) -> bool:
    """Whether it is a state, at another step than its equation's."""
    positions = {s.name: s.position for s in program.states}
    return isinstance(e, Read) and e.name in positions and e.at[positions[e.name]].shift.const != 0


__all__ = ["Advice", "keeping_biases", "other_starts", "recurrent_weights"]
