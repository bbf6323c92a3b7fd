"""Counted n-grams, smoothed by interpolated modified Kneser-Ney.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard, 1998,
section 3.2: a word that follows c(h, w) times after the words h has, of them, c - D(c); what the discounts D
leave goes to the distribution after the words h without the first one. That of shorter h counts in how many
places a word was new (Kneser and Ney, ICASSP 1995), that of nothing is uniform.

V size of the vocabulary   N order   M n-grams of one order   C contexts of one order
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from chalkgrad.tasks.language_model.bodies import States
from chalkgrad.tasks.language_model.model import LanguageModel


class Level(NamedTuple):
    """The n-grams of one order, sorted by their context (one of the order below), then by their last token.

    ``code`` (M,) is context × V + token; ``mass`` (M,) is max(c - D(c), 0) / c(h); ``start`` (C + 1,) is
    where each context's n-grams begin; ``left`` (C,) is what each context leaves to the order below.
    """

    code: Tensor
    mass: Tensor
    start: Tensor
    left: Tensor


class NGram(LanguageModel):
    """A token's probability after the N - 1 before it: ``ids (B, T) → logits (B, T, V)``, log-probabilities.

    The states are the last N - 1 tokens, fewer where a text begins.
    """

    def __init__(self, levels: list[Level], tokens: int) -> None:
        super().__init__()
        self.order, self.tokens = len(levels), tokens
        for n, level in enumerate(levels, 1):
            for name, value in level._asdict().items():
                self.register_buffer(f"{name}_{n}", value)

    @staticmethod
    def of_state(state: dict[str, Tensor], tokens: int) -> NGram:
        """The model whose ``state_dict`` that is."""
        order = sum(name.startswith("code_") for name in state)
        levels = [Level(*(state[f"{name}_{n}"] for name in Level._fields)) for n in range(1, order + 1)]
        return NGram(levels, tokens)

    def level(self, n: int) -> Level:
        return Level(*(self.get_buffer(f"{name}_{n}") for name in Level._fields))

    @property
    def size(self) -> int:
        """How many n-grams of all orders it knows: what it has for parameters."""
        return sum(len(self.level(n).code) for n in range(1, self.order + 1))

    def forward(self, ids: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        before = states[0][0] if states else ids[:, :0]
        seen = torch.cat([before, ids], 1)
        p = torch.stack([self._probabilities(row)[before.shape[1] :] for row in seen])
        return p.log().float(), ((seen[:, max(0, seen.shape[1] - self.order + 1) :],),)

    def _probabilities(self, ids: Tensor) -> Tensor:
        """(T,) tokens → (T, V): the distribution of what follows each of them."""
        p = torch.full((len(ids), self.tokens), 1 / self.tokens, dtype=torch.float64)
        # The (n-1)-gram that ends at each token, by its number; -1 where it was never seen.
        context = torch.zeros(len(ids), dtype=torch.long)
        for n in range(1, self.order + 1):
            level = self.level(n)
            at = (context >= 0).nonzero()[:, 0]
            first, last = level.start[context[at]], level.start[context[at] + 1]
            p[at] *= level.left[context[at], None]
            # Every n-gram of every context, one after another: the place it adds to, and its number.
            count = last - first
            place = torch.repeat_interleave(at, count)
            begin = torch.repeat_interleave(first - count.cumsum(0) + count, count)
            number = torch.arange(len(place)) + begin
            p.view(-1).index_add_(
                0, place * self.tokens + level.code[number] % self.tokens, level.mass[number]
            )
            earlier = torch.cat([torch.full((1,), -1 if n > 1 else 0), context[:-1]])
            wanted = earlier * self.tokens + ids
            found = torch.searchsorted(level.code, wanted).clamp(max=len(level.code) - 1)
            context = torch.where((earlier >= 0) & (level.code[found] == wanted), found, -1)
        return p


def counted(
    ids: Tensor, order: int, tokens: int, report: Callable[[int, int], object] = lambda _done, _of: None
) -> NGram:
    """The n-grams of a text (T,) up to an order; ``report`` is told how many orders of how many are counted.

    The first token is one that stands before the text: nothing predicts it.
    """
    # The n-gram that ends at each place from n - 1 on, by its number.
    number = torch.zeros(len(ids) + 1, dtype=torch.long)
    counts: list[Tensor] = []
    codes: list[Tensor] = []
    for n in range(1, min(order, len(ids)) + 1):
        before, code = number, number[:-1] * tokens + ids[n - 1 :]
        code, number, count = torch.unique(code, return_inverse=True, return_counts=True)
        if n == 1:
            count[number[0]] -= 1
        else:  # of the order below, what counts is after how many different tokens each was seen
            shorter = torch.empty(len(code), dtype=torch.long).scatter_(0, number, before[1:])
            counts[-1] = torch.bincount(shorter, minlength=len(codes[-1]))
        counts.append(count)
        codes.append(code)
        report(n, order)
    contexts = [1, *map(len, codes)]
    return NGram([_level(*level, tokens) for level in zip(codes, counts, contexts, strict=False)], tokens)


def _level(code: Tensor, count: Tensor, contexts: int, tokens: int) -> Level:
    discount = torch.tensor(discounts(count), dtype=torch.float64)[count.clamp(max=3)]
    context = code // tokens
    start = torch.searchsorted(code, torch.arange(contexts + 1) * tokens)
    total, taken = (
        torch.zeros(contexts, dtype=torch.float64).index_add_(0, context, of)
        for of in (count.double(), discount)
    )
    # What nothing follows, as at the end of a text, leaves everything to the order below.
    left = torch.where(total > 0, taken / total, 1.0)
    return Level(code, (count - discount) / total.clamp(min=1)[context], start, left)


def discounts(count: Tensor) -> tuple[float, float, float, float]:
    """What is taken off counts of 0, 1, 2, and 3 or more: Chen and Goodman's equation 17.

    Where a text is too small to say, one discount serves all counts (their equation 12), or a half.
    """
    n1, n2, n3, n4 = (int((count == k).sum()) for k in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    if n1 and n2 and n3:
        d1, d2, d3 = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        if d1 > 0 and d2 > 0 and d3 > 0:
            return 0.0, d1, d2, d3
    return 0.0, y, y, y


__all__ = ["Level", "NGram", "counted", "discounts"]
