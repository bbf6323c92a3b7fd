"""What a trace is computed from: a tensor for each input, parameter, start and seed, and every size."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chalkgrad.equations.ir import Name, Program, Range, State
from chalkgrad.equations.size import ONE, Size
from chalkgrad.language.resolve import Resolved
from chalkgrad.language.source import EquationError
from chalkgrad.nn.sizes import Given, Numbers, own_ranges
from chalkgrad.tracing.values import Values, plain, tensor

STEPS = 3
"""How many steps a trace of random numbers has where nothing else is said."""

MOST_NUMBERS = 2_000_000
"""How many numbers all arrays of a trace may hold together: more cannot be followed."""

KERNEL = 3
"""How large the parameters of a picture are: a kernel that has a middle."""

SMALL = (2, 3)
"""Sizes that are drawn where none is given."""


@dataclass(frozen=True)
class Start:
    """Everything given, by name, one example; ``seeds`` are by output, ``chosen`` are names nobody gave."""

    tensors: Mapping[str, Tensor]
    seeds: Mapping[str, Tensor]
    numbers: Mapping[str, int]
    chosen: frozenset[str]


def given(
    resolved: Resolved,
    values: Values,
    sizes: Mapping[str, Given],
    steps: int | None = None,
    random: bool = False,
    seed: int = 0,
    positive: bool = False,
) -> Start:
    """The tensors to begin with, of the shapes that the equations want.

    Starts that are not given are zero and seeds one; with ``random``, inputs and parameters that are not
    given are drawn (``positive``, where a logarithm needs it): numbers with one digit after the point, which
    a pencil can follow. Raises EquationError for names, shapes and sizes that do not fit, and for what is
    missing.
    """
    program = resolved.program
    by_name = _by_name(program, values)
    numbers = Numbers(resolved, sizes)
    if steps is not None:
        _take_steps(numbers, steps)
    found: dict[str, Tensor] = {}
    for name, x in by_name.items():
        n = program[name]
        found[name] = _fitted(numbers, n, _seen_as(program, n, own_ranges(resolved, n)), x)
    missing = [n for n in program.given("input", "parameter") if n.name not in found]
    if missing and not random:
        raise _missing(numbers, missing)
    if random:
        _choose_sizes(numbers, steps)
    numbers.check_reads()
    known = _all_numbers(numbers)
    held = sum(math.prod(r.size.value(known) for r in n.ranges) for n in program.names)
    if held > MOST_NUMBERS:
        raise too_long(f"{held} numbers")
    chosen: set[str] = set()
    generator = torch.Generator().manual_seed(seed)
    for n in missing:
        shape = [r.size.value(known) for r in n.ranges]
        start = resolved.init.get(n.name)
        drawn = torch.randint(1 if positive else -9, 10, shape, generator=generator).double() / 10
        found[n.name] = torch.full(shape, float(start), dtype=torch.float64) if start is not None else drawn
        chosen.add(n.name)
    for n in program.given("start"):
        shape = [r.size.value(known) for r in n.ranges]
        found[n.name] = found[n.name].reshape(shape) if n.name in found else torch.zeros(shape).double()
    seeds: dict[str, Tensor] = {}
    for output in program.outputs:
        own = own_ranges(resolved, program[output])
        shape = [r.size.value(known) for r in own]
        seeds[output] = found.pop(output) if output in found else torch.ones(shape).double()
    return Start(found, seeds, known, frozenset(chosen))


# --- names ---------------------------------------------------------------------------------------------


def _by_name(program: Program, values: Values) -> dict[str, Tensor]:
    """The values by the names of the program; what arrives from a loss, by its output."""
    names = {n.name: n.name for n in program.names if n.role in ("input", "parameter", "start")}
    barred = {f"{o}\u0304": o for o in program.outputs} | {f"∂{o}": o for o in program.outputs}
    if len(program.outputs) == 1:
        barred.setdefault("ȳ", program.outputs[0])
    accepted = {plain(spelled): name for spelled, name in (*barred.items(), *names.items())}
    found: dict[str, Tensor] = {}
    for key, value in values.items():
        name = names.get(key) or accepted.get(plain(str(key)))
        if name is None:
            raise _unknown(program, str(key), [*names, *barred])
        if name in found:
            raise EquationError(f"`{name}` is given twice", help="give each name once")
        found[name] = tensor(str(key), value)
    return found


def _unknown(program: Program, key: str, known: list[str]) -> EquationError:
    if key in program.table:
        return EquationError(f"`{key}` is computed by the equations, not given", help=f"leave `{key}` out")
    near = [n for n in known if n.casefold() == key.casefold()] or difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "they have " + ", ".join(known)
    return EquationError(f"these equations have no `{key}`", help=hint)


# --- shapes --------------------------------------------------------------------------------------------


def _seen_as(program: Program, n: Name, ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The axes that a writer gives: a start of one step has no axis for it."""
    state = _state(program, n.name)
    if state is None or state.depth > 1:
        return ranges
    return (*ranges[: state.position], *ranges[state.position + 1 :])


def _state(program: Program, start: str) -> State | None:
    return next((s for s in program.states if s.start == start), None)


def _fitted(numbers: Numbers, n: Name, ranges: tuple[Range, ...], x: Tensor) -> Tensor:
    """The tensor, when its shape fits; its sizes are learnt from it."""
    whole = x.shape
    if n.role == "input" and x.dim() == len(ranges) + 1:
        if len(x) != 1:
            raise numbers.fail(
                f"`{n.name}` has {len(x)} examples ({_by(x.shape)}), and a trace follows one",
                n.name,
                help=f"give one of them: {n.name} is {_form(numbers, ranges)}",
            )
        x = x[0]
    if n.role == "start" and _state_axis(numbers, n) and x.dim() == len(n.ranges) == len(ranges) + 1:
        x = x.reshape([k for d, k in enumerate(x.shape) if d != _position(numbers, n)])
    if x.dim() != len(ranges):
        raise numbers.fail(
            f"`{n.name}` is {_by(whole)}, and {_form(numbers, ranges)} is needed",
            n.name,
            help=_literal(ranges),
        )
    for r, k in zip(ranges, x.shape, strict=True):
        if not numbers.unknowns.unify(r.size, numbers.unknowns.reduce(ONE * k)):
            known = numbers.value(r.size)
            raise numbers.fail(
                f"`{n.name}` is {_by(whole)}, and its size along {r.axis} is {r.size}"
                + (f" = {known}" if known is not None and r.size.symbols else ""),
                n.name,
                help=f"{n.name} is {_form(numbers, ranges)}",
            )
    return x


def _state_axis(numbers: Numbers, n: Name) -> bool:
    return _state(numbers.program, n.name) is not None


def _position(numbers: Numbers, n: Name) -> int:
    state = _state(numbers.program, n.name)
    assert state is not None
    return state.position


def _by(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "one number"


def _form(numbers: Numbers, ranges: tuple[Range, ...]) -> str:
    """A shape for reading: ``T×D = 5×3``, numbers where they are known."""
    if not ranges:
        return "one number"
    symbols = [str(r.size).replace(" ", "") for r in ranges]
    symbols = [f"({s})" if len(ranges) > 1 and set(s) & set("+-") else s for s in symbols]
    known = [numbers.value(r.size) for r in ranges]
    shown = "×".join(symbols)
    if any(n is not None for n in known) and shown != _by(n or 0 for n in known):
        shown += " = " + "×".join("…" if n is None else str(n) for n in known)
    return shown


def _literal(ranges: tuple[Range, ...]) -> str:
    return ("one number: 0.5", "a list: [1, 2]", "a list of rows: [[1, 2], [3, 4]]")[min(len(ranges), 2)]


def _missing(numbers: Numbers, missing: list[Name]) -> EquationError:
    names = [f"`{n.name}`" for n in missing]
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
    shapes = "; ".join(f"{n.name}: {_form(numbers, n.ranges)}" for n in missing)
    return EquationError(
        f"no value is given for {listed}", help=f"give {shapes}; or fill the rest in with --random"
    )


def too_long(what: str) -> EquationError:
    """What is said of a trace that nobody could follow."""
    return EquationError(
        f"a trace of {what} is too long to follow", help="give smaller sizes, or fewer --steps"
    )


# --- sizes ---------------------------------------------------------------------------------------------


def chosen_sizes(
    resolved: Resolved, steps: int, lengths: list[tuple[str, Size]] | None = None
) -> dict[str, int]:
    """Small numbers for all sizes, ``steps`` for these lengths (of the names beside them), else for time's.

    Raises EquationError where they leave something empty.
    """
    numbers = Numbers(resolved, {})
    for name, size in _time_sizes(numbers) if lengths is None else ():
        numbers.equate(size, steps, f"{steps} steps", name)
    in_parameters = {s for n in resolved.program.given("parameter") for r in n.ranges for s in r.size.symbols}
    for symbol in in_parameters - numbers.known.keys():
        numbers.equate(Size.symbol(symbol), KERNEL, f"{symbol}={KERNEL}", "")
    for _, size in lengths or ():
        # By search: where a stride divides, an equation between sizes has no one solution.
        known = numbers.known
        for symbol in [s for s in size.symbols if s not in known]:
            fits = (n for n in range(1, 99) if numbers.unknowns.reduce(size).symbols == (symbol,))
            found = next((n for n in fits if size.value({**known, symbol: n}) == steps), None)
            if found is not None:
                numbers.equate(Size.symbol(symbol), found, f"{symbol}={found}", "")
    _choose_sizes(numbers, steps)
    numbers.check_reads()
    return _all_numbers(numbers)


def _time_sizes(numbers: Numbers) -> list[tuple[str, Size]]:
    """Lengths along the recurrence, with the name that has each: the inputs', or where there is none, all."""
    p, letters = numbers.program, numbers.resolved.recurrence
    found = [(n.name, r.size) for n in p.given("input") for r in n.ranges[: n.written] if r.axis in letters]
    own = ((n, own_ranges(numbers.resolved, n)) for n in p.names if n.role == "defined")
    return found or [(n.name, r.size) for n, ranges in own for r in ranges[: n.written] if r.axis in letters]


def _take_steps(numbers: Numbers, steps: int) -> None:
    if steps < 1:
        raise EquationError(f"--steps {steps}: there is at least one step", help="--steps 3")
    lengths = _time_sizes(numbers)
    if not lengths:
        raise EquationError("nothing here runs through time, so there are no steps", help="leave --steps out")
    for name, size in lengths:
        numbers.equate(size, steps, f"--steps {steps}", name)


def _choose_sizes(numbers: Numbers, steps: int | None) -> None:
    """A small number for every size that nothing has said."""
    for name, size in _time_sizes(numbers):
        if numbers.value(size) is None:
            numbers.equate(size, steps or STEPS, f"{steps or STEPS} steps", name)
    program = numbers.program
    in_parameters = {s for n in program.given("parameter") for r in n.ranges for s in r.size.symbols}
    small = iter(SMALL * (1 + len(program.symbols)))
    for symbol in sorted(program.symbols, key=lambda s: s not in in_parameters):
        if numbers.value(Size.symbol(symbol)) is None:
            size = next(small) if symbol in in_parameters else _long_enough(numbers, symbol)
            numbers.equate(Size.symbol(symbol), size, f"{symbol}={size}", "")


def _long_enough(numbers: Numbers, symbol: str) -> int:
    """The least size of an input, from 3 up, that leaves what is computed of it two elements."""
    known = numbers.known
    free = {s: 9 for s in numbers.program.symbols if s not in known}
    concerned = [r.size for n in numbers.program.names for r in n.ranges if symbol in r.size.symbols]
    for size in range(3, 40):
        if all(s.value({**free, **known, symbol: size}) > 1 for s in concerned):
            return size
    return 9


def _all_numbers(numbers: Numbers) -> dict[str, int]:
    known = numbers.known
    program = numbers.program
    free = [s for s in program.symbols if s not in known]
    if free:
        raise EquationError(f"no value says what {free[0]} is", help=f"--size {free[0]}=3")
    for n in program.names:
        for r in n.ranges:
            if r.size.value(known) < 1:
                raise numbers.fail(
                    f"with these sizes `{n.name}` is empty: {r.size} is {r.size.value(known)}",
                    n.name,
                    help="give larger inputs or smaller kernels",
                )
    return known
