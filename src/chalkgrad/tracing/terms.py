"""The line between an equation and its result: every product of matrices as one name, the rest as it stands.

``a[t] = x[t] W + h[t-1] U + b`` becomes ``p + q + b``, where p and q are new equations for the two products.
They are computed by what computes everything else, and the line is then written with numbers for its names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
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
    full,
)
from chalkgrad.equations.walk import free_axes, rewrite, substitute, with_children
from chalkgrad.tracing.points import Part

MARK = "·"
"""What names made here begin with: no name on a page can."""


@dataclass(frozen=True, slots=True)
class Line:
    """A part to be printed: ``spelled`` is its value as it is written, ``worked`` with products as names.

    ``name`` has the part's value, over ``domain``: the target, or where the target grows, a name made here.
    ``left`` is what stands before the equals sign; ``written`` counts the axes that stand in brackets.
    """

    part: Part
    name: str
    domain: tuple[Range, ...]
    written: int
    left: Expr
    spelled: Expr
    worked: Expr


class Lines:
    """A line for each part, and the names and equations that were made for them."""

    def __init__(self, program: Program, parts: tuple[Part, ...]) -> None:
        self.program = program
        self.names: list[Name] = []
        self.equations: list[Equation] = []
        self._results = _function_results(program)
        self.lines = tuple(map(self._line, parts))

    @property
    def whole(self) -> Program:
        """The program with what was made here."""
        p = self.program
        equations = (*p.equations, *self.equations)
        return Program(equations, (*p.names, *self.names), p.outputs, p.states, p.columns)

    def _line(self, part: Part) -> Line:
        e = part.equation
        domain = (*(r for r in part.over if r not in e.domain), *e.domain)
        written = self.program[e.target].written + len(domain) - len(e.domain)
        name = self._made(part.value, domain, written) if part.grows else e.target
        left = Read(e.target, full(e.domain))
        return Line(
            part,
            name,
            domain,
            written,
            _spelled(left, self._results),
            _spelled(part.value, self._results),
            self._with_products(part.value, part, domain, written, ()),
        )

    def _made(self, value: Expr, ranges: tuple[Range, ...], written: int) -> str:
        name = f"{MARK}{len(self.names) + 1}"
        self.names.append(Name(name, "defined", ranges, written, generated=True))
        self.equations.append(Equation(name, ranges, value))
        return name

    def _with_products(
        self,
        e: Expr,
        part: Part,
        domain: tuple[Range, ...],
        written: int,
        under: tuple[Condition, ...],
    ) -> Expr:
        """The expression with a name for every sum in it. A guard that a step decides stays around it."""
        match e:
            case Const() | At() | Read():
                return e
            case Guard(conditions, body) if _decided(conditions, part):
                inner = self._with_products(body, part, domain, written, (*under, *conditions))
                return Guard(conditions, inner)
            case Guard() | Reduce("sum", _, _) | ArgMax():
                value = Guard(under, e) if under else e
                axes = free_axes(value)
                ranges = tuple(r for r in domain if r.axis in axes)
                first = sum(r.axis in axes for r in domain[:written])
                return Read(self._made(value, ranges, first), full(ranges))
            case Reduce():
                return e
            case Apply(_, args):
                inside = (self._with_products(a, part, domain, written, under) for a in args)
                return with_children(e, tuple(inside))


def _decided(conditions: tuple[Condition, ...], part: Part) -> bool:
    over = {r.axis for r in part.over}
    return all(over.issuperset(c.index.axes) for c in conditions)


def _function_results(program: Program) -> Mapping[str, Equation]:
    """Generated names that are no more than a function's result: ``tanh(c[t])`` is read better so."""
    return {
        e.target: e
        for e in program.equations
        if program[e.target].generated
        and isinstance(e.value, Apply)
        and e.value.op not in ("add", "mul", "pow")
        and len(program.defining(e.target)) == 1
        and not e.target.startswith("∂")
    }


def _spelled(e: Expr, results: Mapping[str, Equation]) -> Expr:
    def one(node: Expr) -> Expr:
        if not isinstance(node, Read) or node.name not in results:
            return node
        found = results[node.name]
        return _spelled(substitute(found.value, dict(zip(found.axes, node.at, strict=True))), results)

    return rewrite(e, one)


def has_sum(e: Expr) -> bool:
    """Whether a reduction stands somewhere in the expression."""
    if isinstance(e, Reduce | ArgMax):
        return True
    match e:
        case Apply(_, args):
            return any(map(has_sum, args))
        case Guard(_, body):
            return has_sum(body)
        case _:
            return False
