"""Expressions as code over whole slices: arithmetic, functions, contractions, maxima."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from chalkgrad.calculus.simplify import canonical
from chalkgrad.equations.ir import (
    Apply,
    ArgMax,
    At,
    Const,
    Expr,
    Guard,
    Index,
    Range,
    Read,
    Reduce,
    full,
)
from chalkgrad.equations.walk import free_axes, substitute
from chalkgrad.kernels.script.access import reading
from chalkgrad.kernels.script.body import Body, ranges_of, scalar
from chalkgrad.kernels.script.contraction import Factors, contracted
from chalkgrad.kernels.script.parts import Part, constants, parts_of, settled, tangled, to_loop
from chalkgrad.kernels.script.pieces import (
    ATOM,
    PRODUCT,
    SUM,
    Piece,
    added,
    as_number,
    multiplied,
    permuted,
    raised,
    together,
)

Box = Mapping[str, Range]


def expression(b: Body, e: Expr, box: Box) -> Piece:
    """The value of an expression over the axes of ``box``, in whose order the axes of a result should lie."""
    order = tuple(box)
    match e:
        case Const(value):
            return _number(b, value)
        case At(index):
            return _position(b, index, box)
        case Read(name, at):
            return reading(b, b.arrays[name], at, box)
        case Apply("exp", (inner,)) if (found := _softmax(inner)) is not None:
            axis, score = found
            p = expression(b, score, box)
            return Piece(b.library.softmax(p.code, p.axes.index(axis)), p.axes)
        case Apply("add", _) | Guard() | Reduce("sum", _, _):
            return _total(b, e, box)
        case Apply("mul", _) | Apply("pow", (_, Const())):
            return product(b, e, (), box)
        case Apply("pow", (base, exponent)):
            [x, k], axes = together([expression(b, base, box), expression(b, exponent, box)], order)
            return replace(raised(x, k.at(ATOM)), axes=axes)
        case Apply("step", (x,)):
            p = expression(b, x, box)
            code = f"({p.code} > 0)"
            return Piece(code, p.axes, counted=b.library.counted(code, b.like))
        case Apply("equal", (x, y)):
            [p, q], axes = together([expression(b, x, box), expression(b, y, box)], order)
            code = f"({p.code} == {q.code})"
            return Piece(code, axes, counted=b.library.counted(code, b.like))
        case Apply("maximum" | "minimum" as op, (x, y)):
            [p, q], axes = together(
                [as_number(expression(b, x, box)), as_number(expression(b, y, box))], order
            )
            return Piece(b.library.extreme(op, p, q), axes)
        case Apply("select", choice):
            parts, axes = together([as_number(expression(b, a, box)) for a in choice], order)
            return Piece(b.library.selected(*(p.at(ATOM) for p in parts)), axes)
        case Apply("stop", (_, x)) if not b.library.torch:
            return expression(b, x, box)  # the gradient is written out: there is none to stop
        case Apply("stop", stopped):
            parts, axes = together([as_number(expression(b, a, box)) for a in stopped], order)
            return Piece(b.library.stopped(*(p.at(ATOM) for p in parts)), axes)
        case Apply(op, (x,)):
            p = as_number(expression(b, x, box))
            return Piece(b.library.function(op, p), p.axes, number=p.number)
        case Apply(op, _):
            raise AssertionError(f"no code for {op}")
        case Reduce(op, over, body):
            return _most(b, op, over, body, box)
        case ArgMax(over, axis, body):
            return _winner(b, over, axis, body, box)
        case _:
            assert_never(e)


def _number(b: Body, value: float) -> Piece:
    if value in (float("inf"), float("-inf")):
        code = b.library.infinity
    else:
        code = repr(int(value) if float(value).is_integer() and abs(value) < 1e15 else float(value))
    if value == float("-inf"):
        code = "-" + code
    return Piece(code, (), SUM if code.startswith("-") else ATOM, number=True)


def _position(b: Body, index: Index, box: Box) -> Piece:
    axes = [a for a in index.axes if a in box]
    if not axes:
        code = b.size(index.shift)
        level = SUM if " + " in code or " - " in code or code[0] == "-" else PRODUCT if "*" in code else ATOM
        p = Piece(code, (), level, number=True)
    else:
        terms = [Piece(b.size(index.shift), number=True)] if index.shift.terms or index.shift.const else []
        for a, k in index.terms:
            r = box[a]
            line = Piece(b.library.positions(b.size(r.low), b.size(r.high), b.like), (a,))
            terms.append(
                line if k == 1 else multiplied([Piece(str(k), (), SUM, number=True), line], [], (a,))
            )
        p = added([(False, t) for t in terms], tuple(box))
    return p if index.divisor == 1 else Piece(f"{p.at(PRODUCT)} / {index.divisor}", p.axes, PRODUCT)


def _softmax(e: Expr) -> tuple[str, Expr] | None:
    """The axis and the score of ``score - logsumexp(score)``."""
    match e:
        case Apply("add", (score, Apply("mul", (Const(-1), Reduce("logsumexp", (r,), body))))):
            pass
        case Apply("add", (Apply("mul", (Const(-1), Reduce("logsumexp", (r,), body))), score)):
            pass
        case _:
            return None
    for axis in free_axes(score):
        if canonical(substitute(body, {r.axis: Index.axis(axis)})) == canonical(score):
            return axis, score
    return None


# --- sums ----------------------------------------------------------------------------------------------


def plain(b: Body, p: Part) -> Part | None:
    """The part with its conditions settled, where it is one expression over all of its box; else None."""
    s = settled(b, p)
    if s is None or s.conditions or dict(s.box) != dict(p.box) or to_loop(b, s):
        return None
    return s


def _total(b: Body, e: Expr, box: Box) -> Piece:
    found = [plain(b, p) for p in parts_of(e, (), box)]
    if any(p is None for p in found):
        return hoisted(b, e, box)
    return sum_of(b, [p for p in found if p is not None])


def sum_of(b: Body, parts: list[Part]) -> Piece:
    """Plain parts over one box, added."""
    signed: list[tuple[bool, Piece]] = []
    for p in parts:
        minus, body = _sign(p.body)
        signed.append((minus, product(b, body, tuple(p.over.values()), p.box)))
    return added(signed, tuple(parts[0].box))


def _sign(e: Expr) -> tuple[bool, Expr]:
    match e:
        case Const(value) if value < 0:
            return True, Const(-value)
        case Apply("mul", (Const(value), *rest)) if value < 0:
            front = () if value == -1 else (Const(-value),)
            whole = (*front, *rest)
            return True, whole[0] if len(whole) == 1 else Apply("mul", whole)
        case _:
            return False, e


def product(b: Body, e: Expr, over: tuple[Range, ...], box: Box) -> Piece:
    """A product of factors, summed over ``over``."""
    inner = {**box, **{r.axis: r for r in over}}
    order = tuple(inner)
    value, factors = constants(e.args if isinstance(e, Apply) and e.op == "mul" else (e,))
    above: list[Piece] = []
    below: list[Piece] = []
    for f in factors:
        if isinstance(f, Apply) and f.op == "pow" and isinstance(f.args[1], Const):
            k = f.args[1].value
            p = as_number(expression(b, f.args[0], inner))
            if k < 0:
                below.append(p if k == -1 else raised(p, _number(b, -k).code))
            else:
                above.append(raised(p, _number(b, k).code))
        else:
            above.append(expression(b, f, inner))
    present = {a for p in (*above, *below) for a in p.axes}
    for r in over:
        if r.axis not in present:  # Σ over what nothing depends on
            code = b.size(r.size)
            above.append(Piece(code, (), SUM if " " in code else ATOM, number=True))
    numbers = [] if value in (1, -1) and (above or below) else [_number(b, abs(value))]
    summed = [r.axis for r in over if r.axis in present]
    p = contracted(b.library, Factors((*numbers, *above), tuple(below)), summed, order)
    if value < 0:
        p = Piece(f"-{p.at(PRODUCT)}", p.axes, PRODUCT, number=p.number)
    return p


def hoisted(b: Body, e: Expr, box: Box) -> Piece:
    """A value that takes statements of its own, computed before the line that is being written."""
    free = set(free_axes(e))
    ranges = ranges_of((a for a in box if a in free), box)
    held = b.temporary("part", ranges)
    b.fill(b, held, full(ranges), {r.axis: r for r in ranges}, e)
    return Piece(held.name, tuple(r.axis for r in ranges))


# --- maxima --------------------------------------------------------------------------------------------


def _most(b: Body, op: str, over: tuple[Range, ...], body: Expr, box: Box) -> Piece:
    """A maximum, minimum or logsumexp: over axes of arrays, and over a stack of what must be loops."""
    inner = {**box, **{r.axis: r for r in over}}
    groups = tangled(body, inner)
    loops = tuple(r for r in over if any(r.axis in g for g in groups))
    if loops:
        rest = tuple(r for r in over if r not in loops)
        body = Reduce(op, rest, body) if rest else body  # type: ignore[arg-type]
        stack, axes = _stacked(b, loops, body, box)
        return Piece(b.library.most(op, stack.at(ATOM), [0]), axes)
    p = permuted(as_number(expression(b, body, inner)), tuple(inner))
    axes = [r.axis for r in over if r.axis in p.axes]
    places = [p.axes.index(a) for a in axes]
    rest = tuple(a for a in p.axes if a not in axes)
    code = p.at(ATOM) if op != "logsumexp" else p.code
    found = Piece(b.library.most(op, code, places), rest) if places else p
    absent = [b.size(r.size) for r in over if r.axis not in axes]
    if op == "logsumexp" and absent:
        count = Piece(" * ".join(f"({size})" for size in absent), number=True)
        more = Piece(b.library.function("log", count), number=True)
        return added([(False, found), (False, more)], tuple(box))
    return found


def _winner(b: Body, over: tuple[Range, ...], axis: str, body: Expr, box: Box) -> Piece:
    """Where the first maximum is, along one of the axes: a place in a stack, taken apart row by row."""
    stack, axes = _stacked(b, over, body, box)
    place = [r.axis for r in over].index(axis)
    code, level = b.library.argmax(stack.at(ATOM)), ATOM
    inner = " * ".join(b.size(r.size) for r in over[place + 1 :])
    if inner:
        code, level = f"{code} // {f'({inner})' if ' ' in inner else inner}", PRODUCT
    if place:
        size = Piece(b.size(over[place].size), (), SUM if " " in b.size(over[place].size) else ATOM)
        code, level = f"{code} % {size.at(ATOM)}", PRODUCT
    low = over[place].low
    if low.terms or low.const:
        code, level = f"{code} + {b.size(low)}", SUM
    return Piece(code, axes, level)


def _stacked(b: Body, over: tuple[Range, ...], body: Expr, box: Box) -> tuple[Piece, tuple[str, ...]]:
    """The body for every point of ``over``, stacked along a first axis."""
    free = set(free_axes(body))
    wanted = tuple(a for a in box if a in free)
    start, depth = len(b.lines), b.depth
    heads: list[str] = []
    symbols: list[str] = []
    for r in over:
        symbols.append(b.symbol(r.axis, r))
        ends = b.size(r.high) if not r.low.terms and not r.low.const else f"{b.size(r.low)}, {b.size(r.high)}"
        heads.append(f"for {b.spelled[symbols[-1]]} in range({ends})")
    values = {r.axis: scalar(s) for r, s in zip(over, symbols, strict=True)}
    b.depth += len(over)
    p = permuted(as_number(expression(b, substitute(body, values), box)), wanted)
    b.depth = depth
    for s in symbols:
        b.names.taken.discard(b.spelled[s])
    hoists = b.lines[start:]
    call = f"{b.library.name}.stack"
    if p.axes != wanted:  # a stack is of arrays of one shape
        raise AssertionError(f"{p.code} lacks axes of {wanted}")
    if not hoists:
        return Piece(b.stack(f"{call}(", f"[{p.code} {' '.join(heads)}]")), wanted
    del b.lines[start:]
    held = b.names.free("windows")
    b.write(f"{held} = []")
    for k, head in enumerate(heads):
        b.lines.append("    " * (depth + k) + head + ":")
    b.lines += [*hoists, "    " * (depth + len(over)) + f"{held}.append({p.code})"]
    return Piece(f"{call}({held})"), wanted
