"""Reading a trained classifier back, and what it takes a picture for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from chalkgrad.tasks.classify.config import Card
from chalkgrad.tasks.classify.model import Network
from chalkgrad.tasks.classify.pictures import opened, scaled, tensor
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.weights import restore


@dataclass(frozen=True)
class Guess:
    """Classes with their probabilities, likeliest first; ``size`` is the file's own, (width, height)."""

    classes: tuple[tuple[str, float], ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Recogniser:
    """A trained net and what it must know of pictures."""

    model: Network
    card: Card

    @torch.no_grad()
    def __call__(self, path: Path | str) -> Guess:
        """What a picture file shows. Raises :class:`TaskError` for one that cannot be read."""
        picture = opened(Path(path))
        scores = self.model(scaled(tensor(picture, self.card.shape)[None], self.card))[0]
        ranked = scores.double().softmax(0).sort(descending=True, stable=True)
        pairs = zip(ranked.indices.tolist(), ranked.values.tolist(), strict=True)
        return Guess(tuple((self.card.classes[k], p) for k, p in pairs), picture.size)


def recogniser(path: Path | str) -> Recogniser:
    """The classifier in a directory that :func:`train` filled; nothing that lies there is executed."""
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        model = Network(card.parts, card.shape, len(card.classes))
    restore(directory, model)
    return Recogniser(model, card)


__all__ = ["Guess", "Recogniser", "recogniser"]
