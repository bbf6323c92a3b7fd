"""Who is what: definitions, functions, the recurrence indices, states and the order of evaluation.

All of it is read off the syntax tree; no rank or size is needed yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.source import EquationError, Label, Span
from chalkgrad.language.syntax import (
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

STRUCTURED = frozenset(
    {"softmax", "logsoftmax", "logsumexp", "sum", "max", "min", "mean", "var", "norm", "layernorm"}
    | {"gelu", "silu"}
)
"""Functions that are built from others (:mod:`chalkgrad.language.functions`)."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One equation: its name, the letters on its left side (with a shift each), its right side."""

    name: str
    letters: tuple[str, ...]
    shifts: tuple[int, ...]
    right: Node
    span: Span  # of the left side


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
    recurrence: frozenset[str] = frozenset()
    timed: dict[str, str] = field(default_factory=dict[str, str])  # bare left side → the letter it goes with
    groups: tuple[frozenset[str], ...] = ()  # cycles of definitions
    order: tuple[str, ...] = ()  # definitions, each after what it reads in place

    def fail(self, problem: str, *labels: Label, help: str = "") -> EquationError:
        return EquationError(problem, self.text.source, labels, help)

    def uses(self, name: str, among: dict[str, Definition] | None = None) -> tuple[Use, ...]:
        """Every read in the definition of ``name`` (``among`` the starts, if given), from left to right."""
        definition = (self.definitions if among is None else among)[name]
        return tuple(_uses(definition.right, frozenset(), frozenset(), self.functions))

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

    def group(self, name: str) -> frozenset[str]:
        """The cycle of definitions that ``name`` is in: itself alone where it is in none."""
        return next((g for g in self.groups if name in g), frozenset({name}))


def find_roles(text: Text, functions: dict[str, str]) -> Roles:
    """Definitions, functions, recurrence indices, cycles and an order of evaluation.

    ``functions`` maps letters to functions, as ``where τ = tanh`` does. Raises EquationError for a name
    defined twice, a function that does not exist, and a cycle without a shift.
    """
    declared: dict[str, Declaration] = {}
    aliases = dict(functions)
    roles = Roles(text, {}, {}, aliases, declared)
    for d in text.declarations:
        if d.alias is not None:
            aliases[d.name.name] = d.alias.name
            if d.alias.name not in FUNCTIONS and d.alias.name not in STRUCTURED:
                raise unknown_function(roles, d.alias)
        elif d.name.name in declared:
            first = declared[d.name.name]
            raise roles.fail(
                f"`{d.name.name}` is declared twice",
                (first.span, "first here"),
                (d.span, "and again here"),
                help="say everything about a name in one place",
            )
        else:
            declared[d.name.name] = d
    for letter, function in functions.items():
        if function not in FUNCTIONS and function not in STRUCTURED:
            near = near_names(function, [*FUNCTIONS, *STRUCTURED])
            raise EquationError(
                f"functions={{{letter!r}: {function!r}}}: there is no function `{function}`", help=near
            )
    _define(roles)
    _find_recurrences(roles)
    return roles


def unknown_function(roles: Roles, symbol: Symbol) -> EquationError:
    """The error for a word before a bracket that is no function."""
    known = [*FUNCTIONS, *STRUCTURED, *roles.functions]
    return roles.fail(
        f"there is no function `{symbol.name}`",
        (symbol.span, "not known"),
        help=f"{near_names(symbol.name, known)}; a letter can stand for one: where {symbol.name} = tanh",
    )


def near_names(word: str, known: list[str]) -> str:
    """A hint: the known names nearest to ``word``."""
    import difflib

    near = difflib.get_close_matches(word, [k for k in known if len(k) > 1], n=3, cutoff=0.5)
    return (
        "did you mean " + " or ".join(near)
        if near
        else "functions are " + ", ".join(sorted(set(known) - {"ln"}))
    )


# --- definitions ---------------------------------------------------------------------------------------


def _define(roles: Roles) -> None:
    for line in roles.text.lines:
        definition = _definition(roles, line.left, line.right)
        if line.chain:
            raise roles.fail(
                "this equation has two right sides",
                (line.chain[0].span, "the second one"),
                help="define the name once, and write the other form as an equation of its own",
            )
        fixed = _fixed(line.left)
        table = roles.starts if fixed else roles.definitions
        if definition.name in table:
            raise roles.fail(
                f"`{definition.name}` is defined twice",
                (table[definition.name].span, "first here"),
                (definition.span, "and again here"),
                help="give the second one another name",
            )
        table[definition.name] = definition
    for name, start in roles.starts.items():
        if name not in roles.definitions:
            raise roles.fail(
                f"`{name}` has a start and no equation",
                (start.span, "only its start is given"),
                help=f"add the equation of {name}[t]",
            )


def _fixed(left: Node) -> bool:
    """Whether a left side is the start of a state: ``h[0] = …``."""
    return isinstance(left, Indexed) and any(isinstance(item, Number) for item in left.at)


def _definition(roles: Roles, left: Node, right: Node) -> Definition:
    items: tuple[Node, ...] = ()
    match left:
        case Symbol(name):
            pass
        case Indexed(Symbol(name), at):
            items = at
        case Call(Symbol(name), args):
            items = args
        case _:
            raise roles.fail(
                "the left side of an equation is a name",
                (left.span, "this is not a name"),
                help="write h[t] = …, y[i,j] = … or O = …",
            )
    if name in roles.functions or (name in FUNCTIONS and len(name) > 1) or name in STRUCTURED:
        raise roles.fail(
            f"`{name}` is a function and cannot be defined",
            (left.span, "defined here"),
            help="give the result another name",
        )
    letters: list[str] = []
    shifts: list[int] = []
    for item in items:
        letter, shift = _left_index(item)
        if letter is None:
            if isinstance(item, Number):
                continue
            raise roles.fail(
                "an index on the left side is a letter, or a letter with a shift",
                (item.span, "not a letter"),
                help="write h[t] = … or h[t+1] = …",
            )
        if letter in letters:
            raise roles.fail(
                f"the index `{letter}` stands twice on the left side",
                (left.span, "here"),
                help="a left side names every point once: use two letters",
            )
        letters.append(letter)
        shifts.append(shift)
    return Definition(name, tuple(letters), tuple(shifts), right, left.span)


def _left_index(item: Node) -> tuple[str | None, int]:
    match item:
        case Symbol(name):
            return name, 0
        case Binary("+", Symbol(name), Number(k)) if float(k).is_integer():
            return name, int(k)
        case Binary("-", Symbol(name), Number(k)) if float(k).is_integer():
            return name, -int(k)
        case Group(body):
            return _left_index(body)
        case _:
            return None, 0


# --- reads ---------------------------------------------------------------------------------------------


def _uses(
    node: Node, bound: frozenset[str], past: frozenset[str], functions: dict[str, str]
) -> Iterator[Use]:
    match node:
        case Symbol(name):
            yield Use(name, (), node.span, bound, past)
        case Indexed(base, at):
            yield Use(base.name, at, node.span, bound, past)
        case Call(Symbol(name) | Indexed(Symbol(name), _), args) if is_function(name, functions):
            for a in args:
                yield from _uses(a, bound, past, functions)
        case Call(Symbol(name), args) if all(index_like(a) for a in args):
            yield Use(name, args, node.span, bound, past)
        case Big(_, binders, body):
            inner = bound | {b.index.name for b in binders}
            before = past | {b.index.name for b in binders if _ends_before(b)}
            yield from _uses(body, inner, before, functions)
        case _:
            for p in parts(node):
                yield from _uses(p, bound, past, functions)


def _ends_before(b: Binder) -> bool:
    """Whether a summed index stays below another: s<t, s≤t-1."""
    letter, shift = _left_index(b.high) if b.high is not None else (None, 0)
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
    found, k = _left_index(item)
    return k if found == letter else None


# --- recurrence ----------------------------------------------------------------------------------------


def _find_recurrences(roles: Roles) -> None:
    reads = {n: [u for u in roles.uses(n) if u.name in roles.definitions] for n in roles.definitions}
    groups = _cycles({n: [u.name for u in us] for n, us in reads.items()})
    roles.groups = tuple(groups)
    letters = {"t"}
    for group in groups:
        for n in group:
            for u in reads[n]:
                if u.name not in group:
                    continue
                for letter in _all_letters(roles):
                    if letter not in u.bound and any(roles.shift(n, i, letter) for i in u.at):
                        letters.add(letter)
    written = {a for d in roles.definitions.values() for a in d.letters}
    roles.recurrence = frozenset(letters & (written | {"t"} | _read_letters(roles)))
    _find_timed(roles)
    _order(roles, reads)


def _all_letters(roles: Roles) -> set[str]:
    return {a for d in roles.definitions.values() for a in d.letters} | {"t"}


def _read_letters(roles: Roles) -> set[str]:
    return {
        s
        for n in roles.definitions
        for u in roles.uses(n)
        for item in u.at
        for s in index_symbols(item)
        if s not in u.bound
    }


def index_symbols(item: Node) -> Iterator[str]:
    """The symbols in an index."""
    if isinstance(item, Symbol):
        yield item.name
    for p in parts(item):
        yield from index_symbols(p)


def _find_timed(roles: Roles) -> None:
    """Left sides written bare that depend on timed names are timed: ``o = σ(x[t] W + …)`` is ``o[t]``."""
    changed = True
    while changed:
        changed = False
        for name, definition in roles.definitions.items():
            if definition.letters or name in roles.timed:
                continue
            for u in roles.uses(name):
                letter = next(
                    (a for i in u.at for a in index_symbols(i) if a in roles.recurrence and a not in u.bound),
                    None,
                )
                letter = letter or (None if u.at else roles.timed.get(u.name))
                if letter is not None:
                    roles.timed[name] = letter
                    changed = True
                    break


def _order(roles: Roles, reads: dict[str, list[Use]]) -> None:
    """Definitions, each after what it reads in place; reads at a shift along a recurrence do not count."""
    in_place: dict[str, list[Use]] = {}
    for n, us in reads.items():
        group = roles.group(n)
        in_place[n] = [u for u in us if u.name not in group or not _shifted(roles, n, u)]
    done: dict[str, None] = {}
    stack: list[str] = []
    for n in roles.definitions:
        _visit(roles, n, in_place, done, stack)
    roles.order = tuple(done)


def _visit(
    roles: Roles, name: str, in_place: dict[str, list[Use]], done: dict[str, None], stack: list[str]
) -> None:
    if name in done:
        return
    stack.append(name)
    for u in in_place[name]:
        if u.name in stack:
            circle = [*stack[stack.index(u.name) :], u.name]
            raise roles.fail(
                f"`{u.name}` is needed to compute itself: " + " ← ".join(circle),
                (roles.definitions[u.name].span, "defined here"),
                (u.span, "read here at the same place"),
                help=f"a recurrence reads a neighbour: {u.name}[t-1]",
            )
        _visit(roles, u.name, in_place, done, stack)
    stack.pop()
    done[name] = None


def _shifted(roles: Roles, name: str, use: Use) -> bool:
    if any(isinstance(item, Symbol) and item.name in use.past for item in use.at):
        return True
    letters = roles.recurrence - use.bound
    return any(roles.shift(name, item, letter) for letter in letters for item in use.at)


def _cycles(graph: dict[str, list[str]]) -> list[frozenset[str]]:
    """The strongly connected components that hold a cycle."""
    reach: dict[str, set[str]] = {}
    for n in graph:
        seen: set[str] = set()
        todo = list(graph[n])
        while todo:
            m = todo.pop()
            if m not in seen:
                seen.add(m)
                todo += graph[m]
        reach[n] = seen
    groups: list[frozenset[str]] = []
    for n in graph:
        if n in reach[n] and not any(n in g for g in groups):
            groups.append(frozenset(m for m in reach[n] if n in reach[m]))
    return groups
