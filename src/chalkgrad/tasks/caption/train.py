"""Training with one cycle of step sizes; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chalkgrad.tasks import training, weights
from chalkgrad.tasks.caption.config import Card, Config
from chalkgrad.tasks.caption.data import Data, Part, load
from chalkgrad.tasks.caption.model import Captioner
from chalkgrad.tasks.classify.model import part as layer_part
from chalkgrad.tasks.classify.pictures import scale, scaled
from chalkgrad.tasks.classify.train import moved
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.epochs import Epochs, an_epoch
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.metrics import Epoch
from chalkgrad.tasks.processes import ALONE, Group, part
from chalkgrad.tasks.settings import resumable
from chalkgrad.tasks.tokens import Vocabulary, Words
from chalkgrad.tasks.tokens import load as vocabulary_of
from chalkgrad.zoo import source_of

SPECIAL = ("pad", "begin", "end")

Progress = training.Progress[Epoch]


@dataclass(frozen=True)
class Result:
    """How a run ended: the step it reached, the last measurement, if it came to one."""

    out: Path
    step: int
    metrics: Epoch | None
    interrupted: bool


@dataclass(frozen=True)
class Batch:
    """``pictures (n, C, H, W)`` of bytes; ``tokens (n, T)``, each caption from begin to end, filled up."""

    pictures: Tensor
    tokens: Tensor


class Run(Epochs[nn.Module, Batch]):
    """Epochs over the captions."""

    def __init__(
        self, config: Config, model: Captioner, data: Data, card: Card, group: Group = ALONE
    ) -> None:
        vocabulary = vocabulary_of(card.vocabulary)
        self.pad = vocabulary.pad
        self.shown, self.tokens = pairs(data.training, vocabulary)
        super().__init__(config, model, len(self.tokens), clip=config.clip, group=group)
        self.pictures, self.card = data.training.pictures, card
        self.shift = data.shift if config.shift is None else config.shift

    def batch(self) -> Batch:
        chosen = self.drawn()
        pictures = moved(self.pictures[self.shown[chosen]], self.shift, False, self.random)
        tokens = self.tokens[chosen]
        tokens = tokens[:, : int((tokens != self.pad).sum(1).max())]
        return Batch(part(pictures, self.group), part(tokens, self.group))

    def loss(self, batch: Batch) -> training.Loss:
        before, after = batch.tokens[:, :-1], batch.tokens[:, 1:]
        scores = self.net(scaled(batch.pictures, self.card), before)
        written = after != self.pad
        total = cross_entropy(scores.flatten(0, 1), after.flatten(), ignore_index=self.pad, reduction="sum")
        right = (scores.argmax(-1) == after) & written
        return training.Loss(total, int(written.sum()), int(right.sum()))


def pairs(part: Part, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """For each caption the number of its picture, and its tokens from begin to end, filled up."""
    shown = [k for k, captions in enumerate(part.captions) for _ in captions]
    rows = [
        torch.tensor([vocabulary.begin, *vocabulary.ids(spaced(caption)), vocabulary.end])
        for captions in part.captions
        for caption in captions
    ]
    filled = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=vocabulary.pad)
    return torch.tensor(shown), filled


def spaced(caption: str) -> str:
    """A caption with a space before its first word as before every other, so that both are one token."""
    return f" {caption}"


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    data: Data | None = None,
    seconds: float = inf,
    group: Group = ALONE,
) -> Result:
    """Train a captioner into the directory ``out``, or go on with the run that is there.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last epoch. Both come to the same numbers as a run that was never cut. ``data`` is what
    ``config.data`` names where it has been loaded before; its tests are not looked at. After ``seconds`` the
    run is measured, saved and left where it is. The processes of ``group`` share the captions of each batch.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError` for
    equations that cannot be read.
    """
    extra("safetensors.torch", "safetensors")  # what is needed at the end is asked for at the beginning
    directory = Directory(Path(out))
    saved = Card.load(directory.card_file) if resume else None  # what is missing is said before data are read
    data = data or load(config.data, config.language, config.pixels)
    if not len(data.training):
        raise TaskError(f"{config.data} has no pictures to train on")
    if saved:
        other = [] if data.digest == saved.digest else ["the pictures or captions are not the same"]
        resumable(directory, config, saved.config, other, frozenset({"data"}))
    card = saved or described(config, data)

    def begin() -> Run:
        return Run(config, built(card), data, card, group)

    steps = an_epoch(config, sum(map(len, data.training.captions)))
    ended = training.follow(
        begin,
        directory,
        lambda _: card.dump(),
        Epoch.of,
        seed=config.seed,
        steps=config.epochs * steps,
        every=steps,
        resume=resume,
        report=report,
        seconds=seconds,
        group=group,
        beside=lambda run: weights.save(directory, run.model),
    )
    return Result(directory.path, ended.step, ended.measured, ended.interrupted)


def described(config: Config, data: Data) -> Card:
    """The description of a new run."""
    said = [spaced(caption) for captions in data.training.captions for caption in captions]
    vocabulary = Words.of("".join(said), special=SPECIAL, spell=False)
    return Card(
        config,
        tuple(layer_part(what) for what in config.net),
        source_of(config.decoder),
        vocabulary.dump(),
        data.shape,
        *scale(data.training.pictures),
        max(len(vocabulary.ids(caption)) for caption in said),
        data.digest,
    )


def built(card: Card) -> Captioner:
    """The model of a description, with first weights."""
    config = card.config
    return Captioner(
        card.parts,
        card.decoder,
        card.shape,
        len(vocabulary_of(card.vocabulary)),
        hidden=config.hidden,
        embedding=config.embedding,
        dropout=config.dropout,
    )


__all__ = ["Progress", "Result", "Run", "built", "spaced", "train"]
