"""The command line: ``chalkgrad COMMAND``, one file per command."""

from __future__ import annotations

import typer

from chalkgrad.cli import lm
from chalkgrad.cli.check import check
from chalkgrad.cli.derive import derive
from chalkgrad.cli.show import show
from chalkgrad.cli.zoo import zoo

app = typer.Typer(
    help="Equations in, backpropagation shown, PyTorch layer out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (derive, check, show, zoo):
    app.command()(command)
app.add_typer(lm.app, name="lm")


@app.callback()
def chalkgrad() -> None:
    """Equations in, backpropagation shown, PyTorch layer out."""


def main() -> None:
    app()


__all__ = ["app", "main"]
