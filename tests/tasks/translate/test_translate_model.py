"""Translators: what they write step by step, what padding does, where they look."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from chalkgrad.tasks.decoding import beam_search
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.translate.copying import COPYINGS, accuracy, claims, learn, sequences
from chalkgrad.tasks.translate.model import Attending, Fixed, Transformer, Translator, turned

SOURCES, TARGETS, W = 20, 30, 8
KINDS = {
    "fixed": lambda: Fixed(SOURCES, TARGETS, W),
    "fixed, two layers, reversed": lambda: Fixed(SOURCES, TARGETS, W, 2, reverse=True),
    "attention": lambda: Attending(SOURCES, TARGETS, W),
    "attention, two layers": lambda: Attending(SOURCES, TARGETS, W, 2),
    "transformer": lambda: Transformer(SOURCES, TARGETS, W, 2, heads=2),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def made(kind: str) -> Translator:
    torch.manual_seed(0)
    return KINDS[kind]().eval()


def given() -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    source = torch.randint(3, SOURCES, (4, 6), generator=g)
    return source, torch.tensor([6, 2, 4, 1]), torch.randint(3, TARGETS, (4, 5), generator=g)


@kinds
def test_word_by_word_it_is_the_same_as_all_words_at_once(kind: str) -> None:
    model, (source, lengths, words) = made(kind), given()
    with torch.no_grad():
        whole = model(source, lengths, words).log_softmax(2)
        state = model.read(source, lengths)
        for t in range(words.shape[1]):
            found, state = model.step(words[:, t], state)
            assert_close(found, whole[:, t])


@kinds
def test_what_fills_a_source_up_changes_nothing(kind: str) -> None:
    model, (source, lengths, words) = made(kind), given()
    whole = model(source, lengths, words)
    for i, length in enumerate(lengths.tolist()):
        alone = model(source[i : i + 1, :length], lengths[i : i + 1], words[i : i + 1])
        assert_close(alone[0], whole[i])


@kinds
def test_a_word_depends_on_those_before_it_alone_and_on_the_whole_source(kind: str) -> None:
    model, (source, lengths, words) = made(kind), given()
    before = model(source, lengths, words)
    later = words.clone()
    later[:, 3:] = 5
    after = model(source, lengths, later)
    assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])
    other = source.clone()
    other[:, 0] = 4
    assert not torch.allclose(before[:, 0], model(other, lengths, words)[:, 0])


@kinds
def test_every_parameter_is_learned(kind: str) -> None:
    model, (source, lengths, words) = made(kind), given()
    model(source, lengths, words).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@kinds
def test_the_first_of_a_beam_has_the_probability_that_the_model_gives_it(kind: str) -> None:
    model, (source, lengths, _) = made(kind), given()
    with torch.no_grad():
        rows = beam_search(model.step, model.read(source, lengths), 4, begin=1, end=2, beam=3, most=6)
        for i, row in enumerate(rows):
            for h in row:
                words = torch.tensor([[1, *h.tokens, *([2] if h.finished else [])]])
                logs = model(source[i : i + 1], lengths[i : i + 1], words[:, :-1]).log_softmax(2)
                total = logs.gather(2, words[:, 1:, None]).sum().item()
                assert total == pytest.approx(h.log_probability, abs=1e-4)


@pytest.mark.parametrize("kind", ["attention", "attention, two layers", "transformer"])
def test_where_it_looks_is_a_distribution_over_the_words_of_the_source(kind: str) -> None:
    model, (source, lengths, words) = made(kind), given()
    with torch.no_grad():
        looks = model.attention(source, lengths, words)
    assert looks.shape == (4, 5, 6)
    assert_close(looks.sum(2), torch.ones(4, 5))
    for i, length in enumerate(lengths.tolist()):
        assert not looks[i, :, length:].any()
        assert bool((looks[i, :, :length] > 0).all())


def test_the_transformers_looks_are_those_that_its_output_comes_from() -> None:
    model, (source, lengths, words) = made("transformer"), given()
    assert isinstance(model, Transformer)
    found: dict[str, Tensor] = {}
    cross = model.decoder[-1].cross

    def keep(_module: object, given: dict[str, Tensor], output: Tensor) -> None:
        found.update(given, y=output)

    cross.attention.register_forward_hook(lambda m, _, kw, out: keep(m, kw, out), with_kwargs=True)
    with torch.no_grad():
        model(source, lengths, words)
        looks = model.attention(source, lengths, words)
        w = dict(cross.attention.named_parameters())
        q, k = (torch.einsum("bic,acd->baid", found[n], w[m]) for n, m in (("x", "W_Q"), ("u", "W_K")))
        by_hand = (q @ k.mT / (W // 2) ** 0.5 + found["B"]).softmax(3).mean(1)
    assert_close(looks, by_hand)


def test_one_vector_has_no_attention() -> None:
    with pytest.raises(TaskError, match="no attention"):
        made("fixed").attention(*given())


def test_turning_twice_changes_nothing() -> None:
    values, lengths = torch.randn(3, 5, 2), torch.tensor([5, 3, 1])
    once = turned(values, lengths)
    assert_close(once[1, :3], values[1, :3].flip(0))
    assert_close(once[1, 3:], values[1, 3:])
    assert_close(turned(once, lengths), values)


# --- copying -------------------------------------------------------------------------------------------


def test_copying_counts_the_digits_that_stand_where_they_should() -> None:
    batch = sequences(7, 5, torch.Generator().manual_seed(0))
    assert batch.source.shape == (7, 6)

    class Copier(Fixed):
        """Knows the answer but for the last digit, which it always takes for the first of all."""

        def step(self, last: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            digits, at = state
            word = digits.gather(1, at[:, None])[:, 0]
            word = torch.where(at == 4, 3, word)
            return torch.nn.functional.one_hot(word, 13).double().log(), (digits, at + 1)

        def read(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            return source, torch.zeros(len(source), dtype=torch.long)

    wrong = int((batch.source[:, 4] != 3).sum())
    assert wrong
    assert accuracy(Copier(13, 13, 2), batch) == pytest.approx(1 - wrong / 35)


def test_a_little_learning_copies_some_digits_and_the_same_seed_the_same() -> None:
    task = COPYINGS["ten digits"]
    found = learn(task, steps=60)
    assert found == learn(task, steps=60)
    assert 0.1 < found[10] < 1.0


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_a_few_steps_are_enough_to_begin_with(steps: int) -> None:
    made: list[tuple[int, int]] = []
    learn(COPYINGS["ten digits"], steps=steps, report=lambda *now: made.append(now))
    assert made[-1] == (steps, steps)


def test_claims_say_what_does_not_hold() -> None:
    found = {
        "attention": {20: 0.95, 30: 0.6},
        "one vector": {20: 0.5},
        "ten digits": {10: 0.7},
        "ten digits reversed": {10: 0.9},
    }
    assert [c.holds for c in claims(found)] == [True, False, True, True]


@pytest.mark.slow
def test_attention_copies_longer_sequences_and_one_vector_likes_them_reversed() -> None:
    found = {name: learn(task) for name, task in COPYINGS.items()}
    assert all(claim.holds for claim in claims(found)), found
