"""Beam search against every sequence there is."""

from __future__ import annotations

from itertools import product
from math import log
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from chalkgrad.tasks.decoding import beam_search, picked
from chalkgrad.tasks.errors import TaskError

BEGIN, END, V = 1, 0, 4


class Seen(NamedTuple):
    """What the tiny model remembers: the row's own table, and a number that all words so far went into."""

    table: Tensor
    number: Tensor


def model(rows: int, seed: int = 0) -> tuple[object, Seen]:
    """A model whose next word depends on all words before it, with weights of its own for each row."""
    g = torch.Generator().manual_seed(seed)
    table = torch.randn(rows, 11, V, generator=g, dtype=torch.float64) * 1.5

    def step(last: Tensor, state: Seen) -> tuple[Tensor, Seen]:
        number = (state.number * 5 + last + 1) % 11
        scores = state.table.gather(1, number[:, None, None].expand(-1, 1, V))[:, 0]
        return scores.log_softmax(1), Seen(state.table, number)

    return step, Seen(table, torch.zeros(rows, dtype=torch.long))


def every(step, state: Seen, row: int, most: int) -> list[tuple[tuple[int, ...], float, bool]]:
    """All sequences of up to ``most`` words, each with its log-probability and whether it ended."""
    found = []
    for length in range(most + 1):
        for words in product(range(1, V), repeat=length):
            now, total, last = picked(state, torch.tensor([row])), 0.0, BEGIN
            for word in (*words, END) if length < most else words:
                logs, now = step(torch.tensor([last]), now)
                total, last = total + logs[0, word].item(), word
            found.append((words, total, length < most))
    return found


@pytest.mark.parametrize("normalise", [0.0, 0.6, 1.0])
def test_a_wide_beam_finds_what_counting_all_sequences_finds(normalise: float) -> None:
    rows, most = 3, 4
    step, state = model(rows)
    wide = beam_search(step, state, rows, begin=BEGIN, end=END, beam=200, most=most, normalise=normalise)
    for row, found in enumerate(wide):
        all_of_them = every(step, state, row, most)

        def rank(one: tuple[tuple[int, ...], float, bool]) -> tuple[bool, float]:
            words, total, ended = one
            return ended, total / (len(words) + ended) ** normalise

        expected = sorted(all_of_them, key=rank, reverse=True)
        assert len(found) == len(expected) == sum(3**n for n in range(most + 1))
        assert [(h.tokens, h.finished) for h in found] == [(words, ended) for words, _, ended in expected]
        torch.testing.assert_close(
            [h.log_probability for h in found], [total for _, total, _ in expected], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy(seed: int) -> None:
    rows, most = 4, 9
    step, state = model(rows, seed)
    for row, [best] in enumerate(beam_search(step, state, rows, begin=BEGIN, end=END, most=most)):
        now, last, words = picked(state, torch.tensor([row])), BEGIN, []
        while len(words) < most:
            logs, now = step(torch.tensor([last]), now)
            last = int(logs.argmax())
            if last == END:
                break
            words.append(last)
        assert best.tokens == tuple(words)
        assert best.finished == (last == END)


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_rows_are_found_alike_alone_and_together(beam: int) -> None:
    rows = 6
    step, state = model(rows, 3)
    together = beam_search(step, state, rows, begin=BEGIN, end=END, beam=beam, most=12)
    for row in range(rows):
        [alone] = beam_search(
            step, picked(state, torch.tensor([row])), 1, begin=BEGIN, end=END, beam=beam, most=12
        )
        assert together[row] == alone


def test_a_wider_beam_finds_no_worse_a_sequence_than_greedy_search_where_all_have_one_length() -> None:
    step, state = model(8, 5)
    blocked = lambda last, s: ((r := step(last, s))[0].index_fill(1, torch.tensor([END]), -torch.inf), r[1])  # noqa: E731
    greedy = beam_search(blocked, state, 8, begin=BEGIN, end=END, beam=1, most=6)
    wide = beam_search(blocked, state, 8, begin=BEGIN, end=END, beam=81, most=6)
    better = [w[0].log_probability - g[0].log_probability for w, g in zip(wide, greedy, strict=True)]
    assert min(better) >= -1e-6
    assert max(better) > 0.1
    assert not any(h.finished for row in wide for h in row)


def test_normalisation_lets_longer_sequences_win() -> None:
    # After the first word the end takes 0.4 at once, or three words of 0.7, 0.9 and 0.9 and then the end.
    chain = torch.full((6, 6), 1e-12, dtype=torch.float64)
    chain[1, 0], chain[1, 2], chain[2, 3], chain[3, 4], chain[4, 0] = 0.45, 0.5, 0.9, 0.9, 0.9

    def step(last: Tensor, state: None) -> tuple[Tensor, None]:
        return chain[last].log(), state

    def best(normalise: float) -> tuple[int, ...]:
        return beam_search(step, None, 1, begin=1, end=0, beam=2, most=5, normalise=normalise)[0][0].tokens

    assert best(0.0) == ()
    assert best(1.0) == (2, 3, 4)


def test_the_probability_of_what_was_found_is_the_product_of_its_steps() -> None:
    step = lambda last, state: (torch.tensor([[0.25, 0.0, 0.75]]).log().expand(len(last), 3), state)  # noqa: E731
    found = beam_search(step, (), 1, begin=1, end=0, beam=3, most=4)[0]
    by_length = {len(h.tokens): h.log_probability for h in found if h.finished}
    for length, log_p in by_length.items():
        assert log_p == pytest.approx(length * log(0.75) + log(0.25), abs=1e-6)
    assert len(by_length) >= 2


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"most": 0}])
def test_a_beam_and_a_length_are_at_least_one(wrong: dict[str, int]) -> None:
    with pytest.raises(TaskError, match="at least 1"):
        beam_search(lambda last, state: (last, state), (), 1, begin=1, end=0, **wrong)


def test_no_rows_are_no_search() -> None:
    assert beam_search(lambda last, state: (last, state), (), 0, begin=1, end=0) == []
