"""``chalkgrad caption``: train a captioner of pictures, ask it, see how well it does and where it looks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import (
    Clip,
    Devices,
    Nodes,
    Resume,
    Seed,
    absolute,
    largest_step,
    settled,
    stopped,
)

if TYPE_CHECKING:  # torch takes a second to import, so the commands import it, and `--help` does not
    from rich.console import Console

    from chalkgrad.tasks import caption
    from chalkgrad.tasks.caption.evaluate import Score

app = typer.Typer(
    help="Train a captioner of pictures from equations, and ask it what pictures show.",
    no_args_is_help=True,
)

Beam = Annotated[int, typer.Option(metavar="K", help="Captions that the search keeps side by side.", min=1)]


@app.command()
def train(
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="emoji (1,440 that come with chalkgrad), emoji-all (what `chalkgrad data fetch emoji` "
            "brought), or a folder of pictures with a captions.tsv: a line for each caption, with file, tab, "
            "caption.",
            show_default="emoji",
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="en|ko", help="Of the emoji's names.", show_default="en")
    ] = None,
    pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Bring pictures to N×N.",
            show_default="emoji 32, folders their commonest size, 64 at most",
        ),
    ] = None,
    net: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT...",
            help="The encoder's layers, one after another: standard layers, files or equations, sizes that "
            "they leave open after a colon. The last makes maps.",
            show_default="conv_pool:K=32 conv_pool:K=64 conv_relu:K=64",
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="WHAT...", hidden=True)] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="The decoder: attention_lstm (looks at places of the picture), picture_lstm (sees their "
            "mean at each word), lstm or gru (begin with the picture alone), a file of equations, or the "
            "equations themselves.",
            show_default="attention_lstm",
        ),
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(help="Numbers in the decoder's state.", show_default="128")
    ] = None,
    embedding: Annotated[int | None, typer.Option(help="Numbers for a word.", show_default="128")] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Part of the decoder's output left out in training.", show_default="0.3"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="How often every caption is shown.", show_default="60")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Captions in a step.", show_default="32")] = None,
    lr: Annotated[float | None, largest_step("0.004")] = None,
    clip: Clip = None,
    shift: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Move pictures by up to N pixels while training.",
            show_default="emoji 2, else 0",
        ),
    ] = None,
    seed: Seed = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Receives weights, settings and figures.")] = Path(
        "runs/caption"
    ),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    r"""Train a captioner of pictures.

    An encoder finds maps in the picture, a decoder says one word after another; all are equations. DIR then
    holds weights.safetensors, config.json, checkpoint.pt and metrics.jsonl. Ctrl-C saves.

    Needs pip install "chalkgrad\[tasks]".

    Examples:

        chalkgrad caption train                   names of emoji, in minutes

        chalkgrad caption train --language ko --out runs/korean

        chalkgrad caption train --decoder picture_lstm --out runs/mean

        chalkgrad caption train --data photos/ --pixels 48

        chalkgrad caption train --resume
    """
    with page.task_complaints():
        from chalkgrad.tasks import caption
        from chalkgrad.tasks.processes import first, together

        config = settled(
            caption.Config,
            ctx.params,
            (lambda: caption.saved(out)) if resume else None,
            data=absolute(data),
            net=(*(net or ()), *(more or ())) or None,
        )
        pictures = loaded(config)
        print(
            f"{len(pictures.training):,} pictures to train on, {'×'.join(map(str, pictures.shape))}; "
            "to test: "
            + (", ".join(f"{len(part):,} {name}" for name, part in pictures.tests.items()) or "none"),
            file=sys.stderr,
        )
        with bar(config) as report:
            result = caption.train(
                config, out, resume=resume, report=report, data=pictures, group=together(devices, nodes)
            )
    if not first():
        return
    if result.interrupted:
        stopped("caption train", result.step, out)
    if result.metrics:
        print(f"{out}: step {result.step}, {result.metrics.loss:.3f} nats/token in the last epoch")
    print(f"Test it:  chalkgrad caption evaluate {out}")
    print(f"Ask it:   chalkgrad caption run {out} PICTURE...")


@app.command()
def run(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where `caption train` saved the captioner.")
    ],
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Files to be captioned.")],
    beam: Beam = 3,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to draw where each word was looked for, as NAME.attention.png.",
            show_default="beside the picture",
        ),
    ] = None,
) -> None:
    """Say what pictures show, how probable that caption is, and draw where each word was looked for.

    A picture of another size than those trained on is stretched to theirs, with a note. A file that is no
    picture is complained of, and the others are still read; the code is then 2.

    Example:

        chalkgrad caption run runs/caption rocket.png
    """
    from chalkgrad.files import write

    with page.task_complaints():
        from chalkgrad.tasks import caption
        from chalkgrad.tasks.caption.report import attention_picture
        from chalkgrad.tasks.directory import Directory

        tell = caption.teller(directory)
        _, high, wide = tell.card.shape
        bad = False
        notes: set[str] = set()
        for path in pictures:
            try:
                said = tell(path, beam)
            except caption.TaskError as error:
                print(f"error: {error}", file=sys.stderr)
                bad = True
                continue
            if said.size != (wide, high):
                size = "×".join(map(str, said.size))
                print(f"note: {path} is {size} and was brought to {wide}×{high}", file=sys.stderr)
            print(f"{path}  {said.text}  {said.probability:.1%}")
            if said.attention is not None:
                drawn = (out or path.parent) / f"{path.stem}.attention.png"
                Directory(drawn.parent).make()
                content, note = attention_picture(said)
                write(drawn, content)
                notes |= {note} - {""}
                print(f"  see {drawn}")
        for note in sorted(notes):
            print(f"note: {note}", file=sys.stderr)
    if bad:
        raise typer.Exit(2)


@app.command()
def evaluate(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where `caption train` saved the captioner.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="Test on these instead.", show_default="what it was trained on"),
    ] = None,
    beam: Beam = 3,
    rows: Annotated[int, typer.Option(metavar="N", help="Pictures of each test on the sheet.", min=1)] = 8,
) -> None:
    """Test a captioner on pictures that it has not seen.

    For each test: captions that are right to the letter, BLEU and chrF. Where data say no more, `sayable` is
    what could be right at all: pictures whose words have all occurred in training. DIR receives
    evaluation.json and sheet.png: pictures with their names, what was said, and where it was looked for.

    Example:

        chalkgrad caption evaluate runs/caption
    """
    import dataclasses
    import json

    from chalkgrad.files import write

    with page.task_complaints():
        from chalkgrad.tasks import caption
        from chalkgrad.tasks.caption.evaluate import evaluate
        from chalkgrad.tasks.caption.report import sheet

        tell = caption.teller(directory)
        config = tell.card.config
        pictures = loaded(dataclasses.replace(config, data=data or config.data))
        if pictures.shape != tell.card.shape:
            shape, own = ("×".join(map(str, s)) for s in (pictures.shape, tell.card.shape))
            raise caption.TaskError(f"these pictures are {shape}, and it was trained on {own}")
        with page.waiting("pictures") as report:
            scores = evaluate(tell, pictures, beam=beam, report=report)
        if not scores:
            raise caption.TaskError(f"{data or config.data} has no pictures to test on")
        shown = [
            row
            for name, score in scores.items()
            for row in list(zip(score.captions, pictures.tests[name].captions, strict=True))[
                :: step(score, rows)
            ]
        ]
        content, note = sheet(shown)
        write(directory / "sheet.png", content)
        record = {name: recorded(score) for name, score in scores.items()}
        write(directory / "evaluation.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    table(scores)
    print(f"See {directory / 'sheet.png'}")
    if note:
        print(f"note: {note}", file=sys.stderr)


def loaded(config: caption.Config) -> caption.Data:
    """The data of a configuration; what is to be known of its files is said."""
    from chalkgrad.tasks import caption

    with page.waiting("pictures") as read:
        pictures = caption.load(config.data, config.language, config.pixels, read)
    for note in pictures.notes:
        print(f"note: {note}", file=sys.stderr)
    return pictures


def step(score: Score, rows: int) -> int:
    """Every how many-eth picture is shown where so many are to be."""
    return max(1, -(-score.count // rows))


def recorded(score: Score) -> dict[str, Any]:
    """A score as JSON has it."""
    return {
        "count": score.count,
        "exact": score.exact,
        "sayable": score.sayable,
        "bleu": score.bleu,
        "chrf": score.chrf,
        "signatures": list(score.signatures),
    }


def table(scores: dict[str, Score]) -> None:
    """The scores of each test, and the signatures of what measured them."""
    wide = max(4, *map(len, scores))
    print(f"{'test':<{wide}}  {'pictures':>8}  {'exact':>6}  {'sayable':>7}  {'BLEU':>5}  {'chrF':>5}")
    for name, s in scores.items():
        print(
            f"{name:<{wide}}  {s.count:>8,}  {s.exact / s.count:>6.1%}  {s.sayable / s.count:>7.1%}  "
            f"{s.bleu:>5.1f}  {s.chrf:>5.1f}"
        )
    bleu, chrf = next(iter(scores.values())).signatures
    print(f"BLEU|{bleu}  chrF|{chrf}")


def bar(config: caption.Config, console: Console | None = None) -> Any:
    """The progress bar of a training; a line for each epoch."""

    def said(m: Any) -> str:
        epoch = f"epoch {m.epoch:>{len(str(config.epochs))}} of {config.epochs}"
        return f"{epoch}: {m.loss:.3f} nats/token, {m.accuracy:.1%} of tokens right"

    return training_bar(
        "tokens",
        lambda loss, right: f"{loss:.3f} nats/token, {right:.1%} right",
        said,
        loss=False,
        console=console,
    )


__all__ = ["app"]
