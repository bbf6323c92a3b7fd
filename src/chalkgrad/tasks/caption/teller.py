"""Reading a trained captioner back, and what it says of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks import weights
from chalkgrad.tasks.caption.config import Card
from chalkgrad.tasks.caption.model import Captioner
from chalkgrad.tasks.caption.train import built
from chalkgrad.tasks.classify.pictures import opened, scaled, tensor
from chalkgrad.tasks.decoding import beam_search
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.tokens import Vocabulary
from chalkgrad.tasks.tokens import load as vocabulary_of

LONGER = 2
"""A caption is cut where it has so many times the tokens of the longest that was trained on."""


@dataclass(frozen=True)
class Caption:
    """What is said of a picture, with its probability among all captions.

    ``words`` are the tokens as they are written; ``attention (words, M, N)`` says where each was looked for,
    None for a decoder without attention. ``size`` is the picture's own, (width, height).
    """

    text: str
    probability: float
    words: tuple[str, ...]
    attention: Tensor | None
    picture: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class Teller:
    """A trained captioner and what it must know of pictures."""

    model: Captioner
    card: Card
    vocabulary: Vocabulary

    def __call__(self, path: Path | str, beam: int = 3) -> Caption:
        """The caption of a picture file; :class:`chalkgrad.tasks.errors.TaskError` where it is none."""
        picture = opened(Path(path))
        size = picture.size
        [said] = self.of(tensor(picture, self.card.shape)[None], beam)
        return Caption(said.text, said.probability, said.words, said.attention, said.picture, size)

    @torch.no_grad()
    def of(self, pictures: Tensor, beam: int = 3) -> list[Caption]:
        """The captions of pictures ``(n, C, H, W)`` of bytes, by beam search for the most probable."""
        vocabulary = self.vocabulary
        seen = self.model.look(scaled(pictures, self.card))
        found = beam_search(
            self.model.step,
            seen,
            len(pictures),
            begin=vocabulary.begin,
            end=vocabulary.end,
            beam=beam,
            most=LONGER * self.card.longest + 1,
            normalise=0.0,
        )
        best = [row[0] for row in found]
        longest = max(len(h.tokens) for h in best)
        tokens = torch.full((len(best), 1 + longest), vocabulary.begin)
        for row, h in zip(tokens, best, strict=True):
            row[1 : 1 + len(h.tokens)] = torch.tensor(h.tokens)
        _, _, looked = self.model.say(tokens, seen)
        _, high, wide = self.model.maps
        captions: list[Caption] = []
        for k, h in enumerate(best):
            words = tuple(vocabulary.decode([token]).strip() for token in h.tokens)
            attention = None if looked is None else looked[k, : len(words)].reshape(-1, high, wide)
            text = vocabulary.decode(h.tokens).strip()
            size = (pictures.shape[3], pictures.shape[2])
            captions.append(Caption(text, exp(h.log_probability), words, attention, pictures[k], size))
        return captions


def teller(path: Path | str) -> Teller:
    """The captioner in a directory that :func:`chalkgrad.tasks.caption.train` filled.

    Nothing that lies there is executed. Raises :class:`chalkgrad.tasks.errors.TaskError`.
    """
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        model = built(card)
    weights.restore(directory, model)
    return Teller(model.eval(), card, vocabulary_of(card.vocabulary))


__all__ = ["Caption", "Teller", "teller"]
