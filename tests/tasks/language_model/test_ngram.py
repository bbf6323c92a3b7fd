"""Counted n-grams: modified Kneser-Ney against its definition, written down word for word."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from chalkgrad.tasks.language_model import Config, TaskError, generate, load, score, train
from chalkgrad.tasks.language_model.data import plays, read
from chalkgrad.tasks.language_model.ngram import NGram, counted, discounts
from chalkgrad.tasks.processes import Alone
from chalkgrad.tasks.tokens import Characters

TEXT = read(plays()[:1])[5000:9000]
VOCABULARY = Characters.of(TEXT)


def ids_of(text: str) -> torch.Tensor:
    return VOCABULARY.encode("\n" + text)


class Defined:
    """Chen and Goodman's equations 16 and 17 with Kneser and Ney's counts, over lists and dictionaries."""

    def __init__(self, ids: list[int], order: int, tokens: int) -> None:
        self.tokens, self.order = tokens, order
        self.counts: list[Counter[tuple[int, ...]]] = []
        grams = [[tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)] for n in range(1, order + 1)]
        for n in range(1, order + 1):
            if n == order:
                start = 1 if n == 1 else 0  # nothing predicts the first token
                self.counts.append(Counter(grams[n - 1][start:]))
            else:
                self.counts.append(Counter(longer[1:] for longer in set(grams[n])))
        self.discounts = [self.discount(c) for c in self.counts]

    @staticmethod
    def discount(counts: Counter[tuple[int, ...]]) -> tuple[float, ...]:
        n = [sum(c == k for c in counts.values()) for k in range(5)]
        y = n[1] / (n[1] + 2 * n[2])
        return 0.0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]

    def p(self, token: int, history: tuple[int, ...]) -> float:
        n = len(history) + 1
        lower = self.p(token, history[1:]) if history else 1 / self.tokens
        following = {w: c for (*h, w), c in self.counts[n - 1].items() if tuple(h) == history}
        total = sum(following.values())
        if total == 0:
            return lower
        d = self.discounts[n - 1]
        gamma = sum(d[min(c, 3)] for c in following.values()) / total
        count = following.get(token, 0)
        return max(count - d[min(count, 3)], 0) / total + gamma * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_the_definition(order: int) -> None:
    ids = ids_of(TEXT[:1500])
    model = counted(ids, order, len(VOCABULARY))
    defined = Defined(ids.tolist(), order, len(VOCABULARY))
    asked = ids_of(TEXT[1500:1540])
    logits, _ = model(asked[None])
    for place in range(0, len(asked), 4):
        history = tuple(asked[max(0, place - order + 2) : place + 1].tolist()) if order > 1 else ()
        wanted = [defined.p(w, history) for w in range(len(VOCABULARY))]
        assert logits[0, place].exp().tolist() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("order", [1, 3, 8])
def test_every_distribution_sums_to_one(order: int) -> None:
    model = counted(ids_of(TEXT[:3000]), order, len(VOCABULARY))
    logits, _ = model(ids_of(TEXT[2800:3300])[None])
    sums = logits.double().exp().sum(-1)
    assert sums == pytest.approx(torch.ones_like(sums).numpy(), abs=1e-5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_chunks_come_to_what_the_whole_comes_to(size: int) -> None:
    model = counted(ids_of(TEXT[:2000]), 5, len(VOCABULARY))
    ids = ids_of(TEXT[2000:2040]).view(1, -1).repeat(2, 1)
    whole, _ = model(ids)
    states, parts = None, []
    for chunk in ids.split(size, 1):
        logits, states = model(chunk, states)
        parts.append(logits)
    assert torch.equal(torch.cat(parts, 1), whole)


def test_a_higher_order_predicts_better_up_to_a_point() -> None:
    ids, held_out = ids_of(TEXT[:3500]), ids_of(TEXT[3500:])

    def nats(order: int) -> float:
        logits, _ = counted(ids, order, len(VOCABULARY))(held_out[None, :-1])
        return -logits[0].gather(1, held_out[1:, None]).mean().item()

    assert nats(1) > nats(2) > nats(3)


def test_a_text_too_small_for_the_discounts_has_one_for_all() -> None:
    assert discounts(torch.tensor([5, 6, 7])) == (0.0, 0.5, 0.5, 0.5)
    assert discounts(torch.tensor([1, 1, 2])) == (0.0, 0.5, 0.5, 0.5)
    logits, _ = counted(VOCABULARY.encode("\na"), 4, len(VOCABULARY))(VOCABULARY.encode("\nab")[None])
    assert logits.exp().sum(-1).flatten().tolist() == pytest.approx([1, 1, 1])


def test_it_is_trained_saved_scored_and_writes_as_a_net_does(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    result = train(Config(text=(str(file),), model="ngram", context=3), tmp_path / "out")
    assert result.step == 4
    [line] = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    trained = load(tmp_path / "out")
    assert isinstance(trained.model, NGram)
    held_out = TEXT[-round(len(TEXT) * 0.05) :]
    assert score(trained, held_out).nats_per_character == pytest.approx(
        json.loads(line)["validation_nats"], rel=1e-6
    )
    assert json.loads(line)["bits_per_character"] == pytest.approx(
        json.loads(line)["validation_nats"] / math.log(2)
    )
    assert "".join(generate(trained, "the", length=20, seed=1)) == "".join(
        generate(trained, "the", length=20, seed=1)
    )
    with pytest.raises(TaskError, match="nothing to go on with"):
        train(Config(text=(str(file),), model="ngram", context=3), tmp_path / "out", resume=True)
    two = type("Two", (Alone,), {"count": 2})()
    with pytest.raises(TaskError, match="counted in one process"):
        train(Config(text=(str(file),), model="ngram"), tmp_path / "new", group=two)
    with pytest.raises(TaskError, match="is not empty"):
        train(Config(text=(str(file),), model="ngram", context=3), tmp_path / "out")
