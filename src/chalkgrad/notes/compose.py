"""The equations of one layer, gathered from a note into a page of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError, Span
from chalkgrad.notes import names
from chalkgrad.notes.pieces import Equation, Piece, Said
from chalkgrad.notes.spelling import spelled_declaration, spelled_line


@dataclass(frozen=True)
class Composed:
    """A page made of pieces of a note.

    ``source`` is what the language reads; ``origins`` say where its characters stand in the note: (start in
    the source, start in the note, how many).
    """

    members: tuple[Equation, ...]
    said: tuple[Said, ...]
    source: str
    origins: tuple[tuple[int, int, int], ...]

    @property
    def defines(self) -> frozenset[str]:
        return frozenset(names.defined(m.line) for m in self.members if m.line)

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(n for m in self.members if m.line for n in names.reads(m.line))

    @property
    def called(self) -> frozenset[str]:
        """Letters that are used as functions."""
        return frozenset(n for m in self.members if m.line for n in names.called(m.line))

    def saying(self, said: Sequence[Said]) -> Composed:
        """The same equations with this beside them."""
        return compose(self.members, said)

    def moved(self, error: EquationError) -> EquationError:
        """An error about this page with its places in the note; a place that is in no piece is left out."""
        labels = tuple((p, note) for s, note in error.labels if (p := self.place(s)) is not None)
        return EquationError(error.problem, "", labels, error.help)

    def place(self, span: Span) -> Span | None:
        """Where a span of the page stands in the note."""
        for start, at, length in self.origins:
            if start <= span.start < start + length:
                return Span(span.start - start + at, min(span.end, start + length) - start + at)
        return None

    def text_form(
        self, inputs: Sequence[str], functions: Mapping[str, str], resolved: Resolved | None
    ) -> str:
        """The page in text form, with what was given beside it; as pasted where text form would say less."""
        beside = [*(f"{n}: input" for n in inputs), *(f"{a} = {f}" for a, f in functions.items())]
        try:
            text = parse(self.source)
        except EquationError:
            return self.source
        said = [spelled_declaration(d) for d in text.declarations if d.name.name not in inputs]
        said = [*said, *beside]
        written = "\n".join([*map(spelled_line, text.lines), *(["where " + ", ".join(said)] if said else [])])
        if resolved is None:
            return written
        try:
            same = read(written).program == resolved.program
        except EquationError:
            same = False
        return written if same else self.source + "".join(f"\nwhere {b}" for b in beside)


def compose(members: Sequence[Equation], said: Sequence[Said]) -> Composed:
    """The page of these equations with what the note says beside them.

    A piece with several equations stands on it once; where LaTeX and text form meet, all is text form.
    """
    pieces = list(dict.fromkeys(m.piece for m in members))
    mixed = len({p.form for p in pieces}) > 1
    source, origins = "", list[tuple[int, int, int]]()
    for p in pieces:
        text = _in_text_form(p, members) if mixed else p.source
        if not mixed:
            origins.append((len(source) + p.lead, p.start, len(p.text)))
        source += text + "\n"
    for s in said:
        origins.append((len(source), s.span.start, s.span.end - s.span.start))
        source += s.source + "\n"
    return Composed(tuple(members), tuple(said), source.rstrip("\n"), tuple(origins))


def _in_text_form(piece: Piece, members: Sequence[Equation]) -> str:
    return "\n".join(m.text for m in members if m.piece == piece)
