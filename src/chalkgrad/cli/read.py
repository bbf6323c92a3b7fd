"""``chalkgrad read``: the equations of a whole note, and which of them are layers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chalkgrad.cli.page import Function, Inputs, complaints, pairs, waiting

if TYPE_CHECKING:
    from chalkgrad.language.source import EquationError
    from chalkgrad.notes import Note, NoteEquation, NoteLayer


def read(
    file: Annotated[Path, typer.Argument(metavar="NOTE.md", help="A note: Markdown, LaTeX or plain text.")],
    layer: Annotated[
        int | None, typer.Option(metavar="N", help="Print this layer alone, as equations in text form.")
    ] = None,
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Find the equations of a whole note, and say what each is: part of a layer, a claim about a gradient,
    or none.

    Formulas stand between $$…$$, \\[…\], $…$, in environments such as align, and in fences marked math or
    chalk. Equations that read one another are one layer. NOTE.md#2 is layer 2 wherever a command takes WHAT.

    Examples:

        chalkgrad read lecture.md

        chalkgrad read lecture.md --layer 2 > cell.chalk

        chalkgrad derive lecture.md#2
    """
    with complaints():
        from chalkgrad.notes import read_note
        from chalkgrad.notes.pick import nothing, picked
        from chalkgrad.zoo import text_of

        functions = pairs(function, "--function", "τ=tanh")
        text = text_of(file)
        with waiting("reading the note") as report:
            note = read_note(text, inputs, functions, report)
        if not note.equations:
            raise nothing(str(file))
        if layer is not None:
            chosen = picked(note, layer, str(file))
            if chosen.error is not None:
                print_aside(f"layer {layer} is not complete: {_one_line(chosen.error)}")
            print(chosen.text)
            return
    console = Console(highlight=False)
    for part in _shown(note, str(file)):
        console.print(part)


def print_aside(what: str) -> None:
    """Beside the result, on stderr."""
    Console(stderr=True, highlight=False).print(Text(f"warning: {what}"), soft_wrap=True)


# --- the whole screen ----------------------------------------------------------------------------------

_STYLES = {"layer": "green", "claim": "cyan", "no layer": "yellow", "not read": "red"}
_WORDS = {
    "no layer": "no layer",
    "numbers": "numbers",
    "function": "function",
    "expression": "no equation",
    "again": "again",
    "not read": "not read",
}


def _shown(note: Note, file: str) -> Iterator[Text | Table]:
    yield Text.assemble((file, "bold"), ": ", _counts(note))
    yield Text()
    yield _listing(note, file)
    for layer in note.layers:
        yield Text()
        name = Text.assemble((f"layer {layer.number}", "bold green"), "  ", (layer.name, "bold"))
        name.rstrip()
        yield name
        yield _about(layer)
    complete = next((x for x in note.layers if x.resolved), None)
    if complete is not None:
        yield Text()
        yield Text(f"to go on: chalkgrad derive {_what(file, complete.number)}", "dim")


def _counts(note: Note) -> str:
    kinds = [e.kind for e in note.equations]
    incomplete = sum(x.resolved is None for x in note.layers)
    found = [_number(len(note.equations), "equation"), _number(len(note.layers), "layer")]
    if incomplete:
        found[-1] += f" ({incomplete} incomplete)"
    claims, none, unread = map(kinds.count, ("claim", "no layer", "not read"))
    if claims:
        found.append(_number(claims, "claim"))
    if none:
        found.append(f"{none} that {'is' if none == 1 else 'are'} no layer")
    if unread:
        found.append(f"{unread} not read")
    return ", ".join(found)


def _number(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listing(note: Note, file: str) -> Table:
    """Every equation with its line, what it is and how it was read."""
    table = Table("line", "what it is", "as it was read", box=None, pad_edge=False, header_style="dim")
    table.columns[0].justify = "right"
    table.columns[1].no_wrap = True
    table.columns[2].overflow = "fold"
    heading = ""
    for e in note.equations:
        if e.heading != heading:
            heading = e.heading
            table.add_row("", "", Text(heading, "bold"))
        word = Text(_word(e), _STYLES.get(e.kind, "dim"))
        table.add_row(Text(str(e.line)), word, _formula(e, note, file))
    return table


def _word(e: NoteEquation) -> str:
    if e.kind == "layer":
        return f"layer {', '.join(map(str, e.layers))}"
    return "a claim" if e.kind == "claim" else _WORDS[e.kind]


def _formula(e: NoteEquation, note: Note, file: str) -> Text:
    """The formula, and below it what there is to say of it."""
    shown = " ".join(e.source.split()) if e.kind == "function" else e.text
    shown = shown if len(shown) <= 300 else shown[:300] + "…"
    said = Text(shown)
    for line in _remarks(e, note, file):
        said.append("\n" + line, "dim")
    return said


def _remarks(e: NoteEquation, note: Note, file: str) -> Iterator[str]:
    match e.kind:
        case "claim" if e.error is not None:
            yield f"it cannot be checked as it stands: {_one_line(e.error, e)}"
        case "claim":
            what = _what(file, e.layers[0]) if e.layers else "WHAT"
            yield f"to check it: chalkgrad check {what} --claim {_quoted(e.text)}"
        case "no layer" | "not read" if e.error is not None:
            yield _one_line(e.error, e if e.kind == "not read" else None)
        case "function":
            yield "what this function is; the language knows it"
        case "expression":
            yield "nothing is defined here: an equation has `=`"
        case "again":
            yield f"the same as in line {e.same}"
        case _:
            return


def _one_line(error: EquationError, e: NoteEquation | None = None) -> str:
    """Problem, place and help on one line."""
    place = _place(error) if e is not None else ""
    return f"{error.problem}{place}" + (f"; {error.help}" if error.help else "")


def _place(error: EquationError) -> str:
    """Where in the note it stands, in brackets."""
    if not error.labels:
        return ""
    span = error.labels[0][0]
    line = error.text.count("\n", 0, span.start) + 1
    return f" (line {line}, column {span.start - error.text.rfind(chr(10), 0, span.start)})"


def _quoted(text: str) -> str:
    """As an argument in a shell; in double quotes where that reads better than y'"'"'."""
    plain = not set(text) & set('"$`\\!')
    return f'"{text}"' if plain else shlex.quote(text)


def _what(file: str, number: int) -> str:
    return shlex.quote(f"{file}#{number}") if shlex.quote(file) != file else f"{file}#{number}"


# --- one layer -----------------------------------------------------------------------------------------


def _about(layer: NoteLayer) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row("  lines", Text(_ranges(layer.lines)))
    for word, said in _facts(layer):
        table.add_row(f"  {word}", Text(said))
    for warning in layer.warnings:
        table.add_row("  warning", Text(warning, "yellow"))
    if layer.error is not None:
        table.add_row("  needs", Text(layer.error.problem + _place(layer.error), "red"))
        if layer.error.help:
            table.add_row("  help", Text(layer.error.help))
    return table


def _facts(layer: NoteLayer) -> Iterator[tuple[str, str]]:
    """Inputs, parameters, states, outputs and sizes of a layer that is complete."""
    if layer.resolved is None:
        return
    program = layer.resolved.program
    shapes = {
        n.name: program.defining(n.name)[-1].domain if n.role == "defined" else n.ranges
        for n in program.names
    }

    def shown(name: str) -> str:
        sizes = [str(r.size) for r in shapes[name]]
        return f"{_plain(name)}: " + ("×".join(f"({s})" if " " in s else s for s in sizes) or "scalar")

    for word, role in (("inputs", "input"), ("parameters", "parameter")):
        found = [shown(n.name) for n in program.names if n.role == role]
        if found:
            yield (word if len(found) > 1 else word[:-1]), ", ".join(found)
    states = [
        f"{_plain(s.name)} ({_number(s.depth, 'step')} {'back' if s.forward else 'ahead'})"
        for s in program.states
    ]
    if states:
        yield "states" if len(states) > 1 else "state", ", ".join(states)
    yield "outputs" if len(program.outputs) > 1 else "output", ", ".join(map(shown, program.outputs))
    kept = {s for n in program.names if n.role == "parameter" for r in n.ranges for s in r.size.symbols}
    free = [s for s in program.symbols if s not in kept]
    to_choose = [s for s in program.symbols if s in kept]
    sizes = [
        *([f"to choose: {', '.join(to_choose)}"] if to_choose else []),
        *([f"from what comes in: {', '.join(free)}"] if free else []),
    ]
    if sizes:
        yield "sizes", "; ".join(sizes)


def _plain(name: str) -> str:
    """The name (f∗g) as it is written: [f * g]."""
    return f"[{name[1:-1].replace('∗', ' * ')}]" if name.startswith("(") else name


def _ranges(lines: tuple[int, ...]) -> str:
    """1–3, 7."""
    found: list[list[int]] = []
    for n in sorted(lines):
        if found and n == found[-1][-1] + 1:
            found[-1].append(n)
        else:
            found.append([n])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in found)
