"""What may help a gradient through time, of what the equations of a layer allow: gates, starts of weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalkgrad.equations.ir import Apply, Const, Expr, Program, Read
from chalkgrad.equations.walk import nodes, reads
from chalkgrad.flowing.measures import gate_names
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.levels import Level

SHOWN = 4
"""How many weights one advice names."""

ORTHOGONAL = "torch.nn.init.orthogonal_"


@dataclass(frozen=True)
class Advice:
    """Something to try: in words, and as code."""

    words: str
    code: str


def other_starts(layer: Layer | Level | None, forward: bool | None = None) -> tuple[Advice, ...]:
    """Other cells and starts that let a gradient through; all of them where the layer is not known.

    They are for all states, or for those that look back (``forward``), or ahead.

    >>> from chalkgrad import layer
    >>> for advice in other_starts(layer("gru", D=3, H=4)):
    ...     print(advice.code)
    init={"b_z": -2.0}
    init={"U_z": torch.nn.init.orthogonal_, "U_r": torch.nn.init.orthogonal_, "U": torch.nn.init.orthogonal_}
    """
    found: list[Advice] = []
    if layer is None or not gate_names(layer.program):
        lstm = "chalkgrad.LSTM(…)" if isinstance(layer, Level) else 'chalkgrad.layer("lstm", …)'
        found.append(Advice("a gated cell", lstm))
    if layer is None:
        return tuple(found)
    biases = keeping_biases(layer.program, forward)
    if biases:
        code = _begin(layer, {bias: f"{2.0 * side}" for bias, side in biases.items()})
        found.append(Advice("a start at which the gate lets what was there through", code))
    weights = recurrent_weights(layer.program, forward)
    if weights:
        code = _begin(layer, dict.fromkeys(weights, ORTHOGONAL))
        found.append(Advice("an orthogonal start of what multiplies the state", code))
    return tuple(found)


def nearer_the_middle(layer: Layer | Level | None, gate: str) -> Advice:
    """A start of a gate that stands neither open nor shut."""
    bias = next(_biases(layer.program, gate), None) if layer else None
    start = "" if layer is None or bias is None else f"{_begin(layer, {bias: '0.0'})}, or "
    return Advice("a start nearer the middle", f"{start}smaller weights")


def _begin(layer: Layer | Level, starts: Mapping[str, str]) -> str:
    """The code by which parameters of a layer's page begin with a number, or as a function makes them.

    A layer is given them when it is made. A module with torch's constructor has parameters of several gates
    in one, and is changed where it stands, as a part of ``net``.
    """
    if not isinstance(layer, Level):
        shown = (f'"{name}": {start}' for name, start in [*starts.items()][:SHOWN])
        return f"init={{{', '.join(shown)}}}"
    places = {name: layer.place(name) for name in starts}
    where = re.sub(r"\.(\d+)", r"[\1]", f"net.{layer.path}").rstrip(".") + "."  # net.layers[0].
    lines: dict[str, None] = {}
    for name, start in starts.items():
        stack, part, parts = places[name]
        tensor = f"{where}{stack}.data"
        whole = sum(place[0] == stack for place in places.values()) == parts > 1
        rows = layer.module.get_parameter(stack).shape[0] // parts
        own = tensor if parts == 1 else f"{tensor}[{part * rows}:{(part + 1) * rows}]"
        if start != ORTHOGONAL:
            lines[f"{own}[:] = {start}" if parts == 1 else f"{own} = {start}"] = None
        elif whole:
            lines[f"for w in {tensor}.chunk({parts}): {start}(w)"] = None
        else:
            lines[f"{start}({own})"] = None
    return "\n".join([*lines][:SHOWN])


def keeping_biases(program: Program, forward: bool | None = None) -> dict[str, int]:
    """The biases of gates that say how much of a state stays: 1 where it stays as they open, else -1.

    Of a gate with several that are added it is the first. The states are all, or those that look back
    (``forward``), or ahead.
    """
    found = ((next(_biases(program, gate), None), side) for gate, side in _keeping(program, forward))
    return {bias: side for bias, side in found if bias}


def recurrent_weights(program: Program, forward: bool | None = None) -> list[str]:
    """The square matrices that a state is multiplied by; of all, or of those that look back, or ahead."""
    return [*dict.fromkeys(_recurrent(program, forward))]


def _keeping(program: Program, forward: bool | None) -> Iterator[tuple[str, int]]:
    """The gates that say how much of a state stays: 1 as they are (f ⊙ c[t-1]), -1 as 1 - z."""
    gates = set(gate_names(program))
    for product in _products(program):
        if any(_earlier(program, e, forward) for e in product.args) and not any(_weights(program, product)):
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


def _recurrent(program: Program, forward: bool | None) -> Iterator[str]:
    for product in _products(program):
        if any(_earlier(program, e, forward) for e in product.args):
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


def _earlier(program: Program, e: Expr, forward: bool | None) -> bool:
    """Whether it is a state, at another step than its equation's."""
    positions = {s.name: s.position for s in program.states if forward in (None, s.forward)}
    return isinstance(e, Read) and e.name in positions and e.at[positions[e.name]].shift.const != 0


__all__ = ["Advice", "keeping_biases", "nearer_the_middle", "other_starts", "recurrent_weights"]
