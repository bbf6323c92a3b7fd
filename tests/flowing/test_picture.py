"""A record as a figure: what is drawn is what was measured."""

import io
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import chalkgrad
from chalkgrad.flowing.record import Record


@pytest.fixture(scope="module")
def record() -> Record:
    torch.manual_seed(0)
    net = chalkgrad.layer("lstm", D=2, H=4)
    with chalkgrad.flow(net) as record:
        for _ in range(8):
            loss = net(torch.randn(3, 12, 2))[0][:, -1].square().mean()
            loss.backward()
            record.note(loss=loss)
        record.look(net, torch.randn(3, 12, 2))
    return record


def test_a_figure_draws_every_state_by_training_step_and_by_path(record: Record) -> None:
    axes = record.picture().axes
    titles = [a.get_title() for a in axes]
    assert titles[:2] == ["‖∂L/∂c[t]‖", "‖∂L/∂h[t]‖"]
    torch.testing.assert_close(torch.tensor(axes[0].images[0].get_array()), record.norm["c"])
    by_path = [a for a in axes if a.get_title().startswith("by path")][1]
    lines = {str(line.get_label()): torch.tensor(line.get_ydata()) for line in by_path.lines}
    assert list(lines) == ["the whole", *record.paths["h"]]
    torch.testing.assert_close(lines["g[t+1]"][:-1], record.paths["h"]["g[t+1]"][-2:].mean(0)[:-1])
    assert {"loss", "state c"} <= set(titles)
    assert sum(t.startswith("gate ") for t in titles) == 3


def test_the_ending_of_a_name_says_what_is_written(record: Record, tmp_path: Path) -> None:
    content = record.save(tmp_path / "flow.png").read_bytes()
    image = Image.open(io.BytesIO(content))
    assert image.width > 1000
    assert record.save(tmp_path / "again.png").read_bytes() == content
    assert record.save(tmp_path / "flow.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(chalkgrad.EquationError, match=r"is written as \.html or \.png"):
        record.save(tmp_path / "flow.gif")


def test_what_never_was_a_number_is_drawn_too(tmp_path: Path) -> None:
    record = Record()
    for value in (float("inf"), float("nan"), 0.0):
        row = torch.full((1, 5), value)
        record._watch("")({"h": row}, {"h": {"h[t+1]": row}})
    record.save(tmp_path / "flow.png")
    record.save(tmp_path / "flow.html")


def test_without_matplotlib_the_error_says_what_to_install(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(chalkgrad.EquationError, match="matplotlib") as caught:
        record.picture()
    assert "chalkgrad[report]" in str(caught.value)
