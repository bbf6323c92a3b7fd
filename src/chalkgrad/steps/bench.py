"""Numbers that hold a derivation to its word: every line is computed, and compared with torch's autograd.

Nothing here looks at how a line was derived. The gradient of a name in the middle of a page is what autograd
says of a zero that is added to it; that of one read, what it says of a name of its own in place of that read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from chalkgrad.calculus.gather import Contribution
from chalkgrad.calculus.loss import where_it_sums_to_one
from chalkgrad.equations.ir import Apply, ArgMax, Equation, Expr, Guard, Name, Program, Range, Read, full
from chalkgrad.equations.ops import OPS, ZERO_SLOPE, add, mul
from chalkgrad.equations.walk import children, reads, with_children
from chalkgrad.kernels.eager import Runner

TOLERANCE = 1e-9
"""Largest difference that is rounding, relative to the larger of both, in float64."""

ROUNDING = 1e-15
"""Largest gradient that is rounding, relative to the largest of all, in float64."""

LINE = "·"
ADDED = "ε "


class DerivationError(AssertionError):
    """A line of a derivation does not hold numerically: a mistake in Chalkgrad, never in the page."""


class Bench:
    """A layer at random values and small sizes, with the gradient of everything by autograd.

    ``worst`` is the largest relative error so far, ``lines`` how many lines were held against it.
    """

    def __init__(
        self, program: Program, numbers: Mapping[str, int], ones: Sequence[str] = (), seed: int = 0
    ) -> None:
        self.program, self.numbers = program, numbers
        self.ones = frozenset(ones)
        self.random = torch.Generator().manual_seed(seed)
        self.worst, self.lines = 0.0, 0

    def size(self, ranges: Sequence[Range]) -> list[int]:
        return [r.size.value(self.numbers) for r in ranges]

    # --- what everything is ------------------------------------------------------------------------------

    @cached_property
    def perturbed(self) -> Program:
        """The program with a zero added to every equation."""
        defined = [n for n in self.program.names if n.role == "defined"]
        zeros = tuple(replace(n, name=ADDED + n.name, role="input") for n in defined)
        equations = tuple(
            replace(e, value=add(e.value, Read(ADDED + e.target, full(e.domain))))
            for e in self.program.equations
        )
        return replace(self.program, equations=equations, names=(*self.program.names, *zeros))

    @cached_property
    def _values(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Every name's value, and the tensors that were given."""
        defined = [n.name for n in self.program.names if n.role == "defined"]
        for positive in (False, True):
            given = {n.name: self._drawn(n, positive) for n in self.perturbed.given()}
            found = Runner(self.perturbed)(given, self.numbers, defined)
            if all(v.isfinite().all() for v in found.values()):
                break
        return {**given, **found}, given

    def _drawn(self, n: Name, positive: bool) -> Tensor:
        shape = self.size(n.ranges)
        if n.name.startswith(ADDED):
            x = torch.zeros(shape, dtype=torch.float64)
        elif positive:
            x = torch.rand(shape, generator=self.random, dtype=torch.float64) + 0.2
        else:
            x = torch.randn(shape, generator=self.random, dtype=torch.float64) * 0.7
        return x.requires_grad_()

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """The value of every name of the program."""
        return {n: v.detach() for n, v in self._values[0].items() if not n.startswith(ADDED)}

    @cached_property
    def seeds(self) -> dict[str, Tensor]:
        """What arrives from outside at each output: random, or ones for a loss."""
        return {
            o: torch.ones_like(self.values[o])
            if o in self.ones
            else torch.randn(self.values[o].shape, generator=self.random, dtype=torch.float64)
            for o in self.program.outputs
        }

    @cached_property
    def adjoints(self) -> dict[str, Tensor]:
        """The gradient of Σ seed · output by every name of the program, by autograd."""
        values, given = self._values
        loss = torch.stack([(values[o] * w).sum() for o, w in self.seeds.items()]).sum()
        places = {n.name: ADDED + n.name if n.role == "defined" else n.name for n in self.program.names}
        if not loss.requires_grad:
            return {n: torch.zeros_like(given[p]) for n, p in places.items()}
        leaves = [given[p] for p in places.values()]
        found = torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
        return {
            n: torch.zeros_like(leaf) if g is None else g
            for n, leaf, g in zip(places, leaves, found, strict=True)
        }

    # --- holding lines against it ------------------------------------------------------------------------

    def value(self, e: Expr, domain: tuple[Range, ...], names: Mapping[str, Tensor]) -> Tensor:
        """An expression at every point of a domain, where ``names`` holds the value of all that it reads."""
        used = dict.fromkeys(r.name for r in reads(e))
        table = {**self.table}
        line = Program(
            (Equation(LINE, domain, e),),
            (*(replace(table[n], role="input") for n in used), Name(LINE, "defined", domain)),
            (LINE,),
        )
        given = {n: names[n] for n in used}
        found = Runner(line)(given, self.numbers, [LINE])[LINE]
        return found.to(torch.float64).expand(self.size(domain))

    @cached_property
    def table(self) -> dict[str, Name]:
        """The names that lines may read; :meth:`learn` adds to them."""
        return dict(self.program.table)

    def learn(self, names: Sequence[Name]) -> dict[str, Tensor]:
        """Take up a derivation's adjoints and seeds, and give the value of everything a line may read."""
        self.table.update({n.name: n for n in names if n.name not in self.program.table})
        found = dict(self.values)
        for n in names:
            if n.name in self.program.table:
                continue
            if n.role == "seed":
                # Nothing arrives at what is no output: the state before the first step.
                found[n.name] = self.seeds.get(n.of, torch.zeros_like(self.values[n.of]))
            elif n.name == f"∂{n.of}":
                found[n.name] = self.adjoints[n.of]
        return found

    @cached_property
    def rounding(self) -> float:
        """What float64 cannot tell from zero beside the largest gradient."""
        finite = [v[v.isfinite()] for v in self.adjoints.values()]
        return ROUNDING * max((v.abs().max().item() for v in finite if v.numel()), default=0.0)

    def hold(self, what: str, found: Tensor, expected: Tensor) -> None:
        """Count one line. Raises DerivationError where it does not hold."""
        # Where both are infinite alike, at an edge that is, there is no difference.
        apart = torch.where(found == expected, torch.zeros_like(found), found - expected)
        scale = max(
            [v[v.isfinite()].abs().max().item() for v in (found, expected) if v.isfinite().any()] or [0]
        )
        # A gradient of terms that cancel, as by the stabiliser of an sLSTM, is zero but for their rounding.
        zeros = scale <= self.rounding and bool(apart.isfinite().all())
        error = apart.abs().max().item() / (scale or 1) if apart.numel() and not zeros else 0.0
        if not error <= TOLERANCE:  # a NaN is no agreement
            raise DerivationError(
                f"a line of the derivation does not hold (relative error {error:.1e}): {what}"
            )
        self.worst, self.lines = max(self.worst, error), self.lines + 1

    def hold_where_it_sums_to_one(self, e: Equation, names: Mapping[str, Tensor]) -> None:
        """Hold what is remarked beside an equation: what it is where the target in it sums to one."""
        normal = where_it_sums_to_one(e, self.program)
        if normal is None:
            return
        assert isinstance(normal.total.body, Read)
        target = normal.total.body.name
        value = names[target].abs() + 0.1
        values = {**names, target: value / value.sum(-1, keepdim=True)}
        found = self.value(normal.equation.value, e.domain, values)
        self.hold(f"{e.target}, simpler", found, self.value(e.value, e.domain, values))

    # --- one read's share --------------------------------------------------------------------------------

    def share(self, e: Equation, occurrence: int, name: str, cotangent: Tensor) -> Tensor:
        """What autograd gives to ``name`` through one of its reads in one equation."""
        apart = "apart"
        value, _ = _marked(e.value, name, apart, occurrence)
        names = dict.fromkeys(r.name for r in reads(value))
        table = {**self.program.table, apart: replace(self.program[name], name=apart)}
        line = Program(
            (Equation(LINE, e.domain, value),),
            (*(replace(table[n], role="input") for n in names), Name(LINE, "defined", e.domain)),
            (LINE,),
        )
        leaf = self.values[name].clone().requires_grad_()
        given = {n: leaf if n == apart else self.values[n] for n in names}
        out = Runner(line)(given, self.numbers, [LINE])[LINE].expand(self.size(e.domain))
        (found,) = torch.autograd.grad(out, [leaf], grad_outputs=[cotangent.expand(out.shape)])
        return found

    def part(self, whole: Tensor, name: str, e: Equation) -> Tensor:
        """The part of a name's array that one equation defines."""
        for k, (r, own) in enumerate(zip(self.program[name].ranges, e.domain, strict=True)):
            first = (own.low - r.low).value(self.numbers)
            whole = whole.narrow(k, first, own.size.value(self.numbers))
        return whole

    def scattered(self, c: Contribution, names: Mapping[str, Tensor]) -> Tensor:
        """The contribution given, from each point of its iteration, to where its read looks."""
        body = mul(c.cotangent, c.factor)
        amounts = self.value(Guard(c.conditions, body) if c.conditions else body, c.over, names)
        target = self.program[c.name].ranges
        shape = self.size(target)
        axes = [
            torch.arange(r.low.value(self.numbers), r.high.value(self.numbers)).view(
                [-1 if k == j else 1 for j in range(len(c.over))]
            )
            for k, r in enumerate(c.over)
        ]
        letters = [r.axis for r in c.over]
        flat = torch.zeros(amounts.shape, dtype=torch.long)
        inside = torch.ones(amounts.shape, dtype=torch.bool)
        for index, r, size in zip(c.at, target, shape, strict=True):
            place = torch.zeros(amounts.shape, dtype=torch.long) + index.shift.value(self.numbers)
            for axis, k in index.terms:
                place = place + k * axes[letters.index(axis)]
            # Between two places nothing is read: there the amount is zero.
            place = place // index.divisor - r.low.value(self.numbers)
            inside &= (place >= 0) & (place < size)
            flat = flat * size + place.clamp(0, max(size - 1, 0))
        out = torch.zeros(shape, dtype=torch.float64)
        kept = torch.where(inside, amounts, torch.zeros((), dtype=torch.float64))
        out.view(-1).index_add_(0, flat.reshape(-1), kept.reshape(-1))
        return out


def _marked(e: Expr, name: str, apart: str, occurrence: int, seen: int = 0) -> tuple[Expr, int]:
    """The expression with one read of ``name`` called otherwise: of those with a slope, the one that has
    ``occurrence`` others to its left."""
    if isinstance(e, ArgMax) or (isinstance(e, Apply) and all(s is ZERO_SLOPE for s in OPS[e.op].slopes)):
        return e, seen
    if isinstance(e, Read):
        if e.name != name:
            return e, seen
        return (Read(apart, e.at) if seen == occurrence else e), seen + 1
    parts: list[Expr] = []
    for part in children(e):
        new, seen = _marked(part, name, apart, occurrence, seen)
        parts.append(new)
    return with_children(e, tuple(parts)), seen


# --- Jacobians -----------------------------------------------------------------------------------------


def slopes(
    program: Program, of: str, by: Sequence[str], given: Mapping[str, Tensor], numbers: Mapping[str, int]
) -> dict[str, Tensor]:
    """The Jacobian of one name by others that are given, by autograd: axes of ``of``, then of the other."""
    leaves = {n: given[n].detach().clone().requires_grad_() for n in by}
    values = {n: v.detach() for n, v in given.items()}
    out = Runner(program)({**values, **leaves}, numbers, [of])[of]
    found = {n: torch.zeros([*out.shape, *leaf.shape], dtype=torch.float64) for n, leaf in leaves.items()}
    ones = torch.eye(out.numel(), dtype=torch.float64).view(out.numel(), *out.shape)
    for k, one in enumerate(ones if out.requires_grad else ()):
        row = torch.autograd.grad(out, [*leaves.values()], one, retain_graph=True, allow_unused=True)
        for n, g in zip(leaves, row, strict=True):
            if g is not None:
                found[n].view(out.numel(), -1)[k] = g.reshape(-1)
    return found
