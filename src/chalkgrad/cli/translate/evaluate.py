"""``chalkgrad translate evaluate``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from chalkgrad.cli import page
from chalkgrad.cli.translate.words import Beam, Directory, Normalise


def evaluate(
    directory: Directory,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Other pairs than those kept apart, as for train; all of them are translated.",
            show_default="the documents that training kept apart",
        ),
    ] = None,
    beam: Beam = 5,
    normalise: Normalise = 1.0,
    nbest: Annotated[
        bool,
        typer.Option(
            "--nbest", help="Write all candidates and the references too, for `chalkgrad lm rescore`."
        ),
    ] = False,
    examples: Annotated[int, typer.Option(metavar="N", help="How many translations to show.", min=0)] = 5,
) -> None:
    """Translate the documents that training has not seen; BLEU and chrF, with sacrebleu's signatures.

    Writes all translations and the scores into DIR, and a picture of the attention.

    Examples:

        chalkgrad translate evaluate runs/translate --beam 10

        chalkgrad translate evaluate runs/translate --beam 10 --nbest
    """
    with page.task_complaints():
        from chalkgrad.files import write
        from chalkgrad.tasks import translate as task
        from chalkgrad.tasks.translate.picture import picture

        trained = task.load(directory)
        config = trained.card.config
        if data:
            read, skipped = task.pairs_in(
                [task.located(str(path), config.source, config.target) for path in data]
            )
            pairs, said = tuple(read), task.Corpus((), (), (), skipped).said()
        else:
            corpus = task.corpus_of(config)
            if corpus.digest != trained.card.digest:
                raise task.TaskError(
                    "the pairs are not those it was trained with, and some may have been learned: "
                    "name others (--data)"
                )
            pairs, said = corpus.test, ""
        with page.waiting("sentences") as report:
            result = task.evaluate(trained, pairs, beam=beam, normalise=normalise, report=report)
        write(directory / "translations.tsv", result.table())
        record = {
            **dataclasses.asdict(result.scores),
            "pairs": len(pairs),
            "beam": beam,
            "normalise": normalise,
        }
        write(directory / "test.json", json.dumps(record, indent=1) + "\n")
        if said:
            print(said)
        step = max(1, len(pairs) // max(1, examples))
        for pair, found in list(zip(result.pairs, result.translations, strict=True))[::step][:examples]:
            print(f"{pair.source}\n  = {pair.target}\n  → {found.text}")
        print(f"{len(pairs)} sentences, beam {beam}")
        print(*result.scores.lines(), sep="\n")
        if nbest:
            files = directory / "candidates.tsv", directory / "references.tsv"
            for file, lines in zip(files, result.lists(), strict=True):
                write(file, lines)
            print(f"{files[0]}, {files[1]}: what was found, and what is right")
        if config.model != "fixed":
            # One that is neither short nor wide shows best.
            middle = sorted(range(len(pairs)), key=lambda i: abs(len(pairs[i].source.split()) - 9))[0]
            looks = task.looks(trained, pairs[middle].source, result.translations[middle])
            content, note = picture(looks)
            write(directory / "attention.png", content)
            print(f"{directory / 'attention.png'}: what was read for each word of one of them")
            if note:
                print(f"note: {note}")


__all__ = ["evaluate"]
