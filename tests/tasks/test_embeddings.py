"""Vectors of words: learned, kept, compared, and a language model that starts from them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chalkgrad.tasks.embeddings import Vectors, learn, load, sentences
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model import Config, train
from chalkgrad.tasks.language_model.generate import load as load_model

# Two groups of words that never stand together.
TEXT = "The cat saw the small dog. Rain and cold wind came down. " * 60


def test_words_that_stand_together_have_vectors_that_point_together() -> None:
    seen: list[tuple[int, int]] = []
    vectors = learn(TEXT * 5, width=16, epochs=20, report=lambda *d: seen.append(d))
    assert {word for word, _ in vectors.neighbours("cat", 4)} <= {"the", "saw", "small", "dog"}
    assert {word for word, _ in vectors.neighbours("Rain", 3)} <= {"and", "cold", "wind", "came", "down"}
    assert seen[-1] == (20, 20)
    assert vectors.neighbours("dog")[0][1] <= 1.00001


def test_one_seed_gives_one_result() -> None:
    a, b, c = (learn(TEXT, width=8, epochs=2, seed=seed) for seed in (1, 1, 2))
    assert a.words == b.words
    assert torch.equal(a.values, b.values)
    assert not torch.equal(a.values, c.values)


def test_what_is_saved_is_read_again_by_us_and_by_gensim(tmp_path: Path) -> None:
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    vectors = Vectors(("the", "각", "naïve"), torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    vectors.save(tmp_path / "w.vec")
    again, bad = load(tmp_path / "w.vec")
    assert (again.words, bad) == (vectors.words, [])
    torch.testing.assert_close(again.values, vectors.values, rtol=1e-5, atol=1e-6)
    theirs = keyed.load_word2vec_format(str(tmp_path / "w.vec"))
    torch.testing.assert_close(torch.tensor(theirs["각"]), vectors.values[1], rtol=1e-5, atol=1e-6)
    assert not list(tmp_path.glob(".*"))


def test_lines_that_are_no_vectors_are_skipped_and_said(tmp_path: Path) -> None:
    (tmp_path / "w.vec").write_text("4 2\na 1 2\nb 1\nc 1 x\n\na 3 4\nd nan 1\ne 5 6\n")
    vectors, bad = load(tmp_path / "w.vec")
    assert vectors.words == ("a", "e")
    assert [line.split(":")[0] for line in bad] == ["line 3", "line 4", "line 6", "line 7"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read"),
        ("", "does not begin with how many"),
        ("word 1 2\n", "does not begin with how many"),
        ("1 2\nx 1\n", "holds no word with 2 numbers"),
    ],
)
def test_a_file_that_holds_no_vectors_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "w.vec").write_text(content)
    with pytest.raises(TaskError, match=says):
        load(tmp_path / "w.vec")


def test_what_cannot_be_learned_is_said() -> None:
    with pytest.raises(TaskError, match="no word occurs 99 times"):
        learn("to be or not to be", least=99)
    with pytest.raises(TaskError, match="width must be at least 1"):
        learn(TEXT, width=0)
    with pytest.raises(TaskError, match="'snow' has no vector"):
        learn(TEXT, width=4, epochs=1).neighbours("snow")
    with pytest.raises(TaskError, match="count must be at least 1, not 0"):
        learn(TEXT, width=4, epochs=1).neighbours("cat", 0)


def test_sentences_end_at_full_stops_and_empty_lines() -> None:
    assert list(sentences("One two.\nThree\n\nfour! 한글 있다.")) == [
        ["one", "two"],
        ["three"],
        ["four"],
        ["한글", "있다"],
    ]


def test_a_language_model_of_words_starts_from_them(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    vectors = learn(TEXT, width=6, epochs=3)
    config = Config(
        text=(str(tmp_path / "text.txt"),), tokens="words", cell="rnn", hidden=8, batch=2, truncate=5, steps=1
    )
    train(replace(config, lr=1e-9), tmp_path / "out", vectors=vectors)
    trained = load_model(tmp_path / "out")
    rows = trained.model.get_parameter("embedding.weight")
    for token, word in ((" cat", "cat"), ("The", "the"), (" wind", "wind")):
        [number] = trained.vocabulary.ids(token)
        cosine = torch.cosine_similarity(rows[number], vectors.values[vectors.index[word]], dim=0)
        assert cosine.item() == pytest.approx(1, abs=1e-4)
    assert trained.config.embedding == 6
    train(replace(config, lr=1e-9, steps=2, embedding=6), tmp_path / "out", resume=True)
    with pytest.raises(TaskError, match="give --tokens words"):
        train(replace(config, tokens="characters"), tmp_path / "other", vectors=vectors)
    with pytest.raises(TaskError, match="leave --embeddings out"):
        train(config, tmp_path / "out", resume=True, vectors=vectors)
