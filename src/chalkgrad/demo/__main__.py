"""``python -m chalkgrad.demo [SCENE …] [--seconds N] [--pictures DIR]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from chalkgrad.demo.board import WIDTH


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m chalkgrad.demo", description="A tour in nine scenes.")
    parser.add_argument("scenes", nargs="*", type=int, metavar="SCENE", help="1 to 9; all if none is named")
    parser.add_argument("--seconds", type=float, default=80, help="how long scene 7 trains (default: 80)")
    parser.add_argument(
        "--pictures",
        type=Path,
        default=Path("runs/kernel"),
        metavar="DIR",
        help="where scene 2 draws (runs/kernel)",
    )
    chosen = parser.parse_args(arguments)
    if wrong := [n for n in chosen.scenes if n not in range(1, 10)]:
        parser.error(f"there is no scene {wrong[0]}; there are 1 to 9")
    console = console or Console(width=min(WIDTH, Console().width), highlight=False)
    console.print("[bold]Chalkgrad[/bold]: equations in, backpropagation shown, PyTorch layer out")
    # torch takes a second or two to load: after the arguments are read, and after the first line is shown.
    from chalkgrad.demo import (
        caption,
        convolution,
        gates,
        kernel,
        language,
        own_cell,
        recurrence,
        translation,
        vanishing,
    )

    acts = {
        1: convolution.scene,
        2: lambda board: kernel.scene(board, chosen.pictures),
        3: recurrence.scene,
        4: gates.scene,
        5: vanishing.scene,
        6: own_cell.scene,
        7: lambda board: language.scene(board, chosen.seconds),
        8: translation.scene,
        9: caption.scene,
    }
    for number in chosen.scenes or acts:
        acts[number](console)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
