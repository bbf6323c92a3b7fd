"""``chalkgrad lm rescore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.lm.words import Directory


def rescore(
    directory: Directory,
    nbest: Annotated[
        Path, typer.Option(metavar="FILE", help="Candidates: id, score, text; tabs between, one a line.")
    ],
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is right: id, text; a tab between.")
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="What a nat of the language model counts.",
            show_default="tuned on a part of the references",
        ),
    ] = None,
    dev: Annotated[
        float, typer.Option(metavar="PART", help="The part of the lists, the first, that tunes the weight.")
    ] = 0.5,
    metric: Annotated[str, typer.Option(help="wer, cer or bleu.")] = "wer",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Receives what was picked: id, combined score, text.",
            show_default="printed where there are no references",
        ),
    ] = None,
) -> None:
    """Pick anew among the candidates of a recogniser or translator.

    A candidate's score is its own plus a weight times its log-probability, as a line, under the model.
    Bad lines are counted and skipped. The figures before and after are of lists that did not tune the weight.

    Examples:

        chalkgrad lm rescore runs/lm --nbest heard.tsv --reference said.tsv

        chalkgrad lm rescore runs/lm --nbest heard.tsv --weight 0.3 --out picked.tsv
    """
    with page.task_complaints():
        from chalkgrad.files import write
        from chalkgrad.tasks import language_model as lm
        from chalkgrad.tasks.language_model import rescore as again

        trained = lm.load(directory)
        lists, bad = again.read_lists(nbest)
        page.skipped(bad, nbest)
        references = None
        if reference:
            references, bad = again.read_references(reference)
            page.skipped(bad, reference)
        if weight is None and references is None:
            raise lm.TaskError("give --weight, or --reference to tune it on")
        with page.waiting("candidates") as report:
            known = again.scored(lists, lambda text: -lm.score(trained, text + "\n").nats, report)
        result = again.rescore(known, references, weight=weight, metric=metric, development=dev)
        lines = "".join(
            f"{name}\t{c.combined(result.weight):.4f}\t{c.text}\n" for name, c in result.picks.items()
        )
        if out:
            write(out, lines)
    candidates = sum(map(len, lists.values()))
    if not out and references is None:
        print(lines, end="")
        return
    print(f"candidates  {candidates:,} in {len(lists):,} lists")
    tuned = f", tuned on {result.tuned_on:,} lists" if result.tuned_on else ""
    print(f"weight      {result.weight:.4g}{tuned}")
    if result.before is not None and result.after is not None and result.oracle is not None:
        shown = "{:.2f}" if metric == "bleu" else "{:.2%}"
        print(
            f"{metric.upper():<12}on {result.measured_on:,} other lists"
            if result.tuned_on
            else metric.upper()
        )
        for name, value in (
            ("before", result.before),
            ("after", result.after),
            ("best there", result.oracle),
        ):
            print(f"  {name:<10}{shown.format(value):>9}")
    if out:
        print(f"{out}: what was picked")


__all__ = ["rescore"]
