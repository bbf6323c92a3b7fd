"""One layer of a note: ``NOTE.md#2``, or the only one that it has."""

from __future__ import annotations

from chalkgrad.language.source import EquationError
from chalkgrad.notes.note import Note, NoteLayer, read_note


def layer_of(text: str, number: int | None, file: str) -> str:
    """The page of a note's layer, the only one where ``number`` is None. ``file`` is what errors call it.

    Raises EquationError for a note without a layer, and for a number that none has.

    >>> layer_of("Here $$h_t = \\\\tanh(x_t W + h_{t-1} U)$$ is all.", None, "note.md")
    'h[t] = tanh(x[t] W + h[t-1] U)'
    """
    note = read_note(text)
    if not note.equations:
        raise nothing(file)
    return picked(note, number, file).text


def picked(note: Note, number: int | None, file: str) -> NoteLayer:
    """The layer of this number."""
    count = len(note.layers)
    if not count:
        raise EquationError(
            f"no equation of {file} is a layer", help=f"chalkgrad read {file} says what each is"
        )
    if number is None and count > 1:
        raise EquationError(
            f"{file} holds {count} layers",
            help=f"say which: {file}#1 to {file}#{count}; chalkgrad read {file} lists them",
        )
    chosen = 1 if number is None else number
    if not 1 <= chosen <= count:
        raise EquationError(
            f"{file} has no layer {chosen}: it has {count}",
            help=f"chalkgrad read {file} lists {'them' if count > 1 else 'it'}",
        )
    return note.layers[chosen - 1]


def nothing(file: str) -> EquationError:
    """The error for a note without any equation."""
    return EquationError(
        f"there is no equation in {file}",
        help=r"formulas stand between $$…$$, \[…\] or $…$, or in a fence marked math",
    )
