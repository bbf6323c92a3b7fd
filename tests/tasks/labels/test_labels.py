"""Labels for texts and words: examples read, nets that see one side or both, runs that are cut."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chalkgrad.tasks import labels
from chalkgrad.tasks import language_model as lm
from chalkgrad.tasks.labels.data import Data, Example, brown, load, read_tsv
from chalkgrad.tasks.labels.model import texts
from chalkgrad.tasks.labels.train import labelled
from interrupting import ctrl_c_as_usual, press_ctrl_c


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_bad_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tsv", "good\tsome words\nno tab\n\n\tno label\nbad\t \nbad\t말\n")
    examples, bad = read_tsv("classify", file)
    assert examples == [Example(("some", "words"), ("good",)), Example(("말",), ("bad",))]
    assert [line.split(":")[0] for line in bad] == ["line 2", "line 4", "line 5"]
    file = write(tmp_path / "b.tsv", "the cat\tD N\nthe\tD N\n")
    examples, bad = read_tsv("tag", file)
    assert examples == [Example(("the", "cat"), ("D", "N"))]
    assert bad == ["line 2: 1 words and 2 tags"]


@pytest.mark.parametrize(
    ("task", "text", "says"),
    [
        ("classify", "nothing\n", "holds no example: line 1"),
        ("classify", "a\tone\na\ttwo\n", "has 1 label to train on"),
        ("guess", "a\tone\n", "task must be one of"),
    ],
)
def test_what_teaches_nothing_is_refused(task: str, text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(labels.TaskError, match=says):
        load(task, str(write(tmp_path / "x.tsv", text)))


def test_the_brown_corpus_is_parted_by_document(tmp_path: Path) -> None:
    write(tmp_path / "README", "")
    for k in range(20):
        write(tmp_path / f"ca{k:02}", f"\n\tword{k}/nn-tl ,/, 1/2/cd\n\n" + "broken\n" * (k == 3))
    found = brown(tmp_path)
    assert [one.words[0] for one in found.test] == ["word9", "word19"]
    assert found.training[0] == Example(("word0", ",", "1/2"), ("nn", ",", "cd"))
    assert found.bad == ("ca03: broken",)


def test_the_baseline_is_the_commonest_label_of_each_word() -> None:
    learned = (Example(("a", "b"), ("X", "Y")), Example(("a", "b"), ("X", "X")), Example(("b",), ("Y",)))
    data = Data(learned, (Example(("b", "a", "new", "a"), ("Y", "X", "X", "Y")),))
    assert data.baseline() == 3 / 4
    classify = Data((Example(("a", "b"), ("X",)), Example(("c",), ("X",))), (Example(("a",), ("Y",)),))
    assert classify.baseline() == 0


def test_a_words_place_is_its_first_and_last_token() -> None:
    start = labels.fresh([Example(("to", "be"), ())], "gru", 4, both=True, vocabulary=20)
    given = texts([Example(("to", "bet"), ()), Example(("be",), ())], start.vocabulary)
    said = [start.vocabulary.decode([i]) for i in given.ids[0].tolist()]
    assert said[:2] == ["\n", "to"]
    assert (said[given.first[1]], said[given.last[1]]) == (" ", "t") or said[given.first[1]] == " bet"
    assert given.rows.tolist() == [0, 0, 1]
    assert given.lengths[1] == given.last[2] + 1


# A word's tag is the word before it, or the word after it: one side knows the first, both know either.
def looking(after: bool, count: int) -> list[Example]:
    random = torch.Generator().manual_seed(int(after))
    found = []
    for _ in range(count):
        words = ["abc"[k] for k in torch.randint(3, (6,), generator=random).tolist()]
        shifted = [*words[1:], "end"] if after else ["end", *words[:-1]]
        found.append(Example(tuple(words), tuple(shifted)))
    return found


@pytest.mark.parametrize(("both", "after"), [(False, False), (False, True), (True, True)])
def test_one_side_knows_what_came_and_both_what_comes(both: bool, after: bool, tmp_path: Path) -> None:
    every = looking(after, 150)
    data = Data(tuple(every[:120]), tuple(every[120:]))
    config = labels.Config("tag", "-", steps=120, batch=16, lr=0.03, dropout=0.0)
    start = labels.fresh(data.training, "gru", 16, both=both)
    result = labels.train(config, start, data, tmp_path / "out")
    assert result.count == 180
    if both or not after:
        assert result.accuracy > 0.98
    else:
        assert result.accuracy < 0.7  # three words are equally likely to come


def test_a_cut_run_comes_to_the_same_numbers_and_is_read_back(tmp_path: Path) -> None:
    every = looking(True, 60)
    data = Data(tuple(every[:50]), tuple(every[50:]))
    config = labels.Config("tag", "-", steps=8, batch=8)
    start = labels.fresh(data.training, "lstm", 6, both=True)
    whole = labels.train(config, start, data, tmp_path / "whole")
    with ctrl_c_as_usual():
        cut = labels.train(config, start, data, tmp_path / "cut", report=press_ctrl_c)
    assert (cut.step, cut.finished) == (1, False)
    again = labels.train(config, start, data, tmp_path / "cut", resume=True)
    assert again.right == whole.right
    (one, vocabulary, card), (other, *_) = (labels.trained(tmp_path / name) for name in ("whole", "cut"))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    found = labelled(one, vocabulary, card.classes, data.test)
    right = sum(
        a == b for x, said in zip(data.test, found, strict=True) for a, b in zip(x.labels, said, strict=True)
    )
    assert right == whole.right
    assert json.loads((tmp_path / "whole" / "test.json").read_text())["right"] == right
    with pytest.raises(labels.TaskError, match="batch is 9, was 8"):
        labels.train(replace(config, batch=9), start, data, tmp_path / "cut", resume=True)
    with pytest.raises(labels.TaskError, match="the examples are not the same"):
        labels.train(config, start, Data(data.test, data.training), tmp_path / "cut", resume=True)


@pytest.mark.parametrize(
    ("objective", "model"),
    [
        ("causal", "recurrent"),
        ("bidirectional", "recurrent"),
        ("masked", "recurrent"),
        ("masked", "transformer"),
        ("causal", "transformer"),
    ],
)
def test_every_objective_trains_and_its_net_learns_labels(objective: str, model: str, tmp_path: Path) -> None:
    text = write(tmp_path / "text.txt", "the cat sat on a mat\nall dogs ran to the old barn\n" * 40)
    config = lm.Config(
        text=(str(text),), tokens="words", vocabulary=60, model=model, objective=objective,
        hidden=8, heads=2, batch=4, truncate=8, steps=6, evaluate_every=3,
    )  # fmt: skip
    whole = lm.train(config, tmp_path / "lm")
    assert whole.metrics is not None
    assert 0 < whole.metrics.validation < 6
    with ctrl_c_as_usual():
        lm.train(config, tmp_path / "cut", report=press_ctrl_c)
    again = lm.train(config, tmp_path / "cut", resume=True)
    assert again.metrics == whole.metrics
    start = labels.pretrained(tmp_path / "lm")
    examples = tuple(
        Example(tuple(words.split()), (label,))
        for words, label in (("the cat sat", "cat"), ("dogs ran", "dog"), ("old barn", "dog"))
    )
    data = Data(examples, examples)
    settings = labels.Config("classify", "-", steps=120, batch=3, lr=0.03, dropout=0.0)
    result = labels.train(settings, start, data, tmp_path / "labels")
    assert result.accuracy == 1
    body = labels.train(replace(settings, steps=1, lr=1e-9), start, data, tmp_path / "still")
    kept = labels.trained(body.out)[0].body.state_dict()
    assert start.weights is not None
    assert all(torch.allclose(kept[name], value, atol=1e-6) for name, value in start.weights.items())


def test_padding_changes_no_label(tmp_path: Path) -> None:
    for objective, model in (
        ("bidirectional", "recurrent"),
        ("masked", "transformer"),
        ("causal", "recurrent"),
    ):
        start = labels.fresh([Example(("to", "be", "or", "not"), ())], "gru", 8, both=True)
        start = replace(start, net=replace(start.net, objective=objective, model=model, heads=2, context=None)
                        if model == "transformer" else replace(start.net, objective=objective))  # fmt: skip
        examples = [
            Example(("to", "be"), ("x", "y")),
            Example(("or", "not", "to", "be"), ("x", "y", "y", "x")),
        ]
        result = labels.train(
            labels.Config("tag", "-", steps=1),
            start,
            Data(tuple(examples), tuple(examples)),
            tmp_path / objective,
        )
        net, vocabulary, _ = labels.trained(result.out)
        net.eval()
        together = net(texts(examples, vocabulary))
        alone = torch.cat([net(texts([one], vocabulary)) for one in examples])
        assert torch.allclose(together, alone, atol=1e-5)


def test_a_net_that_sees_both_sides_neither_writes_nor_scores(tmp_path: Path) -> None:
    text = write(tmp_path / "text.txt", "abcd " * 200)
    small = {"hidden": 4, "batch": 2, "steps": 1, "truncate": 4}
    lm.train(lm.Config(text=(str(text),), objective="masked", **small), tmp_path / "out")
    with pytest.raises(lm.TaskError, match=r"does not predict from the left.*lm finetune"):
        lm.load(tmp_path / "out")
    for options, says in (
        ({"objective": "sideways"}, "objective must be one of causal, masked, bidirectional"),
        ({"objective": "bidirectional", "model": "transformer"}, "needs --model recurrent, not transformer"),
        ({"objective": "masked", "model": "mlp"}, "needs --model recurrent or transformer, not mlp"),
        ({"objective": "masked", "model": "ngram"}, "counted from left to right"),
        ({"objective": "masked", "tied": True}, "leave --tied out"),
    ):
        with pytest.raises(lm.TaskError, match=says):
            lm.train(lm.Config(text=(str(text),), **{**small, **options}), tmp_path / "new")
    lm.train(lm.Config(text=(str(text),), model="ngram"), tmp_path / "counts")
    with pytest.raises(labels.TaskError, match="holds counted n-grams"):
        labels.pretrained(tmp_path / "counts")
