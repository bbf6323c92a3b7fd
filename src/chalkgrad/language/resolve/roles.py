"""Who is what: definitions, functions, the recurrence indices, states and the order of evaluation.

All of it is read off the syntax tree; no rank or size is needed yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    Binder,
    Call,
    Declaration,
    Group,
    Indexed,
    Negate,
    Node,
    Number,
    Symbol,
    Text,
    parts,
)
from chalkgrad.language.source import EquationError, Label, Span
from chalkgrad.language.words import STRUCTURED


@dataclass(frozen=True, slots=True)
class Definition:
    """One equation: its name, the letters on its left side (with a shift each), its right side."""

    name: str
    letters: tuple[str, ...]
    shifts: tuple[int, ...]
    right: Node
    span: Span  # of the left side
    fixed: int = -1  # where a start has its 0: h[0,j]
    also: tuple[Node, ...] = ()  # further right sides of a chain A = B = C


@dataclass(frozen=True, slots=True)
class Use:
    """A read of a name inside a definition: which name, at which items (none for a bare read)."""

    name: str
    at: tuple[Node, ...]
    span: Span
    bound: frozenset[str]  # letters bound by a Σ around it
    past: frozenset[str] = frozenset()  # those of them that stay before a recurrence index: Σ[s<t]


@dataclass(slots=True)
class Roles:
    """What the text says of its names, found before ranks and sizes."""

    text: Text
    definitions: dict[str, Definition]
    starts: dict[str, Definition]
    functions: dict[str, str]
    declared: dict[str, Declaration]
    edges: dict[str, list[Declaration]] = field(default_factory=dict[str, list[Declaration]])
    recurrence: frozenset[str] = frozenset()
    timed: dict[str, str] = field(default_factory=dict[str, str])  # bare left side → the letter it goes with
    groups: tuple[frozenset[str], ...] = ()  # cycles of definitions
    order: tuple[str, ...] = ()  # definitions, each after what it reads in place

    def fail(self, problem: str, *labels: Label, help: str = "") -> EquationError:
        return EquationError(problem, self.text.source, labels, help)

    def uses(self, name: str, among: dict[str, Definition] | None = None) -> tuple[Use, ...]:
        """Every read in the definition of ``name`` (``among`` the starts, if given), from left to right."""
        definition = (self.definitions if among is None else among)[name]
        sides = (definition.right, *definition.also)
        return tuple(u for side in sides for u in _uses(side, frozenset(), frozenset(), self))

    @property
    def all_letters(self) -> frozenset[str]:
        """What stands in brackets on any left side, and t."""
        return frozenset({a for d in self.definitions.values() for a in d.letters} | {"t"})

    def is_factor(self, name: str, args: tuple[Node, ...]) -> bool:
        """Whether a name that is no function may be multiplied by what stands in brackets after it: P(W)."""
        return len(args) == 1 and (name in self.definitions or name[:1].isupper() or "_" in name)

    def is_read(self, name: str, args: tuple[Node, ...], bound: frozenset[str]) -> bool:
        """Whether what stands in round brackets are indices, as in f(i-a), and not a factor, as in P(W)."""
        if not all(index_like(a) for a in args):
            return False
        return not self.is_factor(name, args) or {*index_symbols(args[0])} <= bound | self.all_letters

    def letters(self, name: str) -> tuple[str, ...]:
        """The letters of a definition's left side, the one it goes with unwritten included."""
        definition = self.definitions[name]
        return (self.timed[name],) if name in self.timed else definition.letters

    def shift(self, name: str, item: Node, letter: str) -> int | None:
        """How far an item reads from the point that ``name`` defines; None where it is not along it."""
        definition = self.definitions[name]
        own = dict(zip(definition.letters, definition.shifts, strict=True)).get(letter, 0)
        shift = shift_of(item, letter)
        return None if shift is None else shift - own

    def is_shifted(self, name: str, use: Use, letters: Set[str]) -> bool:
        """Whether a read is at another place, along one of the letters, than the one ``name`` defines."""
        return any(self.shift(name, item, letter) for letter in letters - use.bound for item in use.at)

    def group(self, name: str) -> frozenset[str]:
        """The cycle of definitions that ``name`` is in: itself alone where it is in none."""
        return next((g for g in self.groups if name in g), frozenset({name}))


# --- reads ---------------------------------------------------------------------------------------------


def _uses(node: Node, bound: frozenset[str], past: frozenset[str], roles: Roles) -> Iterator[Use]:
    match node:
        case Symbol(name):
            yield Use(name, (), node.span, bound, past)
        case Indexed(base, at):
            yield Use(base.name, at, node.span, bound, past)
        case Call(Symbol(name) | Indexed(Symbol(name), _), args) if is_function(name, roles.functions):
            for a in args:
                yield from _uses(a, bound, past, roles)
        case Call(Symbol(name), args) if roles.is_read(name, args, bound):
            yield Use(name, args, node.span, bound, past)
        case Big(_, binders, body):
            inner = bound | {b.index.name for b in binders}
            before = past | {b.index.name for b in binders if _ends_before(b)}
            yield from _uses(body, inner, before, roles)
        case _:
            for p in parts(node):
                yield from _uses(p, bound, past, roles)


def shifted_letter(item: Node) -> tuple[str | None, int]:
    match item:
        case Symbol(name):
            return name, 0
        case Binary("+", Symbol(name), Number(k)) if float(k).is_integer():
            return name, int(k)
        case Binary("-", Symbol(name), Number(k)) if float(k).is_integer():
            return name, -int(k)
        case Group(body):
            return shifted_letter(body)
        case _:
            return None, 0


def _ends_before(b: Binder) -> bool:
    """Whether a summed index stays below another: s<t, s≤t-1."""
    letter, shift = shifted_letter(b.high) if b.high is not None else (None, 0)
    return letter is not None and shift < 0


def is_function(name: str, functions: dict[str, str]) -> bool:
    return name in functions or name in FUNCTIONS or name in STRUCTURED


def index_like(node: Node) -> bool:
    """Whether a node could be an affine index: letters, numbers, + and -, a number times a letter."""
    match node:
        case Symbol() | Number():
            return True
        case Binary("+" | "-", left, right):
            return index_like(left) and index_like(right)
        case Binary("·" | "⊙", left, right):
            return isinstance(left, Number) and index_like(right)
        case Negate(body) | Group(body):
            return index_like(body)
        case _:
            return False


def shift_of(item: Node, letter: str) -> int | None:
    """k where the item is ``letter + k``; None where it is anything else."""
    found, k = shifted_letter(item)
    return k if found == letter else None


def index_symbols(item: Node) -> Iterator[str]:
    """The symbols in an index."""
    if isinstance(item, Symbol):
        yield item.name
    for p in parts(item):
        yield from index_symbols(p)
