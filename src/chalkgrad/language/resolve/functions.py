"""Functions that are made of others: softmax, mean, layernorm, … over the last axis or a named one."""

from __future__ import annotations

import math
from collections.abc import Callable

from chalkgrad.equations.ir import Apply, At, Condition, Const, Expr, Guard, Index, Range, Reduce, ReduceOp
from chalkgrad.equations.ops import add, divide, minus, mul, power
from chalkgrad.equations.size import Size
from chalkgrad.equations.walk import substitute
from chalkgrad.language.resolve.sizes import Interval
from chalkgrad.language.resolve.values import RankError, Value
from chalkgrad.language.source import Span

LAYERNORM_EPSILON = 1e-5
"""As in torch.nn.LayerNorm; Ba, Kiros and Hinton 2016 leave it out."""

Collapse = Callable[[tuple[Index, ...]], Expr]


def structured(
    name: str, value: Value, over: tuple[str, Interval] | None, letter: Callable[[], str], span: Span
) -> Value:
    """The function ``name`` of a value, over its last axis or over the axis (and interval) that is named.

    Raises RankError for a scalar with no axis to go over.
    """
    if name in ("gelu", "silu"):
        return Value(value.axes, lambda at: _gated(name, value.build(at)), span, value.transposed)
    if over is None and value.rank == 0:
        raise RankError(
            f"`{name}` goes over an axis, and this is a scalar", f"name the axis: {name}[j](e[i,j])"
        )
    interval = value.axes[-1] if over is None else over[1]
    rest = value.axes[:-1] if over is None else value.axes

    def collapse(
        op: ReduceOp, f: Callable[[Expr], Expr] = lambda e: e, of: Collapse = value.build
    ) -> Collapse:
        k = letter()

        def build(at: tuple[Index, ...]) -> Expr:
            if over is None:
                body = of((*at[: len(rest)], Index.axis(k)))
            else:
                body = substitute(of(at), {over[0]: Index.axis(k)})
            return Reduce(op, (Range(k, interval.size, interval.low),), f(body))

        return build

    def mean(of: Collapse, f: Callable[[Expr], Expr] = lambda e: e) -> Collapse:
        total = collapse("sum", f, of)
        return lambda at: divide(total(at), At(Index((), interval.size)))

    def same(build: Collapse) -> Value:
        return Value(value.axes, build, span, value.transposed)

    x = value.build
    match name:
        case "sum" | "max" | "min" | "logsumexp":
            return Value(rest, collapse(name), span)
        case "mean":
            return Value(rest, mean(x), span)
        case "norm":
            squares = collapse("sum", lambda e: power(e, 2))
            return Value(rest, lambda at: Apply("sqrt", (squares(at),)), span)
        case "softmax":
            total = collapse("logsumexp")
            return same(lambda at: Apply("exp", (minus(x(at), total(at)),)))
        case "logsoftmax":
            total = collapse("logsumexp")
            return same(lambda at: minus(x(at), total(at)))
        case "var" | "layernorm":
            center = mean(x)
            spread = mean(lambda at: minus(x(at), center(at)), lambda e: power(e, 2))
            if name == "var":
                return Value(rest, spread, span)

            def normal(at: tuple[Index, ...]) -> Expr:
                deviation = Apply("sqrt", (add(spread(at), Const(LAYERNORM_EPSILON)),))
                return divide(minus(x(at), center(at)), deviation)

            return same(normal)
        case _:
            raise ValueError(name)


def _gated(name: str, x: Expr) -> Expr:
    """gelu(x) = x Φ(x) (Hendrycks and Gimpel 2016, eq. 2); silu(x) = x σ(x)."""
    if name == "silu":
        return mul(x, Apply("sigmoid", (x,)))
    phi = mul(Const(0.5), add(Const(1), Apply("erf", (mul(x, Const(math.sqrt(0.5))),))))
    return mul(x, phi)


def log_of(value: Value, letter: Callable[[], str], span: Span) -> Value:
    """log, with ``log Σ exp`` computed as logsumexp, which does not overflow."""

    def build(at: tuple[Index, ...]) -> Expr:
        match value.build(at):
            case Reduce("sum", over, Apply("exp", (body,))):
                return Reduce("logsumexp", over, body)
            case Apply("add", args) if all(isinstance(a, Apply) and a.op == "exp" for a in args):
                return _log_add_exp([a.args[0] for a in args if isinstance(a, Apply)], letter())
            case inner:
                return Apply("log", (inner,))

    return Value(value.axes, build, span, value.transposed)


def _log_add_exp(terms: list[Expr], letter: str) -> Expr:
    """log(eᵃ + eᵇ + …) as a logsumexp over the number of the term; -∞ among them is no harm."""
    k = Index.axis(letter)
    chosen = [Guard((Condition(k - n, "zero"),), t) for n, t in enumerate(terms)]
    return Reduce("logsumexp", (Range(letter, Size((), len(terms))),), add(*chosen))
