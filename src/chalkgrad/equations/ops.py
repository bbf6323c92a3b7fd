"""One record per function: its slopes, and how it is written in each language.

A slope is the partial derivative by an argument, as an expression in the result ``y`` and the arguments:
tanh's
is ``1 - y²``. ``add``, ``mul`` and ``pow`` are built with :func:`add`, :func:`mul`, :func:`power`, which drop
what does nothing, so that derived equations come out as a person would write them.

One test walks over every record, so a function without a test cannot exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from chalkgrad.equations.ir import Apply, Condition, Const, Expr, Guard, Read

Slope = Callable[[Expr, tuple[Expr, ...]], Expr]


# --- arithmetic ----------------------------------------------------------------------------------------


def add(*terms: Expr) -> Expr:
    """The sum, flattened, numbers gathered, zeros dropped.

    >>> add(Const(1), Const(2), Const(-3))
    Const(value=0)
    """
    flat: list[Expr] = []
    number = 0.0
    for t in terms:
        for u in t.args if isinstance(t, Apply) and t.op == "add" else (t,):
            if isinstance(u, Const):
                number += u.value
            else:
                flat.append(u)
    if number:
        # Numbers stand in front, so that it reads 1 - h² and not -h² + 1.
        flat.insert(0, Const(_tidy(number)))
    if not flat:
        return Const(0)
    return flat[0] if len(flat) == 1 else Apply("add", tuple(flat))


def mul(*factors: Expr) -> Expr:
    """The product, flattened, numbers gathered in front, ones dropped; zero if a factor is."""
    flat: list[Expr] = []
    number = 1.0
    for f in factors:
        for g in f.args if isinstance(f, Apply) and f.op == "mul" else (f,):
            if isinstance(g, Const):
                number *= g.value
            else:
                flat.append(g)
    if number == 0 or not flat:
        return Const(_tidy(number))
    if number != 1:
        flat.insert(0, Const(_tidy(number)))
    return flat[0] if len(flat) == 1 else Apply("mul", tuple(flat))


def power(base: Expr, exponent: float) -> Expr:
    """``base`` to a constant power."""
    if exponent == 0:
        return Const(1)
    if exponent == 1:
        return base
    if isinstance(base, Const) and (base.value > 0 or (base.value and float(exponent).is_integer())):
        return Const(_tidy(float(base.value) ** exponent))
    if isinstance(base, Apply) and base.op == "pow" and isinstance(base.args[1], Const):
        inner = base.args[1].value
        # (x²)^½ is |x|, not x: exponents only multiply where the inner one is odd or the outer one whole.
        if float(exponent).is_integer():
            return power(base.args[0], inner * exponent)
    return Apply("pow", (base, Const(_tidy(exponent))))


def negative(e: Expr) -> Expr:
    return mul(Const(-1), e)


def minus(a: Expr, b: Expr) -> Expr:
    return add(a, negative(b))


def divide(a: Expr, b: Expr) -> Expr:
    return mul(a, power(b, -1))


def apply(op: str, *args: Expr) -> Expr:
    """A function of :data:`OPS` applied; arithmetic goes through its constructors."""
    match op:
        case "add":
            return add(*args)
        case "mul":
            return mul(*args)
        case "pow" if isinstance(args[1], Const):
            return power(args[0], args[1].value)
        case _:
            return Apply(op, args)


def or_else(conditions: tuple[Condition, ...], body: Expr, value: float) -> Expr:
    """``body`` where the conditions hold and a number elsewhere: a read with ``-∞ outside``.

    >>> from chalkgrad.equations.ir import Index, Read
    >>> i = Index.axis("i")
    >>> e = or_else((Condition(i - 1),), Read("x", (i - 1,)), -math.inf)
    >>> otherwise(e) == ((Condition(i - 1),), Read("x", (i - 1,)), -math.inf)
    True
    """
    return Apply("select", (Guard(conditions, Const(1)), Guard(conditions, body), Const(value)))


def otherwise(e: Expr) -> tuple[tuple[Condition, ...], Read, float] | None:
    """The parts of a read with a number outside; None for anything else."""
    match e:
        case Apply("select", (Guard(a, Const(1)), Guard(b, Read() as read), Const(value))) if a == b:
            return a, read, value
        case _:
            return None


def _tidy(x: float) -> float:
    return int(x) if float(x).is_integer() and abs(x) < 2**53 else x


# --- functions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Op:
    """A function: its slopes, its names elsewhere, and an interval on which to test it.

    ``torch`` names a function of the torch module; the eager backend has the few that torch lacks.
    ``slopes[k](result, arguments)`` is the partial derivative by argument k.
    """

    name: str
    slopes: tuple[Slope, ...]
    torch: str
    latex: str
    symbol: str = ""
    aliases: tuple[str, ...] = ()
    interval: tuple[float, float] = (-3.0, 3.0)

    @property
    def arity(self) -> int:
        return len(self.slopes)

    @property
    def shown(self) -> str:
        """How the name is printed in text."""
        return self.symbol or self.name


def _one(slope: Callable[[Expr, Expr], Expr]) -> tuple[Slope, ...]:
    return (lambda y, args: slope(y, args[0]),)


def _step(x: Expr) -> Expr:
    return Apply("step", (x,))


ZERO_SLOPE: Slope = lambda _y, _args: Const(0)  # noqa: E731

_RECORDS = (
    Op(
        "sigmoid", _one(lambda y, _: mul(y, minus(Const(1), y))), "sigmoid", r"\sigma", "σ", ("σ", "logistic")
    ),
    Op("tanh", _one(lambda y, _: minus(Const(1), power(y, 2))), "tanh", r"\tanh"),
    Op("relu", _one(lambda y, _: _step(y)), "relu", r"\operatorname{relu}", aliases=("ReLU",)),
    Op(
        "softplus",
        _one(lambda _, x: Apply("sigmoid", (x,))),
        "nn.functional.softplus",
        r"\operatorname{softplus}",
    ),
    Op("exp", _one(lambda y, _: y), "exp", r"\exp"),
    Op("log", _one(lambda _, x: power(x, -1)), "log", r"\log", aliases=("ln",), interval=(0.2, 4.0)),
    Op(
        "sqrt",
        _one(lambda y, _: mul(Const(0.5), power(y, -1))),
        "sqrt",
        r"\operatorname{sqrt}",
        interval=(0.2, 4.0),
    ),
    Op("abs", _one(lambda _, x: Apply("sign", (x,))), "abs", r"\operatorname{abs}"),
    Op("sign", (ZERO_SLOPE,), "sign", r"\operatorname{sign}", aliases=("sgn",)),
    # 1 where the argument is positive and 0 elsewhere: relu's slope, which is 0 at 0 as torch's is.
    Op("step", (ZERO_SLOPE,), "step", r"\operatorname{step}"),
    Op(
        "erf",
        _one(lambda _, x: mul(Const(2 / math.sqrt(math.pi)), Apply("exp", (negative(power(x, 2)),)))),
        "erf",
        r"\operatorname{erf}",
    ),
    # elu's slope is exp(x) = y + 1 below zero and 1 above: min(y, 0) + 1.
    Op(
        "elu",
        _one(lambda y, _: add(Const(1), Apply("minimum", (y, Const(0))))),
        "nn.functional.elu",
        r"\operatorname{elu}",
        aliases=("ELU",),
    ),
    Op(
        "leaky_relu",
        _one(lambda _, x: add(Const(0.01), mul(Const(0.99), _step(x)))),
        "nn.functional.leaky_relu",
        r"\operatorname{leaky\_relu}",
    ),
    # Of two equal arguments the first wins, as in a maximum over an axis.
    Op(
        "maximum",
        (lambda _, a: minus(Const(1), _step(minus(a[1], a[0]))), lambda _, a: _step(minus(a[1], a[0]))),
        "maximum",
        r"\max",
        "max",
    ),
    Op(
        "minimum",
        (lambda _, a: minus(Const(1), _step(minus(a[0], a[1]))), lambda _, a: _step(minus(a[0], a[1]))),
        "minimum",
        r"\min",
        "min",
    ),
    # Whether two indices agree (1 or 0): picks the winner out of a maximum.
    Op("equal", (ZERO_SLOPE, ZERO_SLOPE), "equal", "="),
    # select(m, a, b) is a where m is 1 and b where it is 0, also where the other one is no number.
    Op(
        "select",
        (ZERO_SLOPE, lambda _, a: a[0], lambda _, a: minus(Const(1), a[0])),
        "where",
        r"\operatorname{select}",
    ),
    # stop(m, x) is x, and where m is 1 no gradient goes through it: its slope is not its derivative.
    Op("stop", (ZERO_SLOPE, lambda _, a: minus(Const(1), a[0])), "stop", r"\operatorname{stop}"),
    Op("add", (lambda _y, _a: Const(1), lambda _y, _a: Const(1)), "add", "+"),
    Op("mul", (lambda _y, a: a[1], lambda _y, a: a[0]), "mul", r"\odot"),
    # A constant exponent is the rule; a variable one (xʸ) is exp(y log x), so x must be positive.
    Op(
        "pow",
        (lambda _y, a: _pow_slope(a[0], a[1]), lambda y, a: mul(y, Apply("log", (a[0],)))),
        "pow",
        "^",
        interval=(0.2, 3.0),
    ),
)


def _pow_slope(base: Expr, exponent: Expr) -> Expr:
    if isinstance(exponent, Const):
        return mul(exponent, power(base, exponent.value - 1))
    return mul(exponent, Apply("pow", (base, add(exponent, Const(-1)))))


OPS: dict[str, Op] = {op.name: op for op in _RECORDS}

FUNCTIONS: dict[str, str] = {
    written: op.name for op in _RECORDS if op.arity == 1 for written in (op.name, *op.aliases)
}
"""What may be written before a bracket → the op it means (functions of one argument, point by point)."""
