"""Training on labels, from a net that has read texts or from scratch; a cut run comes to the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from chalkgrad.tasks import training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.labels.config import Card, Config
from chalkgrad.tasks.labels.data import Data, Example, fewer
from chalkgrad.tasks.labels.model import Labeller, Texts, labeller, read_by, texts
from chalkgrad.tasks.language_model.config import Card as NetCard
from chalkgrad.tasks.language_model.config import Config as NetConfig
from chalkgrad.tasks.metrics import Recent
from chalkgrad.tasks.pace import pace
from chalkgrad.tasks.processes import ALONE, Group, part, sharable
from chalkgrad.tasks.settings import differences, resumable
from chalkgrad.tasks.tokens import Vocabulary, Words
from chalkgrad.tasks.tokens import load as vocabulary_of
from chalkgrad.zoo import source_of

EVERY = 50  # steps to a line of metrics
AT_ONCE = 64  # texts that are read side by side when tested
UNSEEN = frozenset({"text", "steps"})  # of a net: how it came to its weights, not what it is
NOT_KNOWN = -1  # the number of a label that was not trained on: never right

Progress = training.Progress[Recent]


@dataclass(frozen=True)
class Start:
    """A net to begin with: what it is, the tokens it knows, and its weights (None: drawn anew)."""

    net: NetConfig
    equations: str
    vocabulary: Vocabulary
    weights: dict[str, Tensor] | None = None

    @property
    def scratch(self) -> Start:
        """The same net with nothing learned."""
        return replace(self, weights=None)


def pretrained(path: Path | str) -> Start:
    """The net in a directory of ``lm train``. Raises :class:`TaskError` for n-grams, which are none."""
    directory = Directory(Path(path))
    card = NetCard.load(directory.card_file)
    if card.config.model == "ngram":
        raise TaskError(f"{path} holds counted n-grams: a net is needed to learn labels")
    vocabulary = vocabulary_of(card.vocabulary)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        net = read_by(card.config, card.equations, len(vocabulary))
    directory.load(lambda state: net.load_state_dict(state["model"]))
    return Start(card.config, card.equations, vocabulary, net.state_dict())


def fresh(
    examples: Sequence[Example],
    cell: str,
    hidden: int,
    *,
    both: bool,
    layers: int = 1,
    vocabulary: int = 8192,
) -> Start:
    """A recurrent net over the words of examples that has learned nothing, seeing one side or ``both``.

    Rare words are spelled.
    """
    words = Words.of("\n".join(" ".join(one.words) for one in examples) + "\n", vocabulary)
    objective = "bidirectional" if both else "causal"
    net = NetConfig(tokens="words", cell=cell, hidden=hidden, layers=layers, objective=objective)
    return Start(net, source_of(cell), words)


@dataclass(frozen=True)
class Result:
    """How a run ended; ``right`` of ``count`` test labels, once it is at its end.

    Of several processes the first alone tests.
    """

    out: Path
    step: int
    right: int
    count: int
    finished: bool

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.count)


class Batch(NamedTuple):
    """Texts, and the numbers of their labels."""

    texts: Texts
    wanted: Tensor


class Run(training.Run[Labeller, Batch, Recent]):
    """Examples drawn at random; the step size goes up and down once."""

    def __init__(
        self,
        card: Card,
        model: Labeller,
        vocabulary: Vocabulary,
        examples: Sequence[Example],
        group: Group = ALONE,
    ) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=card.config.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(pace, steps=card.config.steps))
        super().__init__(model, optimizer, seed=card.config.seed, clip=1.0, schedule=schedule, group=group)
        self.card, self.vocabulary, self.examples = card, vocabulary, examples

    def batch(self) -> Batch:
        drawn = torch.randint(len(self.examples), (self.card.config.batch,), generator=self.random)
        mine = part(drawn, self.group).tolist()
        return batched([self.examples[k] for k in mine], self.vocabulary, self.card.classes)

    def loss(self, batch: Batch) -> training.Loss:
        scores = self.net(batch.texts)
        right = int((scores.argmax(1) == batch.wanted).sum())
        total = cross_entropy(scores, batch.wanted, reduction="sum", ignore_index=NOT_KNOWN)
        return training.Loss(total, len(batch.wanted), right)

    def measure(self) -> Recent:
        means = self.means()
        return Recent(self.step, means.loss, means.accuracy)


def batched(examples: Sequence[Example], vocabulary: Vocabulary, classes: Sequence[str]) -> Batch:
    number = {name: k for k, name in enumerate(classes)}
    wanted = [number.get(label, NOT_KNOWN) for one in examples for label in one.labels]
    return Batch(texts(examples, vocabulary), torch.tensor(wanted))


def train(
    config: Config,
    start: Start,
    data: Data,
    out: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], object] | None = None,
    seconds: float = inf,
    group: Group = ALONE,
) -> Result:
    """Train a net on labels into the directory ``out``, or go on with the run that is there; then test it.

    Ctrl-C saves; ``resume=True`` goes on to the same numbers. The test is looked at once, at the end.
    Raises :class:`TaskError` for what the user can put right.
    """
    directory = Directory(Path(out))
    examples = fewer(data.training, config.most)
    learned = replace(data, training=examples)
    if len(learned.classes) < 2:
        raise TaskError(f"all of what is trained on ({len(examples)}) has one label only: give more")
    sharable(config.batch, "texts", group)
    card = Card(config, start.net, start.equations, start.vocabulary.dump(), learned.classes, learned.digest)
    if resume:
        saved = Card.load(directory.card_file)
        other = differences(card.net, saved.net, UNSEEN)
        if card.equations != saved.equations and not other:
            other = ["the equations of the cell are not the same"]
        if saved.digest != card.digest:
            other.append("the examples are not the same")
        elif saved.vocabulary != card.vocabulary:
            other.append("the tokens of the net are not the same")
        resumable(directory, config, saved.config, other, frozenset({"data", "test"}))
    counted: list[tuple[int, int]] = []

    def begin() -> Run:
        model = labeller(card, len(start.vocabulary))
        if start.weights is not None:
            model.body.load_state_dict(start.weights)
        return Run(card, model, start.vocabulary, examples, group)

    def end(run: Run) -> None:
        found = labelled(run.model, start.vocabulary, card.classes, data.test)
        pairs = [
            (a, b) for one, labels in zip(data.test, found, strict=True)
            for a, b in zip(one.labels, labels, strict=True)
        ]  # fmt: skip
        counted.append((sum(a == b for a, b in pairs), len(pairs)))
        record = {"right": counted[0][0], "count": counted[0][1], "baseline": learned.baseline()}
        directory.write("test.json", json.dumps(record) + "\n")

    ended = training.follow(
        begin,
        directory,
        lambda _: card.dump(),
        Recent.of,
        seed=config.seed,
        steps=config.steps,
        every=EVERY,
        resume=resume,
        report=report,
        seconds=seconds,
        group=group,
        end=end,
    )
    return Result(
        directory.path, ended.step, *(counted[0] if counted else (0, 0)), ended.step >= config.steps
    )


@torch.no_grad()
def labelled(
    model: Labeller, vocabulary: Vocabulary, classes: Sequence[str], examples: Sequence[Example]
) -> list[tuple[str, ...]]:
    """The likeliest label of each text, or of each of its words."""
    model.eval()
    order = sorted(range(len(examples)), key=lambda k: len(examples[k].words))
    found: dict[int, tuple[str, ...]] = {}
    for at in range(0, len(order), AT_ONCE):
        rows = order[at : at + AT_ONCE]
        some = [examples[k] for k in rows]
        best = iter(model(texts(some, vocabulary)).argmax(1).tolist())
        for k, one in zip(rows, some, strict=True):
            count = len(one.words) if model.words else 1
            found[k] = tuple(str(classes[next(best)]) for _ in range(count))
    return [found[k] for k in range(len(examples))]


def trained(path: Path | str) -> tuple[Labeller, Vocabulary, Card]:
    """The net in a directory that :func:`train` filled; nothing that lies there is executed."""
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    vocabulary = vocabulary_of(card.vocabulary)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        model = labeller(card, len(vocabulary))
    directory.load(lambda state: model.load_state_dict(state["model"]))
    return model, vocabulary, card


__all__ = ["Result", "Run", "Start", "fresh", "labelled", "pretrained", "train", "trained"]
