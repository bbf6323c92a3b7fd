"""``chalkgrad lm train``."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import Clip, Devices, Nodes, Resume, Seed, settled, stopped


def train(
    text: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE...", help="UTF-8 text to learn, in any script.", show_default="nine plays"
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", hidden=True)] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="The recurrence: a standard cell (rnn, lstm, lstm_peephole, gru, gru_after), "
            "a file of equations, or the equations themselves.",
            show_default="lstm",
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Cells on top of one another.", show_default="1")] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of every layer.", show_default="128")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Places of the text that are read side by side.", show_default="64")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.", show_default="2000")] = None,
    truncate: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Characters that a gradient goes back through (truncated BPTT).",
            show_default="32",
        ),
    ] = None,
    clip: Clip = None,
    optimizer: Annotated[
        str | None, typer.Option(help="rmsprop, adam or sgd.", show_default="rmsprop")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(metavar="X", help="Step size.", show_default="rmsprop 0.004, adam 0.004, sgd 2.0"),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives config.json, checkpoint.pt and metrics.jsonl.")
    ] = Path("runs/lm"),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    r"""Train a character language model.

    Embedding, recurrent layers, readout: it learns to predict each next character, by truncated
    back-propagation through time with the state carried from chunk to chunk. The last 5 % of the text are
    kept to measure on. Ctrl-C saves.

    Examples:

        chalkgrad lm train                                  an LSTM on nine plays of Shakespeare

        chalkgrad lm train --text mine.txt --cell gru --hidden 256 --out runs/mine

        chalkgrad lm train --text *.txt --cell "h\[t] = tanh(x\[t] W + h\[t-1] U + b)"

        chalkgrad lm train --resume --steps 4000            go on, for longer
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm
        from chalkgrad.tasks.processes import first, together

        given = {
            "text": tuple(str(path.resolve()) for path in [*(text or []), *(more or [])]) or None,
            "cell": cell,
            "layers": layers,
            "hidden": hidden,
            "batch": batch,
            "steps": steps,
            "truncate": truncate,
            "clip": clip,
            "optimizer": optimizer,
            "lr": lr,
            "seed": seed,
        }
        config = settled(lm.Config, given, (lambda: lm.saved(out)) if resume else None)
        with bar() as report:
            group = together(devices, nodes)
            result = lm.train(config, out, resume=resume, report=report, group=group)
    if not first():
        return
    if result.interrupted:
        stopped("lm train", result.step, out)
    if result.metrics:
        bits = result.metrics.validation / log(2)
        print(f"{out}: step {result.step}, {bits:.3f} bits per character on text it has not seen")
    print(f"Write with it:  chalkgrad lm generate {out}")
    print(f"Train on:       chalkgrad lm train --resume --out {out} --steps {2 * result.step}")


def bar() -> Any:
    """The progress bar of a training, in bits per character."""

    def said(m: Any) -> str:
        seen, unseen = m.train / log(2), m.validation / log(2)
        return f"step {m.step:>6}: {seen:.3f} bits/character, {unseen:.3f} on unseen text"

    return training_bar("tokens", lambda loss, _: f"{loss / log(2):.3f} bits/character", said)


__all__ = ["train"]
