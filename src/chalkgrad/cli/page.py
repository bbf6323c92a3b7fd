"""What the commands on a page of equations share: its arguments, and how its errors are said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

What = Annotated[
    str,
    typer.Argument(
        metavar="WHAT",
        help="A standard layer (see `chalkgrad zoo`), a file, a layer of a note (NOTE.md#2), or equations.",
    ),
]
Inputs = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="What is given at each call, where the page does not say: x, or Q,K,V."
    ),
]
Function = Annotated[
    list[str] | None,
    typer.Option(metavar="τ=tanh", help="What a letter used as a function stands for; may be repeated."),
]


def seed(value: int | None) -> int | None:
    """A seed as torch takes it. Raises typer.BadParameter for one that is too large."""
    if value is not None and not -(2**63) <= value < 2**63:
        raise typer.BadParameter(f"{value} is no whole number of 64 bits")
    return value


Seed = Annotated[int, typer.Option(help="Draws other numbers.", callback=seed)]


@contextmanager
def complaints() -> Iterator[None]:
    """What is wrong with a page is said with a caret under the place, and ends with code 2."""
    from chalkgrad.language.source import EquationError

    try:
        yield
    except EquationError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None


@contextmanager
def task_complaints() -> Iterator[None]:
    """What the user of a task can put right is said in a line, or with a caret, and ends with code 2.

    Of several processes the first alone says it.
    """
    from chalkgrad.tasks.errors import TaskError

    try:
        with complaints():
            yield
    except TaskError as error:
        from chalkgrad.tasks.processes import first

        if first():
            print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def pairs(options: list[str] | None, option: str, example: str) -> dict[str, str]:
    """``["τ=tanh"]`` as a dict. Raises EquationError for one without its `=`."""
    from chalkgrad.language.source import EquationError

    found: dict[str, str] = {}
    for text in options or []:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise EquationError(
                f"{option} {text}: a name, `=` and a value are needed", help=f"{option} {example}"
            )
        found[name.strip()] = value.strip()
    return found


def sizes(options: list[str] | None, example: str = "D=3") -> dict[str, int | tuple[int, ...]]:
    """``["D=3", "W=3,4"]`` as numbers by name. Raises EquationError for what is no whole number."""
    from chalkgrad.language.source import EquationError

    found: dict[str, int | tuple[int, ...]] = {}
    for name, value in pairs(options, "--size", example).items():
        try:
            numbers = tuple(int(p) for p in value.strip("()").split(",") if p.strip())
        except ValueError:
            raise EquationError(
                f"--size {name}={value}: a size is a whole number", help=f"--size {name}=3"
            ) from None
        found[name] = numbers[0] if len(numbers) == 1 else numbers
    return found


def warn(warnings: tuple[str, ...]) -> None:
    """Say what is probably not meant, beside the result."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def skipped(bad: Sequence[str], path: object, most: int = 3) -> None:
    """Say how many lines of a file were skipped, and why the first of them."""
    if bad:
        more = f" and {len(bad) - most} more" if len(bad) > most else ""
        count = "1 line was" if len(bad) == 1 else f"{len(bad)} lines were"
        print(f"note: {path}: {count} skipped ({'; '.join(bad[:most])}{more})", file=sys.stderr)


@contextmanager
def waiting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, told (done, total), that shows only where the work takes over a second."""
    from time import perf_counter

    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(what)
    begun = perf_counter()

    def report(done: int, total: int) -> None:
        if not bar.live.is_started and perf_counter() - begun > 1:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        bar.stop()
