"""Words as vectors in four ways."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from chalkgrad.cli import app
from chalkgrad.tasks.embeddings import Vectors
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model import Config, load, train
from chalkgrad.tasks.representations import bags, learned, one_hot, picture, word2vec

TEXT = "The cat sleeps here. The dog sleeps here. Rain falls down. Snow falls down. " * 20
WORDS = ("cat", "dog", "rain", "snow")
ALL = (*WORDS, "the", "sleeps", "here", "falls", "down")


def test_one_hot_vectors_are_equally_unlike() -> None:
    way = one_hot(WORDS, ALL)
    assert torch.equal(way.alike, torch.eye(4, dtype=torch.float64))
    assert way.nearest("cat") is None


def test_words_with_the_same_words_around_them_have_one_bag() -> None:
    way = bags(WORDS, ALL, TEXT)
    assert way.nearest("cat") == ("dog", pytest.approx(1))
    assert way.nearest("snow") == ("rain", pytest.approx(1))
    assert way.alike[0, 2].item() == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("represented")
    (path / "text.txt").write_text(TEXT)
    config = Config(
        text=(str(path / "text.txt"),), tokens="words", cell="rnn", hidden=6, batch=2, truncate=4, steps=1
    )
    train(config, path / "out")
    return path / "out"


def test_learned_vectors_are_rows_of_the_embedding(model: Path) -> None:
    trained = load(model)
    way = learned(WORDS, trained)
    [number] = trained.vocabulary.ids(" cat")
    assert torch.equal(way.vectors[0], trained.model.get_parameter("embedding.weight")[number])
    with pytest.raises(TaskError, match="does not know 'wolf' as a word"):
        learned(("cat", "wolf"), trained)


def test_all_are_shown_side_by_side_and_drawn(model: Path, tmp_path: Path) -> None:
    Vectors(ALL, torch.randn(9, 5, generator=torch.Generator().manual_seed(0))).save(tmp_path / "w.vec")
    words = ("embed", "compare", tmp_path / "w.vec", *WORDS, "--text", model.parent / "text.txt")
    made = CliRunner().invoke(app, [*map(str, (*words, "--model", model, "--out", tmp_path / "alike.png"))])
    assert made.exit_code == 0, made.output
    assert "1.000 dog" in made.stdout
    assert "none" in made.stdout
    assert (tmp_path / "alike.png").read_bytes().startswith(b"\x89PNG")
    wrong = CliRunner().invoke(app, [*map(str, (*words, "wolf"))])
    assert wrong.exit_code == 2
    assert "'wolf' has no vector" in wrong.stderr


def test_a_word_without_a_vector_is_named() -> None:
    with pytest.raises(TaskError, match="'wolf' has no vector among these 1"):
        word2vec(("wolf",), Vectors(("cat",), torch.ones(1, 2)))
    assert len(picture([one_hot(WORDS, ALL)])) > 1000
