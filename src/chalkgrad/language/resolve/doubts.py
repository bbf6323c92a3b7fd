"""What is probably not meant: said beside the result, which is computed all the same."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator

from chalkgrad.equations.ir import Program
from chalkgrad.language.resolve.define import Attempt


def doubts(attempt: Attempt, program: Program) -> tuple[str, ...]:
    """Definitions that reach no output, parameters read nowhere, names alike but for case or accent."""
    return (
        *attempt.elaborator.warnings.values(),
        *_lost(attempt, program),
        *_unread(attempt, program),
        *_alike(attempt),
    )


def _lost(attempt: Attempt, program: Program) -> Iterator[str]:
    """Definitions that never reach an output, and the equation that may have forgotten them."""
    lost = [n for n in attempt.roles.definitions if n not in program.table]
    if not lost:
        return
    verb = "reach" if len(lost) > 1 else "reaches"
    text = f"{_listed(lost)} never {verb} the output {', '.join(program.outputs)}"
    forgetful = [n for n in program.table if n in attempt.roles.definitions and _keeps_itself(attempt, n)]
    for n in forgetful:
        if all(len(attempt.shapes[n].axes) == len(attempt.shapes[other].axes) for other in lost):
            definition = attempt.roles.definitions[n]
            span = definition.span.to(definition.right.span)
            equation = attempt.roles.text.source[span.start : span.end]
            them = "them" if len(lost) > 1 else "it"
            text += f"; did you mean to read {them} in `{equation}`?"
            break
    yield text


def _keeps_itself(attempt: Attempt, name: str) -> bool:
    """Whether an equation goes on from its own past: c[t] = f ⊙ c[t-1]."""
    uses = attempt.all_uses[name]
    return any(u.name == name for u in uses) and all(u.name in attempt.roles.definitions for u in uses)


def _unread(attempt: Attempt, program: Program) -> Iterator[str]:
    """Given names that nothing reads on the way to the output, and declared ones that stand nowhere."""
    unread = [n for n in attempt.given() if n not in program.table and n in attempt.shapes]
    if unread:
        are = "are no parameters" if len(unread) > 1 else "is no parameter"
        yield f"{_listed(unread)} {are} of this layer: nothing that reaches the output reads " + (
            "them" if len(unread) > 1 else "it"
        )
    for name in attempt.unread:
        near = difflib.get_close_matches(name, [*attempt.shapes], n=1, cutoff=0.6)
        yield f"{name} is declared and read nowhere" + (f"; did you mean {near[0]}?" if near else "")


def _alike(attempt: Attempt) -> Iterator[str]:
    folded: dict[str, str] = {}
    for n in attempt.shapes:
        key = _plain(n)
        if key and len(n) > 1 and folded.get(key, n) != n:
            yield f"{folded[key]} and {n} differ only in case or accent"
        if key:
            folded.setdefault(key, n)


def _plain(name: str) -> str:
    """A name without its accents, in small letters: W_X and W_x, ĥ_t and h_t are alike."""
    bare = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return bare.lower()


def _listed(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
