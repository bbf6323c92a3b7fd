"""The command line: ``chalkgrad COMMAND``, one file per command."""

from __future__ import annotations

import inspect
import io
import re
import sys

import typer
from typer.models import CommandInfo

from chalkgrad.cli import caption, classify, data, embed, flow, lm, sequence, tag, translate
from chalkgrad.cli.check import check
from chalkgrad.cli.code import code
from chalkgrad.cli.derive import derive
from chalkgrad.cli.doctor import doctor
from chalkgrad.cli.draw import draw
from chalkgrad.cli.read import read
from chalkgrad.cli.show import show
from chalkgrad.cli.trace import trace
from chalkgrad.cli.zoo import zoo

_BOTH = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help="Equations in, backpropagation shown, PyTorch layer out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_BOTH,
)
for command in (derive, check, code, draw, show, trace, read, zoo, doctor):
    app.command()(command)
GROUPS = {
    "lm": lm.app,
    "embed": embed.app,
    "classify": classify.app,
    "sequence": sequence.app,
    "tag": tag.app,
    "caption": caption.app,
    "translate": translate.app,
    "data": data.app,
    "flow": flow.app,
}
for word, group in GROUPS.items():
    app.add_typer(group, name=word, context_settings=_BOTH)


@app.callback()
def chalkgrad() -> None:
    """Equations in, backpropagation shown, PyTorch layer out."""


def _help(command: CommandInfo) -> str:
    """A command's docstring with its paragraphs on one line each, to be wrapped to the terminal's width."""
    text = inspect.cleandoc((command.callback and command.callback.__doc__) or "")
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


for registered in (c for group in (app, *GROUPS.values()) for c in group.registered_commands):
    registered.help = _help(registered)
    registered.context_settings = {**(registered.context_settings or {}), **_BOTH}


def main() -> None:
    """Run the command line: the entry point of the script ``chalkgrad``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Σ shows its number
    app()


__all__ = ["app", "main"]
