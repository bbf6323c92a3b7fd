"""``chalkgrad translate``: train a translator, translate with it, measure it, see what attention is for."""

from __future__ import annotations

import typer

from chalkgrad.cli.translate.check import check
from chalkgrad.cli.translate.evaluate import evaluate
from chalkgrad.cli.translate.run import run
from chalkgrad.cli.translate.train import train

app = typer.Typer(
    help="Train a translator, translate with it, measure it, see what attention is for.", no_args_is_help=True
)
for command in (train, run, evaluate, check):
    app.command()(command)

__all__ = ["app"]
