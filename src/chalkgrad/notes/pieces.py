"""What is found in a note: pieces of it, the equations that stand in them, and what is said of names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.parse.syntax import Line
from chalkgrad.language.source import EquationError, Span
from chalkgrad.notes.page import Form
from chalkgrad.notes.spelling import spelled_line

Kind = Literal["layer", "claim", "no layer", "numbers", "function", "expression", "not read"]


@dataclass(frozen=True)
class Piece:
    """Characters of the note that are read together: one row of a formula, or one equation of it.

    ``text`` stands at ``start`` of the note; ``block`` is the number of its formula, ``whole`` whether it is
    a layer as it stands.
    """

    text: str
    start: int
    block: int
    form: Form
    display: bool
    whole: bool = False

    @property
    def source(self) -> str:
        """What the language's reader is given."""
        return f"$${self.text}$$" if self.form == "latex" else self.text

    @property
    def lead(self) -> int:
        """How many characters of the source stand before the text."""
        return 2 if self.form == "latex" else 0


@dataclass(frozen=True)
class Equation:
    """An equation of a note, and what it is when it is seen alone.

    ``line`` is its syntax tree, None where it cannot be read (``error`` says why); ``span`` its place in the
    note.
    """

    piece: Piece
    span: Span
    kind: Kind
    line: Line | None = None
    error: EquationError | None = None

    @property
    def text(self) -> str:
        """As it was read, in text form; as it was pasted, on one line, where it could not be read."""
        return spelled_line(self.line) if self.line is not None else " ".join(self.piece.text.split())


@dataclass(frozen=True)
class Said:
    """What a note says of a name beside the equations: a shape, a role, which function a letter is.

    ``source`` says it to the reader: a ``where``, or ``$x_t \\in \\mathbb{R}^D$``.
    """

    name: str
    source: str
    span: Span
    alias: str = ""

    @property
    def needed(self) -> bool:
        """Whether it says more than a shape: a role, or a function."""
        return bool(self.alias) or bool(_ROLE.search(self.source))


_ROLE = re.compile(r"\b(?:input|output|parameter|init|zero|scalar)\b|=")
