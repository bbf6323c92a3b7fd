"""From a reading to a program: sizes get their names, states their starts, and the outputs are found."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from chalkgrad.equations.ir import Equation, Name, Program, Read, State, full
from chalkgrad.equations.walk import needed
from chalkgrad.language.resolve.define import Attempt
from chalkgrad.language.resolve.naming import SizeMap, as_range, canonical_ranges, resize
from chalkgrad.language.resolve.starts import edge_values, given_start, states_of
from chalkgrad.language.source import Span


def finish(attempt: Attempt, size: SizeMap) -> Program:
    """The program of a reading, its sizes put through ``size``, without what reaches no output.

    Raises EquationError where a state is read both ways.
    """
    equations: list[Equation] = []
    names: list[Name] = []
    states: list[State] = []
    taken = set(attempt.shapes)
    given = [n for n in attempt.given() if n in attempt.shapes]
    for role in ("input", "parameter"):
        for n in given:
            if (n in attempt.inputs) == (role == "input"):
                names.append(Name(n, role, canonical_ranges(attempt, n, size), attempt.shapes[n].written))
    for d in attempt.defined:
        ranges = tuple(as_range(a, i, size) for a, i in zip(d.axes, d.intervals, strict=True))
        value = resize(d.value, size)
        own, hull = states_of(attempt, d, ranges, taken)
        for state, box in own:
            states.append(state)
            if d.name in attempt.roles.edges:
                equations.append(Equation(d.name, box, edge_values(attempt, d, ranges, box)))
            elif d.name in attempt.starts:
                equations.append(given_start(attempt.starts[d.name], d, box, state.position, size))
            else:
                names.append(Name(state.start, "start", box, of=d.name))
                equations.append(Equation(d.name, box, Read(state.start, full(box))))
        names.append(Name(d.name, "defined", hull, attempt.shapes[d.name].written))
        equations.append(Equation(d.name, ranges, value))
    _refuse_two_directions(attempt, states)
    _refuse_empty(attempt, names)
    columns = attempt.elaborator.algebra.column_products >= attempt.elaborator.algebra.row_products
    outputs = _outputs(attempt)
    kept = needed(equations, outputs) | attempt.inputs
    return Program(
        tuple(e for e in equations if e.target in kept),
        tuple(n for n in names if n.name in kept),
        outputs,
        tuple(s for s in states if s.start and s.name in kept),
        columns,
    )


def claims(attempt: Attempt, size: SizeMap) -> tuple[tuple[Equation, Span], ...]:
    """The further right sides of chains ``A = B = C``, each as an equation of its own."""
    found: list[tuple[Equation, Span]] = []
    for d, span in attempt.claimed:
        ranges = tuple(as_range(a, i, size) for a, i in zip(d.axes, d.intervals, strict=True))
        found.append((Equation(d.name, ranges, resize(d.value, size)), span))
    return tuple(found)


def _refuse_two_directions(attempt: Attempt, states: list[State]) -> None:
    """One loop runs one way: ``f[t] = g[t-1]`` with ``g[t] = f[t+1]`` has no first step."""
    roles = attempt.roles
    for a, b in combinations(states, 2):
        letters = roles.letters(a.name)[a.position], roles.letters(b.name)[b.position]
        if roles.group(a.name) == roles.group(b.name) and letters[0] == letters[1] and a.forward != b.forward:
            raise roles.fail(
                f"`{a.name}` and `{b.name}` need each other, one from behind and one from ahead",
                (attempt.states[a.name][a.position][0][1], "read here"),
                (attempt.states[b.name][b.position][0][1], "and here the other way"),
                help="a recurrence runs one way",
            )


def _refuse_empty(attempt: Attempt, names: list[Name]) -> None:
    """A size that comes out as zero or less: what was said of the others leaves nothing for it."""
    for n in names:
        for r in n.ranges:
            if r.size.constant is not None and r.size.constant < 1 and n.role != "defined":
                place = attempt.places[n.of or n.name]
                raise attempt.roles.fail(
                    f"nothing is left for `{n.of or n.name}`: its size comes out as {r.size}",
                    (place, "here"),
                    help="change one of the shapes that `where` gives",
                )


# --- outputs -----------------------------------------------------------------------------------------------


def _outputs(attempt: Attempt) -> tuple[str, ...]:
    """The names that nothing reads in place; a state that is read only at a shift is one of them."""
    roles = attempt.roles
    said = tuple(n for n, d in roles.declared.items() if d.role == "output")
    if said:
        return said
    sinks = [n for n in roles.definitions if n not in _read_in_place(attempt)]
    cyclic = [n for n in sinks if n in {m for g in roles.groups for m in g}]
    if cyclic:
        # What only hangs off a recurrence at a shift (the note's g and i that c forgot) is not an output.
        hanging = {n for n in sinks if n not in cyclic and _hangs(attempt, n, cyclic)}
        sinks = [n for n in sinks if n not in hanging]
    return tuple(sinks) or tuple(roles.definitions)[-1:]


def _read_in_place(attempt: Attempt) -> set[str]:
    """Names that some other definition reads unshifted, or at fixed or summed places."""
    roles, found = attempt.roles, set[str]()
    for n in roles.definitions:
        for u in attempt.all_uses[n]:
            if u.name not in roles.definitions or u.name == n:
                continue
            shifted = any(roles.shift(n, i, a) for a in roles.recurrence - u.bound for i in u.at)
            if not shifted:
                found.add(u.name)
    for n in roles.starts:
        found |= {u.name for u in roles.uses(n, roles.starts)}
    return found


def _hangs(attempt: Attempt, name: str, cyclic: Iterable[str]) -> bool:
    """Whether a sink reads a cycle, and only names of cycles whose own output is among the sinks."""
    read = {u.name for u in attempt.all_uses[name] if u.name in attempt.roles.definitions}
    return bool(read) and all(
        any(attempt.roles.group(r) == attempt.roles.group(c) for c in cyclic) for r in read
    )
