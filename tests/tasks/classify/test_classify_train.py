"""Training a classifier: cut anywhere, it comes to the same numbers; nets of any equations; the way back."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.interrupting import press_ctrl_c
from tests.tasks.classify.made_clothes import picture, stripes

from chalkgrad import EquationError
from chalkgrad.tasks.classify import Config, Data, Network, Progress, TaskError, recogniser, train
from chalkgrad.tasks.classify.model import part
from chalkgrad.tasks.classify.report import laid_out, mosaic
from chalkgrad.tasks.classify.train import moved

SMALL = Config(data="made", net=("conv_pool:K=3", "scores"), epochs=4, batch=16, lr=0.02)


class Cut(BaseException):
    """Stands for whatever ends a process between two steps."""


@pytest.fixture(scope="module")
def data() -> Data:
    return stripes()


@pytest.fixture(scope="module")
def whole(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never cut."""
    out = tmp_path_factory.mktemp("classify") / "whole"
    train(SMALL, out, data=data)
    return out


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same(a: Path, b: Path) -> bool:
    weights = [load_file(out / "weights.safetensors") for out in (a, b)]
    return metrics(a) == metrics(b) and all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())


def test_it_learns_and_leaves_all_that_was_promised(data: Data, tmp_path: Path) -> None:
    result = train(replace(SMALL, epochs=15), tmp_path / "out", data=data)
    assert result.accuracy == 1
    lines = metrics(tmp_path / "out")
    assert [line["epoch"] for line in lines] == list(range(1, 16))
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert sorted(os.listdir(tmp_path / "out")) == [
        "checkpoint.pt",
        "config.json",
        "confusion.png",
        "kernels.png",
        "metrics.jsonl",
        "test.json",
        "weights.safetensors",
    ]
    record = json.loads((tmp_path / "out" / "test.json").read_text())
    assert record["confusion"] == [[5, 0], [0, 5]]
    for name in ("confusion.png", "kernels.png"):
        with Image.open(tmp_path / "out" / name) as drawn:
            assert min(drawn.size) > 200


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_of_a_few_steps_is_a_run(epochs: int, data: Data, tmp_path: Path) -> None:
    result = train(replace(SMALL, epochs=epochs, batch=14), tmp_path / "out", data=data)
    assert result.step == 3 * epochs


def test_one_seed_is_one_run_and_another_seed_another(data: Data, whole: Path, tmp_path: Path) -> None:
    train(SMALL, tmp_path / "again", data=data)
    train(replace(SMALL, seed=1), tmp_path / "other", data=data)
    assert same(whole, tmp_path / "again")
    assert not same(whole, tmp_path / "other")


@pytest.mark.parametrize("cut_at", [1, 3, 5, 11])
def test_a_run_that_was_cut_comes_to_the_same_numbers(
    data: Data, whole: Path, tmp_path: Path, cut_at: int
) -> None:
    def cut(now: Progress) -> None:
        if now.step == cut_at:
            raise Cut

    with pytest.raises(Cut):
        train(SMALL, tmp_path / "cut", data=data, report=cut)
    train(SMALL, tmp_path / "cut", data=data, resume=True)
    assert same(whole, tmp_path / "cut")


def test_ctrl_c_saves_the_step_it_came_in(data: Data, whole: Path, tmp_path: Path) -> None:
    def interrupt(now: Progress) -> None:
        if now.step == 5:
            press_ctrl_c()

    result = train(SMALL, tmp_path / "cut", data=data, report=interrupt)
    assert result.interrupted
    assert result.step == 5
    assert result.confusion is None
    train(SMALL, tmp_path / "cut", data=data, resume=True)
    assert same(whole, tmp_path / "cut")


def test_a_directory_in_use_is_not_overwritten(data: Data, whole: Path) -> None:
    before = {name: (whole / name).read_bytes() for name in os.listdir(whole)}
    with pytest.raises(TaskError, match=r"is not empty: go on with it \(--resume\)"):
        train(SMALL, whole, data=data)
    with pytest.raises(TaskError, match=r"epochs is 5, was 4; lr is 0\.1, was 0\.02"):
        train(replace(SMALL, epochs=5, lr=0.1), whole, data=data, resume=True)
    with pytest.raises(TaskError, match="the pictures are not the same"):
        train(SMALL, whole, data=stripes(20), resume=True)
    assert {name: (whole / name).read_bytes() for name in os.listdir(whole)} == before


def test_a_net_that_does_not_fit_leaves_nothing_behind(data: Data, tmp_path: Path) -> None:
    with pytest.raises(TaskError):
        train(replace(SMALL, net=("scores", "scores")), tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


def test_a_trained_net_is_read_back_and_takes_the_test_pictures_for_the_same(
    data: Data, whole: Path, tmp_path: Path
) -> None:
    recognise = recogniser(whole)
    right = 0
    for k, (shown, label) in enumerate(zip(data.test.pictures, data.test.labels, strict=True)):
        Image.fromarray(shown[0].numpy()).save(tmp_path / f"{k}.png")
        guess = recognise(tmp_path / f"{k}.png")
        assert sum(p for _, p in guess.classes) == pytest.approx(1)
        right += guess.classes[0][0] == data.classes[int(label)]
    assert right / 10 == json.loads((whole / "test.json").read_text())["accuracy"]


def test_a_picture_of_another_size_and_colour_is_brought_to_the_nets(whole: Path, tmp_path: Path) -> None:
    guess = recogniser(whole)(picture(tmp_path / "a.png", (30, 20), "RGB"))
    assert guess.size == (30, 20)
    assert {name for name, _ in guess.classes} == {"standing", "lying"}


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", None, "holds no model"),
        ("config.json", "{}", "is not the description of a model"),
        ("config.json", "later", "of another version of chalkgrad: its format is 2"),
        ("weights.safetensors", None, "holds no trained weights yet"),
        ("weights.safetensors", "nothing", "does not hold this net's weights"),
    ],
)
def test_a_directory_that_is_no_model_is_named(
    whole: Path, tmp_path: Path, file: str, content: str | None, says: str
) -> None:
    for name in ("config.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    if content is None:
        (tmp_path / file).unlink()
    elif content == "later":
        (tmp_path / file).write_text((whole / file).read_text().replace('"format": 1', '"format": 2'))
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(TaskError, match=says) as caught:
        recogniser(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (("conv_pool:K=4", "conv_pool:K=5", "scores"), (1, 8, 8)),
        (("conv_pool:K=4", "scores"), (3, 9, 7)),
        (("conv2d:K=4,P=3,Q=2", "y = relu(x) where x: input C×M×N", "scores"), (1, 8, 8)),
        (("conv_pool:K=10", "y[k] = Σ[i,j] x[k,i,j] where x: input K×M×N"), (1, 8, 8)),
        (("h[t] = tanh(x[t] W + h[t-1] U + b) where h[t]: 6\ny = h[T] V + c",), (1, 8, 8)),
    ],
)
def test_a_net_is_any_chain_of_equations(net: tuple[str, ...], shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    model = Network([part(what) for what in net], shape, 10)
    scores = model(torch.randn(2, *shape))
    assert scores.shape == (2, 10)
    scores.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (("conv_pool", "scores"), "layer 1 of the net leaves the size K open: .* --net conv_pool:K=32"),
        (("conv_pool:K=4",), "the last layer of the net makes 4×4×4, and a score for each of 10 classes"),
        (("scores:O=4", "conv_pool:K=3"), "layer 2 of the net takes 3 axes and is given"),
        (("y[i,j] = x[i,j] z[i,j] where x: input, z: input",), "has inputs x, z and outputs y"),
        (("conv_pool:K=2",) * 4 + ("scores",), "layer 4"),
    ],
)
def test_layers_that_do_not_fit_are_named(net: tuple[str, ...], says: str) -> None:
    with pytest.raises((TaskError, EquationError), match=says):
        Network([part(what) for what in net], (1, 8, 8), 10)


def test_moving_keeps_each_picture_and_its_edge() -> None:
    random = torch.Generator().manual_seed(0)
    pictures = torch.arange(5 * 6, dtype=torch.uint8).reshape(1, 1, 5, 6).expand(200, 1, 5, 6)
    assert moved(pictures, 0, False, random) is pictures
    mirrored = moved(pictures, 0, True, random)
    count = sum(torch.equal(p, pictures[0].flip(-1)) for p in mirrored)
    assert 60 < count < 140
    assert count + sum(torch.equal(p, pictures[0]) for p in mirrored) == 200
    shifted = moved(pictures, 1, False, random)
    seen = {tuple(p[0, 1:-1, 1:-1].flatten().tolist()) for p in shifted}
    expected = {
        tuple(pictures[0, 0, 1 + d : 4 + d, 1 + r : 5 + r].flatten().tolist())
        for d in (-1, 0, 1)
        for r in (-1, 0, 1)
    }
    assert seen == expected


def test_tiles_stand_side_by_side_with_a_gap() -> None:
    image = mosaic(np.arange(8.0).reshape(2, 2, 2), rows=1)
    assert image.shape == (2, 5)
    assert np.isnan(image[:, 2]).all()
    assert image[:, 3:].tolist() == [[4, 5], [6, 7]]
    tiles, rows = laid_out(np.zeros((64, 32, 3, 3)))
    assert (tiles.shape, rows) == ((2048, 3, 3), 32)


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"epochs": 0}, {"batch": 0}, {"lr": 0.0}, {"net": ()}, {"shift": -1}):
        with pytest.raises(TaskError, match=next(iter(wrong))):
            replace(SMALL, **wrong)  # pyright: ignore[reportArgumentType]
