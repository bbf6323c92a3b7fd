"""``chalkgrad translate check``."""

from __future__ import annotations

from typing import Annotated

import typer

from chalkgrad.cli import page


def check(
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.", callback=page.seed)] = 0,
) -> None:
    """Let small models learn to copy digits: what attention is for, and a source read backwards.

    Two minutes. Ends with code 1 where something else is found than is known of these models.
    """
    with page.task_complaints():
        from chalkgrad.tasks.translate.copying import COPYINGS, claims, learn

        found: dict[str, dict[int, float]] = {}
        for name, task in COPYINGS.items():
            with page.waiting(name) as report:
                found[name] = learn(task, seed=seed, report=report)
            right = "  ".join(f"{n}: {part:.1%}" for n, part in found[name].items())
            print(f"{name:20} {task.low} to {task.high} digits, {task.steps} steps; copied right of {right}")
    results = claims(found)
    for claim in results:
        word = "at least" if claim.least else "at most"
        kept = "holds" if claim.holds else "FAILS"
        print(f"{kept}  {claim.said}: {claim.value:.3f}, {word} {claim.bound}")
    if not all(claim.holds for claim in results):
        raise typer.Exit(1)


__all__ = ["check"]
