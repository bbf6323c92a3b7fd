"""What a net may learn text by besides predicting the next token: filling in, and reading from either side.

``masked``: some tokens are hidden, and found again from both sides (Devlin et al., "BERT", NAACL 2019).
``bidirectional``: one recurrence predicts each next token, its mirror each one before, with an embedding and
a readout in common (Peters et al., "Deep contextualized word representations", NAACL 2018).

B batch   T time   H hidden   D directions   V size of the vocabulary
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from chalkgrad.nn.layer import layer
from chalkgrad.tasks import training
from chalkgrad.tasks.encoder import Encoder, Lengths
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import Config, Metrics
from chalkgrad.tasks.language_model.descent import descent
from chalkgrad.tasks.processes import ALONE, Group, part
from chalkgrad.tasks.transformer import EncoderBlock, nearer

HIDDEN = 0.15  # the part of the tokens that is to be found again
SHOWN, WRONG = 0.1, 0.1  # of these, the part that is left as it is, and that is another token

HELD = 64  # windows of the text held out that are measured, at most


class Sighted(nn.Module):
    """A Transformer whose heads look back and ahead by turns, the nearer the more: (B, T, H) → (B, T, H)."""

    directions = 1

    def __init__(self, hidden: int, heads: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(EncoderBlock(hidden, heads, dropout) for _ in range(layers))
        self.norm = layer("layer_norm", D=hidden)
        self.heads = heads

    def forward(self, values: Tensor, lengths: Lengths = None) -> Tensor:
        batch, places, _ = values.shape
        back = nearer(places, places, self.heads, places)
        ahead = torch.arange(self.heads) % 2 == 1
        bias = torch.where(ahead[:, None, None], back.flip(1, 2), back).to(values)
        bias = bias.expand(batch, *bias.shape)
        if lengths is not None:
            own = torch.arange(places) < torch.tensor(lengths)[:, None]
            alone = torch.eye(places, dtype=torch.bool)  # a place that is padding sees itself
            bias = bias.masked_fill(~(own[:, None, None, :] | alone), float("-inf"))
        for block in self.blocks:
            values = block(values, bias)
        return self.norm(values)


class TwoSided(nn.Module):
    """Embedding → a body that sees both sides → readout: a :class:`Net` for texts that are all there."""

    def __init__(self, config: Config, cell: str, tokens: int) -> None:
        super().__init__()
        hidden, width = config.hidden, config.embedding or config.hidden
        self.objective = config.objective
        self.embedding = nn.Embedding(tokens, width)
        self.enter = nn.Identity() if width == hidden else nn.Linear(width, hidden, bias=False)
        self.body = (
            Encoder(cell, hidden, layers=config.layers, both=True, dropout=config.dropout)
            if config.model == "recurrent"
            else Sighted(hidden, config.heads, config.layers, config.dropout)
        )
        self.dropout = nn.Dropout(config.dropout)
        wide = hidden if config.objective == "bidirectional" else hidden * self.body.directions
        self.readout = nn.Linear(wide, tokens)

    def features(self, ids: Tensor, lengths: Lengths = None) -> Tensor:
        """What is known of each place, (B, T, D·H); of several texts ``lengths`` are their own places."""
        return self.dropout(self.body(self.dropout(self.enter(self.embedding(ids))), lengths))

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of what stands at each place (masked); of what comes next and before, (2, B, T, V)."""
        known = self.features(ids)
        if self.objective == "masked":
            return self.readout(known)
        return self.readout(torch.stack(known.chunk(2, -1)))


class Shown(NamedTuple):
    """Texts (B, T) as they are shown, as they are, and where what was hidden is asked for."""

    ids: Tensor
    right: Tensor
    asked: Tensor


def hidden(ids: Tensor, first: int, tokens: int, random: Generator) -> Shown:
    """Texts with some tokens hidden: most behind the mask, which is token 1, some as another token.

    ``first`` is the first token that stands for text. At least one token is asked for.
    """
    asked = torch.rand(ids.shape, generator=random) < HIDDEN
    asked.view(-1)[torch.randint(ids.numel(), (1,), generator=random)] = True
    how = torch.rand(ids.shape, generator=random)
    others = torch.randint(first, tokens, ids.shape, generator=random)
    seen = torch.where(how < WRONG, others, torch.where(how < WRONG + SHOWN, ids, torch.ones_like(ids)))
    return Shown(torch.where(asked, seen, ids), ids, asked)


class Windows(training.Run[TwoSided, Shown, Metrics]):
    """Stretches of the text from anywhere in it, each read by itself."""

    def __init__(
        self,
        config: Config,
        model: TwoSided,
        learned: Tensor,
        held_out: Tensor,
        first: int,
        group: Group = ALONE,
        length: float = 1.0,
    ) -> None:
        optimizer, cycle = descent(config, model)
        super().__init__(model, optimizer, seed=config.seed, clip=config.clip, schedule=cycle, group=group)
        self.config, self.learned, self.length, self.first = config, learned, length, first
        self.tokens = model.embedding.num_embeddings
        size = min(config.truncate, len(held_out))
        stretches = held_out.unfold(0, size, size)[:HELD]
        self.held_out = self._shown(stretches, Generator().manual_seed(0))  # the same each time

    def _shown(self, ids: Tensor, random: Generator) -> Shown:
        if self.config.objective == "masked":
            return hidden(ids, self.first, self.tokens, random)
        return Shown(ids, ids, torch.ones_like(ids, dtype=torch.bool))

    def batch(self) -> Shown:
        size = self.config.truncate
        starts = torch.randint(len(self.learned) - size + 1, (self.config.batch,), generator=self.random)
        shown = self._shown(self.learned[starts[:, None] + torch.arange(size)], self.random)
        return Shown(*(part(rows, self.group) for rows in shown))

    def loss(self, batch: Shown) -> training.Loss:
        logits = self.net(batch.ids)
        if self.config.objective == "masked":
            logits, right = logits[batch.asked], batch.right[batch.asked]
        else:
            onward, reverse = logits
            logits = torch.cat([onward[:, :-1], reverse[:, 1:]], 1).flatten(0, 1)
            right = torch.cat([batch.right[:, 1:], batch.right[:, :-1]], 1).flatten()
        found = int((logits.argmax(1) == right).sum())
        return training.Loss(cross_entropy(logits, right, reduction="sum"), len(right), found)

    @torch.no_grad()
    def measure(self) -> Metrics:
        self.model.eval()
        loss = self.loss(self.held_out)
        self.model.train()
        return Metrics(self.step, self.means().loss, loss.total.item() / loss.items, self.length)


def two_sided(config: Config, cell: str, tokens: int) -> TwoSided:
    """The net of an objective. Raises :class:`TaskError` where no such net sees both sides."""
    fit = {"masked": ("recurrent", "transformer"), "bidirectional": ("recurrent",)}[config.objective]
    if config.model not in fit:
        raise TaskError(
            f"--objective {config.objective} needs --model {' or '.join(fit)}, not {config.model}"
        )
    if config.tied:
        raise TaskError(f"--objective {config.objective} has a readout of its own: leave --tied out")
    if config.truncate < 2:
        raise TaskError(f"--objective {config.objective} reads at least 2 tokens at a time: --truncate 2")
    return TwoSided(config, cell, tokens)


__all__ = ["Shown", "Sighted", "TwoSided", "Windows", "hidden", "two_sided"]
