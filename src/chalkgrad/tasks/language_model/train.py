"""Training by truncated back-propagation through time; a run can be cut and goes on to the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.tasks import training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.embeddings import Vectors
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import MAY_CHANGE, Card, Config, Metrics
from chalkgrad.tasks.language_model.data import Streams, encoded, plays, read, split
from chalkgrad.tasks.language_model.descent import descent
from chalkgrad.tasks.language_model.model import States, detach, evaluate, nats, net
from chalkgrad.tasks.language_model.ngram import counted
from chalkgrad.tasks.language_model.objectives import Windows, two_sided
from chalkgrad.tasks.processes import ALONE, Group, part, sharable
from chalkgrad.tasks.settings import resumable
from chalkgrad.tasks.tokens import Vocabulary, made
from chalkgrad.tasks.tokens import load as vocabulary_of
from chalkgrad.zoo import source_of

# The validation text is read as streams of at least this many tokens side by side: fast, and long enough
# that the empty state each begins with hardly shows.
VALIDATION_STREAM = 512

# Tokens that counted n-grams look at together: bounds the memory of their distributions.
CHUNK = 1024

Progress = training.Progress[Metrics]


@dataclass(frozen=True)
class Result:
    """How a run ended: the step it reached, and the last measurement, if it came to one."""

    out: Path
    step: int
    metrics: Metrics | None
    interrupted: bool


@dataclass(frozen=True)
class Chunk:
    """The next tokens of the streams, what follows each, and the states that were carried to them."""

    ids: Tensor
    targets: Tensor
    carried: States | None


class Run(training.Run[nn.Module, Chunk, Metrics]):
    """A pass over the streams, chunk after chunk, the states carried along."""

    KEPT = ("position",)
    WATCHED = 20

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        streams: Streams,
        held_out: Streams,
        group: Group = ALONE,
        length: float = 1.0,
    ) -> None:
        optimizer, cycle = descent(config, model)
        super().__init__(model, optimizer, seed=config.seed, clip=config.clip, schedule=cycle, group=group)
        self.size, self.held_out, self.length = config.truncate, held_out, length
        self.streams = Streams(part(streams.inputs, group), part(streams.targets, group))
        self.position = 0
        self.carried: States | None = None

    def batch(self) -> Chunk:
        if self.position >= self.streams.length:  # read to the end: begin again, remembering nothing
            self.position, self.carried = 0, None
        chunk = Chunk(*self.streams.chunk(self.position, self.size), self.carried)
        self.position += self.size
        return chunk

    def loss(self, batch: Chunk) -> training.Loss:
        logits, states = self.net(batch.ids, batch.carried)
        self.carried = detach(states)
        count = batch.targets.numel()
        return training.Loss(nats(logits, batch.targets) * count, count)

    def measure(self) -> Metrics:
        validation = evaluate(self.model, self.held_out.chunks(self.size)).mean
        return Metrics(self.step, self.means().loss, validation, self.length)

    def state(self) -> dict[str, Any]:
        every = self.carried and tuple(tuple(self.group.gather(s) for s in layer) for layer in self.carried)
        return {**super().state(), "carried": every}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        every = state["carried"]
        self.carried = every and tuple(tuple(part(s, self.group) for s in layer) for layer in every)


@dataclass(frozen=True)
class Material:
    """What a run learns from: the vocabulary, and the numbers of both parts of the text."""

    vocabulary: Vocabulary
    learned: Tensor
    held_out: Tensor
    length: float  # characters of the held-out text for each of its tokens

    @staticmethod
    def of(text: str, config: Config, known: Vocabulary | None = None) -> Material:
        """Of a text; without a vocabulary that is ``known`` one is made of the part to learn from."""
        learned, held_out = split(text, config.validation)
        special = ("mask",) if config.objective == "masked" else ()
        vocabulary = known or made(config.tokens, learned, config.vocabulary, special)
        ids, held_ids = encoded(learned, vocabulary), encoded(held_out, vocabulary)
        return Material(vocabulary, ids, held_ids, len(held_out) / max(1, len(held_ids) - 1))

    @property
    def validation(self) -> Streams:
        return Streams.side_by_side(self.held_out, max(1, (len(self.held_out) - 1) // VALIDATION_STREAM))


def train(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    seconds: float = inf,
    group: Group = ALONE,
    vectors: Vectors | None = None,
) -> Result:
    """Train a language model into the directory ``out``, or go on with the one that is there.

    Ctrl-C ends the run after the step it is in, with everything saved; after any other end, ``resume=True``
    goes on from the last measurement. Both come to the same numbers as a run that was never cut. ``report``
    is called after each step; after ``seconds`` the run is measured, saved and left where it is, in the
    middle of its cycle (a ``schedule`` that is constant suits a run that time ends). The processes of
    ``group`` share the streams of each batch. N-grams are counted at once, in one process: their steps are
    the orders. A model of words may start from ``vectors``.

    Raises :class:`TaskError` for what the user can put right, and :class:`chalkgrad.EquationError`
    for equations that cannot be read.
    """
    directory = Directory(Path(out))
    if vectors:
        if config.tokens != "words" or config.model == "ngram":
            raise TaskError("vectors of words start a net of words: give --tokens words")
        if resume:
            raise TaskError("a run that goes on has its own vectors: leave --embeddings out")
        config = replace(config, embedding=vectors.width)
    text = read(config.text or plays())
    digest = hashlib.sha256(text.encode()).hexdigest()
    cell, known = config.cell, None
    if resume:
        card = Card.load(directory.card_file)
        other = ["the text is not the same"] if digest != card.digest else []
        resumable(directory, config, card.config, other, MAY_CHANGE)
        if config.model == "ngram":
            raise TaskError(f"{directory.path} holds counted n-grams: there is nothing to go on with")
        cell, known = card.equations, vocabulary_of(card.vocabulary)
    material = Material.of(text, config, known)
    vocabulary = material.vocabulary
    card = Card(config, source_of(cell), vocabulary.dump(), digest)
    if config.model == "ngram":
        if config.objective != "causal":
            raise TaskError("n-grams are counted from left to right: --objective causal")
        if group.count > 1:
            raise TaskError("n-grams are counted in one process: leave --devices and --nodes out")
        return count(card, directory, material, report)
    tokens = len(material.learned) - 1
    if tokens < config.batch * config.truncate:
        what = "characters" if config.tokens == "characters" else "tokens"
        raise TaskError(
            f"the text is too short: {tokens} {what} to train on, but {config.batch} streams "
            f"of {config.truncate} need {config.batch * config.truncate}: give more text, or a smaller batch "
            f"or truncate"
        )
    sharable(config.batch, "streams", group, equally=True)

    def begin() -> Run | Windows:
        if config.objective != "causal":
            model = two_sided(config, cell, len(vocabulary))
            if vectors:
                start(model.embedding, vocabulary, vectors)
            texts = material.learned, material.held_out
            return Windows(config, model, *texts, vocabulary.first, group, material.length)
        model = net(config, cell, len(vocabulary))
        if vectors:
            start(model.embedding, vocabulary, vectors)
        streams = Streams.side_by_side(material.learned, config.batch)
        return Run(config, model, streams, material.validation, group, material.length)

    ended = training.follow(
        begin,
        directory,
        lambda _: card.dump(),
        Metrics.of,
        seed=config.seed,
        steps=config.steps,
        every=config.evaluate_every,
        resume=resume,
        report=report,
        seconds=seconds,
        group=group,
    )
    return Result(directory.path, ended.step, ended.measured, ended.interrupted)


@torch.no_grad()
def start(embedding: nn.Embedding, vocabulary: Vocabulary, vectors: Vectors) -> None:
    """Give tokens the vectors of the words they are, spread as widely as those that were drawn."""
    scale = embedding.weight.std() / vectors.values.std()
    for number in range(vocabulary.first, len(vocabulary)):
        vector = vectors.of(vocabulary.decode([number]).strip())
        if vector is not None:
            embedding.weight[number] = vector * scale


def count(
    card: Card, directory: Directory, material: Material, report: Callable[[Progress], object] | None
) -> Result:
    """N-grams of a text, in a directory as a net's.

    Their loss in training is that of the learned text's last part, as long as the part held out.
    """
    order = (card.config.context or 0) + 1
    directory.free()
    said = report or (lambda _: None)
    model = counted(
        material.learned,
        order,
        len(material.vocabulary),
        lambda n, of: said(training.Progress(n, of, len(material.learned), 0.0)),
    )
    held_out = material.held_out
    seen, unseen = (
        evaluate(model, Streams.side_by_side(ids, 1).chunks(CHUNK)).mean
        for ids in (material.learned[-len(held_out) :], held_out)
    )
    metrics = Metrics(order, seen, unseen, material.length)
    directory.create(card.dump(), {"model": model.state_dict(), "step": order})
    directory.add(metrics)
    said(training.Progress(order, order, len(held_out), unseen, measured=metrics))
    return Result(directory.path, order, metrics, False)


__all__ = ["Progress", "Result", "Run", "train"]
