"""The sizes that a function uses, found in the shapes of what it is given: ``B, T, D = x.shape``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalkgrad.equations.ir import Size
from chalkgrad.equations.size import Floor
from chalkgrad.kernels.script.body import Array, Body
from chalkgrad.language.source import EquationError


def unpacked(
    b: Body, arrays: Sequence[Array], definition: Mapping[str, Size], numbers: Mapping[str, int] | None = None
) -> tuple[list[str], frozenset[str]]:
    """The lines that set every size the body uses, and the symbols that no shape tells.

    ``definition`` holds the sizes that have a name of their own. A whole shape is unpacked where that tells
    two sizes or more; else a size is looked up, or solved for where a shape holds it in a sum. What no shape
    tells is taken from ``numbers``, if they are given. Raises EquationError for one that is not there either.
    """
    wanted = needed(b, definition)
    shapes = [(a, [r.size for r, gone in zip(a.ranges, a.dropped, strict=True) if not gone]) for a in arrays]
    found: set[str] = set()
    lines: list[str] = []

    def tell(symbol: str, text: str) -> None:
        lines.append(f"    {b.names.of[f'size {symbol}']} = {text}")
        found.add(symbol)

    for a, sizes in shapes:
        plain = [symbol(s) for s in sizes]
        new = [s for s in plain if s in wanted and s not in found]
        if len(new) >= 2 and all(plain) and len({*new}) == len(new):
            kept = [b.names.of[f"size {s}"] if s in new else "_" for s in plain]
            found |= set(new)
            lines.append(f"    {', '.join(kept)} = {a.name}.shape")
    for a, sizes in shapes:
        for k, s in enumerate(sizes):
            if symbol(s) in wanted - found:
                tell(symbol(s), f"{a.name}.shape[{k}]")
    again = True
    while again:
        again = False
        for a, sizes in shapes:
            for k, s in enumerate(sizes):
                if (one := _solvable(s, wanted, found)) is not None:
                    tell(one, _less(b, f"{a.name}.shape[{k}]", s - Size.symbol(one)))
                    again = True
    lacking = frozenset(wanted - found)
    for one in sorted(lacking if numbers is not None else ()):
        if numbers is None or one not in numbers:
            raise EquationError(
                f"nothing on the page tells the size {one}", help=f"give something that size: where w: {one}"
            )
        tell(one, f"{numbers[one]}  # no shape tells this one")
    for name in (n for n in definition if n in b.used):
        lines.append(f"    {name} = {_spelled(b, definition[name])}")
    return lines, lacking


def needed(b: Body, definition: Mapping[str, Size]) -> set[str]:
    """The size symbols that the body uses, those in sizes with a name of their own too."""
    return {s for used in b.used for s in (definition[used].symbols if used in definition else (used,))}


def symbol(s: Size) -> str:
    """The symbol that a size is, or nothing."""
    match s.terms:
        case ((str() as atom, 1),) if not s.const:
            return atom
        case _:
            return ""


def _solvable(s: Size, wanted: set[str], found: set[str]) -> str | None:
    """The one wanted symbol that a size tells, the others in it being known."""
    if any(isinstance(atom, Floor) for atom, _ in s.terms):
        return None
    match [(atom, k) for atom, k in s.terms if atom not in found]:
        case [(str() as atom, 1)] if atom in wanted and all(a in wanted for a in s.symbols):
            return atom
        case _:
            return None


def _less(b: Body, shape: str, rest: Size) -> str:
    """A shape's entry without the rest of its size."""
    text = _spelled(b, rest * -1)
    if text == "0":
        return shape
    return f"{shape} - {text[1:]}" if text.startswith("-") else f"{shape} + {text}"


def _spelled(b: Body, s: Size) -> str:
    """The size in its symbols, not by a name of its own."""
    kept, b.derived = b.derived, {}
    text = b.size(s)
    b.derived = kept
    return text
