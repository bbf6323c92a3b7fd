"""A net that has read texts, with a head for labels.

B batch   T tokens   W words of all texts together   F features   O labels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from chalkgrad.tasks.labels.config import Card
from chalkgrad.tasks.labels.data import Example
from chalkgrad.tasks.language_model.config import Config
from chalkgrad.tasks.language_model.model import Net, net
from chalkgrad.tasks.language_model.objectives import TwoSided, two_sided
from chalkgrad.tasks.tokens import Vocabulary


class Texts(NamedTuple):
    """Texts as tokens (B, T), how many are theirs; of every word (W,) its row, first and last token."""

    ids: Tensor
    lengths: list[int]
    rows: Tensor
    first: Tensor
    last: Tensor


def texts(examples: Sequence[Example], vocabulary: Vocabulary) -> Texts:
    """Examples as a net reads them, every word with a space before it but the first.

    A text begins with what stands before any text, a line's end, as those that the net learned from.
    """
    every: list[Tensor] = []
    rows: list[int] = []
    first: list[int] = []
    last: list[int] = []
    for row, one in enumerate(examples):
        ids = vocabulary.ids("\n")[:1]
        for k, word in enumerate(one.words):
            piece = vocabulary.ids(f" {word}" if k else word)
            rows.append(row)
            first.append(len(ids))
            ids += piece
            last.append(len(ids) - 1)
        every.append(torch.tensor(ids))
    lengths = [len(ids) for ids in every]
    return Texts(
        pad_sequence(every, batch_first=True), lengths, *(torch.tensor(x) for x in (rows, first, last))
    )


class Labeller(nn.Module):
    """Scores (B, O) for whole texts, from the mean of what is known of their tokens; or (W, O) for words,
    from what is known of the first and of the last token of each."""

    def __init__(
        self, body: Net | TwoSided, features: int, classes: int, *, words: bool, dropout: float
    ) -> None:
        super().__init__()
        self.body, self.words = body, words
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features * (1 + words), classes)
        for weight in body.readout.parameters():  # no token is predicted: what is for that alone rests
            weight.requires_grad_(weight is body.embedding.weight)

    def forward(self, given: Texts) -> Tensor:
        if isinstance(self.body, TwoSided):
            known = self.body.features(given.ids, given.lengths)
        else:  # what is known of a place owes nothing to what comes later, padding neither
            known, _ = self.body.features(given.ids)
        if self.words:
            found = torch.cat([known[given.rows, given.first], known[given.rows, given.last]], -1)
        else:
            own = torch.arange(known.shape[1]) < torch.tensor(given.lengths)[:, None]
            found = (known * own[..., None]).sum(1) / own.sum(1, keepdim=True)
        return self.head(self.dropout(found))


def read_by(config: Config, equations: str, tokens: int) -> Net | TwoSided:
    """The net that texts are read by, its weights drawn anew."""
    make = net if config.objective == "causal" else two_sided
    return make(config, equations, tokens)


def labeller(card: Card, tokens: int) -> Labeller:
    """The net of a card, its weights drawn anew."""
    body = read_by(card.net, card.equations, tokens)
    directions = body.body.directions if isinstance(body, TwoSided) else 1
    return Labeller(
        body,
        card.net.hidden * directions,
        len(card.classes),
        words=card.config.task == "tag",
        dropout=card.config.dropout,
    )


__all__ = ["Labeller", "Texts", "labeller", "read_by", "texts"]
