"""What commands that learn labels share: ways to begin compared, and texts labelled."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import largest_step, stopped

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from chalkgrad.tasks import labels

Steps = Annotated[int | None, typer.Option(help="Updates of the weights.", show_default="400")]
Batch = Annotated[int | None, typer.Option(help="Texts in a step.", show_default="32")]
Rate = Annotated[float | None, largest_step("0.006")]
Most = Annotated[
    int | None, typer.Option(metavar="N", help="Train on the first N examples only.", show_default="all")
]
Held = Annotated[
    float | None,
    typer.Option(metavar="PART", help="The part, the last, that is kept to test.", show_default="0.2"),
]


def compared(
    ways: dict[str, labels.Start],
    config: labels.Config,
    data: labels.Data,
    out: Path,
    command: str,
    resume: bool,
    processes: tuple[int, int],
) -> None:
    """Train each way on the same examples, in a folder of its own, and print what each came to.

    ``processes`` are those on each machine, and the machines.
    """
    from chalkgrad.tasks import labels
    from chalkgrad.tasks.processes import first, together

    group = together(*processes)

    count = min(len(data.training), config.most or len(data.training))
    what = "words tagged" if config.task == "tag" else "texts"
    if first():
        page.skipped(data.bad, config.data)
        print(f"{count:,} examples to train on, {len(data.test):,} to test on", file=sys.stderr)
    results: dict[str, labels.Result] = {}
    for name, start in ways.items():
        place = folder(out, name)
        again = resume and (place / "config.json").exists()
        with bar(name) as report:
            results[name] = labels.train(config, start, data, place, resume=again, report=report, group=group)
        if not results[name].finished:
            if not first():
                return
            stopped(command, results[name].step, out)
    if not first():
        return
    tested = next(iter(results.values())).count
    print(f"of {tested:,} {what} that were not trained on")
    seen = dataclasses.replace(data, training=data.training[: config.most])
    rows = {"commonest label": seen.baseline(), **{name: r.accuracy for name, r in results.items()}}
    for name, accuracy in rows.items():
        print(f"  {name:<18} {accuracy:7.2%} right")
    best = max(results, key=lambda name: results[name].accuracy)
    print(f"Use it:  chalkgrad tag run {results[best].out} FILE")


def folder(out: Path, name: str) -> Path:
    """Where a way is trained.

    >>> str(folder(Path("runs"), "one side")).split("/")[-1]
    'one-side'
    """
    return out / name.replace(" ", "-")


def label(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where a net that learned labels lies.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="UTF-8 text, a text or a sentence a line.")],
) -> None:
    """Label each line of a file, or each of its words: TSV, as the examples were.

    Example:

        chalkgrad tag run runs/tag/both-sides sentences.txt
    """
    with page.task_complaints():
        from chalkgrad.tasks import labels
        from chalkgrad.tasks.language_model import read

        model, vocabulary, card = labels.trained(directory)
        lines = [line for line in read([file]).split("\n") if line.strip()]
        examples = [labels.Example(tuple(line.split()), ()) for line in lines]
        found = labels.labelled(model, vocabulary, card.classes, examples)
        for line, said in zip(lines, found, strict=True):
            print(f"{' '.join(line.split())}\t{' '.join(said)}" if model.words else f"{said[0]}\t{line}")


def bar(name: str) -> Any:
    """The progress bar of a training."""
    return training_bar(
        "labels",
        lambda _, right: f"{name}: {right:.1%} right",
        lambda m: f"{name}, step {m.step:>4}: loss {m.loss:.3f}, {m.right:.1%} right",
    )


__all__ = ["Batch", "Held", "Most", "Rate", "Steps", "bar", "compared", "folder", "label"]
