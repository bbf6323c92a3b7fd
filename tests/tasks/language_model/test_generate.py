"""Writing with a trained model, and measuring texts by it."""

from itertools import pairwise
from math import log
from pathlib import Path

import pytest
import torch

from chalkgrad.tasks.language_model import (
    Config,
    Score,
    TaskError,
    Trained,
    generate,
    load,
    score,
    shuffled,
    token_scores,
    train,
)
from chalkgrad.tasks.language_model.generate import draw, known
from chalkgrad.tasks.tokens import UNKNOWN

VERSE = "나랏말싸미 듕귁에 달아\nand a line in English\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    path = tmp_path_factory.mktemp("generate")
    (path / "text.txt").write_text(VERSE * 20, encoding="utf-8")
    config = Config(
        text=(str(path / "text.txt"),), cell="lstm", hidden=24, batch=4, steps=150, truncate=20, lr=0.02
    )
    train(config, path / "out")
    return load(path / "out")


def write(trained: Trained, prompt: str = "", **options: float) -> str:
    return "".join(generate(trained, prompt, **options))  # pyright: ignore[reportArgumentType]


def test_one_seed_writes_one_text_and_another_seed_another(trained: Trained) -> None:
    assert write(trained, length=80, seed=1) == write(trained, length=80, seed=1)
    assert write(trained, length=80, seed=1, temperature=2.0) != write(
        trained, length=80, seed=2, temperature=2.0
    )


def test_the_likeliest_text_goes_on_with_the_verse_it_learned(trained: Trained) -> None:
    assert write(trained, "나랏말", length=len(VERSE) - 3, temperature=0) == VERSE[3:]


def test_as_many_characters_are_written_as_were_asked(trained: Trained) -> None:
    assert len(write(trained, length=37)) == 37
    assert write(trained, length=0) == ""


def test_a_long_prompt_is_read_in_chunks_to_the_same_state(trained: Trained) -> None:
    prompt = VERSE * 40 + "나"
    assert len(prompt) > 1024
    assert write(trained, prompt, length=10, temperature=0) == VERSE[1:11]


def test_the_unknown_character_is_never_drawn(rng: torch.Generator) -> None:
    logits = torch.zeros(3)
    logits[UNKNOWN] = 50.0
    assert {
        int(draw(known(logits), rng, temperature)) for temperature in (0, 0.5, 9.0) for _ in range(40)
    } == {1, 2}


def test_low_temperatures_sharpen_and_do_not_overflow(rng: torch.Generator) -> None:
    logits = torch.tensor([0.0, 300.0, 301.0])
    assert int(draw(logits, rng, 1e-6)) == 2
    drawn = [int(draw(torch.tensor([0.0, 1.0]), rng)) for _ in range(2000)]
    assert drawn.count(1) / 2000 == pytest.approx(torch.tensor(1.0).sigmoid().item(), abs=0.04)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"length": -1}, "length"),
        ({"top_k": 0}, "top-k"),
        ({"top_p": 0.0}, "top-p"),
        ({"top_p": 1.5}, "top-p"),
    ],
)
def test_what_cannot_be_drawn_is_refused(trained: Trained, options: dict[str, float], says: str) -> None:
    with pytest.raises(TaskError, match=says):
        write(trained, **options)


def test_top_k_draws_only_from_the_likeliest_and_in_their_proportion(rng: torch.Generator) -> None:
    logits = torch.tensor([0.1, 0.2, 0.6, 0.1]).log()
    drawn = [int(draw(logits, rng, top_k=2)) for _ in range(2000)]
    assert set(drawn) == {1, 2}
    assert drawn.count(2) / 2000 == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, {2}), (0.55, {2}), (0.7, {1, 2}), (1.0, {0, 1, 2, 3})])
def test_top_p_keeps_the_fewest_that_have_the_probability_together(
    top_p: float, kept: set[int], rng: torch.Generator
) -> None:
    logits = torch.tensor([0.1, 0.2, 0.6, 0.1], dtype=torch.double).log()
    assert {int(draw(logits, rng, top_p=top_p)) for _ in range(300)} == kept


def test_one_left_to_draw_from_is_the_likeliest(trained: Trained) -> None:
    likeliest = write(trained, "나랏", length=30, temperature=0)
    assert write(trained, "나랏", length=30, temperature=3.0, top_k=1) == likeliest
    assert write(trained, "나랏", length=30, temperature=3.0, top_p=1e-6) == likeliest
    assert write(trained, "나랏", length=30, temperature=3.0) != likeliest


def test_the_scores_of_the_tokens_sum_to_that_of_the_text_across_chunks(trained: Trained) -> None:
    text = VERSE * 30
    tokens, found = zip(*token_scores(trained, text), strict=True)
    assert len(text) > 1024
    assert "".join(tokens) == text
    assert -sum(found) == pytest.approx(score(trained, text).nats, rel=1e-12)


def test_a_token_is_scored_by_what_stands_before_it_alone(trained: Trained) -> None:
    one, other = (list(token_scores(trained, "and a l" + end)) for end in ("ine", "한글ß"))
    assert [t for t, _ in one[:7]] == list("and a l")
    assert [p for _, p in one[:7]] == pytest.approx([p for _, p in other[:7]], rel=1e-5)
    assert one[7:] != other[7:]


def test_words_in_another_order_are_less_likely(trained: Trained) -> None:
    text = VERSE * 3
    other = shuffled(text, seed=1)
    assert sorted(other) == sorted(text)
    assert sorted(other.split()) == sorted(text.split())
    assert score(trained, other).nats > score(trained, text).nats + 10


def test_the_score_is_the_sum_over_the_characters_of_their_log_probabilities(trained: Trained) -> None:
    text = "달아\nand 나랏"
    ids = trained.vocabulary.encode("\n" + text)
    states, total = None, 0.0
    with torch.no_grad():
        for before, after in pairwise(ids):
            logits, states = trained.model(before.view(1, 1), states)
            total -= logits[0, 0].log_softmax(0)[after].item()
    result = score(trained, text)
    assert result.nats == pytest.approx(total, rel=1e-5)
    assert result.characters == len(text)
    assert result.unknown == 0


def test_the_state_is_carried_through_a_long_text(trained: Trained) -> None:
    twice = score(trained, VERSE * 60)
    assert twice.characters > 2 * 1024
    assert twice.nats_per_character < 0.3


def test_unknown_characters_are_counted_and_cost_something(trained: Trained) -> None:
    known, unknown = score(trained, "and a line"), score(trained, "and ž line")
    assert (known.unknown, unknown.unknown) == (0, 1)
    assert unknown.characters == known.characters
    assert unknown.nats > known.nats


def test_perplexity_of_a_fair_coin_is_two() -> None:
    result = Score(nats=7 * log(2), characters=7, unknown=0)
    assert result.perplexity == pytest.approx(2)
    assert result.bits_per_character == pytest.approx(1)


def test_an_empty_text_has_no_score(trained: Trained) -> None:
    with pytest.raises(TaskError, match="no text"):
        score(trained, "")


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="holds no model"):
        load(tmp_path)
