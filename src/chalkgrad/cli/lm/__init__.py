"""``chalkgrad lm``: train a language model, write with it, measure texts by it, teach it labels."""

from __future__ import annotations

import typer

from chalkgrad.cli.lm.finetune import finetune
from chalkgrad.cli.lm.generate import generate
from chalkgrad.cli.lm.rescore import rescore
from chalkgrad.cli.lm.score import score
from chalkgrad.cli.lm.train import train

app = typer.Typer(
    help="Train a language model of characters, words or byte pairs, write with it, measure and "
    "pick texts by it, teach it labels.",
    no_args_is_help=True,
)
for command in (train, generate, score, rescore, finetune):
    app.command()(command)

__all__ = ["app"]
