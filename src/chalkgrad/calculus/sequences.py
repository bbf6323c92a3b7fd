"""Lengths, resets and cut gradients, written into the equations of one example.

What a step reads is chosen point by point by data of ones and zeros, before anything is derived. So batch,
normalise, derive and every kernel take these equations like any other:

    lengths   an output is select(live[t], …, 0);  from ahead, g[t+1] is its start where ends[t]
    resets    h[t-1] is select(restart[t], h₀, h[t-1])
    truncate  h[t-1] is stop(cut[t], h[t-1])

``h_before`` is what step t reads as h[t-1]. It has an equation of its own, so that a product with it stays a
product. After its end a sequence takes its first step again and again, from its start: numbers that these
equations can be computed with, however long that goes on, and that nothing before the end depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from chalkgrad.calculus.draft import Asked, Draft, Sequences
from chalkgrad.calculus.recurrences import Recurrence, recurrences, steps_of
from chalkgrad.calculus.simplify import Box, box, implied, surely
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
    Name,
    Program,
    Range,
    Read,
    Reduce,
    Size,
    full,
)
from chalkgrad.equations.ops import add, mul
from chalkgrad.equations.walk import children, fresh, needed, reads, with_children
from chalkgrad.language.source import EquationError


def sequences(program: Program, asked: Asked) -> Sequences:
    """The equations of one example with what is asked for written into them.

    Raises EquationError where there is no recurrence along one index, and where the equations use the end
    of a sequence, or all of it, in a way that this does not reach.

    >>> from chalkgrad.equations.show import show
    >>> from chalkgrad.language.resolve import read
    >>> page = read("h[t] = tanh(x[t] + h[t-1]) where x[t]: scalar, h[t]: scalar").program
    >>> print(show(sequences(page, Asked(resets=True)).program))
    h[t] = h₀[t]  for t=-1
    h_before[t] = select(restart[t], h₀[-1], h[t-1])
    h[t] = tanh(x[t] + h_before[t])  for t<T
    """
    return _Writer(program, asked).sequences()


class _Writer(Draft):
    """Writes the equations anew; what they need beside the old ones is collected on the way."""

    def __init__(self, program: Program, asked: Asked) -> None:
        found = recurrences(program)
        self.asked, self.symbol = asked, steps_of(program, found)
        lows = (-r.low.const for n in program.names for r in n.ranges if r.low.constant is not None)
        super().__init__(program, Size.symbol(self.symbol), max(1, *(r.depth for r in found), *lows))
        self.made: dict[object, str] = {}
        self.recurrences = {r.name: self.with_start(r) for r in found}
        # Outputs end with zeros; what else reads one goes on reading it as it was computed.
        self.ending = set(program.outputs) if asked.lengths else set[str]()
        self.full = {
            read.name: ""
            for e in program.equations
            for read in reads(e.value)
            if read.name in self.ending and read.name != e.target and not self.is_carried(read, e)
        }
        for name in self.full:
            n = program[name]
            self.full[name] = self.free(f"{name}_full")
            self.names.append(Name(self.full[name], "defined", n.ranges, n.written, name, True))

    def sequences(self) -> Sequences:
        carried = {s.start: self.carried(self.recurrences[s.name]) for s in self.program.states}
        for e in self.program.equations:
            new = self.equation(e)  # what it needs comes before it
            self.equations.append(new)
        carried = {start: name for start, name in carried.items() if name}
        return Sequences(self.program_anew(), self.masks, self.symbol, self.margin, carried)

    def refuse(self, problem: str) -> EquationError:
        """Of lengths, what these equations cannot be asked for."""
        return EquationError(problem, help="give sequences of one length, one call for each length")

    # --- equations -------------------------------------------------------------------------------------

    def with_start(self, r: Recurrence) -> Recurrence:
        """The recurrence with a name for its start, which `h[0] = …` has not got."""
        if r.start or not (self.asked.resets or self.asked.lengths):
            return r
        edge = next(e for e in self.program.defining(r.name) if e.domain[r.position] != r.own)
        n = self.program[r.name]
        start = self.define(f"{n.name}₀", n, edge.domain, n.written, edge.value)
        return Recurrence(r.name, r.position, r.depth, r.forward, r.own, start)

    def equation(self, e: Equation) -> Equation:
        r, here = self.recurrences.get(e.target), full(e.domain)
        begins = r is not None and e.domain[r.position] != r.own
        value = self.expression(e.value, box(e.domain), e, ())
        if r is not None and begins and r.start:
            value = Read(r.start, here)
        if e.target in self.full:
            inner = self.full[e.target]
            self.equations.append(Equation(inner, e.domain, value))
            value = value if begins else Read(inner, here)
        if e.target in self.ending and not begins:
            for axis in filter(self.ends, e.domain):
                value = Apply("select", (self.live(axis, f"`{e.target}`"), value, Const(0)))
        return Equation(e.target, e.domain, value)

    def expression(self, e: Expr, over: Box, of: Equation, known: tuple[Condition, ...]) -> Expr:
        """An expression inside the equation ``of``, over a box and under conditions."""
        match e:
            case Const():
                return e
            case At(index):
                return self.position(index) if self.asked.lengths else e
            case Read():
                return self.read(e, over, of)
            case Apply() | ArgMax():
                return with_children(e, tuple(self.expression(a, over, of, known) for a in children(e)))
            case Reduce(op, ranges, body):
                inside = self.expression(body, {**over, **box(ranges)}, of, known)
                if self.asked.lengths:
                    for axis in filter(self.ends, ranges):
                        inside = self.reduced_while_live(op, axis, inside, of)
                return Reduce(op, ranges, inside)
            case Guard(conditions, body):
                inside = self.expression(body, over, of, (*known, *conditions))
                return self.guarded(conditions, inside, over, known)
            case _:
                assert_never(e)

    def read(self, e: Read, over: Box, of: Equation) -> Read:
        name, at = e.name, e.at
        r = self.recurrences.get(name)
        if r is not None and self.is_carried(e, of):
            axis = at[r.position].axes[0]
            name = self.before(r, r.distance(at[r.position].shift.const), over[axis])
            at = (*at[: r.position], Index.axis(axis), *at[r.position + 1 :])
        elif r is not None and set(at[r.position].axes) - {*of.axes}:
            self.refuse_all_steps(r, at[r.position], of)
        return self.read_while_live(name, at) if self.asked.lengths else Read(name, at)

    def is_carried(self, e: Read, of: Equation) -> bool:
        """Whether this reads what a recurrence computed at an earlier step than the equation's own."""
        r = self.recurrences.get(e.name)
        if r is None:
            return False
        index = e.at[r.position]
        neighbour = len(index.axes) == 1 and index.axes[0] in of.axes and index.shift.constant is not None
        return (
            neighbour
            and index - index.shift == Index.axis(index.axes[0])
            and r.distance(index.shift.const) > 0
        )

    def refuse_all_steps(self, r: Recurrence, index: Index, of: Equation) -> None:
        """Refuse what a sum over steps would silently get wrong."""
        equations = self.program.equations
        own_past = r.name in needed(equations, [of.target]) and of.target in needed(equations, [r.name])
        what = f"`{of.target}` reads `{r.name}` at many steps at once"
        if self.asked.resets:
            raise EquationError(
                f"{what}, also at those before a reset",
                help="resets are for equations that read a fixed number of steps back",
            )
        if self.asked.truncate and own_past:
            raise EquationError(
                f"{what}, and there is no one step to cut the gradient at",
                help="truncate is for recurrences that read a fixed number of steps back",
            )
        if self.asked.lengths and not r.forward and index.plain() is None:
            raise self.refuse(f"{what}, also past the end of a sequence")

    # --- the end of a sequence -------------------------------------------------------------------------

    def ends(self, r: Range) -> bool:
        """Whether an axis goes up to the end of a sequence."""
        return self.symbol in (*r.size.symbols, *r.low.symbols)

    def short(self, high: Size, what: str) -> Size:
        """By how many steps an interval ends before the last one."""
        gap = self.T - high
        if self.symbol in gap.symbols or not (gap + self.margin).surely_nonnegative():
            raise self.refuse(f"{what} goes up to {high}, and lengths count {self.T} steps")
        return gap

    def live(self, r: Range, what: str) -> Read:
        """Whether a sequence has the step that an axis is at."""
        if not (r.low + self.margin).surely_nonnegative():
            raise self.refuse(f"{what} begins at {r.low}, and sequences begin at 0")
        return self.mask("live", Index.axis(r.axis) + self.short(r.high, what))

    def position(self, index: Index) -> Expr:
        """A position as a number: the number of steps is each sequence's own."""
        times = dict(index.shift.terms).get(self.symbol, 0)
        rest = index - self.T * times
        if self.symbol not in index.shift.symbols:
            return At(index)
        if self.symbol in rest.shift.symbols or index.divisor != 1:
            raise self.refuse(f"the number {index} is of steps, and each sequence has its own")
        count = mul(Const(times), self.mask("length", Index()))
        return count if rest == Index() else add(At(rest), count)

    def read_while_live(self, name: str, at: tuple[Index, ...]) -> Read:
        """A read of a name inside the sequence: from its end where the index counts from there."""
        for k, index in enumerate(at):
            if self.symbol not in index.shift.symbols:
                continue
            back = self.T - index.shift
            if index.terms or index.divisor != 1 or self.symbol in back.symbols:
                raise self.refuse(f"`{name}` is read at {index}, and each sequence ends elsewhere")
            rest = (*at[:k], *at[k + 1 :])
            return self.read_while_live(self.at_the_end(name, k, back), rest)
        n = self.program.table.get(name)
        if n is not None and n.role == "input" and any(map(self.ends, n.ranges)):
            name = self.input_while_live(n)
        return Read(self.full.get(name, name), at)

    def input_while_live(self, n: Name) -> str:
        """An input as its sequence reads it: past its end the first step once more."""
        if n.name not in self.made:
            first = tuple(Index((), r.low) if self.ends(r) else Index.axis(r.axis) for r in n.ranges)
            domain = tuple(r for r in n.ranges if not self.ends(r))
            written = n.written - (len(n.ranges) - len(domain))
            stopped = Apply("stop", (Const(1), Read(n.name, first)))
            filling = Read(self.define(f"{n.name}_first", n, domain, max(0, written), stopped), full(domain))
            value: Expr = Read(n.name, full(n.ranges))
            for r in filter(self.ends, n.ranges):
                value = Apply("select", (self.live(r, f"`{n.name}`"), value, filling))
            self.made[n.name] = self.define(f"{n.name}_live", n, n.ranges, n.written, value)
        return self.made[n.name]

    def at_the_end(self, name: str, position: int, back: Size) -> str:
        """What a name is ``back`` steps before the end of each sequence, without the axis at ``position``."""
        key = (name, position, back)
        if key not in self.made:
            n, own = self.program[name], self.own(name)
            if not (back - self.short(own[position].high, f"`{name}`") - 1).surely_nonnegative():
                raise self.refuse(f"`{name}` is read past the end of a sequence")
            before, after = own[:position], own[position + 1 :]
            source = self.input_while_live(n) if n.role == "input" else self.full.get(name, name)

            def there(t: Index) -> Expr:
                return Read(source, (*full(before), t + 1 - back, *full(after)))

            rest = (*before, *after)
            value = self.from_the_end(there, back, n.ranges[position].low, rest)
            written = n.written - (position < n.written)
            self.made[key] = self.define(f"{name}_end", n, rest, written, value)
        return self.made[key]

    def from_the_end(
        self, there: Callable[[Index], Expr], back: Size, low: Size, around: tuple[Range, ...]
    ) -> Expr:
        """``there`` at each sequence's last step, where it reads down to ``back`` steps before the end."""
        letter = fresh("t", {r.axis for r in around})
        t, over = Index.axis(letter), Range(letter, self.T)
        value: Expr = mul(self.mask("ends", t), there(t))
        exists = Condition(t + 1 - back - low)
        if not surely(exists, box([over])):
            value = Guard((exists,), value)
        return Reduce("sum", (over,), value)

    def reduced_while_live(self, op: str, axis: Range, body: Expr, of: Equation) -> Expr:
        """The body of a sum or a maximum, without the steps that a sequence has not got."""
        live = self.live(axis, f"the {op} in `{of.target}`")
        if op == "sum":
            return mul(live, body)
        return Apply("select", (live, body, Const(float("inf") if op == "min" else float("-inf"))))

    def guarded(
        self, conditions: tuple[Condition, ...], body: Expr, over: Box, known: tuple[Condition, ...]
    ) -> Expr:
        """A body under conditions, of which those on the end are also on each sequence's own."""
        ended = [c for c in conditions if self.symbol in c.index.shift.symbols] if self.asked.lengths else []
        for c in ended:
            last = (c.index - (self.T - 1)) * -1  # the step that c says is not past the end
            if c.kind != "nonnegative" or self.symbol in last.shift.symbols:
                raise self.refuse(f"the equations ask whether {c}, and each sequence ends elsewhere")
            begins = Condition(last + self.margin)
            if not surely(begins, over) and not any(implied(begins, k, over) for k in (*known, *conditions)):
                raise self.refuse(f"the equations ask whether {c}, also before the first step")
            body = mul(self.mask("live", last), body)
        return Guard(conditions, body)

    # --- what a step reads -----------------------------------------------------------------------------

    def before(self, r: Recurrence, back: int, over: Range) -> str:
        """What a step reads as the state ``back`` before it, for the steps of ``over``."""
        key = (r.name, back, over.low, over.size)
        if key not in self.made:
            own, n = self.own(r.name), self.program[r.name]
            here = Range(own[r.position].axis, over.size, over.low)
            domain = (*own[: r.position], here, *own[r.position + 1 :])
            value = self.carried_over(r, Index.axis(here.axis), back, 0, full(domain))
            if self.asked.lengths:
                again = (*full(domain)[: r.position], r.first(back), *full(domain)[r.position + 1 :])
                live = self.mask("live", Index.axis(here.axis) + self.short(r.own.high, f"`{r.name}`"))
                value = Apply("select", (live, value, Read(r.start, again)))
            wanted = f"{n.name}_before" + (f"_{back}" if back > 1 else "")
            self.made[key] = self.define(wanted, n, domain, n.written, value)
        return self.made[key]

    def carried_over(self, r: Recurrence, step: Index, back: int, newest: int, at: tuple[Index, ...]) -> Expr:
        """The state ``back`` before a step, after what befell it up to ``newest`` steps before that one.

        On its way, at each step, what is carried is first cut off and then put back to its start.
        """

        def there(name: str, index: Index) -> Read:
            return Read(name, (*at[: r.position], index, *at[r.position + 1 :]))

        gap = self.T - r.own.high
        e: Expr = there(self.full.get(r.name, r.name), r.earlier(step, back))
        for ago in range(back - 1, newest - 1, -1):
            now, left = r.earlier(step, ago), back - ago
            if self.asked.truncate:
                # Counted from the first step that it takes.
                cut = self.mask("cut", now - r.own.low) if r.forward else self.mask("cut_back", now + gap)
                e = Apply("stop", (cut, e))
            if self.asked.resets:
                again = self.mask("restart" if r.forward else "restart_back", now)
                e = Apply("select", (again, there(r.start, r.first(left)), e))
            if self.asked.lengths and not r.forward:
                e = Apply("select", (self.mask("ends", now + gap), there(r.start, r.first(left)), e))
        return e

    def carried(self, r: Recurrence) -> str:
        """A state's last steps, oldest first, where they are not just the last of its table; else ""."""
        from_end = self.asked.lengths and r.forward
        if not from_end and r.depth == 1:
            return ""
        own, n = self.own(r.name), self.program[r.name]
        before, axis, after = own[: r.position], own[r.position].axis, own[r.position + 1 :]
        name = self.free(f"{n.name}_carried")
        ranges = (*before, Range(axis, Size((), r.depth)), *after)
        self.names.append(Name(name, "defined", ranges, n.written, n.name, True))
        for back in range(1, r.depth + 1):
            place = r.depth - back if r.forward else back - 1
            domain = (*before, Range(axis, Size((), 1), Size((), place)), *after)
            self.equations.append(Equation(name, domain, self.carried_at(r, back, full(domain), domain)))
        return name

    def carried_at(self, r: Recurrence, back: int, at: tuple[Index, ...], domain: tuple[Range, ...]) -> Expr:
        if not (self.asked.lengths and r.forward):
            after = Index((), r.own.high if r.forward else r.own.low - 1)
            return self.carried_over(r, after, back, 1, at)
        gap = self.short(r.own.high, f"`{r.name}`")
        return self.from_the_end(
            lambda t: self.carried_over(r, t + 1 - gap, back, 1, at), gap + back, r.own.low - r.depth, domain
        )
