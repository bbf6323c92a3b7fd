"""``chalkgrad show``: a page at each stage on its way to a layer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chalkgrad.cli.page import Function, Inputs, What, complaints, pairs, warn

if TYPE_CHECKING:
    from chalkgrad.equations.ir import Range
    from chalkgrad.language.resolve import Resolved


class Stage(StrEnum):
    read = "read"
    resolve = "resolve"
    derive = "derive"


def show(
    what: What,
    stage: Annotated[
        Stage, typer.Option(help="read: as parsed. resolve: with roles, axes, sizes. derive: backward.")
    ],
    inputs: Inputs = None,
    function: Function = None,
) -> None:
    r"""Show what becomes of a page at one stage.

    read: every equation with the brackets that the grammar sees. resolve: what each name is, its shape, and
    the equations with every index. derive: the backward program with every index and every condition.

    Examples:

        chalkgrad show conv2d --stage resolve

        chalkgrad show "h\[t] = tanh(x\[t] W + h\[t-1] U)" --stage derive
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
        else:
            _derived(resolved)


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
