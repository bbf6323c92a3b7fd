"""``python -m chalkgrad.demo [SCENE …] [--seconds N]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from chalkgrad.demo.board import WIDTH


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m chalkgrad.demo", description="A tour in five scenes.")
    parser.add_argument("scenes", nargs="*", type=int, metavar="SCENE", help="1 to 5; all if none is named")
    parser.add_argument("--seconds", type=float, default=80, help="how long scene 5 trains (default: 80)")
    chosen = parser.parse_args(arguments)
    if wrong := [n for n in chosen.scenes if n not in range(1, 6)]:
        parser.error(f"there is no scene {wrong[0]}; there are 1 to 5")
    console = console or Console(width=min(WIDTH, Console().width), highlight=False)
    console.print("[bold]Chalkgrad[/bold]: equations in, backpropagation shown, PyTorch layer out")
    # torch takes a second or two to load: after the arguments are read, and after the first line is shown.
    from chalkgrad.demo import convolution, gates, language, own_cell, recurrence

    acts = {
        1: convolution.scene,
        2: recurrence.scene,
        3: gates.scene,
        4: own_cell.scene,
        5: lambda board: language.scene(board, chosen.seconds),
    }
    for number in chosen.scenes or acts:
        acts[number](console)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
