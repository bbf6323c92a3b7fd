"""LaTeX → tokens: the way through the folder's other files."""

from __future__ import annotations

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.cursor import MOST_EQUATIONS, too_many_equations
from chalkgrad.language.parse.latex import commands
from chalkgrad.language.parse.latex.brackets import partners
from chalkgrad.language.parse.latex.indices import survey
from chalkgrad.language.parse.latex.items import items
from chalkgrad.language.parse.latex.regions import Region, regions
from chalkgrad.language.parse.latex.scripts import inside
from chalkgrad.language.parse.latex.segments import Segment, mark_of, segments
from chalkgrad.language.parse.latex.tree import Break, Digits, Item, Name, Scripted, Sign, name_of
from chalkgrad.language.parse.latex.units import Unit, units
from chalkgrad.language.parse.latex.write import Writer
from chalkgrad.language.parse.text import Token
from chalkgrad.language.source import EquationError, Span
from chalkgrad.language.words import STRUCTURED

LONGEST_EQUATION = 4000
"""Letters and signs in one equation."""


def tokenize_latex(source: str) -> list[Token]:
    r"""The tokens of a text of LaTeX, as :func:`chalkgrad.language.parse.text.tokenize` has them for text.

    Raises EquationError for what has no meaning in a layer: an integral, a probability, a command not known.

    >>> [t.text for t in tokenize_latex(r"h_t = \tanh(W_{xh} x_t)")]
    ['h', '[', 't', ']', '=', 'tanh', '(', 'W_xh', 'x', '[', 't', ']', ')', '\n', '']
    """
    found = regions(source)
    everything: list[Item] = []
    for region in found:
        if region.kind == "math":
            everything += items(source, _units(source, region))
            everything.append(Break("block", Span(region.end, region.end)))
    refuse_probabilities(source, tuple(everything))
    equations, shapes, aliases = _split(segments(tuple(everything)))
    if len(equations) > MOST_EQUATIONS:
        raise too_many_equations(source, len(equations), equations[MOST_EQUATIONS][0].span)
    for segment in equations:
        _refuse_a_number(source, segment)
        _refuse_a_function(source, segment)
        if _is_longer(segment, LONGEST_EQUATION):
            raise EquationError(
                f"this equation has more than {LONGEST_EQUATION} letters and signs",
                source,
                ((segment[0].span, "this one"),),
                "give a part of it a name and an equation of its own",
            )
    page = survey(source, equations)
    writer = Writer(page)
    for e in page.equations:
        writer.equation(e.sides, page.indices(e))
    writer.where = True
    writer.own = frozenset[str]().union(*(page.indices(e) for e in page.equations))
    for alias in aliases:
        writer.put("name", "where", alias[0].span)
        writer.equation(alias, writer.own)
    for names, dims in shapes:
        _write_shape(writer, names, dims)
    for region in found:
        if region.kind == "where":
            _write_where(writer, source, region)
    return [*writer.tokens, Token("end", "", Span(len(source), len(source)))]


def _is_longer(segment: Segment, most: int) -> bool:
    """Whether a segment holds more than so many items, those in scripts and fractions too."""
    count, todo = 0, [segment]
    while todo and count <= most:
        row = todo.pop()
        count += len(row)
        todo += [part for item in row[: most + 1] for part in inside(item)]
    return count > most


def _units(source: str, region: Region) -> list[Unit]:
    start, end = region.start, region.end
    fence = source.find("\n", start, end)
    if source.startswith("```", start) and fence >= 0 and source.endswith("```", fence, end):
        return units(source, fence, end - 3)
    for mark in ("$$", "$"):
        if source.startswith(mark, start) and end - start >= 2 * len(mark):
            return units(source, start + len(mark), end - len(mark))
    return units(source, start, end)


# --- what is no equation -------------------------------------------------------------------------------


def refuse_probabilities(source: str, found: tuple[Item, ...]) -> None:
    """Raise EquationError for P(x | y): that is what a language model computes, not a layer."""
    todo = [found]
    while todo:
        row = todo.pop()
        partner = partners(row)
        last = -1  # where a bar or dots stand, the last ones before k
        inner = [last := k if mark_of(item) in ("∣", "|", "…") else last for k, item in enumerate(row)]
        for k, item in enumerate(row):
            todo += inside(item)
            of = row[k - 1] if k else item
            if mark_of(item) in ("(", "[") and name_of(of) in ("P", "p", "Pr", "q", "E"):
                closed = partner.get(k, len(row) - 1)
                if inner[closed] > k:
                    problem, help = commands.PROBABILITY
                    span = of.span.to(row[closed].span)
                    raise EquationError(problem, source, ((span, "a probability"),), help)
            elif mark_of(item) == "∣":
                problem, help = commands.PROBABILITY
                raise EquationError(problem, source, ((item.span, "given what stands behind it"),), help)


# --- x_t \in \mathbb{R}^{D} ----------------------------------------------------------------------------

Shape = tuple[tuple[Item, ...], tuple[Item, ...] | None]


def _split(found: list[Segment]) -> tuple[list[Segment], list[Shape], list[Segment]]:
    r"""Equations, in which space names lie (``W \in \mathbb{R}^{H \times D}``), what letters stand for."""
    equations: list[Segment] = []
    shapes: list[Shape] = []
    aliases: list[Segment] = []
    waiting: list[Item] = []
    for segment in found:
        if space := _space(segment):
            shapes.append(((*waiting, segment[0]), space.sup if isinstance(space, Scripted) else None))
            waiting = []
            continue
        if waiting:
            equations.append(tuple(waiting))
            waiting = []
        if len(segment) == 1 and isinstance(segment[0], Name | Scripted) and not mark_of(segment[0]):
            waiting = [*waiting, segment[0]]
        elif _is_alias(segment):
            aliases.append(segment)
        else:
            equations.append(segment)
    if waiting:
        equations.append(tuple(waiting))
    return equations, shapes, aliases


def _is_alias(segment: Segment) -> bool:
    r"""``\phi = \tanh``: what a letter stands for, with or without the word where."""
    match segment:
        case (Name() | Scripted(Name()), Sign("="), Name(function, word=True)):
            return function in FUNCTIONS or function in STRUCTURED
        case _:
            return False


def _refuse_a_number(source: str, segment: Segment) -> None:
    """Raise EquationError for the (4) behind an equation: its number, or a factor?"""
    if not any(mark_of(i) == "=" for i in segment[:-3]):
        return
    match segment[-4:]:
        case (before, Sign("(", opened, True), Digits(number), closed) if mark_of(
            closed
        ) == ")" and not mark_of(before):
            raise EquationError(
                "a number in brackets ends this equation",
                source,
                ((opened.to(closed.span), "a factor, or the number of the equation?"),),
                f"write \\tag{{{number}}} or nothing for its number; a factor stands before: {number} x",
            )
        case _:
            pass


def _refuse_a_function(source: str, segment: Segment) -> None:
    r"""Raise EquationError for ``\mathrm{Attention}(Q, K, V) = …``, which defines a function."""
    match segment[:2]:
        case (Name(name, word=True) as first, Sign("(")) if name not in FUNCTIONS and name not in STRUCTURED:
            closed = partners(segment).get(1, 0)
            inner = [i for i in segment[2:closed] if not mark_of(i)]
            values = [i for i in inner if not isinstance(i, Name) or i.text.isupper() or i.word]
            if values and closed + 1 < len(segment) and mark_of(segment[closed + 1]) == "=":
                raise EquationError(
                    f"`{name}(…)` defines a function, and a layer has values",
                    source,
                    ((first.span.to(segment[closed].span), "of these"),),
                    "write what it gives, and say what is put in: Y = …, where Q: input, K: input",
                )
        case _:
            pass


def _space(segment: Segment) -> Item | None:
    """The space of ``W \\in \\mathbb{R}^{H \\times D}`` (a plain R too); None where it is something else."""
    match segment:
        case (Name() | Scripted(Name()), Sign("∈"), space) if mark_of(space) in ("ℝ", "ℕ", "ℤ") or (
            isinstance(space, Scripted) and name_of(space) == "R"
        ):
            return space
        case _:
            return None


def _write_shape(writer: Writer, names: tuple[Item, ...], dims: tuple[Item, ...] | None) -> None:
    span = names[0].span
    writer.put("name", "where", span)
    for n, name in enumerate(names):
        if n:
            writer.mark(",", name.span)
        writer.one(name)
        writer.mark(":", span)
        if not dims:
            writer.put("name", "scalar", span)
        else:
            for item in dims:
                writer.one(item)
    writer.newline(names[-1].span)


def _write_where(writer: Writer, source: str, region: Region) -> None:
    cut = source[region.start : region.end].rstrip().rstrip("$.\\")
    found = items(source, units(source, region.start, region.start + len(cut), words=True))
    written = tuple(i for i in found if not isinstance(i, Break))
    if not any(mark_of(i) == "∈" for i in written):
        writer.items(written)
        writer.newline(Span(region.end, region.end))
        return
    _, *said = written  # without the word
    others, shapes, aliases = _split(segments(tuple(said)))
    for names, dims in shapes:
        _write_shape(writer, names, dims)
    for piece in (*others, *aliases):
        writer.put("name", "where", piece[0].span)
        writer.items(piece)
        writer.newline(piece[-1].span)


__all__ = ["LONGEST_EQUATION", "refuse_probabilities", "tokenize_latex"]
