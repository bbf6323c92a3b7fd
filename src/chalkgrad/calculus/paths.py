"""How much gradient reaches a state at every step, and by which path: more equations of the backward pass.

The adjoint of a state is a sum, and each of its terms is a path: what the loss gives to this step, what comes
back through each equation that reads the state. The square of its norm over the features is an equation like
any other, so whatever runs the backward pass writes it out on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalkgrad.equations.ir import Apply, Equation, Expr, Name, Program, Range, Read, Reduce, full
from chalkgrad.equations.ops import add, mul
from chalkgrad.equations.walk import fresh, nodes, reads, substitute

LOSS = "loss"
"""The path of what the loss gives to a step directly."""


@dataclass(frozen=True)
class Watched:
    """A backward program with squares of norms among its outputs.

    ``whole`` names, for each state, that of its adjoint; ``paths`` that of every path, by what it came
    through (``i[t+1]``). Each has the axes of the state that it recurs along, after the batch.
    """

    program: Program
    whole: Mapping[str, str]
    paths: Mapping[str, Mapping[str, str]]


def watched(backward: Program, forward: Program) -> Watched:
    """The backward program of a batched system, with ‖∂L/∂h_t‖² of every state by step and by path.

    It is Σ(∂L/∂h_t)² over all axes of h but the batch and those it recurs along.
    """
    names, outputs = list(backward.names), list(backward.outputs)
    taken = {n.name for n in names}
    equations: list[Equation] = []
    whole: dict[str, str] = {}
    paths: dict[str, dict[str, str]] = {}

    def total(name: str, value: Expr, e: Equation, kept: tuple[Range, ...]) -> str:
        """The name of the sum of squares of a value over what is not kept."""
        name = fresh(f"‖{name}‖²", taken)
        over = tuple(r for r in e.domain if r.axis not in {k.axis for k in kept})
        names.append(Name(name, "defined", kept, len(kept)))
        outputs.append(name)
        equations.append(Equation(name, kept, Reduce("sum", over, mul(value, value))))
        return name

    recurring = {s.name for s in forward.states}
    for e in backward.equations:
        state = backward[e.target].of
        if state not in recurring or e.target not in _adjoints(backward):
            equations.append(e)
            continue
        kept = _kept(e, forward, state)
        found = _by_path(e, backward, state, {s.position for s in forward.states if s.name == state})
        paths[state] = {}
        for k, (path, terms) in enumerate(found.items()):
            value = add(*terms)
            if len(found) > 1 and not (path == LOSS and not any(isinstance(n, Reduce) for n in nodes(value))):
                name = fresh(f"{e.target}·{k}", taken)
                names.append(Name(name, "defined", e.domain, backward[e.target].written, e.target, True))
                equations.append(Equation(name, e.domain, value))
                value = Read(name, full(e.domain))
            found[path] = [value]
            paths[state][path] = total(f"{e.target}·{path}", value, e, kept)
        equations.append(Equation(e.target, e.domain, add(*(t for terms in found.values() for t in terms))))
        whole[state] = total(e.target, Read(e.target, full(e.domain)), e, kept)
    program = Program(tuple(equations), tuple(names), tuple(outputs), backward.states, backward.columns)
    return Watched(program, whole, paths)


def _adjoints(backward: Program) -> set[str]:
    """The adjoints that are defined, whatever the order of the derivative."""
    return {n.name for n in backward.names if n.role == "defined" and n.name.startswith("∂") and n.of}


def _kept(e: Equation, forward: Program, state: str) -> tuple[Range, ...]:
    """The batch and the axes that a state recurs along, without the steps before its start."""
    own = forward.defining(state)[-1].domain
    at = {0, *(s.position for s in forward.states if s.name == state)}
    return tuple(Range(r.axis, own[k].size, own[k].low) for k, r in enumerate(e.domain) if k in at)


def _by_path(e: Equation, backward: Program, state: str, along: set[int]) -> dict[str, list[Expr]]:
    """The terms of an adjoint, by what they came through."""
    steps = {e.axes[k] for k in along}
    terms = e.value.args if isinstance(e.value, Apply) and e.value.op == "add" else (e.value,)
    found: dict[str, list[Expr]] = {}
    for term in terms:
        labels = dict.fromkeys(_label(r, backward, state, steps) for r in _gradients(term, backward))
        found.setdefault(" ".join(labels), []).append(term)
    return dict(sorted(found.items(), key=lambda path: path[0] == LOSS))


def _gradients(e: Expr, backward: Program) -> Iterator[Read]:
    """The adjoints that an expression reads, also by way of what was only taken out of it."""
    adjoints = _adjoints(backward)
    for r in reads(e):
        name = backward[r.name]
        if name.role == "seed" or r.name in adjoints:
            yield r
        elif name.generated and name.of in adjoints:
            for own in backward.defining(r.name):
                yield from _gradients(substitute(own.value, dict(zip(own.axes, r.at, strict=True))), backward)


def _label(r: Read, backward: Program, state: str, steps: set[str]) -> str:
    """What a gradient that is read is the gradient of, at which step: ``i[t+1]``."""
    name = backward[r.name].of
    source = backward.table.get(name)
    while source is not None and source.generated and source.of:
        name, source = source.of, backward.table.get(source.of)
    name = name.partition("·")[0]
    if backward[r.name].role == "seed" and name == state:
        return LOSS
    at = ",".join(str(i) for i in r.at if steps & {*i.axes})
    return f"{name}[{at}]" if at else name


__all__ = ["LOSS", "Watched", "watched"]
