"""``chalkgrad sequence``: foretell series of numbers, or tell sequences apart, with any recurrence."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import Devices, Nodes, Resume, Seed, absolute, largest_step, settled, stopped

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from chalkgrad.tasks import sequence

app = typer.Typer(
    help="Foretell series of numbers, or tell sequences apart, with any recurrent cell.",
    no_args_is_help=True,
)


@app.command()
def train(
    ctx: typer.Context,
    task: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="forecast or classify.", show_default="forecast"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="CSV with the columns id, time, channels, label; a .ts file; sunspots or japanese-vowels.",
            show_default="sunspots, or japanese-vowels",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Sequences to test a classifier on.", show_default="a part of the others"
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="The recurrence: a standard cell, a file of equations, or the equations themselves.",
            show_default="lstm",
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Cells on top of one another.", show_default="1")] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of every layer.", show_default="32")] = None,
    both: Annotated[
        bool | None,
        typer.Option("--both/--onward", help="Read in both directions.", show_default="both to classify"),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(metavar="H", help="Steps to foretell.", show_default="5")
    ] = None,
    season: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Steps after which the series repeats.", show_default="found in the series"
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps that a forecast looks back.", show_default="two seasons"),
    ] = None,
    held: Annotated[
        float | None, typer.Option(metavar="PART", help="The part that is kept to test.", show_default="0.2")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Sequences or windows in a step.", show_default="32")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Updates of the weights.", show_default="200, or 800 to classify")
    ] = None,
    lr: Annotated[float | None, largest_step("0.003")] = None,
    dropout: Annotated[
        float | None, typer.Option(metavar="P", help="Against learning by heart.", show_default="0.5")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(metavar="X", help="Added while training, in standard deviations.", show_default="0.2"),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives weights, settings, figures and a picture.")
    ] = Path("runs/sequence"),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    r"""Train to foretell a series, or to tell sequences apart.

    A forecast is tested on the end of the series, which it has not seen, beside the seasonal naive forecast:
    that all will be as it was a season before. A classifier is tested on sequences it has not seen. Rows that
    are not right are counted and skipped. Ctrl-C saves.

    Needs pip install "chalkgrad\[tasks]".

    Examples:

        chalkgrad sequence train                      sunspots, five years ahead

        chalkgrad sequence train --data sales.csv --horizon 12 --season 12 --out runs/sales

        chalkgrad data fetch japanese-vowels

        chalkgrad sequence train --task classify --cell gru --out runs/vowels
    """
    with page.task_complaints():
        from chalkgrad.tasks import sequence as sq
        from chalkgrad.tasks.processes import first, together

        saved = (lambda: sq.saved(out)) if resume else None
        config = settled(sq.Config, ctx.params, saved, data=absolute(data), test=absolute(test))
        prepared = sq.prepared(config)
        group = together(devices, nodes)
        if first():
            page.skipped(prepared.table.bad, config.data)
        with bar(config) as report:
            result = sq.train(config, out, resume=resume, report=report, data=prepared, group=group)
    if not first():
        return
    if result.tested is None:
        stopped("sequence train", result.step, out)
    if isinstance(result.tested, sq.Errors):
        table(result.tested, prepared.table.channels)
        print(f"See {out / 'forecast.png'}")
    else:
        count = int(result.tested.counts.sum())
        right = int(result.tested.counts.diagonal().sum())
        print(
            f"{out}: {result.tested.accuracy:.2%} of the test sequences recognised ({right:,} of {count:,})"
        )
        print(f"See {out / 'confusion.png'}")
    print(f"Use it:  chalkgrad sequence run {out} FILE")


@app.command()
def run(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where `sequence train` saved the net.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Sequences with the same channels, as for training.")
    ],
) -> None:
    """Say what comes after each series of a file, or what each sequence is; as CSV.

    Where the file has labels, the part that was recognised is said beside it. Rows that are not right are
    counted and skipped; a series that is too short is complained of, and the code is then 2.

    Examples:

        chalkgrad sequence run runs/sequence sunspots

        chalkgrad sequence run runs/vowels new.csv > said.csv
    """
    bad = False
    with page.task_complaints():
        from chalkgrad.tasks import sequence as sq

        net = sq.trained(directory)
        found = sq.load(file)
        page.skipped(found.bad, file)
        net.fits(found)
        rows = csv.writer(sys.stdout, lineterminator="\n")
        if net.card.classes:
            said = sq.classified(net, found.series)
            rows.writerow(["id", "label", "probability"])
            rows.writerows(
                [s.id, label, f"{p:.4f}"] for s, (label, p) in zip(found.series, said, strict=True)
            )
            pairs = [(s.label, label) for s, (label, _) in zip(found.series, said, strict=True) if s.label]
            if pairs:
                right = sum(a == b for a, b in pairs)
                print(
                    f"{right:,} of {len(pairs):,} labels as given: {right / len(pairs):.2%}", file=sys.stderr
                )
        else:
            named = any(one.id for one in found.series)
            rows.writerow([*(["id"] if named else []), "time", *found.channels])
            for one in found.series:
                try:
                    times, values = sq.foretell(net, one)
                except sq.TaskError as error:
                    print(f"error: {error}", file=sys.stderr)
                    bad = True
                    continue
                for time, row in zip(times, values.tolist(), strict=True):
                    rows.writerow([*([one.id] if named else []), time, *(f"{x:.6g}" for x in row)])
    if bad:
        raise typer.Exit(2)


def table(errors: sequence.Errors, channels: tuple[str, ...]) -> None:
    """Mean absolute errors: of the first channel for each step ahead, of every channel their mean."""
    from chalkgrad.tasks.sequence import WAYS

    print(f"mean absolute error of {errors.count:,} forecasts of {channels[0]}")
    print("steps ahead" + "".join(f"{way:>16}" for way in WAYS))
    for h in range(errors.absolute.shape[1]):
        print(f"{h + 1:>11}" + "".join(f"{float(x):>16.4g}" for x in errors.absolute[:, h, 0]))
    for c, channel in enumerate(channels):
        name = "mean" if len(channels) == 1 else f"mean {channel}"
        print(f"{name:>11}" + "".join(f"{float(x):>16.4g}" for x in errors.mean[:, c]))


def bar(config: sequence.Config) -> Any:
    """The progress bar of a training."""
    classify = config.task == "classify"

    def said(m: Any) -> str:
        return f"step {m.step:>4}: loss {m.loss:.4f}" + f", {m.right:.1%} right" * classify

    def shown(loss: float, right: float) -> str:
        return f"{right:.1%} right" if classify else f"error {loss:.4f}"

    return training_bar("sequences", shown, said, loss=classify)


__all__ = ["app"]
