"""Whether what a ``where`` or the start of a state says fits the equations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chalkgrad.language.parse.syntax import Big, Binder, Declaration, Symbol, nodes
from chalkgrad.language.resolve.roles import Definition, Roles, Use, index_symbols
from chalkgrad.language.source import Span


def check_declarations(
    roles: Roles, uses: Mapping[str, list[Use]], given: list[str], sizes: set[str], places: Mapping[str, Span]
) -> list[str]:
    """Refuse a `where` that contradicts the page; the parameters that it speaks of and nothing reads."""
    unread: list[str] = []
    for name, edges in roles.edges.items():
        axes = len(roles.letters(name)) if name in roles.definitions else 0
        for d in edges:
            if not axes or len(d.at) != axes:
                raise roles.fail(
                    f"`{name}` is no table with {len(d.at)} indices, so it has no such edge",
                    (d.span, "declared here"),
                    help="an edge is where a name that reads its neighbours begins: where r[-1,·] = ∞",
                )
    for name, d in roles.declared.items():
        if name not in uses and name not in roles.definitions:
            size = name in sizes or name in bound_sizes(roles)
            joined = next((n for n in uses if len(n) == len(name) + 1 and n.endswith(name)), "")
            if not (size or joined) and d.role in (None, "parameter"):
                unread.append(name)
                continue
            raise roles.fail(
                f"`{name}` is a size: it has no shape or role of its own"
                if size
                else f"`{name}` is declared and occurs in no equation",
                (d.span, "declared here"),
                help=f"remove this; its number is given when the layer is made: {name}=3"
                if size
                else f"`{joined}` is one name: write {joined[0]} {name} for the product"
                if joined
                else "remove it, or correct its name",
            )
        check_brackets(roles, uses, name, d, places)
        if d.role in ("input", "parameter") and name not in given:
            raise roles.fail(
                f"`{name}` is defined by an equation, so it cannot be an {d.role}"
                if d.role == "input"
                else f"`{name}` is defined by an equation, so it cannot be a {d.role}",
                (d.span, "declared here"),
                help="remove the role, or the equation",
            )
        if d.role == "output" and name not in roles.definitions:
            raise roles.fail(
                f"`{name}` is defined nowhere, so it cannot be the output",
                (d.span, "declared here"),
                help=f"define it: {name}[t] = …",
            )
    return unread


def check_brackets(
    roles: Roles, uses: Mapping[str, list[Use]], name: str, d: Declaration, places: Mapping[str, Span]
) -> None:
    """``where h[t]: H`` names the indices that the page has for h."""
    if name in roles.definitions:
        letters = roles.letters(name)
        right = all(isinstance(i, Symbol) and i.name == a for i, a in zip(d.at, letters, strict=False))
        form = f"{name}[{', '.join(letters)}]"
    else:
        letters = max((u.at for u in uses[name]), key=len)
        right, form = (
            all(isinstance(i, Symbol) for i in d.at),
            f"{name}[{', '.join('t' for _ in letters)}]",
        )
    if d.at and (len(d.at) > len(letters) or not right):
        raise roles.fail(
            f"`{name}` stands with other indices in the equations",
            (d.span, "declared here"),
            (places[name], "there"),
            help=f"write: where {form if letters else name}: …",
        )


def bound_sizes(roles: Roles) -> set[str]:
    """The names at the ends of sums: k of Σ[j=1..k]."""
    return {s for b in binders(roles) for n in (b.low, b.high) if n for s in index_symbols(n)}


def whole_sizes(roles: Roles) -> set[str]:
    """The ends of sums that are sizes on the whole page: T of ``1/T Σ[t=1..T]``, k of ``Σ[j=1..k]``."""
    letters = {b.index.name for b in binders(roles)} | roles.recurrence
    letters |= {a for n in roles.definitions for a in roles.letters(n)} | {*roles.definitions}
    return bound_sizes(roles) - letters


def binders(roles: Roles) -> Iterator[Binder]:
    """Every summed index on the page."""
    for definition in roles.definitions.values():
        for node in nodes(definition.right):
            if isinstance(node, Big):
                yield from node.binders


def check_start(roles: Roles, along: Mapping[int, list[tuple[int, Span]]], start: Definition) -> None:
    """A start is given at the one index that the state runs along, before its first step.

    ``along`` holds, by position, the shifts at which the state is read.
    """
    name, letters = start.name, roles.letters(start.name)
    form = ",".join("0" if k in along else a for k, a in enumerate(letters))
    if len(along) > 1:
        problem = f"`{name}` runs along {' and '.join(letters[k] for k in along)}; edges are not read yet"
        help = "remove this line: the edges are zero, or what the caller passes"
    elif any(shift > 0 for shifts in along.values() for shift, _ in shifts):
        problem = f"`{name}` runs backwards, so its start lies after the last step"
        help = "remove this line: the start is zero, or what the caller passes"
    elif along and (start.fixed not in along or len(start.letters) + 1 != len(letters)):
        problem, help = f"this is no start of `{name}`", f"write {name}[{form}] = …"
    else:
        return
    raise roles.fail(
        problem,
        (start.span, "this start"),
        (roles.definitions[name].span, "its equation"),
        help=help,
    )
