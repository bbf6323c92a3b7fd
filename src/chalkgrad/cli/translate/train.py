"""``chalkgrad translate train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import Clip, Devices, Every, Nodes, Resume, Seed, largest_step, settled, stopped


def train(
    ctx: typer.Context,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE...",
            help="Lines of a sentence, a tab and its translation (another tab: the document's name); or "
            "libreoffice-ko, libreoffice-de (`chalkgrad data fetch`).",
            show_default="a compiler's 2,086 messages in 14 languages",
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", hidden=True)] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Language to translate from.", show_default="en"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Language to translate to: ko, de, fr, es, it, pt-br, pl, cs, ru, tr, ja, zh-cn, zh-tw, en.",
            show_default="ko",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="fixed (one vector), attention or transformer.", show_default="attention"),
    ] = None,
    reverse: Annotated[
        bool | None,
        typer.Option("--reverse", help="Read the source backwards (fixed).", show_default=False),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="On top of one another.", show_default="1; transformer 2")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of every layer.", show_default="128")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Part of the values left out in training.", show_default="0.3")
    ] = None,
    tokens: Annotated[str | None, typer.Option(help="bpe, words or characters.", show_default="bpe")] = None,
    vocabulary: Annotated[
        int | None, typer.Option(help="How many tokens there are, in either language.", show_default="2000")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs in a step.", show_default="64")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.", show_default="1200")] = None,
    lr: Annotated[float | None, largest_step("0.003; transformer 0.002")] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(help="Part of the probability that all tokens share.", show_default="0.1"),
    ] = None,
    clip: Clip = None,
    evaluate_every: Every = None,
    seed: Seed = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives config.json, checkpoint.pt and metrics.jsonl.")
    ] = Path("runs/translate"),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    """Train a translator.

    An encoder reads a sentence, a decoder writes its translation word by word, looking back at what it
    needs. Every tenth document is kept for `translate evaluate`, another tenth measured while training.
    Ctrl-C saves.

    Examples:

        chalkgrad translate train         English to Korean, with attention

        chalkgrad translate train --target de --model transformer --out runs/german

        chalkgrad translate train --model fixed --reverse --out runs/fixed

        chalkgrad translate train --data libreoffice-ko      after `chalkgrad data fetch libreoffice-ko`

        chalkgrad translate train --data mine.tsv --source en --target fi --out runs/mine

        chalkgrad translate train --resume --steps 2400      go on, for longer
    """
    with page.task_complaints():
        from chalkgrad.tasks import translate as task
        from chalkgrad.tasks.processes import first, together

        files = [str(path.resolve() if path.exists() else path) for path in [*(data or []), *(more or [])]]
        saved = (lambda: task.saved(out)) if resume else None
        config = settled(task.Config, ctx.params, saved, data=tuple(files) or None)
        with bar() as report:
            group = together(devices, nodes)
            result = task.train(config, out, resume=resume, report=report, group=group)
    if not first():
        return
    if result.said:
        print(result.said)
    if result.interrupted:
        stopped("translate train", result.step, out)
    if result.metrics:
        m = result.metrics
        print(f"{out}: step {result.step}, {m.validation:.3f} nats per token and {m.right:.1%} of them right")
    print(f'Translate:  chalkgrad translate run {out} "…"')
    print(f"Measure:    chalkgrad translate evaluate {out}")
    print(f"Train on:   chalkgrad translate train --resume --out {out} --steps {2 * result.step}")


def bar() -> Any:
    """The progress bar of a training."""

    def said(m: Any) -> str:
        unseen = f"{m.validation:.3f} on pairs kept apart, {m.right:.1%} right"
        return f"step {m.step:>5}: {m.train:.3f} nats/token, {unseen}"

    return training_bar(
        "tokens", lambda loss, right: f"{loss:.3f} nats/token, {right:.0%} right", said, loss=False
    )


__all__ = ["train"]
