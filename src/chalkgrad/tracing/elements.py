"""One element at a time: every product of a sum with its numbers, as it is done by hand.

``y[0] = 0·3 + 1·3 + 2·2 = 7``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product

from torch import Tensor

from chalkgrad.equations.formula import shown_name
from chalkgrad.equations.ir import Apply, ArgMax, At, Const, Expr, Guard, Index, Read, Reduce
from chalkgrad.equations.show import fraction
from chalkgrad.tracing.blocks import Style
from chalkgrad.tracing.system import System

MOST_ELEMENTS, MOST_TERMS = 9, 40
"""How many elements of one equation are followed, and how many products of one sum."""

_NAMES = {"sum": "", "max": "max", "min": "min", "logsumexp": "logsumexp"}


class Elements:
    """Writes right sides with a number for every read. ``values`` holds the tensor of each name."""

    def __init__(self, system: System, values: Mapping[str, Tensor], style: Style) -> None:
        self.system, self.values, self.style = system, values, style
        self._lows = {n.name: [r.low.value(system.numbers) for r in n.ranges] for n in system.program.names}

    def written(self, e: Expr, at: Mapping[str, int]) -> str:
        """The expression with numbers in it, all its free axes at the places ``at``."""
        return self._sum(e, at)

    def _number(self, e: Read, at: Mapping[str, int]) -> float:
        lows = self._lows[e.name]
        place = tuple(self._at(i, at) - low for i, low in zip(e.at, lows, strict=True))
        return self.values[e.name][place].item()

    def _at(self, index: Index, at: Mapping[str, int]) -> int:
        found = self.system.at(index, at)
        assert found is not None
        return found

    def _sum(self, e: Expr, at: Mapping[str, int]) -> str:
        """A sum's terms, with the sign of each between them."""
        terms = list(islice(self._terms(e, at), MOST_TERMS + 1))
        if len(terms) > MOST_TERMS:
            terms[MOST_TERMS:] = ["…"]
        if not terms:
            return "0"
        return terms[0] + "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t in terms[1:])

    def _terms(self, e: Expr, at: Mapping[str, int]) -> Iterator[str]:
        match e:
            case Apply("add", args):
                for a in args:
                    yield from self._terms(a, at)
            case Reduce("sum", over, body):
                for values in product(*map(self.system.interval, over)):
                    yield from self._terms(
                        body, {**at, **dict(zip((r.axis for r in over), values, strict=True))}
                    )
            case Guard(conditions, body):
                if all(self.system.holds(c, at) for c in conditions):
                    yield from self._terms(body, at)
            case _:
                yield self._factor(e, at, alone=True)

    def _factor(self, e: Expr, at: Mapping[str, int], alone: bool = False) -> str:
        """What can stand in a product: brackets around a sum, and around what begins with a minus."""
        match e:
            case Const(value):
                shown = self.style.number(value)
            case At(index):
                shown = str(self._at(index, at))
            case Read():
                shown = self.style.number(self._number(e, at))
            case Apply("mul", _):
                above, below = fraction(e)
                minus = bool(above) and above[0] == Const(-1)
                shown = "·".join(self._factor(f, at) for f in above[minus:]) or "1"
                if below:
                    under = "·".join(self._factor(f, at) for f in below)
                    shown += f" / {under if len(below) == 1 else f'({under})'}"
                shown = "-" + shown if minus else shown
                return shown if alone else f"({shown})"
            case Apply("pow", (base, Const(value))) if value > 0:
                k = self.style.number(value).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
                return f"{self._factor(base, at)}{k}" if "." not in k else f"{self._factor(base, at)}^{k}"
            case Apply("pow", (base, exponent)):
                return f"{self._factor(base, at)}^({self._sum(exponent, at)})"
            case Apply("add", _) | Guard() | Reduce("sum", _, _):
                return f"({self._sum(e, at)})"
            case Apply("step", (a,)):
                return f"[{self._sum(a, at)} > 0]"
            case Apply("equal", (a, b)):
                return f"[{self._sum(a, at)} = {self._sum(b, at)}]"
            case Apply(op, args):
                return f"{shown_name(op)}({', '.join(self._sum(a, at) for a in args)})"
            case Reduce(op, over, body) | ArgMax(over, op, body):
                name = _NAMES[op] if isinstance(e, Reduce) else f"argmax[{op}]"
                points = list(product(*map(self.system.interval, over)))
                inside = [
                    self._sum(body, {**at, **dict(zip((r.axis for r in over), p, strict=True))})
                    for p in points[:MOST_TERMS]
                ]
                return f"{name}({', '.join(inside)}{', …' if len(points) > MOST_TERMS else ''})"
        return shown if alone or not shown.startswith("-") else f"({shown})"
