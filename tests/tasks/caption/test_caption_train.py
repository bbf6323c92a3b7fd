"""Training a captioner: cut anywhere, it comes to the same numbers; what it says and where it looks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.interrupting import ctrl_c_as_usual, press_ctrl_c
from tests.tasks.caption.made_pictures import squares

from chalkgrad import EquationError
from chalkgrad.tasks.caption import Captioner, Config, Data, Part, Progress, TaskError, teller, train
from chalkgrad.tasks.caption.evaluate import compared, evaluate
from chalkgrad.tasks.classify.model import part

NET = ("conv_pool:K=8", "conv_relu:K=8")
SMALL = Config(data="made", net=NET, hidden=8, embedding=8, epochs=3, batch=16, lr=0.02, dropout=0.2)


@pytest.fixture(scope="module")
def data() -> Data:
    return squares()


@pytest.fixture(scope="module")
def whole(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never cut."""
    out = tmp_path_factory.mktemp("caption") / "whole"
    train(SMALL, out, data=data)
    return out


@pytest.fixture(scope="module")
def learned(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned its captions."""
    out = tmp_path_factory.mktemp("caption") / "learned"
    train(replace(SMALL, epochs=40, hidden=16, embedding=16, dropout=0.0), out, data=data)
    return out


def same(a: Path, b: Path) -> bool:
    weights = [load_file(out / "weights.safetensors") for out in (a, b)]
    metrics = [(out / "metrics.jsonl").read_text() for out in (a, b)]
    return metrics[0] == metrics[1] and all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())


class Cut(BaseException):
    """Stands for whatever ends a process between two steps."""


def test_it_learns_what_is_where_and_says_so_of_other_pictures(data: Data, learned: Path) -> None:
    score = evaluate(teller(learned), data)["test"]
    assert score.exact >= 11
    assert (score.count, score.sayable) == (12, 12)
    assert score.bleu > 90
    assert score.chrf > 90
    assert score.signatures[0].startswith("nrefs:1|case:mixed")
    said = score.captions[0]
    assert said.words == ("blue", "square", ":", "left")
    assert 0.3 < said.probability <= 1
    assert said.attention is not None
    assert said.attention.shape == (4, 2, 2)
    torch.testing.assert_close(said.attention.sum((1, 2)), torch.ones(4))


def test_the_probability_is_that_of_the_words_one_after_another(data: Data, learned: Path) -> None:
    tell = teller(learned)
    picture = data.tests["test"].pictures[:1]
    [said] = tell.of(picture, beam=1)
    vocabulary = tell.vocabulary
    tokens = [vocabulary.begin, *vocabulary.ids(f" {said.text}"), vocabulary.end]
    from chalkgrad.tasks.classify.pictures import scaled

    scores = tell.model(scaled(picture, tell.card), torch.tensor([tokens[:-1]]))[0]
    logs = scores.log_softmax(-1)[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]
    assert said.probability == pytest.approx(logs.sum().exp().item(), rel=1e-4)


def test_pictures_together_are_told_as_each_alone(data: Data, learned: Path) -> None:
    tell = teller(learned)
    pictures = data.tests["test"].pictures[:5]
    together = tell.of(pictures)
    for k, said in enumerate(together):
        [alone] = tell.of(pictures[k : k + 1])
        assert alone.text == said.text
        assert alone.probability == pytest.approx(said.probability, rel=1e-4)


def test_one_seed_is_one_run_and_another_seed_another(data: Data, whole: Path, tmp_path: Path) -> None:
    train(SMALL, tmp_path / "again", data=data)
    train(replace(SMALL, seed=1), tmp_path / "other", data=data)
    assert same(whole, tmp_path / "again")
    assert not same(whole, tmp_path / "other")


@pytest.mark.parametrize("cut_at", [1, 4, 6])
def test_a_run_that_was_killed_goes_on_to_the_same_numbers(
    cut_at: int, data: Data, whole: Path, tmp_path: Path
) -> None:
    def kill(now: Progress) -> None:
        if now.step == cut_at:
            raise Cut

    with pytest.raises(Cut):
        train(SMALL, tmp_path / "out", data=data, report=kill)
    train(SMALL, tmp_path / "out", data=data, resume=True)
    assert same(whole, tmp_path / "out")


def test_ctrl_c_saves_and_the_run_goes_on_to_the_same_numbers(
    data: Data, whole: Path, tmp_path: Path
) -> None:
    with ctrl_c_as_usual():
        result = train(SMALL, tmp_path / "out", data=data, report=press_ctrl_c)
    assert result.interrupted
    assert result.step == 1
    assert not train(SMALL, tmp_path / "out", data=data, resume=True).interrupted
    assert same(whole, tmp_path / "out")


def test_another_run_is_not_gone_on_with(data: Data, whole: Path) -> None:
    with pytest.raises(TaskError, match="hidden is 9, was 8; the pictures or captions are not the same"):
        train(replace(SMALL, hidden=9), whole, data=squares(30), resume=True)
    with pytest.raises(TaskError, match="is not empty"):
        train(SMALL, whole, data=data)


def test_a_directory_of_another_version_is_refused(whole: Path, tmp_path: Path) -> None:
    card = json.loads((whole / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(TaskError, match="another version of chalkgrad: its format is 99"):
        teller(tmp_path)


@pytest.mark.parametrize("decoder", ["attention_lstm", "picture_lstm", "lstm", "gru", "rnn"])
def test_word_by_word_comes_to_what_all_words_at_once_come_to(decoder: str) -> None:
    torch.manual_seed(0)
    net = Captioner([part(p) for p in NET], decoder, (3, 8, 8), 11, hidden=6, embedding=5).eval()
    pictures, tokens = torch.randn(4, 3, 8, 8), torch.randint(0, 11, (4, 7))
    scores, seen = net(pictures, tokens), net.look(pictures)
    assert scores.shape == (4, 7, 11)
    for t in range(7):
        logs, seen = net.step(tokens[:, t], seen)
        torch.testing.assert_close(logs, scores[:, t].log_softmax(-1))
    assert (net.say(tokens, net.look(pictures))[2] is not None) == (decoder == "attention_lstm")


def test_every_weight_of_every_page_learns(data: Data) -> None:
    net = Captioner([part(p) for p in NET], "attention_lstm", (3, 8, 8), 11, hidden=6, embedding=5)
    net(data.training.pictures[:8] / 255, torch.randint(0, 11, (8, 4))).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize(
    ("net", "decoder", "error", "says"),
    [
        (("scores",), "lstm", (TaskError, EquationError), "O"),
        (("mlp:H=2,O=3",), "lstm", TaskError, "layer 1 of the net takes 1 axes"),
        (NET, "conv2d", TaskError, "this decoder is no recurrence"),
        (NET, "attention_decoder", TaskError, "one input for a word at each step, .* inputs .*mask"),
        (NET, "conv_lstm", TaskError, "one input for a word at each step"),
        (NET, "h[t] = tanh(x[t] W + h[t-1] U", EquationError, r"\)"),
    ],
)
def test_what_is_no_captioner_is_said(
    net: tuple[str, ...], decoder: str, error: type[Exception], says: str, data: Data, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        train(replace(SMALL, net=net, decoder=decoder), tmp_path / "out", data=data)
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_decoder_of_ones_own_equations_is_trained_and_read_back(data: Data, tmp_path: Path) -> None:
    page = (
        "e[t,j] = Σ[m] v[m] tanh(Σ[d] a[j,d] U[d,m] + Σ[d] h[t-1,d] Q[d,m])\n"
        "w[t,j] = softmax[j](e[t,j])\n"
        "z[t,d] = Σ[j] w[t,j] a[j,d]\n"
        "h[t] = tanh(y[t] W + h[t-1] R + z[t] Z + b)\n"
        "where y[t]: D, a: input S×E, h[t]: output H, w: output, v: A"
    )
    train(replace(SMALL, decoder=page, epochs=1), tmp_path / "out", data=data)
    [said] = teller(tmp_path / "out").of(data.tests["test"].pictures[:1])
    assert said.attention is not None
    assert said.attention.shape[1:] == (2, 2)


def test_one_of_several_captions_is_enough_and_the_metrics_know_them_all() -> None:
    (bleu, chrf), _ = compared(
        ["a red cat sleeps", "two dogs"], [("a cat", "a red cat sleeps"), ("two dogs",)]
    )
    assert bleu == pytest.approx(100)
    assert chrf == pytest.approx(100)


def test_a_setting_that_cannot_be_is_said(data: Data, tmp_path: Path) -> None:
    for change, says in (
        ({"dropout": 1.0}, "dropout must be"),
        ({"lr": 0.0}, "lr must"),
        ({"net": ()}, "net"),
    ):
        with pytest.raises(TaskError, match=says):
            replace(SMALL, **change)
    empty = Data(Part(torch.empty(0, 3, 8, 8, dtype=torch.uint8), ()), {})
    with pytest.raises(TaskError, match="no pictures to train on"):
        train(SMALL, tmp_path / "out", data=empty)
