"""Equations in simple shapes, so that derive can name every result that a slope needs.

After it, a right side is one of three: a function of names, one reduction other than a sum, or a polynomial,
that is a sum of products of names, powers of names and sums of such products. For the plain RNN,

    h[t,k] = tanh(Σ[d] x[t,d] W_x[d,k] + Σ[j] h[t-1,j] W_h[j,k] + b[k])

becomes ``a[t,k] = Σ… + Σ… + b[k]`` and ``h[t,k] = tanh(a[t,k])``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from chalkgrad.calculus.means import less_its_mean
from chalkgrad.calculus.simplify import box, canonical, distinct, surely
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
    full,
)
from chalkgrad.equations.ops import OPS, ZERO_SLOPE, add, mul, otherwise, power
from chalkgrad.equations.walk import bound_axes, free_axes, fresh, nodes, reads, rewrite, substitute


def normalise(program: Program) -> Program:
    """The same layer with functions, their arguments and factors that are sums in equations of their own.

    Generated names are ``a`` (the argument of a function, ``a_i`` where there are several), ``m_h`` (the
    result of a function inside h's equation), ``s_h`` (a sum that is a factor), ``L_y`` (a logsumexp). Equal
    expressions share one. A normalised program comes back unchanged.
    """
    program = without_undone_functions(program)
    fresh = _Fresh(program)
    equations: list[Equation] = []
    for e in program.equations:
        value = distinct(e.value, frozenset(e.axes))
        scope = _Scope(tuple(e.domain), e.target, program[e.target].written)
        new = fresh.right_side(value, scope)
        equations += fresh.take()
        equations.append(Equation(e.target, e.domain, new))
    names = (*program.names, *fresh.names)
    out = Program(tuple(equations), names, program.outputs, program.states, program.columns)
    arguments = [n.name for n in fresh.names if n.name.startswith("a_")]
    if len(arguments) == 1 and "a" not in program.table:
        return renamed(out, arguments[0], "a")
    return out


def without_undone_functions(program: Program) -> Program:
    """The program without a function that only takes back another.

    ``log(y')`` is ``o - logsumexp(o)`` where y' is ``exp(o - logsumexp(o))``, a softmax, and a norm's square
    the sum of squares: the logarithm of a probability too small for a float is still a number, and so is
    the gradient of a squared length at zero.
    """
    exponents = {
        e.target: e
        for e in program.equations
        if isinstance(e.value, Apply) and e.value.op == "exp" and e.domain == program[e.target].ranges
    }

    def rule(part: Expr) -> Expr:
        match part:
            case Apply("log", (Apply("exp", (inner,)),)):
                return inner
            case Apply("pow", (Apply("sqrt", (inner,)), Const(2))):
                return inner
            case Apply("log", (Read(name, at),)) if name in exponents:
                found = exponents[name]
                assert isinstance(found.value, Apply)
                return substitute(found.value.args[0], dict(zip(found.axes, at, strict=True)))
            case _:
                return part

    equations = tuple(Equation(e.target, e.domain, rewrite(e.value, rule)) for e in program.equations)
    return replace(program, equations=equations)


def renamed(program: Program, old: str, new: str) -> Program:
    """The program with a name changed everywhere."""

    def called(n: str) -> str:
        return new if n == old else n

    def reading(e: Expr) -> Expr:
        return Read(called(e.name), e.at) if isinstance(e, Read) else e

    return Program(
        tuple(Equation(called(e.target), e.domain, rewrite(e.value, reading)) for e in program.equations),
        tuple(
            Name(called(n.name), n.role, n.ranges, n.written, called(n.of), n.generated)
            for n in program.names
        ),
        tuple(called(n) for n in program.outputs),
        program.states,
        program.columns,
    )


def is_function(e: Expr) -> bool:
    """Whether this is a function with a slope: not arithmetic, not constant on pieces, not a padded read."""
    match e:
        case Apply("select", _) if otherwise(e):
            return False
        case Apply("add" | "mul", _) | Apply("pow", (_, Const())):
            return False
        case Apply(op, _):
            return any(s is not ZERO_SLOPE for s in OPS[op].slopes)
        case _:
            return False


def varies(e: Expr) -> bool:
    """Whether the expression reads anything at all."""
    return any(True for _ in reads(e))


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where an expression stands: the axes around it, the guards around it, the equation it belongs to."""

    ranges: tuple[Range, ...]
    target: str
    written: int
    reduced: tuple[Range, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def within(self, over: tuple[Range, ...]) -> _Scope:
        return _Scope(self.ranges, self.target, self.written, (*self.reduced, *over), self.conditions)

    def under(self, conditions: tuple[Condition, ...]) -> _Scope:
        kept = (*self.conditions, *conditions)
        return _Scope(self.ranges, self.target, self.written, self.reduced, kept)


class _Fresh:
    """The names generated so far, each found again by the expression that it stands for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names: list[Name] = []
        self.taken = set(program.table)
        self._shared: dict[_Key, tuple[str, tuple[int, ...]]] = {}
        self._waiting: list[Equation] = []

    def take(self) -> list[Equation]:
        """The equations generated since the last call."""
        out, self._waiting = self._waiting, []
        return out

    # Shapes ---------------------------------------------------------------------------------------------

    def right_side(self, e: Expr, scope: _Scope) -> Expr:
        """A whole right side: its outermost function or reduction needs no other name."""
        match e:
            case Guard(conditions, body):
                return Guard(conditions, self.right_side(body, scope.under(conditions)))
            case Apply(op, args) if is_function(e) and varies(e):
                return Apply(op, tuple(self.argument(a, scope) for a in args))
            case Reduce(op, over, body) if op != "sum":
                inner = scope.within(over)
                sums = any(isinstance(n, Reduce) for n in nodes(body))
                return Reduce(
                    op, over, self.named("s", body, inner) if sums else self.polynomial(body, inner)
                )
            case _:
                return self.polynomial(e, scope)

    def argument(self, e: Expr, scope: _Scope) -> Expr:
        """A function's argument: a name, or something that reads none."""
        return e if isinstance(e, Read) or not varies(e) else self.named("a", e, scope)

    def polynomial(self, e: Expr, scope: _Scope) -> Expr:
        """A sum of products, in which functions and reductions other than sums are names."""
        if not varies(e):
            return e
        match e:
            case Const() | At() | Read() | ArgMax():
                return e
            case Apply("add", (*scores, Apply("mul", (Const(), Reduce("logsumexp", _, _))) as total)):
                # A softmax: its score is one name, also where that is a sum, W x + b.
                whole = self.polynomial(total, scope)
                score = self.polynomial(add(*scores), scope)
                return add(self.known(score, scope) or score, whole)
            case Apply("add") if found := less_its_mean(e, (*scope.ranges, *scope.reduced)):
                # A layer norm: what the mean is of is one name, also where that is a sum, x W.
                return found.of(self.named("s", found.score, scope))
            case Apply("add", args):
                terms = [self.polynomial(a, scope) for a in args]
                # A softmax's score is the body of its logsumexp too, which has named it by now.
                return add(*(self.known(t, scope) or t for t in terms))
            case Apply("mul", args):
                return self.product(args, scope)
            case Apply("pow", (base, Const(k))):
                return power(base if _is_plain(base) else self.named("m", base, scope), k)
            case Apply():
                return self.named("m", e, scope) if is_function(e) else e
            case Reduce("sum", over, body):
                return _summed(over, self.polynomial(body, scope.within(over)))
            case Reduce(op, _, _):
                return self.named("L" if op == "logsumexp" else "m", e, scope)
            case Guard(conditions, body):
                return Guard(conditions, self.polynomial(body, scope.under(conditions)))
            case _:
                assert_never(e)

    def product(self, factors: tuple[Expr, ...], scope: _Scope) -> Expr:
        """A product of which no factor sums, unless it is the only one that reads anything."""
        guards = tuple(c for f in factors if isinstance(f, Guard) for c in f.conditions)
        if guards:
            inside = tuple(f.body if isinstance(f, Guard) else f for f in factors)
            return Guard(guards, self.product(inside, scope.under(guards)))
        alone = sum(varies(f) for f in factors) == 1
        done: list[Expr] = []
        for f in factors:
            sums = any(isinstance(n, Reduce) and n.op == "sum" for n in nodes(f)) and not is_function(f)
            if sums and not (alone and isinstance(f, Reduce)) and not _is_power(f):
                done.append(self.named("s", f, scope))
            else:
                done.append(self.polynomial(f, scope))
        return mul(*done)

    # Names ----------------------------------------------------------------------------------------------

    def named(self, letter: str, e: Expr, scope: _Scope) -> Expr:
        """A read of the name that stands for ``e``, whose equation is made where there is none yet."""
        free = set(free_axes(e))
        conditions = tuple(c for c in scope.conditions if set(c.index.axes) <= free)
        if len(conditions) < len(scope.conditions) and _reads_at_bound_axes(e):
            free |= {a for c in scope.conditions for a in c.index.axes}
            conditions = scope.conditions
        domain, written = self.domain(e, scope, free)
        if len(conditions) < len(scope.conditions):
            conditions += self.reaches(e, domain, conditions)
        value = self.right_side(e, _Scope(domain, scope.target, written, (), conditions))
        if conditions:
            value = Guard(conditions, value)
        key, order = _key(value, domain)
        if key not in self._shared:
            name = self.free_name(f"{letter}_{scope.target}")
            equation = _unprimed(Equation(name, domain, value))
            self.names.append(Name(name, "defined", equation.domain, written, scope.target, True))
            self._waiting.append(equation)
            self._shared[key] = name, tuple(order.index(r.axis) for r in domain)
        name, positions = self._shared[key]
        return Read(name, tuple(Index.axis(order[p]) for p in positions))

    def known(self, value: Expr, scope: _Scope) -> Read | None:
        """The name that stands for an expression already, if that is one with a sum in it."""
        if scope.conditions or not any(isinstance(n, Reduce) for n in nodes(value)):
            return None
        free = set(free_axes(value))
        key, order = _key(value, tuple(r for r in (*scope.ranges, *scope.reduced) if r.axis in free))
        if key not in self._shared:
            return None
        name, positions = self._shared[key]
        return Read(name, tuple(Index.axis(order[p]) for p in positions))

    def domain(self, e: Expr, scope: _Scope, free: set[str]) -> tuple[tuple[Range, ...], int]:
        """The ranges of ``e``'s free axes, those that stand in brackets first, and how many do."""
        bracketed = {r.axis for r in scope.ranges[: scope.written]}
        bracketed |= self.bracketed(e) & {r.axis for r in scope.reduced}
        around = [r for r in (*scope.ranges, *scope.reduced) if r.axis in free]
        first = [r for r in around if r.axis in bracketed]
        return (*first, *(r for r in around if r.axis not in bracketed)), len(first)

    def bracketed(self, e: Expr) -> set[str]:
        """The axes that some read has in brackets."""
        table = {**self.program.table, **{n.name: n for n in self.names}}
        return {a for r in reads(e) for index in r.at[: table[r.name].written] for a in index.axes}

    def reaches(
        self, e: Expr, domain: tuple[Range, ...], known: tuple[Condition, ...]
    ) -> tuple[Condition, ...]:
        """What keeps each read inside its name, where a guard that did so could not come along."""
        table = {**self.program.table, **{n.name: n for n in self.names}}
        found: dict[Condition, None] = {}
        for r in reads(e):
            for index, interval in zip(r.at, table[r.name].ranges, strict=True):
                found[Condition(index - interval.low)] = None
                found[Condition(index * -1 + (interval.high - 1))] = None
        return tuple(c for c in found if c not in known and not surely(c, box(domain)))

    def free_name(self, wanted: str) -> str:
        name, k = wanted, 1
        while name in self.taken:
            k += 1
            name = f"{wanted}_{k}"
        self.taken.add(name)
        return name


_Key = tuple[Expr, tuple[Range, ...]]


def _key(value: Expr, domain: tuple[Range, ...]) -> tuple[_Key, tuple[str, ...]]:
    """What equal expressions share whatever their letters, and the axes in the order of its numbers."""
    by_axis = box(domain)
    # Numbered by first appearance, so that m[i,j] and m[i,j′] are one name wherever they stand.
    order = tuple(a for a in free_axes(value) if a in by_axis)
    order += tuple(a for a in by_axis if a not in order)
    numbers = {a: f"@{k}" for k, a in enumerate(order)}
    intervals = tuple(Range(n, by_axis[a].size, by_axis[a].low) for a, n in numbers.items())
    return (canonical(value, {a: Index.axis(n) for a, n in numbers.items()}), intervals), order


def _unprimed(e: Equation) -> Equation:
    """The equation over letters without the primes that kept them apart where it was taken from."""
    letters: dict[str, str] = {}
    for axis in e.axes:
        letters[axis] = fresh(axis.rstrip("′"), {*letters.values(), *e.axes} - {axis})
    changed = {old: Index.axis(new) for old, new in letters.items() if old != new}
    domain = tuple(Range(letters[r.axis], r.size, r.low) for r in e.domain)
    return Equation(e.target, domain, distinct(substitute(e.value, changed), frozenset(letters.values())))


def _reads_at_bound_axes(e: Expr) -> bool:
    """Whether some read's reach depends on an axis that the expression itself binds."""
    inner = bound_axes(e)
    return any(inner & set(i.axes) for r in reads(e) for i in r.at)


def _is_power(e: Expr) -> bool:
    return isinstance(e, Apply) and e.op == "pow"


def _is_plain(e: Expr) -> bool:
    """A read, or a sum of reads and numbers, possibly with numbers before them."""
    match e:
        case Read() | Const() | At():
            return True
        case Apply("add", args):
            return all(_is_plain(a) for a in args)
        case Apply("mul", (Const(), body)):
            return isinstance(body, Read)
        case _:
            return False


def _summed(over: tuple[Range, ...], body: Expr) -> Expr:
    """Σ over + and Σ of Σ, taken apart and together."""
    match body:
        case Apply("add", terms):
            return add(*(_summed(over, t) for t in terms))
        case Reduce("sum", more, inner):
            return Reduce("sum", (*over, *more), inner)
        case _:
            return Reduce("sum", over, body)


def matching(e: Expr, program: Program, over: tuple[Range, ...]) -> Expr:
    """The expression with parts that some equation of the program already computes replaced by reads of it.

    A softmax is ``exp(e - L)``; where its gradient needs that again it reads the result.
    """
    ranges = box(over)
    known: dict[Expr, Name] = {}
    for q in program.equations:
        n = program[q.target]
        # Only names that have one equation, and it everywhere.
        if q.domain == n.ranges and (n.generated or is_function(q.value)):
            known.setdefault(_pattern(q.value, q.axes), n)

    def rule(part: Expr) -> Expr:
        axes = free_axes(part)
        n = known.get(_pattern(part, axes)) if isinstance(part, Apply) else None
        if n is None or not all(a in ranges for a in axes):
            return part
        [q] = program.defining(n.name)
        named = dict(zip(free_axes(q.value), axes, strict=True))
        if len(named) < len(n.ranges):
            return part
        at = {old: Index.axis(new) for old, new in named.items()}
        same = all(
            (r.low, r.size) == (ranges[named[r.axis]].low, ranges[named[r.axis]].size) for r in n.ranges
        )
        return substitute(Read(n.name, full(n.ranges)), at) if same else part

    return rewrite(e, rule)


def _pattern(e: Expr, axes: tuple[str, ...]) -> Expr:
    """The expression with its free axes numbered in order of appearance."""
    order = free_axes(e) if set(axes) >= set(free_axes(e)) else axes
    return canonical(e, {a: Index.axis(f"@{k}") for k, a in enumerate(order)})
