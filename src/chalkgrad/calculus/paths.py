"""How much gradient reaches a state at every step, and by which path: more equations of the backward pass.

The adjoint of a state is a sum, and each of its terms is a path: what the loss gives to this step, what comes
back through each equation that reads the state. The square of its norm over the features is an equation like
any other, so whatever runs the backward pass writes it out on the way.

Where something stands between the equations and the state that they read (``h_before``, which is h[t-1] cut
off or put back to its start), its adjoint is a sum of these paths, and what comes back through it is told
apart like the state's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalkgrad.equations.ir import Apply, Equation, Expr, Guard, Name, Program, Range, Read, Reduce, full
from chalkgrad.equations.ops import add, mul
from chalkgrad.equations.walk import fresh, nodes, reads, rewrite, substitute

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
    return _Writer(backward, forward).watched()


@dataclass(frozen=True)
class _Part:
    """A part of an adjoint: what it came through, as the adjoints that its equation reads, and its name."""

    through: tuple[Read, ...]
    name: str


class _Writer:
    """Writes a backward program anew; the equations that it needs besides are collected on the way."""

    def __init__(self, backward: Program, forward: Program) -> None:
        self.backward, self.forward = backward, forward
        self.table = {**forward.table, **backward.table}
        self.adjoints = {
            n.name for n in backward.names if n.role == "defined" and n.name.startswith("∂") and n.of
        }
        self.along: dict[str, set[int]] = {}
        for s in forward.states:
            self.along.setdefault(s.name, set()).add(s.position)
        self.names, self.outputs = list(backward.names), list(backward.outputs)
        self.taken = {n.name for n in self.names}
        self.equations: list[Equation] = []
        self.divided: dict[str, tuple[_Part, ...]] = {}

    def watched(self) -> Watched:
        whole: dict[str, str] = {}
        paths: dict[str, dict[str, str]] = {}
        for e in self.backward.equations:
            state = self.backward[e.target].of
            if state in self.along and e.target in self.adjoints:
                paths[state] = self.told_apart(e, state)
                whole[state] = self.total(e.target, Read(e.target, full(e.domain)), e, state)
        anew = {e.target for e in self.equations}
        old = tuple(e for e in self.backward.equations if e.target not in anew)
        b = self.backward
        program = Program(
            (*old, *self.equations), tuple(self.names), tuple(self.outputs), b.states, b.columns
        )
        return Watched(program, whole, paths)

    def told_apart(self, e: Equation, state: str) -> dict[str, str]:
        """The names of the squares of a state's adjoint, by path; its equation becomes their sum."""
        found: dict[str, list[Expr]] = {}
        for term in self.terms(e.value):
            for through, part in self.parts(term, state):
                labels = dict.fromkeys(
                    self.label(r, state, {e.axes[k] for k in self.along[state]}) for r in through
                )
                found.setdefault(" ".join(labels), []).append(part)
        found = dict(sorted(found.items(), key=lambda path: path[0] == LOSS))
        squares: dict[str, str] = {}
        for k, (path, terms) in enumerate(found.items()):
            value = add(*terms)
            if len(found) > 1 and not (path == LOSS and not any(isinstance(n, Reduce) for n in nodes(value))):
                value = self.named(f"{e.target}·{k}", e, value)
            found[path] = [value]
            squares[path] = self.total(f"{e.target}·{path}", value, e, state)
        self.equations.append(Equation(e.target, e.domain, add(*(t for ts in found.values() for t in ts))))
        return squares

    def total(self, name: str, value: Expr, e: Equation, state: str) -> str:
        """The name of the sum of squares over all axes but the batch and those that the state recurs along.

        It has no steps before the state's start.
        """
        own = self.forward.defining(state)[-1].domain
        at = {0, *self.along[state]}
        kept = tuple(Range(r.axis, own[k].size, own[k].low) for k, r in enumerate(e.domain) if k in at)
        over = tuple(r for k, r in enumerate(e.domain) if k not in at)
        name = fresh(f"‖{name}‖²", self.taken)
        self.names.append(Name(name, "defined", kept, len(kept)))
        self.outputs.append(name)
        self.equations.append(Equation(name, kept, Reduce("sum", over, mul(value, value))))
        return name

    def named(self, name: str, e: Equation, value: Expr) -> Read:
        """A part of what an equation computes, in an equation of its own."""
        name = fresh(name, self.taken)
        self.names.append(Name(name, "defined", e.domain, self.backward[e.target].written, e.target, True))
        self.equations.append(Equation(name, e.domain, value))
        return Read(name, full(e.domain))

    # --- what a term came through ----------------------------------------------------------------------

    def parts(self, term: Expr, state: str) -> Iterator[tuple[tuple[Read, ...], Expr]]:
        """A term of a state's adjoint, as parts by what they came through."""
        through = tuple(self.gradients(term))
        if len(through) != 1 or not self.stands_for(through[0].name, state):
            yield through, term
            return
        (read,) = through
        for part in self.divide(read.name):
            at = dict(zip(self.backward.defining(read.name)[0].axes, read.at, strict=True))
            moved = tuple(Read(r.name, tuple(i.substitute(at) for i in r.at)) for r in part.through)
            new = Read(part.name, read.at)
            yield moved, rewrite(term, lambda n, new=new: new if n == read else n)

    def stands_for(self, adjoint: str, state: str) -> bool:
        """Whether it is the adjoint of what was put between a state and the equations that read it."""
        name = self.backward[adjoint].of
        source = self.table.get(name)
        return (
            adjoint in self.adjoints
            and source is not None
            and source.generated
            and source.of == state
            and len(self.backward.defining(adjoint)) == 1
        )

    def divide(self, adjoint: str) -> tuple[_Part, ...]:
        """The parts of an adjoint; where there are several its equation becomes their sum."""
        if adjoint not in self.divided:
            (e,) = self.backward.defining(adjoint)
            found: dict[tuple[Read, ...], list[Expr]] = {}
            for term in self.terms(e.value):
                found.setdefault(tuple(dict.fromkeys(self.gradients(term))), []).append(term)
            if len(found) == 1:
                self.divided[adjoint] = (_Part(next(iter(found)), adjoint),)
            else:
                parts = [
                    self.named(f"{adjoint}·{k}", e, add(*terms)) for k, terms in enumerate(found.values())
                ]
                self.equations.append(Equation(adjoint, e.domain, add(*parts)))
                self.divided[adjoint] = tuple(_Part(r, p.name) for r, p in zip(found, parts, strict=True))
        return self.divided[adjoint]

    def terms(self, e: Expr) -> Iterator[Expr]:
        """The terms of a sum; what multiplies a sum of several adjoints multiplies each of its terms."""
        match e:
            case Apply("add", args):
                for a in args:
                    yield from self.terms(a)
            case Guard(conditions, body):
                yield from (Guard(conditions, t) for t in self.terms(body))
            case Apply("mul", args) if len({*self.gradients(e)}) > 1:
                place = next(k for k, a in enumerate(args) if {*self.gradients(a)})
                for t in self.terms(args[place]):
                    yield mul(*args[:place], t, *args[place + 1 :])
            case _:
                yield e

    def gradients(self, e: Expr) -> Iterator[Read]:
        """The adjoints that an expression reads, also by way of what was only taken out of it."""
        for r in reads(e):
            name = self.backward[r.name]
            if name.role == "seed" or r.name in self.adjoints:
                yield r
            elif name.generated and name.of in self.adjoints:
                for own in self.backward.defining(r.name):
                    at = dict(zip(own.axes, r.at, strict=True))
                    yield from self.gradients(substitute(own.value, at))

    def label(self, r: Read, state: str, steps: set[str]) -> str:
        """What a gradient that is read is the gradient of, at which step: ``i[t+1]``."""
        name = self.backward[r.name].of
        source = self.table.get(name)
        while source is not None and source.generated and source.of:
            name, source = source.of, self.table.get(source.of)
        name = name.partition("·")[0]
        if self.backward[r.name].role == "seed" and name == state:
            return LOSS
        at = ",".join(str(i) for i in r.at if steps & {*i.axes})
        return f"{name}[{at}]" if at else name


__all__ = ["LOSS", "Watched", "watched"]
