"""Training on sequences: what is learned, how it is measured, and that a cut run comes to the same."""

import json
from dataclasses import replace
from math import pi
from pathlib import Path

import pytest
import torch

from chalkgrad.tasks import sequence as sq
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.sequence.model import Reader
from chalkgrad.tasks.sequence.report import Confused, Errors, errors, forecasts, probabilities
from interrupting import ctrl_c_as_usual, press_ctrl_c


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wave whose height drifts (wave.csv); short rising and falling sequences (slopes.csv)."""
    path = tmp_path_factory.mktemp("sequences")
    wave = [f"{t},{torch.sin(torch.tensor(t * 2 * pi / 8)).item() * 3 + t / 10:.4f}" for t in range(160)]
    (path / "wave.csv").write_text("time,height\n" + "\n".join(wave) + "\n")
    random = torch.Generator().manual_seed(1)
    rows = []
    for k in range(40):
        start, length = torch.randn(1, generator=random).item(), 3 + k % 5
        for t in range(length):
            rows.append(f"s{k},{t},{start + (t if k % 2 else -t) * 0.5:.4f},{'up' if k % 2 else 'down'}")
    (path / "slopes.csv").write_text("id,time,a,label\n" + "\n".join(rows) + "\n")
    return path


def wave(folder: Path, **other) -> sq.Config:
    small = {"hidden": 16, "steps": 250, "horizon": 3, "dropout": 0.0, "noise": 0.0, "lr": 0.02}
    return sq.Config("forecast", str(folder / "wave.csv"), **{**small, **other})


def slopes(folder: Path, **other) -> sq.Config:
    small = {"hidden": 8, "steps": 80, "dropout": 0.1, "noise": 0.05, "lr": 0.02, "cell": "gru"}
    return sq.Config("classify", str(folder / "slopes.csv"), **{**small, **other})


def test_a_drifting_wave_is_foretold_better_than_by_its_season(folder: Path, tmp_path: Path) -> None:
    result = sq.train(wave(folder), tmp_path / "out")
    assert isinstance(result.tested, Errors)
    net, naive, last = result.tested.mean[:, 0].tolist()
    assert naive == pytest.approx(0.8, abs=0.01)  # eight steps of drift
    assert net < naive / 2
    assert net < last / 2
    assert result.tested.count == 32 - 3 + 1
    record = json.loads((tmp_path / "out" / "test.json").read_text())
    assert record["season"] == 8
    assert torch.tensor(record["mean absolute error"]["net"]).equal(result.tested.absolute[0])
    assert (tmp_path / "out" / "forecast.png").read_bytes().startswith(b"\x89PNG")
    net_again = sq.trained(tmp_path / "out")
    [series] = sq.load(folder / "wave.csv").series
    times, values = sq.foretell(net_again, series)
    assert times == ["160", "161", "162"]
    window = series.values[None, -net_again.card.window :]
    assert torch.equal(values, forecasts(net_again.model, net_again.card, window)[0])
    assert 14 < values.mean() < 22  # where the drift has come to


def test_labels_are_told_apart_whatever_their_length(folder: Path, tmp_path: Path) -> None:
    result = sq.train(slopes(folder), tmp_path / "out")
    assert isinstance(result.tested, Confused)
    assert result.tested.counts.sum() == 8
    assert result.tested.accuracy == 1
    net = sq.trained(tmp_path / "out")
    series = sq.load(folder / "slopes.csv").series
    together = probabilities(net.model, net.card, series)
    alone = torch.cat([probabilities(net.model, net.card, [one]) for one in series])
    assert torch.allclose(together, alone, atol=1e-5)  # padding is not read
    assert sq.classified(net, series)[1][0] == "up"


@pytest.mark.parametrize("make", [wave, slopes])
def test_a_cut_run_comes_to_the_same_numbers(make, folder: Path, tmp_path: Path) -> None:
    config = make(folder, steps=12, dropout=0.3, noise=0.1)
    whole = sq.train(config, tmp_path / "whole")
    with ctrl_c_as_usual():
        cut = sq.train(config, tmp_path / "cut", report=press_ctrl_c)
    assert (cut.step, cut.tested) == (1, None)
    again = sq.train(sq.saved(tmp_path / "cut"), tmp_path / "cut", resume=True)
    assert again.step == whole.step
    assert again.tested is not None
    one, other = (sq.trained(tmp_path / name).model.state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_errors_are_those_of_each_way_at_each_step(folder: Path, tmp_path: Path) -> None:
    sq.train(wave(folder, steps=1), tmp_path / "out")
    net = sq.trained(tmp_path / "out")
    values = torch.tensor([0.0, 2, 0, 2, 0, 2, 0, 2, 0, 2] * 4)[:, None]
    card = replace(net.card, season=2, window=8)
    found = errors(net.model, card, [(values, 20)])
    assert found.absolute[1, :, 0].tolist() == [0, 0, 0]
    assert found.absolute[2, :, 0].tolist() == [2, 0, 2]


def test_any_equations_are_a_cell(folder: Path, tmp_path: Path) -> None:
    cell = "h[t] = tanh(x[t] W + h[t-1] U + b)"
    sq.train(slopes(folder, cell=cell, steps=2), tmp_path / "out")
    assert sq.trained(tmp_path / "out").card.equations == cell


def test_directions_see_what_they_say_they_see() -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 6, 3)
    changed = values.clone()
    changed[:, 4] += 1
    for both in (False, True):
        net = Reader("gru", 3, 2, hidden=5, both=both)
        # Of lengths 3 nothing after the third step may be seen, of all steps everything.
        assert torch.equal(net(values, [3, 3]), net(changed, [3, 3]))
        assert not torch.allclose(net(values), net(changed))
        encoded, other = (net.encoder(net.taken(x)) for x in (values, changed))
        assert torch.equal(encoded[:, :4, :5], other[:, :4, :5])
        assert torch.equal(encoded[:, 5:, 5:], other[:, 5:, 5:])
        assert encoded.shape[2] == 5 * (1 + both)
        assert not both or not torch.allclose(encoded[:, 0, 5:], other[:, 0, 5:])


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("wave.csv", {"task": "guess"}, "task must be one of forecast, classify"),
        ("wave.csv", {"task": "classify"}, "no column label"),
        ("wave.csv", {"window": 4, "season": 8}, "does not hold a season of 8"),
        ("wave.csv", {"window": 140}, "give more, or a smaller window"),
        ("wave.csv", {"horizon": 40, "window": 10, "season": 8}, "fewer than the 40 steps"),
        ("wave.csv", {"test": "x.csv"}, "leave --test out"),
        ("wave.csv", {"lr": 0.0}, "lr must be"),
        ("wave.csv", {"held": 1.0}, "held must lie"),
        ("slopes.csv", {"task": "classify", "test": "wave.csv"}, "has the channels height"),
    ],
)
def test_what_cannot_be_trained_is_said(
    name: str, options: dict, says: str, folder: Path, tmp_path: Path
) -> None:
    if options.get("test", "").endswith("wave.csv"):
        options = {**options, "test": str(folder / "wave.csv")}
    with pytest.raises(TaskError, match=says):
        sq.train(
            sq.Config(**{"task": "forecast", "data": str(folder / name), "steps": 1, **options}),
            tmp_path / "o",
        )


def test_another_run_is_not_resumed_and_another_version_not_read(folder: Path, tmp_path: Path) -> None:
    config = slopes(folder, steps=1)
    sq.train(config, tmp_path / "out")
    with pytest.raises(TaskError, match="hidden is 9, was 8"):
        sq.train(replace(config, hidden=9), tmp_path / "out", resume=True)
    with pytest.raises(TaskError, match="the sequences are not the same"):
        sq.train(replace(config, test=str(folder / "slopes.csv")), tmp_path / "out", resume=True)
    card = json.loads((tmp_path / "out" / "config.json").read_text())
    (tmp_path / "out" / "config.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(TaskError, match="another version of chalkgrad: its format is 99"):
        sq.trained(tmp_path / "out")
