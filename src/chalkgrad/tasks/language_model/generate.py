"""Reading a trained model back, and writing text with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import Card, Config
from chalkgrad.tasks.language_model.data import encoded
from chalkgrad.tasks.language_model.model import LanguageModel, net
from chalkgrad.tasks.language_model.ngram import NGram
from chalkgrad.tasks.tokens import Vocabulary, written
from chalkgrad.tasks.tokens import load as vocabulary_of

# Tokens a call of the model reads at a time: bounds the memory that a long text needs.
CHUNK = 1024


@dataclass(frozen=True)
class Trained:
    """A model, the tokens it knows, and how it was trained."""

    model: LanguageModel
    vocabulary: Vocabulary
    config: Config


def load(path: Path | str) -> Trained:
    """The trained model in a directory that :func:`train` filled; nothing that lies there is executed."""
    directory = Directory(Path(path))
    card = Card.load(directory.card_file)
    if card.config.objective != "causal":
        raise TaskError(
            f"{path} learned by --objective {card.config.objective}: it sees both sides and does not predict "
            f"from the left; give it labels to learn (`chalkgrad lm finetune {path}`)"
        )
    vocabulary = vocabulary_of(card.vocabulary)
    models: list[LanguageModel] = []

    def use(state: dict[str, Any]) -> None:
        if card.config.model == "ngram":
            models.append(NGram.of_state(state["model"], len(vocabulary)))
            return
        with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
            models.append(net(card.config, card.equations, len(vocabulary)))
        models[0].load_state_dict(state["model"])

    directory.load(use)
    return Trained(models[0].eval(), vocabulary, card.config)


def generate(
    trained: Trained,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[str]:
    """The text of ``length`` tokens that follow the prompt, as they come, in whole characters.

    Each is drawn from p^(1/temperature), as :func:`draw` says. The unknown token is never drawn. One seed
    gives one text.
    """
    if not 0 <= temperature < float("inf"):
        raise TaskError(f"temperature must be 0 or a number above it, not {temperature}")
    if top_k is not None and top_k < 1:
        raise TaskError(f"top-k must be at least 1, not {top_k}")
    if not 0 < top_p <= 1:
        raise TaskError(f"top-p must be above 0 and at most 1, not {top_p}")
    if length < 0:
        raise TaskError(f"length must be at least 0, not {length}")
    random = torch.Generator().manual_seed(seed)

    def tokens() -> Iterator[int]:
        ids, states = encoded(prompt, trained.vocabulary)[None], None
        with torch.no_grad():
            for chunk in ids[:, :-1].split(CHUNK, dim=1):
                if chunk.numel():
                    _, states = trained.model(chunk, states)
            last = ids[:, -1:]
            for _ in range(length):
                logits, states = trained.model(last, states)
                allowed = known(logits[0, -1], trained.vocabulary.first)
                last = draw(allowed, random, temperature, top_k, top_p).view(1, 1)
                yield int(last)

    yield from written(trained.vocabulary, tokens())


def known(logits: Tensor, first: int = 1) -> Tensor:
    """The same logits (V,), with none for tokens before the ``first``: the unknown one, and special ones."""
    return logits.double().index_fill(0, torch.arange(first), float("-inf"))


def draw(
    logits: Tensor,
    random: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Tensor:
    """One index, distributed as softmax(logits / temperature) over the likeliest of them; logits (V,).

    ``top_k`` keeps so many (Fan, Lewis and Dauphin, ACL 2018). ``top_p`` then keeps the fewest whose
    probabilities come to at least so much together: nucleus sampling, Holtzman et al., arXiv 1904.09751v2,
    2020. At temperature 0 the likeliest is taken.

    >>> logits = torch.tensor([0.5, 0.3, 0.1, 0.1]).log()
    >>> drawn = [int(draw(logits, torch.Generator().manual_seed(n), top_p=0.7)) for n in range(50)]
    >>> sorted(set(drawn))
    [0, 1]
    """
    if temperature == 0:
        return logits.argmax()
    ranked, order = logits.sort(descending=True, stable=True)
    # The maximum is taken off first, so that a tiny temperature divides numbers of which the best stays 0.
    p = ((ranked[:top_k] - ranked[0]) / temperature).softmax(0)
    before = p.cumsum(0) - p  # what those that are likelier come to together
    return order[torch.multinomial(p * (before < top_p), 1, generator=random)]


__all__ = ["Trained", "draw", "generate", "load"]
