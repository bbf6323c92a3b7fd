"""Beam search over anything that goes word by word: translations, captions, texts.

R rows (sentences searched side by side)   K beam   V size of the vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError

S = TypeVar("S")

Step = Callable[[Tensor, S], tuple[Tensor, S]]
"""The last words (N,) and a state → log-probabilities of the next word (N, V), and the state after it.

A state is a tensor whose first axis is the N rows, or tuples, lists and dictionaries of such.
"""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that was found, without its end word: ``finished`` says whether there was one.

    ``log_probability`` is that of all its words, the end too; ``score`` is what it was ranked by.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    finished: bool


@torch.no_grad()
def beam_search(
    step: Step[S],
    state: S,
    rows: int,
    *,
    begin: int,
    end: int,
    beam: int = 1,
    most: int = 100,
    normalise: float = 1.0,
) -> list[list[Hypothesis]]:
    """For each row the ``beam`` best sequences that were found, the best first.

    Each goes on from the word ``begin`` until the word ``end``, or is cut after ``most`` words. The score is
    log p / length^``normalise``: 0 compares probabilities, which favours short sequences, 1 their mean per
    word. A sequence that has ended leaves its place in the beam empty, so a beam of 1 is greedy search.
    Raises :class:`TaskError` for a beam or a length below 1. (Sutskever, Vinyals and Le, NIPS 2014, section
    3.2; the normalisation is that of Wu et al., arXiv 1609.08144, section 7, without its offset.)

    >>> chain = torch.tensor([[0.0, 0.0, 1.0], [0.4, 0.0, 0.6], [0.5, 0.5, 0.0]]).log()
    >>> def step(last, state):
    ...     return chain[last], state
    >>> [[greedy]] = beam_search(step, (), 1, begin=1, end=0)
    >>> [[wider, _]] = beam_search(step, (), 1, begin=1, end=0, beam=2, normalise=0)
    >>> [(h.tokens, round(h.log_probability, 3)) for h in (greedy, wider)]
    [((2,), -1.204), ((), -0.916)]
    """
    if beam < 1 or most < 1:
        raise TaskError(f"beam and length must be at least 1, not {beam} and {most}")
    found: list[list[Hypothesis]] = [[] for _ in range(rows)]
    going = list(range(rows))  # the rows that have not ended
    at = torch.arange(rows).repeat_interleave(beam)
    state, last = picked(state, at), torch.full((rows * beam,), begin)
    words = torch.empty(rows, beam, 0, dtype=torch.long)
    sums = torch.full((rows, beam), -inf)
    sums[:, 0] = 0.0  # all begin alike, so there is one to go on from
    for length in range(1, most + 1):
        if not going:
            break
        logs, state = step(last, state)
        best, flat = (sums[..., None] + logs.view(len(going), beam, -1).to(sums)).flatten(1).topk(beam)
        parent, token = flat // logs.shape[-1], flat % logs.shape[-1]
        words = torch.cat([words.take_along_dim(parent[..., None], 1), token[..., None]], 2)
        room = torch.tensor([[beam - len(found[r])] for r in going])
        kept = (torch.arange(beam) < room) & (best > -inf)
        ended = kept & (token == end)
        over = kept if length == most else ended
        for i, k in over.nonzero().tolist():
            log_p, finished = best[i, k].item(), bool(ended[i, k])
            tokens = tuple(words[i, k, : length - finished].tolist())
            found[going[i]].append(Hypothesis(tokens, log_p, log_p / length**normalise, finished))
        sums = best.masked_fill(~kept | over, -inf)
        on = (sums > -inf).any(1).nonzero()[:, 0]
        going = [going[i] for i in on.tolist()]
        state = picked(state, (on[:, None] * beam + parent[on]).flatten())
        sums, words, last = sums[on], words[on], token[on].flatten()
    return [sorted(row, key=lambda h: (h.finished, h.score), reverse=True) for row in found]


def picked(state: Any, rows: Tensor) -> Any:
    """A state with these of its rows, in this order; what is no tensor stays.

    >>> picked((torch.tensor([5, 6, 7]), None), torch.tensor([2, 0]))
    (tensor([7, 5]), None)
    """
    match state:
        case Tensor():
            return state.index_select(0, rows.to(state.device))
        case dict():
            return {name: picked(value, rows) for name, value in state.items()}
        case tuple() if hasattr(state, "_make"):
            return type(state)._make(picked(value, rows) for value in state)  # pyright: ignore
        case tuple() | list():
            return type(state)(picked(value, rows) for value in state)
        case _:
            return state


__all__ = ["Hypothesis", "Step", "beam_search", "picked"]
