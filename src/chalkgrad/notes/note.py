"""A whole note: its equations, what each of them is, and the layers that they are the equations of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chalkgrad.language.parse.syntax import Symbol, nodes
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError
from chalkgrad.notes import families as families_
from chalkgrad.notes import found as found_
from chalkgrad.notes import names
from chalkgrad.notes.compose import Composed, compose
from chalkgrad.notes.page import Heading, lines_of, page
from chalkgrad.notes.pieces import Equation, Said

LONGEST = 2_000_000
"""Characters in a note."""

MOST_SHAPES = 20
"""Shapes in the prose that are tried one by one, where together they do not fit."""

MOST_EQUATIONS = 2000
"""Equations in a note: a long book chapter has a few hundred."""

Kind = Literal["layer", "claim", "no layer", "numbers", "function", "expression", "again", "not read"]


@dataclass(frozen=True)
class NoteEquation:
    """An equation that stands in a note.

    ``kind`` is what it is: part of a ``layer``, a ``claim`` about a gradient, ``no layer`` (an integral, a
    probability), ``numbers`` (a statement about sizes), a ``function`` that the language knows, an
    ``expression`` without `=`, the same ``again`` as before, or ``not read``.

    ``line`` and ``column`` count from 1; ``text`` is the formula as it was read, in text form, or as it was
    pasted where it could not be read; ``heading`` what it stands under; ``layers`` the layers that it belongs
    to (for a claim: which one it is about); ``same`` the line of the equation that it repeats, 0 where it
    repeats none; ``error`` says what is wrong, or why it is no layer.
    """

    kind: Kind
    line: int
    column: int
    text: str
    source: str
    heading: str
    display: bool
    layers: tuple[int, ...] = ()
    same: int = 0
    error: EquationError | None = None


@dataclass(frozen=True)
class NoteLayer:
    """Equations of a note that belong together, as one layer.

    ``number`` counts from 1; ``name`` is the heading that it stands under; ``lines`` where its equations
    stand; ``text`` is a page of its own, in text form; ``resolved`` its meaning, None where ``error`` says
    what it needs.
    """

    number: int
    name: str
    lines: tuple[int, ...]
    text: str
    resolved: Resolved | None
    error: EquationError | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """What :func:`read_note` finds in a note: its equations in order, and the layers among them."""

    source: str
    equations: tuple[NoteEquation, ...]
    layers: tuple[NoteLayer, ...]


def read_note(
    text: str,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Note:
    r"""The equations of a note in Markdown, LaTeX or plain text, and the layers that they make.

    ``inputs`` and ``functions`` are as in :func:`chalkgrad.layer`; each layer takes those that it has.
    ``progress`` is told how much is done of how much. Raises EquationError for a note that is too long, and
    for an input that no layer has.

    >>> note = read_note("# RNN\n\n$$h_t = \\tanh(x_t W + h_{t-1} U + b)$$")
    >>> print(note.layers[0].name, note.layers[0].text, sep=": ")
    RNN: h[t] = tanh(x[t] W + h[t-1] U + b)
    """
    if len(text) > LONGEST:
        raise EquationError(
            f"this note has {len(text):,} characters, and at most {LONGEST:,} are read",
            help="name the part of it that has the equations",
        )
    text = text.replace("\r\n", "\n")
    report = progress or (lambda done, total: None)
    found = _everything(text, report)
    return _Reading(text, *found, _words(inputs), dict(functions or {}), report).note()


def _words(inputs: str | Iterable[str] | None) -> tuple[str, ...]:
    return tuple(inputs.replace(",", " ").split()) if isinstance(inputs, str) else tuple(inputs or ())


def _everything(
    text: str, report: Callable[[int, int], None]
) -> tuple[tuple[Heading, ...], list[Equation], list[Said]]:
    """The headings, the equations in order, and what is said beside them."""
    seen = page(text)
    equations: list[Equation] = []
    said: list[Said] = []
    whole = found_.equations(seen) if seen.formulas else found_.bare_lines(text, seen.prose)
    for item in whole:
        if isinstance(item, Said):
            said.append(item)
        else:
            report(item.span.start, 2 * len(text))
            equations.append(item)
        if max(len(equations), len(said)) > MOST_EQUATIONS:
            what = "equations" if len(equations) > MOST_EQUATIONS else "declarations after `where`"
            raise EquationError(f"this note has more than {MOST_EQUATIONS} {what}", help="name a part of it")
    return (
        seen.headings,
        sorted(equations, key=lambda e: e.span.start),
        sorted(said, key=lambda s: s.span.start),
    )


Reading = tuple[Composed, Resolved | None, EquationError | None, tuple[str, ...]]
"""The page of a layer, its meaning or what is wrong, and warnings."""


class _Reading:
    """The layers of a note, one after the other, and what becomes of each equation."""

    def __init__(
        self,
        text: str,
        headings: Sequence[Heading],
        equations: list[Equation],
        said: list[Said],
        inputs: tuple[str, ...],
        functions: dict[str, str],
        report: Callable[[int, int], None],
    ) -> None:
        self.text, self.headings, self.equations, self.said = text, headings, equations, said
        self.inputs, self.functions, self.report = inputs, functions, report
        self.starts = lines_of(text)

    def note(self) -> Note:
        found, again = families_.families(self.equations, self.headings)
        layers: list[NoteLayer] = []
        for k, f in enumerate(found):
            self.report(len(found) + k + 1, 2 * len(found))
            layers.append(self.layer(k + 1, f))
        self.refuse_unknown_inputs(layers)
        member: dict[int, list[int]] = {}
        for k, f in enumerate(found):
            for e in f.all:
                member.setdefault(e, []).append(k + 1)
        equations = tuple(
            self.equation(k, e, tuple(member.get(k, ())), again.get(k), layers)
            for k, e in enumerate(self.equations)
        )
        return Note(self.text, equations, tuple(layers))

    def line(self, at: int) -> int:
        return bisect_right(self.starts, at)

    # --- layers ----------------------------------------------------------------------------------------

    def layer(self, number: int, family: families_.Family) -> NoteLayer:
        members = [self.equations[k] for k in family.all]
        composed, resolved, error, warnings = self.read(compose(members, self.about(members)))
        first = self.equations[family.members[0]].span.start
        lines = tuple(dict.fromkeys(self.line(m.span.start) for m in members))
        text = composed.text_form(self.fitting_inputs(composed), self.fitting_functions(composed), resolved)
        return NoteLayer(
            number, self.name(family, first), lines, text, resolved, error and self.placed(error), warnings
        )

    def name(self, family: families_.Family, first: int) -> str:
        """The nearest heading that all of its equations stand under."""
        last = max(self.equations[k].span.start for k in family.members)
        over = [h for h in self.headings if h.start <= first and last < h.end]
        return over[-1].title

    def about(self, members: list[Equation]) -> list[Said]:
        """What the note says of the names of these equations, in their part or in those above it."""
        if any(m.piece.whole for m in members):
            return []  # a fence marked chalk says all of it itself
        used = {n for m in members for n in _symbols_of(m)}
        called = {n for m in members if m.line for n in names.called(m.line)}
        found: dict[str, Said] = {}
        for s in self.said:
            level = [h for h in self.headings if h.start <= s.span.start < h.end][-1]
            over = any(level.start <= m.span.start < level.end for m in members)
            name = s.name if s.name in used else names.without_index(s.name)
            if over and name in (called if s.alias else used):
                found[name] = s
        return list(found.values())

    def read(self, composed: Composed) -> Reading:
        """The meaning of a layer; what the prose says of shapes is left out where it does not fit."""
        try:
            resolved = self.resolved(composed)
        except EquationError as error:
            kept = [s for s in composed.said if s.needed]
            try:
                resolved = self.resolved(composed.saying(kept)) if len(kept) < len(composed.said) else None
            except EquationError:
                resolved = None
            if resolved is None:
                return composed, None, composed.moved(error), ()
            return self.fitting(composed, kept, resolved)
        return composed, resolved, None, resolved.warnings

    def fitting(self, composed: Composed, kept: list[Said], resolved: Resolved) -> Reading:
        """The layer with as many of the shapes in the prose as fit; the others are warned of."""
        left_out: list[str] = []
        for s in [s for s in composed.said if not s.needed][:MOST_SHAPES]:
            try:
                resolved = self.resolved(composed.saying([*kept, s]))
            except EquationError as error:
                line = self.line(s.span.start)
                left_out.append(
                    f"line {line}: this shape of {s.name} does not fit, left out: {error.problem}"
                )
            else:
                kept = [*kept, s]
        return composed.saying(kept), resolved, None, (*resolved.warnings, *left_out)

    def resolved(self, composed: Composed) -> Resolved:
        return read(composed.source, self.fitting_inputs(composed), self.fitting_functions(composed))

    def fitting_inputs(self, composed: Composed) -> tuple[str, ...]:
        return tuple(n for n in self.inputs if n in composed.reads and n not in composed.defines)

    def fitting_functions(self, composed: Composed) -> dict[str, str]:
        return {a: f for a, f in self.functions.items() if a in composed.called and a not in composed.defines}

    def refuse_unknown_inputs(self, layers: list[NoteLayer]) -> None:
        known = {n for e in self.equations if e.line for n in names.reads(e.line)}
        unknown = [n for n in self.inputs if n not in known]
        if unknown and layers:
            raise EquationError(
                f"no layer of this note reads `{unknown[0]}`",
                help="--inputs names what is given at each call",
            )

    def placed(self, error: EquationError) -> EquationError:
        """An error whose places are in the note, shown with the note's lines."""
        labels = tuple((s, n) for s, n in error.labels if 0 <= s.start <= len(self.text))
        return EquationError(error.problem, self.text, labels, error.help)

    # --- equations -------------------------------------------------------------------------------------

    def equation(
        self,
        k: int,
        e: Equation,
        member: tuple[int, ...],
        same: int | None,
        layers: list[NoteLayer],
    ) -> NoteEquation:
        kind: Kind = e.kind
        if kind == "layer" and not member:
            kind = "again" if same is not None else "numbers"
        if kind == "claim":
            member = self.claimed(e, layers)
        line = self.line(e.span.start)
        return NoteEquation(
            kind,
            line,
            e.span.start - self.starts[line - 1] + 1,
            e.text,
            self.text[e.span.start : e.span.end],
            next(h for h in reversed(self.headings) if h.start <= e.span.start < h.end).title,
            e.piece.display,
            member,
            self.line(self.equations[same].span.start) if same is not None else 0,
            self.placed(e.error) if e.error else None,
        )

    def claimed(self, e: Equation, layers: list[NoteLayer]) -> tuple[int, ...]:
        """The layer that a claim is about: the last one before it that has the name, of its own part if there
        is one, else the last one of its part."""
        about = {n.lstrip("∂") for n in _symbols_of(e) if n.startswith("∂")}
        about |= {n.rpartition("_")[0] for n in about}
        line = self.line(e.span.start)
        part = [h for h in self.headings if h.start <= e.span.start < h.end and h.level > 1]
        since = self.line(part[0].start) if part else 1
        before = [x for x in layers if x.lines[0] <= line and x.resolved]
        having = [x for x in before if about & _names_of(x)]
        near = [x for x in layers if x.lines[0] >= since and x in having]
        beside = [x for x in before if x.lines[0] >= since]
        chosen = next((found[-1] for found in (near, beside, having) if found), None)
        return (chosen.number,) if chosen else ()


def _names_of(layer: NoteLayer) -> set[str]:
    return {n.name for n in layer.resolved.program.names} if layer.resolved else set()


def _symbols_of(e: Equation) -> set[str]:
    if e.line is None:
        return set()
    sides = (e.line.left, e.line.right, *e.line.chain)
    return {node.name for side in sides for node in nodes(side) if isinstance(node, Symbol)}
