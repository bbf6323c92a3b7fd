"""``chalkgrad lm train``."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Annotated, Any

import typer

from chalkgrad.cli import page
from chalkgrad.cli.bar import training_bar
from chalkgrad.cli.training import Clip, Devices, Every, Nodes, Resume, Seed, largest_step, settled, stopped


def train(
    ctx: typer.Context,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE...", help="UTF-8 text to learn, in any script.", show_default="nine plays"
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", hidden=True)] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="What is predicted: characters, words or bpe.", show_default="characters"),
    ] = None,
    vocabulary: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many tokens there are.", show_default="words 8192, bpe 2048"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="ngram, mlp, recurrent or transformer.", show_default="recurrent"),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="causal: the next token; masked: hidden tokens, from both sides; bidirectional: the next "
            "and, read backwards, the one before.",
            show_default="causal",
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="The recurrence: a standard cell (rnn, lstm, lstm_peephole, gru, gru_after), "
            "a file of equations, or the equations themselves.",
            show_default="lstm",
        ),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="Layers on top of one another.", show_default="1")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of every layer.", show_default="128")] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of a transformer.", show_default="4")] = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Tokens that an n-gram, mlp or transformer looks back on.",
            show_default="ngram 5, mlp 8, transformer 64",
        ),
    ] = None,
    embedding: Annotated[
        int | None,
        typer.Option(metavar="N", help="Numbers of a token's vector.", show_default="as many as hidden"),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(metavar="FILE.vec", help="Vectors of words to start from (`embed train`)."),
    ] = None,
    tied: Annotated[
        bool | None, typer.Option("--tied", help="The readout has the embedding's weights.")
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(metavar="P", help="Part of the numbers to drop.", show_default="0.0")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Places of the text that are read side by side.", show_default="64")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.", show_default="2000")] = None,
    truncate: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Tokens that a gradient goes back through (truncated BPTT).",
            show_default="32",
        ),
    ] = None,
    clip: Clip = None,
    optimizer: Annotated[
        str | None, typer.Option(help="rmsprop, adam or sgd.", show_default="rmsprop")
    ] = None,
    lr: Annotated[
        float | None, largest_step("rmsprop 0.01, adam 0.01, sgd 2.0; half for a transformer")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="cycle: the step size grows for a tenth of the steps, then falls to nothing; or constant.",
            show_default="cycle",
        ),
    ] = None,
    evaluate_every: Every = None,
    seed: Seed = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Receives config.json, checkpoint.pt and metrics.jsonl.")
    ] = Path("runs/lm"),
    resume: Resume = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    r"""Train a language model.

    It learns to predict each next token, a character unless --tokens says otherwise. A recurrent net, which
    reads a state along, Bengio's feed-forward net and a Transformer (--model) learn by truncated
    back-propagation through time; n-grams are counted, and smoothed by Kneser and Ney's method. The last 5 %
    of the text are kept to measure on. Ctrl-C saves.

    Examples:

        chalkgrad lm train                                  an LSTM on nine plays of Shakespeare

        chalkgrad lm train --text mine.txt --cell gru --hidden 256 --out runs/mine

        chalkgrad lm train --text *.txt --cell "h\[t] = tanh(x\[t] W + h\[t-1] U + b)"

        chalkgrad lm train --tokens bpe --vocabulary 1000 --model transformer --layers 2

        chalkgrad lm train --model ngram --context 5        six characters at a time, counted

        chalkgrad lm train --tokens words --objective masked --out runs/masked

        chalkgrad lm train --resume --steps 4000            go on, for longer
    """
    with page.task_complaints():
        from chalkgrad.tasks import language_model as lm
        from chalkgrad.tasks.embeddings import load
        from chalkgrad.tasks.processes import first, together

        files = tuple(str(path.resolve()) for path in [*(text or []), *(more or [])])
        saved = (lambda: lm.saved(out)) if resume else None
        config = settled(lm.Config, ctx.params, saved, text=files or None)
        vectors = None
        if embeddings:
            vectors, bad = load(embeddings)
            page.skipped(bad, embeddings)
        with bar(config.tokens, config.objective) as report:
            group = together(devices, nodes)
            result = lm.train(config, out, resume=resume, report=report, group=group, vectors=vectors)
    if not first():
        return
    if result.interrupted:
        stopped("lm train", result.step, out)
    if result.metrics and config.objective != "causal":
        bits = result.metrics.validation / log(2)
        print(f"{out}: step {result.step}, {bits:.3f} bits per token asked for, of text it has not seen")
        print(f"Give it labels to learn:  chalkgrad lm finetune {out} --task classify --data FILE.tsv")
        return
    if result.metrics:
        bits = result.metrics.bits_per_character
        made = f"order {result.step}" if config.model == "ngram" else f"step {result.step}"
        print(f"{out}: {made}, {bits:.3f} bits per character on text it has not seen")
    print(f"Write with it:  chalkgrad lm generate {out}")
    if config.model != "ngram":
        print(f"Train on:       chalkgrad lm train --resume --out {out} --steps {2 * result.step}")


def bar(tokens: str = "characters", objective: str = "causal") -> Any:
    """The progress bar of a training, in bits per token, which may be a character."""
    unit = "character" if tokens == "characters" else "token"

    def said(m: Any) -> str:
        seen, unseen = m.train / log(2), m.validation / log(2)
        more = f" ({m.bits_per_character:.3f}/character)" if unit == "token" and objective == "causal" else ""
        return f"step {m.step:>6}: {seen:.3f} bits/{unit}, {unseen:.3f} on unseen text{more}"

    return training_bar("tokens", lambda loss, _: f"{loss / log(2):.3f} bits/{unit}", said)


__all__ = ["train"]
