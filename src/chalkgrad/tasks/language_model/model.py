"""Language models: what each next token of a text may be, from those before it.

B batch   T time   E width of the embedding   H hidden   V size of the vocabulary
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.bodies import Body, FeedForward, Recurrent, States, Transformer
from chalkgrad.tasks.language_model.config import Config


class LanguageModel(nn.Module, ABC):
    """Predicts each next token, whatever it is made of: a net or counted n-grams."""

    @abstractmethod
    def forward(self, ids: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """``ids (B, T) → logits (B, T, V)``, and the states with which the texts go on.

        ``states`` are what an earlier call returned; without them the texts begin here. A token at a time
        comes to the same as all at once.
        """


class Net(LanguageModel):
    """Embedding → body → readout.

    Where the embedding (V, E) is not as wide as the body, a matrix stands between. ``tied``: the readout's
    rows are the embedding's (Press and Wolf, "Using the output embedding to improve language models", 2017).
    """

    def __init__(
        self, body: Body, tokens: int, *, width: int, hidden: int, tied: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        fits = isinstance(body, FeedForward) or width == hidden
        self.enter = nn.Identity() if fits else nn.Linear(width, hidden, bias=False)
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(hidden, tokens)
        if tied:
            if width != hidden:
                raise TaskError(f"tied weights need an embedding as wide as hidden: {width} is not {hidden}")
            nn.init.normal_(self.embedding.weight, std=1 / sqrt(width))
            self.readout.weight = self.embedding.weight

    def forward(self, ids: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        values, states = self.features(ids, states)
        return self.readout(values), states

    def features(self, ids: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """What the readout is given, (B, T, H): what is known of each place from all up to it."""
        values, carried = self.body(self.dropout(self.enter(self.embedding(ids))), states)
        return self.dropout(values), carried


def net(config: Config, cell: str, tokens: int) -> Net:
    """The net that the settings say; ``cell`` is that of a recurrent one. Raises as its parts do."""
    width = config.embedding or config.hidden
    hidden, layers, dropout = config.hidden, config.layers, config.dropout
    window = config.context or 1  # a recurrent model has none
    match config.model:
        case "recurrent":
            body: Body = Recurrent(cell, hidden, layers, dropout)
        case "mlp":
            body = FeedForward(width, hidden, window, layers, dropout)
        case "transformer":
            body = Transformer(hidden, config.heads, window, layers, dropout)
        case other:
            raise TaskError(f"{other} is no net")
    return Net(body, tokens, width=width, hidden=hidden, tied=config.tied, dropout=dropout)


class Loss(NamedTuple):
    """Nats, summed over the tokens that were predicted, and how many those are."""

    nats: float
    tokens: int

    @property
    def mean(self) -> float:
        return self.nats / self.tokens


def nats(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of -log p(target): logits (B, T, V), targets (B, T)."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten())


def detach(states: States) -> States:
    """The same values, with no way back for a gradient: where truncated back-propagation stops."""
    return tuple(tuple(value.detach() for value in state) for state in states)


@torch.no_grad()
def evaluate(model: nn.Module, chunks: Iterable[tuple[Tensor, Tensor]]) -> Loss:
    """The loss over chunks that follow one another, the state carried from each to the next; no dropout."""
    states: States | None = None
    total, tokens = 0.0, 0
    training = model.training
    model.eval()
    for ids, targets in chunks:
        logits, states = model(ids, states)
        total += nats(logits, targets).item() * targets.numel()
        tokens += targets.numel()
    model.train(training)
    return Loss(total, tokens)


__all__ = ["LanguageModel", "Loss", "Net", "States", "detach", "evaluate", "nats", "net"]
