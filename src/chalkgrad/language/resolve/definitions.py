"""What a text defines, each name once, and what the letters used as functions stand for."""

from __future__ import annotations

from dataclasses import replace

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.syntax import (
    Binary,
    Call,
    Declaration,
    Indexed,
    Negate,
    Node,
    Number,
    Symbol,
    Text,
    parts,
)
from chalkgrad.language.resolve.recurrence import find_recurrences
from chalkgrad.language.resolve.roles import Definition, Roles, index_like, is_function, shifted_letter
from chalkgrad.language.source import EquationError
from chalkgrad.language.words import STRUCTURED


def find_roles(text: Text, functions: dict[str, str]) -> Roles:
    """Definitions, functions, recurrence indices, cycles and an order of evaluation.

    ``functions`` maps letters to functions, as ``where τ = tanh`` does. Raises EquationError for a name
    defined twice, a function that does not exist, and a cycle without a shift.
    """
    declared: dict[str, Declaration] = {}
    aliases = dict(functions)
    roles = Roles(text, {}, {}, aliases, declared)
    for d in text.declarations:
        if d.edge is not None:
            roles.edges.setdefault(d.name.name, []).append(d)
        elif d.alias is not None:
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
    find_recurrences(roles)
    _refuse_unknown_functions(roles)
    return roles


def refuse_derivatives(text: Text) -> None:
    """A layer says what is computed; what its gradient is follows, and can only be claimed."""
    for line in text.lines:
        todo: list[Node] = [line.left, line.right, *line.chain]
        while todo:
            node = todo.pop(0)
            todo += parts(node)
            if _is_derivative(node):
                raise EquationError(
                    "a derivative is no layer: it follows from the equations of one",
                    text.source,
                    ((node.span, "a derivative"),),
                    "to see it: chalkgrad derive; to check one that you derived: "
                    'chalkgrad check LAYER --claim "∂w[i] = …"',
                )


def _is_derivative(node: Node) -> bool:
    """∂w, ∂w[i], and ∂L/∂w as a whole."""
    match node:
        case Binary("/", left, right):
            return _is_derivative(left) and _is_derivative(right)
        case Indexed(base, _):
            return _is_derivative(base)
        case Symbol(name):
            return name.startswith("∂")
        case _:
            return False


_SPELLED = {"σ": "sigmoid"}


def looks_like_a_function(name: str) -> bool:
    """Whether a name before a bracket is rather a function than a factor: σ_g(…), Linear_d(…)."""
    base, _, label = name.partition("_")
    return bool(label) and (base in FUNCTIONS or base in STRUCTURED or (len(base) > 2 and base.isalpha()))


def _refuse_unknown_functions(roles: Roles) -> None:
    """Before anything is asked of the names: a(s[i-1], h[j]) is neither a read nor a product."""
    for definition in (*roles.definitions.values(), *roles.starts.values()):
        todo: list[Node] = [definition.right, *definition.also]
        while todo:
            node = todo.pop()
            todo += reversed(parts(node))
            match node:
                case Call(Symbol(name) as symbol, args) if not is_function(name, roles.functions):
                    known = name in roles.definitions
                    read = all(map(index_like, args))
                    if not (read or roles.is_factor(name, args)) or (
                        looks_like_a_function(name) and not known
                    ):
                        raise unknown_function(roles, symbol, len(args))
                case _:
                    pass


def unknown_function(roles: Roles, symbol: Symbol, arguments: int = 1) -> EquationError:
    """The error for a word before a bracket that is no function."""
    word = symbol.name
    if looks_like_a_function(word):
        base = word.partition("_")[0]
        function = _SPELLED.get(base, base if is_function(base, {}) else "tanh")
        help = f"say which it is: where {word} = {function}; a product needs a sign: {word} · (…)"
    elif arguments > 1 and word[:1].isupper():
        help = f"square brackets join vectors: {word} [a; b]; a function is declared: where {word} = tanh"
    elif arguments > 1:
        help = f"write out what it computes, such as tanh(W a + U b), where `{word}` stands"
    elif len(word) > 2 or word in roles.functions:
        help = near_names(word, [*FUNCTIONS, *STRUCTURED])
    else:
        help = f"a letter can stand for one: where {word} = tanh; a product needs a sign: {word} · (…)"
    return roles.fail(f"there is no function `{word}`", (symbol.span, "not known"), help=help)


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
        definition = replace(_definition(roles, line.left, line.right), also=line.chain)
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
                help=f"add the equation that goes on from it: {name}[t] = …",
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
        letter, shift = shifted_letter(item)
        if letter == "T" or isinstance(item, Number | Negate):
            if not isinstance(item, Number) or item.value:
                raise roles.fail(
                    "the left side fixes a step",
                    (item.span, "this one"),
                    help=f"an index is a small letter: {name}[t] = …; a start is written {name}[0] = …",
                )
            continue
        if letter is None:
            raise roles.fail(
                "an index on the left side is a letter, or a letter with a shift",
                (item.span, "not a letter"),
                help="write h[t] = … or h[t+1] = …",
            )
        if letter in letters:
            raise roles.fail(
                f"the index `{letter}` stands twice on the left side",
                (item.span, "again here"),
                help="a left side names every point once: use two letters",
            )
        letters.append(letter)
        shifts.append(shift)
    fixed = next((k for k, item in enumerate(items) if isinstance(item, Number)), -1)
    return Definition(name, tuple(letters), tuple(shifts), right, left.span, fixed)
