"""Picking anew among candidates with a language model's help."""

import random
from pathlib import Path

import pytest

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.rescore import (
    Candidate,
    edits,
    measure,
    picked,
    read_lists,
    read_references,
    rescore,
    scored,
    tuned,
)


def test_edits_are_the_fewest_of_all_ways() -> None:
    draw = random.Random(3)

    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))

    for _ in range(60):
        a, b = ("".join(draw.choices("xyz", k=draw.randint(0, 5))) for _ in range(2))
        assert edits(a, b) == slow(a, b)


def test_error_rates_are_over_the_words_or_characters_of_the_references() -> None:
    assert measure(["a cat sat", "on"], ["the cat sat down", "on"], "wer") == 2 / 5
    assert measure(["나 는", "가"], ["나는", "거"], "cer") == 1 / 3
    assert measure(["the cat sat on the mat"], ["the cat sat on the mat"], "bleu") == pytest.approx(100)


def test_bad_lines_of_candidates_are_named_and_the_others_read(tmp_path: Path) -> None:
    file = tmp_path / "nbest.tsv"
    file.write_text("a\t-1\tone\tmore\n\na\tx\ttwo\na -2 three\nb\tnan\tfour\nb\t-0.5\t five \n\t1\tsix\n")
    lists, bad = read_lists(file)
    assert lists == {"a": [Candidate("one\tmore", -1.0)], "b": [Candidate("five", -0.5)]}
    assert [line.split(":")[0] for line in bad] == ["line 3", "line 4", "line 5", "line 7"]


def test_a_second_reference_for_an_id_is_named_and_skipped(tmp_path: Path) -> None:
    file = tmp_path / "reference.tsv"
    file.write_text("a\tone\na\ttwo\nb\n")
    references, bad = read_references(file)
    assert references == {"a": "one"}
    assert [line.split(":")[0] for line in bad] == ["line 2", "line 3"]


@pytest.mark.parametrize("reader", [read_lists, read_references])
def test_a_file_without_a_right_line_is_refused(reader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("nothing\n")
    with pytest.raises(TaskError, match="has no line of id"):
        reader(tmp_path / "file")


def made(count: int) -> tuple[dict[str, list[Candidate]], dict[str, str]]:
    """Lists whose right text is a word that the model knows, while the system likes another by 1."""
    lists = {
        f"{k}": [Candidate(f"bad {k}", 0.0, -10.0), Candidate(f"good {k}", -1.0, -5.0)] for k in range(count)
    }
    return lists, {f"{k}": f"good {k}" for k in range(count)}


def test_the_weight_is_the_smallest_that_is_best_on_the_development_lists() -> None:
    lists, references = made(4)
    weight = tuned(lists, references, "wer")
    assert 1 / 5 < weight < 1 / 5 * 10**0.1 + 1e-9  # the texts change places at a fifth
    assert {c.text for c in picked(lists, weight).values()} == set(references.values())
    wanted = {name: f"bad {name}" for name in lists}
    assert tuned(lists, wanted, "wer") == 0


def test_what_is_measured_did_not_tune() -> None:
    lists, references = made(4)
    misled = {**references, "0": "bad 0", "1": "bad 1"}  # on the development half the system is right
    result = rescore(lists, misled)
    assert (result.weight, result.tuned_on, result.measured_on) == (0.0, 2, 2)
    assert (result.before, result.after, result.oracle) == (0.5, 0.5, 0.0)
    result = rescore(lists, references)
    assert (result.before, result.after, result.oracle) == (0.5, 0.0, 0.0)


def test_a_given_weight_measures_on_all_lists_and_picks_for_those_without_reference() -> None:
    lists, references = made(3)
    del references["2"]
    result = rescore(lists, references, weight=1.0)
    assert (result.tuned_on, result.measured_on) == (0, 2)
    assert [c.text for c in result.picks.values()] == ["good 0", "good 1", "good 2"]


def test_one_list_cannot_both_tune_and_measure() -> None:
    with pytest.raises(TaskError, match="cannot be parted"):
        rescore(*made(1))
    with pytest.raises(TaskError, match="no id"):
        rescore(made(2)[0], {"x": "y"})
    with pytest.raises(TaskError, match="metric"):
        rescore(*made(2), metric="ter")
    with pytest.raises(TaskError, match="must be a number, not nan"):
        rescore(*made(2), weight=float("nan"))


def test_a_text_that_comes_twice_is_scored_once() -> None:
    asked: list[str] = []

    def nats(text: str) -> float:
        asked.append(text)
        return -float(len(text))

    lists = {"a": [Candidate("x", 1.0), Candidate("yy", 2.0)], "b": [Candidate("x", 3.0)]}
    reported: list[tuple[int, int]] = []
    found = scored(lists, nats, lambda *now: reported.append(now))
    assert asked == ["x", "yy"]
    assert found["b"] == [Candidate("x", 3.0, -1.0)]
    assert reported == [(1, 2), (2, 2)]
