"""Training with the target known word by word; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from chalkgrad.tasks import tokens, training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.pace import WARM_UP_OF_WRITERS, Cycle
from chalkgrad.tasks.processes import ALONE, Group, part, sharable
from chalkgrad.tasks.settings import resumable
from chalkgrad.tasks.translate.config import MAY_CHANGE, SPECIAL, Card, Config, Metrics
from chalkgrad.tasks.translate.data import (
    Batch,
    Corpus,
    Numbered,
    Pair,
    buckets,
    in_batches,
    messages,
    tsv,
)
from chalkgrad.tasks.translate.located import located
from chalkgrad.tasks.translate.model import Attending, Fixed, Transformer, Translator

Progress = training.Progress[Metrics]

WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Result:
    """How a run ended: the step it reached, the last measurement, what of the data was left out."""

    out: Path
    step: int
    metrics: Metrics | None
    interrupted: bool
    said: str


class Run(training.Run[Translator, Batch, Metrics]):
    """Epochs over the pairs, in batches of about equal length, in another order each time."""

    KEPT = ("order", "place")

    def __init__(
        self, config: Config, model: Translator, train: Numbered, held_out: Numbered, group: Group = ALONE
    ) -> None:
        lr = config.lr or 0.0
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
        cycle = Cycle(optimizer, lr, config.steps, WARM_UP_OF_WRITERS)
        super().__init__(model, optimizer, seed=config.seed, clip=config.clip, schedule=cycle, group=group)
        self.config, self.train, self.held_out = config, train, held_out
        self.lengths = train.lengths
        self.order = torch.empty(0, dtype=torch.long)  # the pairs of this epoch, as they were drawn
        self.place = 0  # batches of it that are done
        self._epoch: tuple[Tensor, list[Tensor]] = (self.order, [])

    def batch(self) -> Batch:
        if self.place >= len(self.batches):
            self.order = torch.randperm(len(self.train), generator=self.random)
            self.place = 0
        chosen = self.batches[self.place]
        self.place += 1
        return self.train.batch(part(chosen, self.group).tolist())

    @property
    def batches(self) -> list[Tensor]:
        """This epoch's, made of its order."""
        if self._epoch[0] is not self.order:
            self._epoch = (self.order, buckets(self.lengths, self.order, self.config.batch))
        return self._epoch[1]

    def loss(self, batch: Batch) -> training.Loss:
        return summed(self.net, batch, self.train.pads[1], self.config.smoothing)

    def measure(self) -> Metrics:
        losses = measured(self.model, self.held_out, self.config.batch)
        return Metrics(self.step, self.means().loss, losses.loss, losses.accuracy)


def summed(net: Any, batch: Batch, pad: int, smoothing: float = 0.0) -> training.Loss:
    """The loss of a batch in nats, over all its target tokens but the first, which is given."""
    words, after = batch.target[:, :-1], batch.target[:, 1:]
    scores: Tensor = net(batch.source, batch.lengths, words)
    total = cross_entropy(
        scores.flatten(0, 1), after.flatten(), ignore_index=pad, label_smoothing=smoothing, reduction="sum"
    )
    real = after != pad
    return training.Loss(total, int(real.sum()), int(((scores.argmax(2) == after) & real).sum()))


@torch.no_grad()
def measured(model: Translator, pairs: Numbered, size: int) -> training.Means:
    """The mean loss over pairs, of how many tokens, and how many were the likeliest; without dropout."""
    before = model.training
    model.eval()
    losses = [summed(model, batch, pairs.pads[1]) for _, batch in in_batches(pairs, size)]
    model.train(before)
    items = sum(loss.items for loss in losses)
    total = sum(loss.total.item() for loss in losses)
    return training.Means(total / max(1, items), items, sum(loss.right for loss in losses))


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    seconds: float = inf,
    group: Group = ALONE,
    data: Corpus | None = None,
) -> Result:
    """Train a translator into the directory ``out``, or go on with the one that is there.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last measurement. Both come to the same numbers as a run that was never cut. ``report``
    is called after each step; after ``seconds`` the run is measured, saved and left where it is. ``data`` is
    what ``config`` names where it has been read before. The processes of ``group`` share each batch.

    Raises :class:`TaskError` for what the user can put right.
    """
    directory = Directory(Path(out))
    saved = Card.load(directory.card_file) if resume else None
    corpus = data or corpus_of(config)
    if saved:
        other = ["the pairs are not the same"] if corpus.digest != saved.digest else []
        resumable(directory, config, saved.config, other, MAY_CHANGE)
    for size in (config.batch, len(corpus.train) % config.batch or config.batch):  # the last one of an epoch
        sharable(size, "pairs", group)
    vocabularies = saved.vocabularies if saved else vocabularies_of(config, corpus)

    def begin() -> Run:
        learned, held_out = (numbered(p, vocabularies) for p in (corpus.train, corpus.validation))
        return Run(config, built(config, vocabularies), learned, held_out, group)

    ended = training.follow(
        begin,
        directory,
        lambda _: Card(config, vocabularies, corpus.digest).dump(),
        Metrics.of,
        seed=config.seed,
        steps=config.steps,
        every=config.evaluate_every,
        resume=resume,
        report=report,
        seconds=seconds,
        group=group,
    )
    return Result(directory.path, ended.step, ended.measured, ended.interrupted, corpus.said())


def corpus_of(config: Config) -> Corpus:
    """The pairs that the settings name."""
    languages = config.source, config.target
    return tsv([located(name, *languages) for name in config.data]) if config.data else messages(*languages)


def vocabularies_of(config: Config, corpus: Corpus) -> tuple[tokens.Vocabulary, tokens.Vocabulary]:
    """Those of what is learned from: the source's and the target's."""

    def of(sentences: list[str]) -> tokens.Vocabulary:
        return tokens.made(config.tokens, "\n".join(sentences), config.vocabulary, SPECIAL)

    return of([p.source for p in corpus.train]), of([p.target for p in corpus.train])


def numbered(pairs: tuple[Pair, ...], vocabularies: tuple[tokens.Vocabulary, tokens.Vocabulary]) -> Numbered:
    """Pairs as numbers. The source ends with its end token too, so that none is empty."""
    source, target = vocabularies
    return Numbered(
        tuple((*source.ids(p.source), source.end) for p in pairs),
        tuple((target.begin, *target.ids(p.target), target.end) for p in pairs),
        (source.pad, target.pad),
    )


def built(config: Config, vocabularies: tuple[tokens.Vocabulary, tokens.Vocabulary]) -> Translator:
    """The model that the settings describe, with its first weights."""
    source, target = (len(v) for v in vocabularies)
    layers = config.layers or 1
    match config.model:
        case "fixed":
            return Fixed(source, target, config.width, layers, config.dropout, config.reverse)
        case "attention":
            return Attending(source, target, config.width, layers, config.dropout)
        case "transformer":
            return Transformer(source, target, config.width, layers, config.dropout)
        case other:
            raise TaskError(f"there is no model {other!r}")


__all__ = ["Progress", "Result", "Run", "built", "corpus_of", "measured", "numbered", "summed", "train"]
