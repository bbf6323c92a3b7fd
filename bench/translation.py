"""Our Transformer of equations beside torch.nn's, as translators, from the same first weights.

python -m bench.translation                                      the messages that ship, 800 steps
python -m bench.translation --data libreoffice-ko --steps 3770   ten epochs (after `chalkgrad data fetch`)
python -m bench.translation --only theirs                        one of the two

Both read the same batches in the same order; dropout draws other numbers. Losses are in nats a token of pairs
kept apart; BLEU and chrF are of the test, by `--beam`.
"""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from chalkgrad.cli import page
from chalkgrad.cli.translate.train import bar
from chalkgrad.tasks import training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.transformer import WIDER
from chalkgrad.tasks.translate.config import Card, Config, Metrics
from chalkgrad.tasks.translate.evaluate import evaluate
from chalkgrad.tasks.translate.model import State, Transformer, Translator
from chalkgrad.tasks.translate.train import Run, built, corpus_of, numbered, vocabularies_of
from chalkgrad.tasks.translate.translate import Trained

Which = StrEnum("Which", ["ours", "theirs"])


class Theirs(Transformer):
    """The same model of torch.nn's layers, with the weights of ours; what torch adds (biases) begins at 0.

    For each next word it reads all words anew: what is measured here is training.
    """

    def __init__(self, ours: Transformer, sources: int, targets: int, dropout: float) -> None:
        heads, width = ours.heads, ours.width
        super().__init__(sources, targets, width, len(ours.encoder), dropout, heads)
        shared = {name: value for name, value in ours.state_dict().items() if "coder." not in name}
        encoder, decoder = ours.encoder, ours.decoder
        own: dict[str, Any] = {"batch_first": True, "norm_first": True, "dropout": dropout}
        self.encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, WIDER * width, **own) for _ in encoder
        )
        self.decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(width, heads, WIDER * width, **own) for _ in decoder
        )
        self.load_state_dict(shared, strict=False)
        for mine, its in zip([*encoder, *decoder], [*self.encoder, *self.decoder], strict=True):
            put_block(mine, its)

    def read(self, source: Tensor, lengths: Tensor) -> State:
        padding = torch.arange(source.shape[1]) >= lengths[:, None]
        values = self.placed(self.source(source))
        for block in self.encoder:
            values = block(values, src_key_padding_mask=padding)
        return self.read_norm(values), padding, lengths.new_empty(len(source), 0)

    def write(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        read, padding, before = state
        written = torch.cat([before, words], 1)
        later = torch.ones(written.shape[1], written.shape[1], dtype=torch.bool).triu(1)
        values = self.placed(self.target(written))
        for block in self.decoder:
            values = block(values, read, tgt_mask=later, memory_key_padding_mask=padding)
        return self.written_norm(values)[:, before.shape[1] :], (read, padding, written)


def put_block(ours: nn.Module, theirs: nn.Module) -> None:
    looks = {"attention": "self_attn", "cross": "multihead_attn"}
    branches = [name for name, _ in ours.named_children() if name in looks] + ["net"]
    for number, name in enumerate(branches, 1):
        branch = ours.get_submodule(name)
        norm = theirs.get_submodule(f"norm{number}")
        put({"weight": branch.get_parameter("norm.γ"), "bias": branch.get_parameter("norm.β")}, norm)
        if name in looks:
            look = theirs.get_submodule(looks[name])
            assert isinstance(look, nn.MultiheadAttention)
            put_attention(branch.get_submodule("attention"), look)
    net = ours.get_submodule("net.net")
    for number in (1, 2):
        weight, bias = (net.get_parameter(f"{letter}_{number}") for letter in "Wb")
        put({"weight": weight.T, "bias": bias}, theirs.get_submodule(f"linear{number}"))
    theirs.set_submodule("dropout", nn.Identity())  # ours drop out at the end of each branch alone


@torch.no_grad()
def put(values: dict[str, Tensor], into: nn.Module) -> None:
    for name, value in values.items():
        into.get_parameter(name).copy_(value)


@torch.no_grad()
def put_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    """``W_Q[head, in, out]`` … as rows of one matrix, ``W_O[head, in, out]`` as columns; none dropped."""
    rows = [ours.get_parameter(f"W_{letter}").transpose(1, 2).flatten(0, 1) for letter in "QKV"]
    put({"in_proj_weight": torch.cat(rows), "in_proj_bias": torch.zeros(3 * len(rows[0]))}, theirs)
    put(
        {"weight": ours.get_parameter("W_O").flatten(0, 1).T, "bias": torch.zeros(len(rows[0]))},
        theirs.out_proj,
    )
    theirs.dropout = 0.0


def run(
    data: Annotated[str | None, typer.Option(help="As `chalkgrad translate train` has it.")] = None,
    steps: Annotated[int, typer.Option(help="Updates of the weights.")] = 800,
    layers: Annotated[int, typer.Option(help="Blocks on either side.")] = 2,
    width: Annotated[int, typer.Option(help="Of every layer.")] = 128,
    beam: Annotated[int, typer.Option(help="Of the beam search on the test; 1: greedy.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads for torch and the kernels.")] = 1,
    only: Annotated[Which | None, typer.Option(help="One of the two.")] = None,
) -> None:
    """Train both, one after the other, and measure them."""
    torch.set_num_threads(threads)
    config = Config(
        data=(data,) if data else (), model="transformer", layers=layers, width=width, steps=steps,
        evaluate_every=max(1, steps // 10),
    )  # fmt: skip
    corpus = corpus_of(config)
    vocabularies = vocabularies_of(config, corpus)
    learned, held_out = (numbered(p, vocabularies) for p in (corpus.train, corpus.validation))

    card = Card(config, vocabularies, corpus.digest)

    def trained(which: Which) -> tuple[Run, Metrics]:
        def begin() -> Run:
            model: Translator = built(config, vocabularies)
            if which == "theirs":
                assert isinstance(model, Transformer)
                source, target = map(len, vocabularies)
                model = Theirs(model, source, target, config.dropout)
            return Run(config, model, learned, held_out)

        runs: list[Run] = []
        with TemporaryDirectory() as folder, bar() as report:
            ended = training.follow(
                begin, Directory(Path(folder) / "run"), lambda _: card.dump(), Metrics.of,
                seed=config.seed, steps=steps, every=config.evaluate_every, report=report, end=runs.append,
            )  # fmt: skip
        if ended.interrupted:
            raise typer.Exit(130)
        assert ended.measured is not None
        return runs[0], ended.measured

    for which in [only] if only else list(Which):
        since = time.perf_counter()
        ended, measured = trained(which)
        minutes = (time.perf_counter() - since) / 60
        model = ended.model.eval()
        with page.waiting("sentences") as told:
            scores = evaluate(Trained(model, card), corpus.test, beam=beam, report=told).scores
        size = sum(p.numel() for p in model.parameters())
        print(
            f"{which}: {size:,} parameters, {steps} steps, {minutes:.1f} minutes, "
            f"{measured.validation:.3f} nats a token, {measured.right:.1%} right, "
            f"BLEU {scores.bleu:.1f}, chrF {scores.chrf:.1f}"
        )


if __name__ == "__main__":
    typer.run(run)
