"""What every ``train`` command has: options, settings of which some are given, a word when it was stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

Seed = Annotated[int | None, typer.Option(help="Same seed, same numbers.", show_default="0")]
Clip = Annotated[
    float | None,
    typer.Option(metavar="C", help="Largest norm of the gradient; 0: no limit.", show_default="1.0"),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out; its settings are kept.")]
Devices = Annotated[
    int, typer.Option(metavar="N", help="Processes on this machine that share each batch (Lightning Fabric).")
]
Nodes = Annotated[int, typer.Option(metavar="N", help="Machines that run as many processes each.")]

Every = Annotated[
    int | None, typer.Option(metavar="N", help="Measure and save after every N steps.", show_default="100")
]


def largest_step(default: str) -> Any:
    """The option ``--lr`` of a task whose step size goes up and down once."""
    return typer.Option(metavar="X", help="The largest step size.", show_default=default)


Config = TypeVar("Config")


def settled(
    kind: type[Config], typed: dict[str, Any], saved: Callable[[], Config] | None, **others: Any
) -> Config:
    """The settings of a run: those given (not None), the remaining ones as ``saved`` or by default.

    Given are the options that are ``typed`` and have a setting's name, unless ``others`` have it too.

    >>> from chalkgrad.tasks.classify import Config
    >>> settled(Config, {"epochs": 3, "batch": None, "out": "runs", "lr": 1.0}, None, lr=0.5)
    Config(data='digits', net=('conv_pool:K=32', 'conv_pool:K=32', 'conv_pool:K=64', 'scores'), epochs=3, \
batch=128, lr=0.5, seed=0, shift=None, flip=None, pixels=None)
    """
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in {**typed, **others}.items() if name in names}
    named = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(saved(), **named) if saved else kind(**named)  # type: ignore[type-var]


def absolute(data: str | None) -> str | None:
    """The whole path of a file or folder, so that a run can be resumed from elsewhere; a name as it is."""
    return str(Path(data).resolve()) if data and Path(data).exists() else data


def stopped(command: str, step: int, out: Path) -> NoReturn:
    """Say how to go on after Ctrl-C, and end with code 130, as the shell expects."""
    print(f"Stopped at step {step}; everything is saved. Go on with:")
    print(f"  chalkgrad {command} --resume --out {out}")
    raise typer.Exit(130)


__all__ = [
    "Clip",
    "Devices",
    "Every",
    "Nodes",
    "Resume",
    "Seed",
    "absolute",
    "largest_step",
    "settled",
    "stopped",
]
