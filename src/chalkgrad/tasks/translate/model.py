"""Translators, all of equations: one fixed vector, attention inside the decoder's loop, a Transformer.

Each reads a source and then writes word by word; what it carries from word to word is its state.

B batch   S source words   T target words   W width   V target vocabulary
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.nn.layer import layer
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.transformer import DecoderBlock, EncoderBlock, bias, causal, padded, waves
from chalkgrad.zoo import source_of

State = Any
"""Tensors, batch first, in tuples: what :func:`chalkgrad.tasks.decoding.beam_search` carries along."""


class Translator(nn.Module, ABC):
    """A model that reads a source and writes a target; :meth:`forward` does both, with the target known."""

    def __init__(self, sources: int, targets: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.source, self.target = nn.Embedding(sources, width), nn.Embedding(targets, width)
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, std=width**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.bias = nn.Parameter(torch.zeros(targets))

    @abstractmethod
    def read(self, source: Tensor, lengths: Tensor) -> State:
        """The state before the first word, of sources (B, S) of so many words (B,) each."""

    @abstractmethod
    def write(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """What is known after each of the next words (B, T): (B, T, W); and the state after the last."""

    def scores(self, known: Tensor) -> Tensor:
        """Scores of the next word, (B, T, V), by the embeddings themselves (Press and Wolf, EACL 2017)."""
        return self.dropout(known) @ self.target.weight.T + self.bias

    def forward(self, source: Tensor, lengths: Tensor, words: Tensor) -> Tensor:
        """``source (B, S), lengths (B,), words (B, T) → scores (B, T, V)`` of the word after each."""
        return self.scores(self.write(words, self.read(source, lengths))[0])

    def step(self, last: Tensor, state: State) -> tuple[Tensor, State]:
        """A step of beam search: last words (B,) → log-probabilities of the next (B, V), and the state."""
        known, state = self.write(last[:, None], state)
        return self.scores(known)[:, 0].log_softmax(1), state

    def attention(self, source: Tensor, lengths: Tensor, words: Tensor) -> Tensor:
        """How much of each source word is read where each word is written, (B, T, S): rows sum to 1.

        Raises :class:`TaskError` for a model that has no attention.
        """
        raise TaskError("a model with one fixed vector has no attention")


class Fixed(Translator):
    """LSTMs that read the source into one state, LSTMs that write from it (Sutskever, Vinyals and Le, NIPS
    2014). ``reverse`` reads the source backwards, as they did: its first words then stand near their
    translations.
    """

    def __init__(
        self,
        sources: int,
        targets: int,
        width: int,
        layers: int = 1,
        dropout: float = 0.0,
        reverse: bool = False,
    ) -> None:
        super().__init__(sources, targets, width, dropout)
        self.reverse = reverse
        self.encoder = nn.ModuleList(layer("lstm", D=width, H=width) for _ in range(layers))
        self.decoder = nn.ModuleList(layer("lstm", D=width, H=width) for _ in range(layers))

    def read(self, source: Tensor, lengths: Tensor) -> State:
        values = self.dropout(self.source(source))
        if self.reverse:
            values = turned(values, lengths)
        states: list[tuple[Tensor, ...]] = []
        for lstm in self.encoder:
            values, state = lstm(values, lengths=lengths)
            values = self.dropout(values)
            states.append(tuple(state))
        return tuple(states)

    def write(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        values = self.dropout(self.target(words))
        states: list[tuple[Tensor, ...]] = []
        for number, (lstm, before) in enumerate(zip(self.decoder, state, strict=True)):
            values, after = lstm(self.dropout(values) if number else values, before)
            states.append(tuple(after))
        return values, tuple(states)


class Attending(Translator):
    """Gated units that read from both ends, and one that looks, before each word, at what it needs
    (Bahdanau, Cho and Bengio, ICLR 2015): the page ``attention_decoder`` of the zoo.
    """

    def __init__(self, sources: int, targets: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(sources, targets, width, dropout)
        widths = [width] + [2 * width] * (layers - 1)
        self.forwards = nn.ModuleList(layer("gru", D=w, H=width) for w in widths)
        self.backwards = nn.ModuleList(layer("gru", D=w, H=width) for w in widths)
        self.begin = nn.Linear(2 * width, width)
        self.decoder = layer("attention_decoder", D=width, E=2 * width, H=width, A=width)
        self.deep = nn.Linear(4 * width, width)

    def read(self, source: Tensor, lengths: Tensor) -> State:
        values, ends = self.dropout(self.source(source)), []
        for there, back in zip(self.forwards, self.backwards, strict=True):
            ahead, end = there(values, lengths=lengths)
            behind, first = back(turned(values, lengths), lengths=lengths)
            values = self.dropout(torch.cat([ahead, turned(behind, lengths)], 2))
            ends = [*end, *first]
        real = torch.arange(source.shape[1]) < lengths[:, None]
        mask = torch.zeros(real.shape).masked_fill(~real, -torch.inf)
        return torch.tanh(self.begin(torch.cat(ends, 1))), values, mask

    def write(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        y = self.dropout(self.target(words))
        s, read, mask = state
        out, (after,) = self.decoder(y=y, h=read, mask=mask, state=s)
        context = out.α @ read
        # A word is chosen by the state, by what was read for it and by the word before it.
        return torch.tanh(self.deep(torch.cat([out.s, context, y], 2))), (after, read, mask)

    def attention(self, source: Tensor, lengths: Tensor, words: Tensor) -> Tensor:
        s, read, mask = self.read(source, lengths)
        return self.decoder(y=self.target(words), h=read, mask=mask, state=s)[0].α


class Transformer(Translator):
    """Encoder and decoder of attention alone (Vaswani et al., NeurIPS 2017), normalised before each branch.

    What it carries from word to word is, for each block of the decoder, what the words so far looked like.
    """

    def __init__(
        self, sources: int, targets: int, width: int, layers: int = 2, dropout: float = 0.0, heads: int = 4
    ) -> None:
        super().__init__(sources, targets, width, dropout)
        self.heads = heads
        self.encoder = nn.ModuleList(EncoderBlock(width, heads, dropout) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderBlock(width, heads, dropout) for _ in range(layers))
        self.read_norm, self.written_norm = layer("layer_norm", D=width), layer("layer_norm", D=width)

    def placed(self, embedded: Tensor, first: int = 0) -> Tensor:
        places = waves(first + embedded.shape[1], self.width)[first:]
        return self.dropout(embedded * self.width**0.5 + places)

    def read(self, source: Tensor, lengths: Tensor) -> State:
        real = torch.arange(source.shape[1]) < lengths[:, None]
        looks = bias(padded(real, source.shape[1]), self.heads)
        values = self.placed(self.source(source))
        for block in self.encoder:
            values = block(values, looks)
        nothing = values.new_empty(len(source), 0, self.width)
        return self.read_norm(values), real, (nothing,) * len(self.decoder)

    def write(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        read, real, before = state
        count, first = words.shape[1], before[0].shape[1]
        own = bias(causal(count, first + count).expand(len(words), -1, -1), self.heads)
        looks = bias(padded(real, count), self.heads)
        values = self.placed(self.target(words), first)
        after: list[Tensor] = []
        for block, seen in zip(self.decoder, before, strict=True):
            assert isinstance(block, DecoderBlock)
            after.append(torch.cat([seen, values], 1))
            values = block.net(block.cross(block.attention(values, own, before=seen), looks, read))
        return self.written_norm(values), (read, real, tuple(after))

    def attention(self, source: Tensor, lengths: Tensor, words: Tensor) -> Tensor:
        """That of the last block, the mean of its heads."""
        last = self.decoder[-1]
        assert isinstance(last, DecoderBlock)
        given: dict[str, Tensor] = {}
        hook = last.cross.attention.register_forward_pre_hook(
            lambda _module, _args, named: given.update(named), with_kwargs=True
        )
        try:
            self.write(words, self.read(source, lengths))
        finally:
            hook.remove()
        # The page of the layer itself, with what it looks at as an output of it.
        page = source_of("attention_multihead") + ", A: output, y: output"
        shown = layer(page, H=self.heads, C=self.width, D=self.width // self.heads)
        shown.load_state_dict(last.cross.attention.state_dict())
        return shown(**given).A.mean(1)


def turned(values: Tensor, lengths: Tensor) -> Tensor:
    """Sequences (B, S, …) backwards, each within its own length; what fills them up stays where it is.

    >>> turned(torch.tensor([[[1], [2], [3]], [[4], [5], [0]]]), torch.tensor([3, 2]))[..., 0].tolist()
    [[3, 2, 1], [5, 4, 0]]
    """
    at = torch.arange(values.shape[1])
    last = lengths[:, None] - 1
    places = torch.where(at <= last, last - at, at)
    return values.take_along_dim(places[..., None], 1)


__all__ = ["Attending", "Fixed", "State", "Transformer", "Translator", "turned"]
