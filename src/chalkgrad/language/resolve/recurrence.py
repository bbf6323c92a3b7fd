"""The loops of a text: cycles of definitions, the letters they are shifted along, an order of evaluation."""

from __future__ import annotations

from collections.abc import Set

from chalkgrad.language.parse.syntax import Symbol
from chalkgrad.language.resolve.roles import Roles, Use, index_symbols


def find_recurrences(roles: Roles) -> None:
    reads = {n: [u for u in roles.uses(n) if u.name in roles.definitions] for n in roles.definitions}
    groups = _cycles({n: [u.name for u in us] for n, us in reads.items()})
    roles.groups = tuple(groups)
    letters = {"t"}
    for group in groups:
        letters |= _letters_of(roles, {n: [u for u in reads[n] if u.name in group] for n in group})
    written = {a for d in roles.definitions.values() for a in d.letters}
    roles.recurrence = frozenset(letters & (written | {"t"} | _read_letters(roles)))
    _find_timed(roles)
    _order(roles, reads)
    _refuse_starts_from_themselves(roles, reads)


def _letters_of(roles: Roles, reads: dict[str, list[Use]]) -> set[str]:
    """Along what a cycle of definitions reads itself at a shift.

    A letter with reads both ways is none of these where the others alone say what comes first: in
    ``h[t,u] = h[t-1,u-1] + h[t-1,u+1]`` a step is along t, and along u there are only neighbours.
    """
    ways: dict[str, set[bool]] = {}
    for n, us in reads.items():
        for u in us:
            for letter in roles.all_letters - u.bound:
                for shift in filter(None, (roles.shift(n, i, letter) for i in u.at)):
                    ways.setdefault(letter, set()).add(shift < 0)
    found = {*ways}
    for letter in sorted(ways):
        others = found - {letter}
        if len(ways[letter]) == 2 and not _cycles(
            {n: [u.name for u in us if not _along(roles, n, u, others)] for n, us in reads.items()}
        ):
            found = others
    return found


def _read_letters(roles: Roles) -> set[str]:
    return {
        s
        for n in roles.definitions
        for u in roles.uses(n)
        for item in u.at
        for s in index_symbols(item)
        if s not in u.bound
    }


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


def _refuse_starts_from_themselves(roles: Roles, reads: dict[str, list[Use]]) -> None:
    for name in roles.starts:
        for u in roles.uses(name, roles.starts):
            seen, todo = {u.name}, [u.name]
            while todo:
                fresh = {v.name for v in reads.get(todo.pop(), [])} - seen
                seen |= fresh
                todo += fresh
            if name in seen:
                raise roles.fail(
                    f"the start of `{name}` needs `{name}` itself",
                    (roles.starts[name].span, "the start"),
                    (u.span, "read here"),
                    help="a start is computed from what is given",
                )


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
                (u.span, "read here" + (" at the same place" if _in_place(roles, name, u) else "")),
                help=f"a recurrence reads a neighbour: {u.name}[t-1]",
            )
        _visit(roles, u.name, in_place, done, stack)
    stack.pop()
    done[name] = None


def _in_place(roles: Roles, name: str, use: Use) -> bool:
    """Whether a read stands at the very point that ``name`` defines."""
    return all(isinstance(item, Symbol) and item.name in roles.letters(name) for item in use.at)


def _shifted(roles: Roles, name: str, use: Use) -> bool:
    return _along(roles, name, use, roles.recurrence)


def _along(roles: Roles, name: str, use: Use, letters: Set[str]) -> bool:
    """Whether a read is of another step than the one that ``name`` defines."""
    if any(isinstance(item, Symbol) and item.name in use.past for item in use.at):
        return True
    return roles.is_shifted(name, use, letters)


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
