"""A captioner of equations: an encoder finds maps in a picture, a decoder says words, one after another.

n pictures   C channels   M×N places   T tokens   D embedding   V size of the vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.equations.ir import Name
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.nn.layer import Layer, layer
from chalkgrad.nn.sizes import still_axes
from chalkgrad.tasks.classify.config import Part
from chalkgrad.tasks.classify.model import chain, value
from chalkgrad.tasks.errors import TaskError
from chalkgrad.zoo import source_of

START = "picture_state"
"""The page that makes each state of the decoder from the picture's maps."""

Seen = tuple[Tensor, tuple[Tensor, ...]]
"""What was found at each place, (n, M·N, C), and the decoder's states."""


@dataclass(frozen=True)
class Roles:
    """Which name of a decoder's page is what: an input for a word at each step and, with attention, one for
    places; an output of numbers to choose the next word by, and one that weighs the places."""

    word: Name
    places: Name | None
    said: Name
    weights: Name | None

    @staticmethod
    def of(resolved: Resolved) -> Roles:
        """Raises :class:`TaskError` where the page is no decoder."""
        program = resolved.program
        if not program.states:
            raise TaskError("this decoder is no recurrence: nothing in it is carried from word to word")
        still = {name.name: len(still_axes(resolved, name)) for name in program.names}
        inputs = program.given("input")
        outputs = [program[name] for name in program.outputs]
        words = [n for n in inputs if len(n.ranges) == 2 and still[n.name] == 1]
        places = [n for n in inputs if len(n.ranges) == 2 and still[n.name] == 2]
        weights = [n for n in outputs if places and n.ranges[-1].size == places[0].ranges[0].size]
        said = [n for n in outputs if still[n.name] == 1 and n not in weights]
        if not (len(words) == len(said) == 1 and max(len(places), len(weights)) <= 1) or len(inputs) != len(
            words + places
        ):
            raise TaskError(
                "a decoder has one input for a word at each step, at most one for places (S×E), and one "
                f"output at each step, besides what weighs the places; this one has inputs "
                f"{', '.join(n.name for n in inputs) or 'none'} and outputs {', '.join(program.outputs)}"
            )
        return Roles(words[0], places[0] if places else None, said[0], weights[0] if weights else None)


class Captioner(nn.Module):
    """Scores of each next token: ``pictures (n, C, H, W), tokens (n, T) → (n, T, V)``.

    ``parts`` are the encoder's layers, ``decoder`` its equations. The encoder's maps make every state that
    the decoder begins with (:data:`START`), and are the places that it looks at, where it does. Raises
    :class:`TaskError` where layers do not fit together and :class:`chalkgrad.EquationError` for equations
    that cannot be read.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        decoder: str,
        shape: tuple[int, int, int],
        tokens: int,
        *,
        hidden: int,
        embedding: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, now = chain(parts, shape)
        if len(now) != 3:
            form = "×".join(map(str, now)) or "one number"
            raise TaskError(f"the encoder makes {form}, and maps of places (C×M×N) are needed")
        self.maps = now
        resolved = read(source_of(decoder))
        self.roles = Roles.of(resolved)
        self.decoder = unfolded(resolved, decoder, self.roles, now[0], hidden, embedding)
        ends = torch.zeros(1, 1, embedding)
        places = torch.zeros(1, now[1] * now[2], now[0])
        outputs, states = self._say(ends, places, None)
        self.starts = nn.ModuleList(layer(source_of(START), x=now, h=int(state.shape[1])) for state in states)
        self.embedding = nn.Embedding(tokens, embedding)
        self.readout = nn.Linear(outputs[0].shape[-1], tokens)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pictures: Tensor, tokens: Tensor) -> Tensor:
        places, states = self.look(pictures)
        return self.say(tokens, (places, states))[0]

    def look(self, pictures: Tensor) -> Seen:
        """What the encoder finds, and the states it makes the decoder begin with."""
        maps = pictures
        for one in self.encoder:
            maps = value(one(maps))
        return maps.flatten(2).transpose(1, 2), tuple(start(maps) for start in self.starts)

    def say(self, tokens: Tensor, seen: Seen) -> tuple[Tensor, Seen, Tensor | None]:
        """Scores of what follows each token (n, T, V), what is seen after them, and the places' weights
        (n, T, M·N), None for a decoder without attention."""
        places, states = seen
        (said, weights), states = self._say(self.embedding(tokens), places, states)
        return self.readout(self.dropout(said)), (places, tuple(states)), weights

    def step(self, last: Tensor, seen: Seen) -> tuple[Tensor, Seen]:
        """Log-probabilities of the next token (n, V) after the last (n,): for a beam search."""
        scores, seen, _ = self.say(last[:, None], seen)
        return scores[:, 0].log_softmax(-1), seen

    def _say(
        self, words: Tensor, places: Tensor, states: Any
    ) -> tuple[tuple[Tensor, Tensor | None], tuple[Tensor, ...]]:
        roles = self.roles
        given = {roles.word.name: words} | ({roles.places.name: places} if roles.places else {})
        outputs, after = self.decoder(state=states, **given) if states else self.decoder(**given)
        if isinstance(outputs, Tensor):
            return (outputs, None), after
        weights = getattr(outputs, roles.weights.name) if roles.weights else None
        return (getattr(outputs, roles.said.name), weights), after


def unfolded(resolved: Resolved, source: str, roles: Roles, maps: int, hidden: int, embedding: int) -> Layer:
    """The decoder as a layer: a word has ``embedding`` numbers, a place ``maps``, all else ``hidden``."""
    program = resolved.program
    ranges = (r for name in program.given("parameter") for r in name.ranges)
    sizes: dict[str, Any] = dict.fromkeys((s for r in ranges for s in r.size.symbols), hidden)
    sizes |= dict.fromkeys(still_axes(resolved, roles.word)[0].size.symbols, embedding)
    if roles.places:
        sizes |= dict.fromkeys(roles.places.ranges[1].size.symbols, maps)
    return layer(source_of(source), **sizes)


__all__ = ["START", "Captioner", "Roles", "Seen"]
