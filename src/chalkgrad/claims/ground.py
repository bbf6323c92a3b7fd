"""What a claim is graded against: every name of a page and its gradient, as numbers at random values."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.explain import Derivation
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.normalise import is_function, normalise
from chalkgrad.equations.formula import text
from chalkgrad.equations.ir import Apply, Equation, Expr, Name, Program, Range, Read, full
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import Resolved
from chalkgrad.nn.sizes import Given, small_numbers
from chalkgrad.pipeline import derivation_of

TOLERANCE = 1e-9
"""Largest difference between a right claim and the derived gradient, relative to the largest element, in
float64."""


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two gradients are the same but for rounding."""
    return a.shape == b.shape and not _differs(a, b).any()


def first_difference(a: Tensor, b: Tensor) -> tuple[int, ...]:
    """The first place, row by row, at which two tensors of one shape differ."""
    return tuple(_differs(a, b).nonzero()[0].tolist())


def _differs(a: Tensor, b: Tensor) -> Tensor:
    scale = max(b.abs().max().item(), a.abs().max().item(), 1e-12) if b.numel() else 1.0
    return ~((a - b).abs() <= TOLERANCE * scale)  # so that a NaN differs


MOST_DRAWN = 30
"""How often values are drawn anew because a gradient came out zero throughout."""

BENT = frozenset({"relu", "abs", "leaky_relu", "elu", "sign", "step"})
"""Functions that are something else on either side of zero."""

BATCH = "batch"
"""The axis of a batch, where a page has one."""


@dataclass(frozen=True)
class Draw:
    """How values are drawn.

    A gradient of one arrives at an output that is one number or is called like a loss; with ``ones`` also at
    one that is one number a step, with ``free`` at none; with ``last`` something arrives at the last step
    alone. With ``rest`` states begin at zero. The names that are ``shares`` are positive along their last
    axis and sum to one there (a target distribution). ``again`` is for another draw of the same kind.
    """

    ones: bool = False
    shares: frozenset[str] = frozenset()
    free: bool = False
    last: bool = False
    rest: bool = False
    again: int = 0


class Page:
    """A page that has been read, and the names that a claim about it may use."""

    def __init__(self, resolved: Resolved, functions: Mapping[str, str] | None = None) -> None:
        self.resolved = resolved
        said = {d.name.name: d.alias.name for d in resolved.text.declarations if d.alias is not None}
        self.functions = {**dict(functions or {}), **said}
        self.forward = derivation_of(resolved.program).forward
        self.names = tuple(n.name for n in self.forward.names)
        # With every name asked for, no gradient is written into the place where it is used.
        self.derived = derive(self.forward, self.names)
        self.seeds = {n.of: n.name for n in self.derived.given("seed")}

    @cached_property
    def runners(self) -> tuple[Runner, Runner]:
        """What computes the names of the page, and what their gradients."""
        return Runner(self.forward), Runner(normalise(self.derived))

    def own(self, name: str) -> tuple[Range, ...]:
        """The axes of a name of the page without the steps before its start."""
        n = self.forward[name]
        return self.forward.defining(name)[-1].domain if n.role == "defined" else n.ranges

    @cached_property
    def bare(self) -> Mapping[str, str]:
        """The names that the page writes without their step, and the step's letter: the gates of an LSTM."""
        from chalkgrad.language.parse.syntax import Symbol

        lefts = {line.left.name for line in self.resolved.text.lines if isinstance(line.left, Symbol)}
        table = self.forward.table
        return {n: table[n].ranges[0].axis for n in lefts if n in table and table[n].written == 1}

    @cached_property
    def slopes(self) -> Mapping[str, tuple[str, str]]:
        """For each name that a function is taken of, point by point: the function, and its result's name."""
        found: dict[str, tuple[str, str]] = {}
        for e in self.forward.equations:
            if is_function(e.value) and isinstance(e.value, Apply) and isinstance(e.value.args[0], Read):
                read = e.value.args[0]
                if read.at == full(e.domain) and len(e.value.args) == 1:
                    found.setdefault(read.name, (e.value.op, e.target))
        return found

    def slope_leads(self, result: str, argument: str) -> bool:
        """Whether the gradient of ``argument`` is that of ``result`` times the slope of a function."""
        return argument in self.slopes and self.slopes[argument][1] == result

    def losses(self) -> tuple[str, ...]:
        """The outputs that are one number for each step: what a claim may take for losses."""
        steps = {*self.resolved.recurrence, BATCH}
        return tuple(n for n in self.forward.outputs if all(r.axis in steps for r in self.forward[n].ranges))

    # --- what the derivation says ------------------------------------------------------------------------

    @cached_property
    def derivation(self) -> Derivation:
        return derivation_of(self.resolved.program)

    def line(self, name: str, indexed: bool = False) -> str:
        """The derived equation of a name's gradient, as it is printed."""
        for d in (self.derivation, Derivation(self.forward, self.derived)):
            found = list(_lines_of(f"∂{name}", d.index_form(starts=True) if indexed else str(d)))
            if found:
                return "\n".join(found)
        return self.line(name, indexed=True) if not indexed else f"∂{name} = {self.seeds.get(name, '0')}"

    def definitions(self, line: str) -> list[str]:
        """What the generated names in a printed line stand for: ``a[t] = x[t] W_x + …``."""
        generated = [n.name for n in self.forward.names if n.generated]
        above = self.derivation.with_definitions().splitlines()
        parts = [a[6:].partition(" = ") for a in above if a.startswith(("where ", "      "))]
        lines = [f"{left.strip()} = {right.strip()}" for left, _, right in parts]
        return [x for x in lines if any(_head(x) == g and _mentions(line, g) for g in generated)]

    def terms(self, name: str) -> list[Equation]:
        """The terms of the derived equation of a name's gradient, each as an equation of its own."""
        found = self._printed(name).derived.defining(f"∂{name}")
        if not found:
            return []
        e = found[-1]
        whole = e.value
        parts: Sequence[Expr] = whole.args if isinstance(whole, Apply) and whole.op == "add" else (whole,)
        return [Equation(e.target, e.domain, part) for part in parts]

    def _printed(self, name: str) -> Derivation:
        """The derivation that has a line for a name: the printed one, else one with a line for every name."""
        own = self.derivation.derived.defining(f"∂{name}")
        return self.derivation if own else Derivation(self.forward, self.derived)

    def shown(self, name: str, term: Equation) -> str:
        """One term of the derived equation of a name's gradient, as it is printed."""
        return text(self._printed(name).sides(term)[1])


class Ground:
    """A page in numbers: ``values`` holds every name, every ``∂name`` and every seed."""

    def __init__(
        self,
        page: Page,
        sizes: Mapping[str, Given] | None = None,
        seed: int = 0,
        draw: Draw | None = None,
        examples: int = 2,
    ) -> None:
        self.page = page
        self.draw = draw or Draw()
        self.numbers = {**small_numbers(page.resolved, sizes or {}), BATCH: examples}
        self.values: Mapping[str, Tensor] = {}
        random = torch.Generator().manual_seed(seed + 7919 * self.draw.again)
        worst = math.inf
        for positive in (False, True):
            for _ in range(MOST_DRAWN):
                given = {n.name: self._drawn(n, random, positive) for n in page.derived.given()}
                values = self.run(given)
                dull = self.dullness(values)
                if dull < worst or not self.values:
                    self.values, worst = values, dull
                if worst == 0 or not math.isfinite(dull):
                    break
            if math.isfinite(worst):
                break

    def dullness(self, values: Mapping[str, Tensor]) -> float:
        """How much these values leave unsaid: gradients that are zero throughout, and functions with a bend
        (relu) of arguments on one side of it alone; infinite where something is not finite."""
        if not all(v.isfinite().all() for v in values.values()):
            return math.inf
        zero = sum(not v.any() for n, v in values.items() if n.startswith("∂") and v.numel())
        bent = (values[x] for x, (op, _) in self.page.slopes.items() if op in BENT and x in values)
        return zero + sum(x.numel() > 1 and bool((x > 0).all() or (x < 0).all()) for x in bent)

    def alone(self, single: Page) -> Ground:
        """A batch of one example as that example: the same values of a page without its batch."""
        found = copy(self)
        found.page = single
        table = {**self.page.forward.table, **self.page.derived.table}
        found.values = {
            n: v.squeeze(0) if table[n].ranges[:1] and table[n].ranges[0].axis == BATCH else v
            for n, v in self.values.items()
        }
        return found

    def shape(self, name: Name) -> list[int]:
        return [r.size.value(self.numbers) for r in name.ranges]

    def _drawn(self, name: Name, random: torch.Generator, positive: bool) -> Tensor:
        shape = self.shape(name)
        if name.role == "seed":
            x = torch.randn(shape, generator=random, dtype=torch.float64)
            return self.inside(name.of, self._arriving(name, x))
        if self.draw.rest and name.role == "start":
            return torch.zeros(shape, dtype=torch.float64)
        if name.name in self.draw.shares:
            return torch.rand(shape, generator=random, dtype=torch.float64).add(0.2).log().softmax(-1)
        if positive:
            return torch.rand(shape, generator=random, dtype=torch.float64) + 0.2
        return torch.randn(shape, generator=random, dtype=torch.float64) * 0.7

    def _arriving(self, seed: Name, x: Tensor) -> Tensor:
        """What arrives at an output: random weights, ones, or nothing before the last step."""
        number = all(r.axis == BATCH for r in seed.ranges)
        loss = number or seed.of in losses(self.page.resolved.program)
        if (loss and not self.draw.free) or (self.draw.ones and seed.of in self.page.losses()):
            x = torch.ones_like(x)
        if self.draw.last:
            for k, r in enumerate(seed.ranges[: seed.written]):
                if r.axis in self.page.resolved.recurrence:
                    x = x.clone()
                    x.narrow(k, 0, x.shape[k] - 1).zero_()
        return x

    def run(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every name and gradient from values for what is given, seeds included."""
        forward, backward = self.page.runners
        made = [n.name for n in self.page.forward.names if n.role == "defined"]
        values = {**given, **forward(given, self.numbers, made)}
        wanted = list(dict.fromkeys(o for o in self.page.derived.outputs if o not in given))
        return values | backward(given, self.numbers, wanted, {n: values[n] for n in made})

    def inside(self, name: str, value: Tensor) -> Tensor:
        """The value with zeros in the steps before the start of ``name``."""
        own = torch.zeros_like(value)
        at = self.place(name)
        own[at] = value[at]
        return own

    def place(self, name: str) -> tuple[slice, ...]:
        """Where the own part of a name lies in its value."""
        found: list[slice] = []
        for r, own in zip(self.page.forward[name].ranges, self.page.own(name), strict=True):
            first = (own.low - r.low).value(self.numbers)
            found.append(slice(first, first + own.size.value(self.numbers)))
        return tuple(found)

    def gradient(self, name: str) -> Tensor:
        """The derived gradient of a name of the page, over its own part."""
        return self.values[f"∂{name}"][self.place(name)]

    def term_values(self, name: str, terms: Collection[Equation]) -> list[Tensor]:
        """The values of terms of a derived equation, the steps before the start among them."""
        page = self.page
        named = [Equation(f"{e.target}·{k}", e.domain, e.value) for k, e in enumerate(terms)]
        names = tuple(Name(e.target, "defined", e.domain, 0) for e in named)
        p = page.derived
        outputs = tuple(e.target for e in named)
        whole = Program((*p.equations, *named), (*p.names, *names), outputs, p.states, p.columns)
        given = {n.name: self.values[n.name] for n in p.given()}
        known = {
            n.name: self.values[n.name] for n in p.names if n.role == "defined" and n.name in self.values
        }
        found = Runner(normalise(whole))(given, self.numbers, outputs, known)
        return [self.padded(name, found[o]) for o in outputs]

    def padded(self, name: str, value: Tensor) -> Tensor:
        """A value over the whole of a name, where it has only its own part."""
        if value.shape == self.values[f"∂{name}"].shape:
            return value
        whole = torch.zeros_like(self.values[f"∂{name}"])
        whole[self.place(name)] = value
        return whole


def _lines_of(name: str, printed: str) -> Iterator[str]:
    for line in printed.splitlines():
        if _head(line) == name:
            left, _, right = line.partition(" = ")
            yield f"{left.strip()} = {right.partition('  #')[0].strip()}"


def _head(line: str) -> str:
    return line.partition(" = ")[0].partition("[")[0].strip()


def _mentions(line: str, name: str) -> bool:
    import re

    return re.search(rf"(?<![\w∂'])∂?{re.escape(name)}(?![\w'])", line) is not None
