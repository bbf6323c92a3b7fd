"""``chalkgrad show``: a page at each stage on its way to a layer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chalkgrad.cli.page import Function, Inputs, What, complaints, pairs, sizes, warn

if TYPE_CHECKING:
    from chalkgrad.equations.ir import Range
    from chalkgrad.kernels.backends import Backend
    from chalkgrad.language.resolve import Resolved


class Stage(StrEnum):
    read = "read"
    resolve = "resolve"
    derive = "derive"
    schedule = "schedule"


class Runs(StrEnum):
    c = "c"
    torch = "torch"
    eager = "eager"


def show(
    what: What,
    stage: Annotated[
        Stage,
        typer.Option(
            help="read: as parsed. resolve: roles, axes, sizes. derive: backward. schedule: what runs when."
        ),
    ],
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="D=64", help="A size for the schedule, batch and T too; may be repeated."),
    ] = None,
    inputs: Inputs = None,
    function: Function = None,
    backend: Annotated[
        Runs,
        typer.Option(help="What runs it: see chalkgrad.layer."),
    ] = Runs.c,
) -> None:
    r"""Show what becomes of a page at one stage.

    read: every equation with the brackets that the grammar sees. resolve: what each name is, its shape, and
    the equations with every index. derive: the backward program with every index and every condition.
    schedule: which equation runs where, forward and backward, and what it costs.

    Examples:

        chalkgrad show conv2d --stage resolve

        chalkgrad show "h\[t] = tanh(x\[t] W + h\[t-1] U)" --stage derive

        chalkgrad show lstm --stage schedule --size D=256 --size H=256 --size T=100 --size batch=32
    """
    with complaints():
        from chalkgrad.language.parse.grammar import parse
        from chalkgrad.language.parse.written import written
        from chalkgrad.language.resolve import read
        from chalkgrad.zoo import source_of

        source, functions = source_of(what), pairs(function, "--function", "τ=tanh")
        if stage is Stage.read:
            for line in parse(source).lines:
                print(f"{written(line.left)} = {written(line.right)}")
            return
        resolved = read(source, inputs, functions)
        warn(resolved.warnings)
        if stage is Stage.resolve:
            _resolved(resolved)
        elif stage is Stage.derive:
            _derived(resolved)
        else:
            _scheduled(resolved, sizes(size, "D=64"), backend)


def _scheduled(resolved: Resolved, given: Mapping[str, int | tuple[int, ...]], runs: Runs) -> None:
    from chalkgrad.calculus.batch import batch
    from chalkgrad.calculus.normalise import normalise
    from chalkgrad.kernels.account import account
    from chalkgrad.kernels.c.loops import kernels_wanted
    from chalkgrad.nn.operator import system_of
    from chalkgrad.nn.sizes import small_numbers

    rows = given.get("batch", 2)
    numbers = small_numbers(resolved, {n: k for n, k in given.items() if n != "batch"})
    numbers["batch"] = rows if isinstance(rows, int) else rows[0]
    backend: Backend = "torch" if runs is Runs.c and not kernels_wanted() else runs.value
    program = normalise(batch(resolved.program))
    system = system_of(program, runs.value)
    wrt = tuple(n.name for n in program.given("input", "parameter", "start"))
    saved, derived = system.saved_for(wrt, system.winners(wrt, numbers)), system.derived(wrt)
    console = Console(highlight=False)
    shown = ", ".join(f"{s}={n}" for s, n in numbers.items())
    forward = tuple(dict.fromkeys((*program.outputs, *saved)))
    for title, of, wanted, known in (
        (
            f"forward ({shown}); saved for the backward pass: {', '.join(saved) or 'nothing'}",
            system.saving(saved).program,
            forward,
            (),
        ),
        ("backward", derived.program, derived.program.outputs, saved),
    ):
        table = Table(
            "what", "how", "MFLOP", "MB", box=None, pad_edge=False, title=title, title_justify="left"
        )
        table.columns[2].justify = table.columns[3].justify = "right"
        for entry in account(of, wanted, known, numbers, backend):
            table.add_row(
                "  " * entry.depth + entry.text.replace("\n", " "),
                entry.how,
                f"{entry.flops / 1e6:.3g}" if entry.flops else "",
                f"{entry.bytes / 1e6:.3g}" if entry.bytes else "",
            )
        console.print(table, markup=False)
        print()


def _resolved(resolved: Resolved) -> None:
    from chalkgrad.equations.show import show as shown
    from chalkgrad.nn.sizes import own_ranges

    program = resolved.program
    states = {s.name: s for s in program.states}
    table = Table("name", "role", "shape", "runs over", box=None, pad_edge=False)
    for n in program.names:
        if n.role == "start":
            continue
        ranges = own_ranges(resolved, n)
        role = "output" if n.name in program.outputs else n.role
        if n.name in states:
            role += f", state {states[n.name].depth} back" if states[n.name].forward else ", state from ahead"
        table.add_row(
            n.name, role, " × ".join(_factor(r) for r in ranges) or "scalar", ", ".join(map(str, ranges))
        )
    Console(highlight=False).print(table, markup=False)
    print()
    print(shown(program))


def _factor(r: Range) -> str:
    text = str(r.size)
    return f"({text})" if " " in text else text


def _derived(resolved: Resolved) -> None:
    from chalkgrad.calculus.derive import derive
    from chalkgrad.equations.show import show as shown

    print(shown(derive(resolved.program), guards=True))
